#!/bin/sh
# Sets up what the tests need and runs all of them. What cannot run here is named at the end, with the reason.
set -eu

usage() {
	cat <<'END'
Usage: scripts/test.sh [--long]

Checks form (gofmt, vet, staticcheck, modules, shell scripts), then runs every test. It needs Go and openssl; a C
compiler for the race detector, shellcheck, zsh and fish are installed when it runs as root on Debian, nginx and
PostgreSQL are unpacked for as long as it runs, and elsewhere they are done without. It writes nothing into the
repository.

  --long      also run each fuzz target for 30 seconds
  -h, --help  show this text
END
}

long=
case ${1:-} in
-h | --help)
	usage
	exit 0
	;;
--long)
	long=yes
	shift
	;;
esac
if [ $# -gt 0 ]; then
	printf 'error: unknown option: %s\n' "$1" >&2
	usage >&2
	exit 2
fi

cd "$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)"
root=$PWD
tools=$root/scripts/tools/go.mod
tmp=$(mktemp -d)
race=
failed=
started=$(date +%s)

# The module cache is read-only, so it has to be made writable before it can be removed.
clean_up() {
	status=$?
	chmod -R u+w "$tmp"
	rm -rf "$tmp"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# fail MESSAGE HINT
fail() {
	printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
	exit 1
}

# skip WHAT WHY
skip() { printf '%s: %s\n' "$1" "$2" >>"$tmp/skipped"; }

# step TITLE COMMAND... runs a step and remembers whether it failed. The command runs where set -e does not hold, so the
# functions below end in the status of all that they did.
step() {
	title=$1
	shift
	printf '\n== %s\n' "$title"
	began=$(date +%s)
	if "$@"; then
		printf '== %s: ok, %d s\n' "$title" $(($(date +%s) - began))
	else
		printf '== %s: FAILED, %d s\n' "$title" $(($(date +%s) - began))
		failed="$failed${failed:+, }$title"
	fi
}

stop_if_failed() {
	[ -z "$failed" ] || fail "failed: $failed" 'the output above says why'
}

# Go keeps its caches below HOME; where there is none (a service, a container), they live as long as this run.
find_home() {
	[ -n "${HOME:-}" ] && [ -w "$HOME" ] && return
	HOME=$tmp/home
	export HOME
	mkdir "$HOME"
}

find_programs() {
	command -v go >/dev/null || fail 'go is not installed' 'install Go 1.26 or later: https://go.dev/doc/install'
	go list -m >/dev/null || fail "this Go does not fit go.mod: $(go version)" 'install a newer one: https://go.dev/doc/install'
	command -v openssl >/dev/null || fail 'openssl is not installed' 'install it, for example: apt-get install openssl'
	go version
	openssl version
}

# install PACKAGE... installs Debian packages when that is ours to do.
install() {
	has_apt || return 1
	echo "installing $*"
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >"$tmp/apt.log" 2>&1 </dev/null
}

# has_apt reports whether this is Debian and we are root, and updates what apt-get knows.
has_apt() {
	[ "$(id -u)" -eq 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null || return 1
	[ -e "$tmp/apt-updated" ] || apt-get update >"$tmp/apt.log" 2>&1 </dev/null || return 1
	: >"$tmp/apt-updated"
}

# The race detector needs cgo, and cgo a C compiler with its headers.
find_compiler() {
	if [ "${CGO_ENABLED:-}" = 0 ]; then
		skip 'race detector' 'CGO_ENABLED is 0'
	elif compiles || { install gcc libc6-dev && compiles; }; then
		race=-race
	else
		skip 'race detector' 'no C compiler'
		export CGO_ENABLED=0 # one that cannot link would fail every build
	fi
}

compiles() {
	printf '#include <stdlib.h>\nint main(void) { return 0; }\n' >"$tmp/probe.c"
	${CC:-gcc} -o "$tmp/probe" "$tmp/probe.c" 2>/dev/null
}

# The tests of the completion scripts name themselves as skipped where a shell is missing.
find_shells() { { command -v zsh && command -v fish; } >/dev/null || install zsh fish || :; }

find_shellcheck() {
	command -v shellcheck >/dev/null || install shellcheck || skip shellcheck 'not installed'
}

# The test of nginx names itself as skipped where there is none.
find_nginx() { command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || unpack_nginx || :; }

# unpack_nginx has Debian's nginx for this run alone: an installed one would serve port 80 of this machine from now on.
# Depending on the release, nginx-light is the program, or asks for nginx, which is.
unpack_nginx() {
	has_apt || return 1
	echo 'unpacking nginx'
	(cd "$tmp" && apt-get download nginx nginx-light >"$tmp/apt.log" 2>&1 </dev/null) || return 1
	for package in "$tmp"/nginx*.deb; do
		dpkg -x "$package" "$tmp/nginx" || return 1
	done
	"$tmp/nginx/usr/sbin/nginx" -v || return 1 # it runs only where the libraries are that it needs
	PATH=$PATH:$tmp/nginx/usr/sbin
}

# The tests that need PostgreSQL name themselves as skipped where there is none.
find_postgresql() { has_postgresql || unpack_postgresql || :; }

has_postgresql() { command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1

# unpack_postgresql has Debian's PostgreSQL for this run alone: an installed one would make a cluster and serve it from
# now on. apt-get knows the release, and which of the libraries are not here. Root's tests run it as another user.
unpack_postgresql() {
	has_apt || return 1
	echo 'unpacking postgresql'
	server=$(LC_ALL=C apt-cache depends postgresql | awk '$1 == "Depends:" { print $2; exit }')
	mkdir -p "$tmp/debs/partial" "$tmp/postgresql/bin"
	apt-get install -y --no-install-recommends --download-only -o Dir::Cache::archives="$tmp/debs" "$server" \
		>"$tmp/apt.log" 2>&1 </dev/null || return 1
	for package in "$tmp"/debs/*.deb; do
		dpkg -x "$package" "$tmp/postgresql" || return 1
	done
	wrap_postgresql
	chmod -R a+rX "$tmp/postgresql" && chmod a+x "$tmp" "$tmp/postgresql/bin"/* || return 1
	setpriv --reuid=nobody --regid=nogroup --clear-groups "$tmp/postgresql/bin/postgres" --version || return 1
	PATH=$PATH:$tmp/postgresql/bin
}

# wrap_postgresql makes a script for each program that shows it the unpacked libraries; no other program is to see them.
wrap_postgresql() {
	libraries=$(find "$tmp/postgresql" -path '*/lib/*-linux-gnu*' -prune | paste -s -d : -)
	for program in "$tmp"/postgresql/usr/lib/postgresql/*/bin/*; do
		wrapper=$tmp/postgresql/bin/${program##*/}
		printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$libraries" "$program" >"$wrapper"
	done
}

check_gofmt() {
	unformatted=$("$(go env GOROOT)/bin/gofmt" -l .) || return 1
	[ -z "$unformatted" ] || {
		printf '%s\n' "$unformatted"
		echo 'hint: gofmt -w .'
		return 1
	}
}

check_vet() { go vet ./... && go -C scripts/bench vet ./...; }

check_static() {
	go tool -modfile="$tools" staticcheck ./... && (cd scripts/bench && go tool -modfile="$tools" staticcheck ./...)
}

check_modules() {
	go mod verify || return 1
	for dir in . scripts/bench scripts/tools; do
		go -C "$dir" mod tidy -diff || return 1
	done
	libc_fits
}

# libc_fits sees that modernc.org/libc is just the version that modernc.org/sqlite was made with: others corrupt memory.
libc_fits() {
	have=$(go list -m -f '{{.Version}}' modernc.org/libc)
	want=$(awk '$1 == "modernc.org/libc" { print $2 }' "$(go list -m -f '{{.GoMod}}' modernc.org/sqlite)")
	[ "$have" = "$want" ] || {
		echo "modernc.org/libc is $have, and modernc.org/sqlite needs $want: go get modernc.org/libc@$want"
		return 1
	}
}

# The names of our scripts have no blanks.
shell_scripts() {
	echo .ci/run
	find scripts -name '*.sh'
}

check_shell() {
	set --
	for script in $(shell_scripts); do
		sh -n "$script" || return 1
		set -- "$@" "$script"
	done
	go tool -modfile="$tools" shfmt -d "$@" || return 1
	! command -v shellcheck >/dev/null || shellcheck "$@"
}

# run_tests shows a line for each package while they run, and everything of note when one failed.
run_tests() {
	{
		go test ${race:+"$race"} -count=1 -timeout=10m -v ./...
		echo $? >"$tmp/status"
	} 2>&1 | tee "$tmp/tests" | grep -E '^(ok|FAIL|\?)[[:space:]]' || :
	go_skips "$tmp/tests" >>"$tmp/skipped"
	[ "$(cat "$tmp/status")" -eq 0 ] || {
		grep -Ev '^ *(=== (RUN|PAUSE|CONT|NAME)|--- PASS)' "$tmp/tests"
		return 1
	}
}

# go_skips FILE prints the tests that skipped themselves, from what go test -v printed. A test's reason comes before its
# line, and the package's name after both.
go_skips() {
	awk '
		$1 == "===" { test = $3; if ($2 == "RUN") delete reason[test] }
		/^ +[^ ]+\.go:[0-9]+: / { reason[test] = $0; sub(/^ +/, "", reason[test]) }
		$1 == "---" && $2 == "SKIP:" { skipped[++n] = $3 ": " reason[$3] }
		/^(ok|FAIL)[ \t]+[^ \t]/ { for (i = 1; i <= n; i++) print $2 " " skipped[i]; n = 0 }
	' "$1"
}

test_bench() {
	status=0
	go -C scripts/bench test -count=1 -v ./... >"$tmp/bench" 2>&1 || status=1
	grep -E '^(ok|FAIL|\?)[[:space:]]' "$tmp/bench"
	[ "$status" -eq 0 ] || cat "$tmp/bench"
	go_skips "$tmp/bench" >>"$tmp/skipped"
	return "$status"
}

# check_deploy moves what was skipped to what all steps have skipped.
check_deploy() {
	scripts/deploy/check.sh >"$tmp/deploy"
	status=$?
	sed -n 's/^skipped: //p' "$tmp/deploy" >>"$tmp/skipped"
	grep -v '^skipped: ' "$tmp/deploy"
	return "$status"
}

# fuzz runs each target in turn. What it finds goes to the testdata of its package, to be kept as a test.
fuzz() {
	go test -list '^Fuzz' ./... >"$tmp/list" || return 1
	awk '/^Fuzz/ { name[++n] = $1 } $1 == "ok" { for (i = 1; i <= n; i++) print $2, name[i]; n = 0 }' "$tmp/list" >"$tmp/targets"
	while read -r package target; do
		fuzz_one "$package" "$target" || return 1
	done <"$tmp/targets"
}

# fuzz_one PACKAGE TARGET. The go command now and then calls its own deadline at the end of a run a failure; there is no
# failing input then, and it is named as not run to its end.
fuzz_one() {
	if go test -run='^$' -fuzz="^$2\$" -fuzztime=30s "$1" </dev/null >"$tmp/fuzz" 2>&1; then
		tail -n 1 "$tmp/fuzz"
	elif grep -q 'context deadline exceeded' "$tmp/fuzz" && ! grep -q 'Failing input' "$tmp/fuzz"; then
		skip "$2" 'the go command stopped at its own deadline; it found nothing until then'
	else
		cat "$tmp/fuzz"
		return 1
	fi
}

: >"$tmp/skipped"
find_home
find_programs
find_compiler
find_shellcheck
find_shells
find_nginx
find_postgresql

step gofmt check_gofmt
step 'go vet' check_vet
step staticcheck check_static
step modules check_modules
step 'shell scripts' check_shell
step 'scripts/bench' test_bench
step 'scripts/deploy' check_deploy
stop_if_failed

step "go test${race:+ $race}" run_tests
stop_if_failed

if [ -n "$long" ]; then
	step 'fuzz targets' fuzz
	stop_if_failed
else
	skip 'fuzz targets beyond their seeds' 'only with --long'
fi

printf '\n== skipped\n'
cat "$tmp/skipped"
printf '\nAll passed, %d s.\n' $(($(date +%s) - started))
