#!/bin/sh
# Measures Signet against the bare work underneath it and against other libraries. The benchmarks run in rounds, each of
# them once and briefly a round and those that are compared one after the other, so that what slows the machine down for
# a while slows all of them down.
set -eu

usage() {
	cat <<'END'
Usage: scripts/bench.sh [--load | --state] [--rounds N] [--write]

Prints Markdown tables of the benchmarks, which take about eight seconds a round, and on Linux of requests over HTTP,
which take a minute and a half. Only a machine that does nothing else gives figures that mean something.

  --load      compare the issuer over HTTP with the least that a token endpoint can do, instead of running benchmarks;
              fifteen seconds a round; on Linux, and only on a machine that does nothing else
  --state     compare the issuer on SQLite with itself on PostgreSQL, with 1,000 clients and with 1,000,000, and watch its
              memory under load for ten minutes; half an hour in all; on Linux, with PostgreSQL installed
  --rounds N  how often each benchmark runs (default 41; with --load and --state 11)
  --write     write the tables to scripts/bench/RESULTS.md too; with --load to LOAD.md, with --state to STATE.md there
  -h, --help  show this text
END
}

# The packages with benchmarks, as folders. The last is of the module in scripts/bench.
packages='keys issuer/internal/oauth issuer/internal/server client/tokens scripts/bench/verifying'
# The benchmarks, as a regular expression, that also run on two cores.
on_cores='^Benchmark(SeenBefore|TokenShared)$'
# The modules that are compared.
modules='github.com/coreos/go-oidc/v3 github.com/golang-jwt/jwt/v5 github.com/MicahParks/keyfunc/v3
	github.com/auth0/go-jwt-middleware/v3 github.com/lestrrat-go/jwx/v2 golang.org/x/oauth2'
rounds=
mode=benchmarks
write=

wrong_usage() {
	printf 'error: %s\n' "$1" >&2
	usage >&2
	exit 2
}

while [ $# -gt 0 ]; do
	case $1 in
	-h | --help)
		usage
		exit 0
		;;
	--load) mode=load ;;
	--state) mode=state ;;
	--write) write=yes ;;
	--rounds)
		[ -n "${2:-}" ] || wrong_usage '--rounds needs a value'
		rounds=$2
		shift
		;;
	*) wrong_usage "unknown option: $1" ;;
	esac
	shift
done
case $mode in
benchmarks) results=RESULTS.md usual=41 ;;
load) results=LOAD.md usual=11 ;;
state) results=STATE.md usual=11 ;;
esac
: "${rounds:=$usual}"
case $rounds in
0* | *[!0-9]*) wrong_usage "not a number of rounds: $rounds" ;;
esac

cd "$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)"
root=$PWD
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# binary PACKAGE prints where the package's test binary is.
binary() { printf '%s/%s.test' "$tmp" "$(printf %s "$1" | tr / -)"; }

# All binaries are built before anything is measured. A package without tests has none.
build() {
	for package in $packages; do
		(cd "$package" && go test -c -o "$(binary "$package")" .)
	done
	go -C scripts/bench build -o "$tmp/table" .
}

# run PACKAGE FLAG... runs the package's benchmarks once.
run() {
	package=$1
	shift
	(cd "$package" && exec "$(binary "$package")" -test.run='^$' -test.benchtime=50ms -test.benchmem "$@" >>"$tmp/output")
}

measure() {
	round=1
	while [ "$round" -le "$rounds" ]; do
		printf 'round %d of %d\n' "$round" "$rounds" >&2
		for package in $packages; do
			[ -e "$(binary "$package")" ] || continue
			run "$package" -test.bench=. -test.skip="$on_cores"
			run "$package" -test.bench="$on_cores" -test.cpu=1,2
		done
		round=$((round + 1))
	done
}

benchmarks() {
	build
	measure
	# shellcheck disable=SC2086 # one word a module
	versions=$(go -C scripts/bench list -m -f '{{.Path}} {{.Version}}' $modules)
	"$tmp/table" -modules "$versions" -date "$date" <"$tmp/output"
}

# A resource server over HTTP: requests that are not verified, verified by Signet, and by bare crypto.
traffic() {
	go -C scripts/bench build -o "$tmp/" ./traffic
	set -- "$tmp/traffic" -rounds 7
	if command -v taskset >/dev/null && [ "$(nproc)" -gt 1 ]; then
		set -- "$@" -core $(($(nproc) - 1))
	fi
	echo
	"$@"
}

cpu() {
	model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
	printf %s "${model:-unknown}"
}

# The issuers get the last core, PostgreSQL and the load the others.
compare_state() {
	go -C scripts/bench test -c -o "$tmp/state.test" ./load
	set -- "$tmp/state.test" -test.run='^TestState$' -test.timeout=2h -state.report "$tmp/results.md" -state.rounds "$rounds" \
		-state.clients 1000 -state.large 1000000 -state.scale 1 -state.soak 10m -state.cpu "$(cpu)" -state.date "$date"
	if command -v taskset >/dev/null && [ "$(nproc)" -gt 1 ]; then
		set -- taskset -c "0-$(($(nproc) - 2))" "$@" -state.core $(($(nproc) - 1))
	fi
	(cd scripts/bench/load && "$@") >&2
}

# The servers get the last core for themselves and the load comes from the first, where they can be told apart.
compare_load() {
	go build -o "$tmp/issuer" ./issuer
	go -C scripts/bench build -o "$tmp/" ./bare ./load
	set -- "$tmp/load" -issuer "$tmp/issuer" -bare "$tmp/bare" -cpu "$(cpu)" -date "$date" -rounds "$rounds"
	if command -v taskset >/dev/null && [ "$(nproc)" -gt 1 ]; then
		set -- taskset -c 0 "$@" -core $(($(nproc) - 1))
	fi
	"$@"
}

date=$(date -u +%Y-%m-%d)
case $mode in
load) compare_load >"$tmp/results.md" ;;
state) compare_state ;;
benchmarks)
	benchmarks >"$tmp/results.md"
	[ "$(uname)" != Linux ] || traffic >>"$tmp/results.md"
	;;
esac
cat "$tmp/results.md"
[ -z "$write" ] || cp "$tmp/results.md" "$root/scripts/bench/$results"
