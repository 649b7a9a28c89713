#!/bin/sh
# Plays the whole story on this machine: makes keys, builds, starts the issuer and the resource server, obtains a token,
# calls with it, and shows what is refused. It stops what it started.
set -eu

usage() {
	cat <<'END'
Usage: scripts/demo.sh [--keep]

Makes keys where there are none, builds, starts the issuer and the resource server on loopback, and shows a token being
obtained, used and refused. Stops both at the end.

  --keep      leave both running, and print commands to try
  -h, --help  show this text

Environment: ISSUER_PORT (8080) and RESOURCE_PORT (9000); each program's health is on the port after its own.
END
}

say() { printf '%s\n' "$*"; }
heading() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || heading() { printf '\n== %s\n' "$*"; }

# fail MESSAGE HINT
fail() {
	printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
	exit 1
}

# show COMMAND...: prints a command as one would type it, and runs it.
show() {
	say "\$ $*"
	"$@"
}

need() { command -v "$1" >/dev/null 2>&1 || fail "$1 is not installed" "install it and try again"; }

# listener PORT: who listens on the port, as far as this machine tells; nothing when nobody does.
listener() {
	if command -v lsof >/dev/null 2>&1; then
		lsof +c 0 -nP -iTCP:"$1" -sTCP:LISTEN 2>/dev/null | awk 'NR > 1 {print $1 " (process " $2 ")"; exit}'
		return
	fi
	[ -r /proc/net/tcp ] || return 0
	inode=$(awk -v port="$(printf '%04X' "$1")" \
		'$4 == "0A" && substr($2, length($2) - 3) == port {print $10; exit}' /proc/net/tcp /proc/net/tcp6)
	[ -n "$inode" ] || return 0
	for fd in /proc/[0-9]*/fd/*; do
		[ "$(readlink "$fd" 2>/dev/null)" = "socket:[$inode]" ] || continue
		pid=${fd#/proc/}
		pid=${pid%%/*}
		say "$(cat "/proc/$pid/comm") (process $pid)"
		return
	done
	say "a program of another user"
}

check_ports() {
	taken=
	for port in "$issuer_port" "$((issuer_port + 1))" "$resource_port" "$((resource_port + 1))"; do
		who=$(listener "$port")
		[ -z "$who" ] || taken="${taken:+$taken; }port $port is taken by $who"
	done
	[ -z "$taken" ] || fail "$taken" "stop it, or choose other ports: ISSUER_PORT=18080 RESOURCE_PORT=19000 $0"
}

# wait_ready NAME URL PID: until the program is ready, 10 s at most.
wait_ready() {
	tries=0
	until curl -sf -o /dev/null "$2"; do
		kill -0 "$3" 2>/dev/null || fail "the $1 stopped: $(cat "$dir/$1.log")" "see above"
		tries=$((tries + 1))
		[ "$tries" -lt 100 ] || fail "the $1 is not ready after 10 s" "its log is $dir/$1.log"
		sleep 0.1
	done
}

start() {
	"$dir/issuer" --listen "127.0.0.1:$issuer_port" --private-listen "127.0.0.1:$((issuer_port + 1))" \
		</dev/null >/dev/null 2>"$dir/issuer.log" &
	issuer_pid=$!
	"$dir/resource" --listen "127.0.0.1:$resource_port" --private-listen "127.0.0.1:$((resource_port + 1))" \
		--issuer "$issuer" </dev/null >/dev/null 2>"$dir/resource.log" &
	resource_pid=$!
	wait_ready issuer "http://127.0.0.1:$((issuer_port + 1))/readyz" "$issuer_pid"
	wait_ready resource "http://127.0.0.1:$((resource_port + 1))/readyz" "$resource_pid"
}

stop() {
	for pid in $issuer_pid $resource_pid; do
		kill "$pid" 2>/dev/null || true
	done
	wait
	rm -rf "$dir"
}

# tampered TOKEN: the same with one character of the signature changed.
tampered() {
	signature=${1##*.}
	case $signature in
	A*) say "${1%.*}.B${signature#?}" ;;
	*) say "${1%.*}.A${signature#?}" ;;
	esac
}

story() {
	heading "The issuer publishes its public keys"
	show curl -s "http://localhost:$issuer_port/.well-known/jwks.json"

	heading "The client obtains a token with its own private key, and calls the resource server"
	say "\$ go run ./client"
	client

	heading "What the token says"
	token=$(client token)
	say "\$ go run ./client token | go run ./client inspect -"
	say "$token" | client inspect -

	heading "Refused: no token"
	say "\$ curl -i $resource/"
	refusal "$resource/"

	heading "Refused: a token with one character changed"
	say "\$ curl -i -H \"Token: \$tampered\" $resource/"
	refusal -H "Token: $(tampered "$token")" "$resource/"

	heading "Refused: a good token without the scope that is needed"
	say "\$ curl -i -H \"Token: \$token\" $resource/admin"
	refusal -H "Token: $token" "$resource/admin"
}

# refusal ARGUMENTS...: status and challenge of the answer that curl gets.
refusal() { curl -si "$@" | tr -d '\r' | grep -i -e '^HTTP/' -e '^WWW-Authenticate:'; }

client() { "$dir/client" --issuer "$issuer" --url "$resource/" "$@"; }

keep_running() {
	trap - EXIT
	heading "Both are still running"
	say "Try:   $dir/client --issuer $issuer --url $resource/ inspect"
	say "       curl -H \"Token: \$($dir/client --issuer $issuer token)\" $resource/whoami"
	say "Logs:  $dir/issuer.log  $dir/resource.log"
	say "Stop:  kill $issuer_pid $resource_pid; rm -r $dir"
}

keep=no
for argument; do
	case $argument in
	--keep) keep=yes ;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
done

cd "$(dirname "$0")/.."
for name in $(env | sed -n 's/^\(SIGNET_[A-Z_]*\)=.*/\1/p'); do
	unset "$name" # settings of another Signet are not for the demo
done
issuer_port=${ISSUER_PORT:-8080}
resource_port=${RESOURCE_PORT:-9000}
issuer=http://127.0.0.1:$issuer_port
resource=http://127.0.0.1:$resource_port

need go
need curl
check_ports
scripts/genkeys.sh >/dev/null
dir=$(mktemp -d)
issuer_pid='' resource_pid=''
trap stop EXIT
trap 'exit 130' INT TERM
say "building…"
go build -o "$dir/" ./issuer ./resource ./client
start
story
if [ "$keep" = yes ]; then
	keep_running
else
	heading "Done: the chain works. Stopping what was started."
fi
