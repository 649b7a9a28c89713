#!/bin/sh
# Measures Signet against the bare work underneath it. The benchmarks run in rounds, each of them once and briefly a
# round and a pair's two sides one after the other, so that what slows the machine down for a while slows both down.
set -eu

usage() {
	cat <<'END'
Usage: scripts/bench.sh [--load] [--rounds N] [--write]

Prints a Markdown table of the benchmarks. It takes about a second a round.

  --load      compare the issuer over HTTP with the least that a token endpoint can do, instead of running benchmarks;
              fifteen seconds a round; on Linux, and only on a machine that does nothing else
  --rounds N  how often each benchmark runs (default 41; with --load 11)
  --write     write the table to scripts/bench/RESULTS.md too; with --load to scripts/bench/LOAD.md
  -h, --help  show this text
END
}

packages='keys issuer/internal/oauth issuer/internal/server' # the packages with benchmarks, as folders
rounds=
load=
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
	--load) load=yes ;;
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
if [ -n "$load" ]; then
	: "${rounds:=11}"
	results=LOAD.md
else
	: "${rounds:=41}"
	results=RESULTS.md
fi
case $rounds in
0* | *[!0-9]*) wrong_usage "not a number of rounds: $rounds" ;;
esac

cd "$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)"
root=$PWD
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# All binaries are built before anything is measured.
build() {
	for package in $packages; do
		go test -c -o "$tmp/$(printf %s "$package" | tr / -).test" "./$package"
	done
	go -C scripts/bench build -o "$tmp/table" .
}

measure() {
	round=1
	while [ "$round" -le "$rounds" ]; do
		printf 'round %d of %d\n' "$round" "$rounds" >&2
		for package in $packages; do
			(cd "$package" && exec "$tmp/$(printf %s "$package" | tr / -).test" \
				-test.run='^$' -test.bench=. -test.benchtime=50ms >>"$tmp/output")
		done
		round=$((round + 1))
	done
}

benchmarks() {
	build
	measure
	jwx=$(go list -m -f '{{.Version}}' github.com/lestrrat-go/jwx/v2)
	"$tmp/table" -jwx "$jwx" -date "$date" <"$tmp/output"
}

# The servers get the last core for themselves and the load comes from the first, where they can be told apart.
compare_load() {
	go build -o "$tmp/issuer" ./issuer
	go -C scripts/bench build -o "$tmp/" ./bare ./load
	cpu=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
	set -- "$tmp/load" -issuer "$tmp/issuer" -bare "$tmp/bare" -cpu "${cpu:-unknown}" -date "$date" -rounds "$rounds"
	if command -v taskset >/dev/null && [ "$(nproc)" -gt 1 ]; then
		set -- taskset -c 0 "$@" -core $(($(nproc) - 1))
	fi
	"$@"
}

date=$(date -u +%Y-%m-%d)
if [ -n "$load" ]; then
	compare_load >"$tmp/results.md"
else
	benchmarks >"$tmp/results.md"
fi
cat "$tmp/results.md"
[ -z "$write" ] || cp "$tmp/results.md" "$root/scripts/bench/$results"
