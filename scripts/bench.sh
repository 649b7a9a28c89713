#!/bin/sh
# Measures Signet against the bare work underneath it. The benchmarks run in rounds, each of them once and briefly a
# round and a pair's two sides one after the other, so that what slows the machine down for a while slows both down.
set -eu

usage() {
	cat <<'END'
Usage: scripts/bench.sh [--rounds N] [--write]

Prints a Markdown table of the benchmarks. It takes about a second a round.

  --rounds N  how often each benchmark runs (default 41)
  --write     write the table to scripts/bench/RESULTS.md too
  -h, --help  show this text
END
}

packages='keys issuer/internal/server' # the packages with benchmarks, as folders
rounds=41
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
	--write) write=yes ;;
	--rounds)
		[ $# -ge 2 ] || wrong_usage '--rounds needs a value'
		rounds=$2
		shift
		;;
	*) wrong_usage "unknown option: $1" ;;
	esac
	shift
done
case $rounds in
'' | 0* | *[!0-9]*) wrong_usage "not a number of rounds: $rounds" ;;
esac

cd "$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)"
root=$PWD
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The binaries are built before anything is measured.
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

build
measure
jwx=$(go list -m -f '{{.Version}}' github.com/lestrrat-go/jwx/v2)
"$tmp/table" -jwx "$jwx" -date "$(date -u +%Y-%m-%d)" <"$tmp/output" >"$tmp/results.md"
cat "$tmp/results.md"
[ -z "$write" ] || cp "$tmp/results.md" "$root/scripts/bench/RESULTS.md"
