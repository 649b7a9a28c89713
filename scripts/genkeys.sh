#!/bin/sh
# Makes the keys that a local Signet needs: the issuer's signing keys and the demo client's pair. It needs openssl and
# what every POSIX system has, nothing else.
set -eu
umask 077

usage() {
	cat <<'END'
Usage: scripts/genkeys.sh [--alg ES256|RS256|all] [--out DIR] [--force]

Makes the issuer's signing keys (DIR/issuer) and the demo client's pair (DIR/client). Keys that are there are kept.
Prints a line for each key: path, algorithm and kid, separated by tabs.

  --alg ALG   which signing algorithms: ES256, RS256 or all (default all)
  --out DIR   where the keys go (default: keys/local of this repository)
  --force     make new keys all the same: a signing key is added that signs from tomorrow on, when every verifier has
              it, and the older ones stay, so that tokens they signed still verify; the client's pair is replaced
  -h, --help  show this text
END
}

say() { printf '%s\n' "$*" >&2; }

# fail MESSAGE HINT
fail() {
	say "error: $1"
	say "hint: $2"
	exit 1
}

wrong_usage() {
	say "error: $1"
	usage >&2
	exit 2
}

tmp=     # the unfinished file, if there is one
out=     # the directory DIR
new_out= # the same, if this run made it
began=   # not empty once there may be directories to take back
force=
algorithms='ES256 RS256'

# A run that fails leaves nothing behind, directories included as far as they are empty.
clean_up() {
	status=$?
	[ -z "$tmp" ] || rm -f "$tmp"
	[ "$status" -eq 0 ] || [ -z "$began" ] || rmdir "$out/issuer" "$out/client" ${new_out:+"$new_out"} 2>/dev/null || :
	exit "$status"
}

parse_options() {
	while [ $# -gt 0 ]; do
		case $1 in
		-h | --help)
			usage
			exit 0
			;;
		--force) force=yes ;;
		--alg=*) choose_algorithms "${1#*=}" ;;
		--out=*) choose_directory "${1#*=}" ;;
		--alg | --out)
			[ $# -ge 2 ] || wrong_usage "$1 needs a value"
			if [ "$1" = --alg ]; then choose_algorithms "$2"; else choose_directory "$2"; fi
			shift
			;;
		*) wrong_usage "unknown option: $1" ;;
		esac
		shift
	done
}

choose_algorithms() {
	case $1 in
	ES256 | RS256) algorithms=$1 ;;
	all) algorithms='ES256 RS256' ;;
	*) wrong_usage "unknown algorithm: $1" ;;
	esac
}

choose_directory() {
	case $1 in
	'') wrong_usage '--out needs a directory' ;;
	-*) out=./$1 ;; # or every tool would take it for an option
	*) out=$1 ;;
	esac
}

default_directory() {
	root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
	printf '%s/keys/local\n' "$root"
}

make_directories() {
	began=yes
	[ -d "$out" ] || new_out=$out
	for dir in "$out/issuer" "$out/client"; do
		mkdir -p "$dir" || fail "making directory $dir" 'choose a directory that you may write to: --out DIR'
	done
}

# hex prints standard input in hexadecimal, without blanks.
hex() { od -An -v -tx1 | tr -d ' \t\n'; }

# base64url prints standard input as RFC 7515 section 2 spells it.
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '=\n'; }

# public_der FILE prints the public half as SubjectPublicKeyInfo. The empty password keeps openssl from asking for one.
public_der() { openssl pkey -in "$1" -passin pass: -pubout -outform DER 2>/dev/null; }

# describe FILE prints the line about a private key, or fails when it is not one that Signet can use. The patterns are
# what comes before and after the numbers in the DER of a P-256 key (RFC 5480) and of an RSA key of 2048 bits or more
# with exponent 65537 (RFC 8017), so the numbers can be cut out by their position.
describe() {
	der=$(public_der "$1" | hex)
	case $der in
	3059301306072a8648ce3d020106082a8648ce3d03010703420004*)
		alg=ES256
		jwk=$(ec_jwk "$1")
		;;
	3082????300d06092a864886f70d01010105000382????003082????0282????00*0203010001)
		alg=RS256
		jwk=$(rsa_jwk "$1" $((${#der} / 2 - 38)))
		;;
	*) return 1 ;;
	esac
	kid=$(printf '%s' "$jwk" | openssl dgst -sha256 -binary | base64url)
	[ ${#kid} -eq 43 ] || return 1 # SHA-256 in base64url
	printf '%s\t%s\t%s\n' "$1" "$alg" "$kid"
}

# ec_jwk FILE and rsa_jwk FILE SIZE print what RFC 7638 section 3.2 hashes.
ec_jwk() {
	x=$(public_der "$1" | tail -c 64 | head -c 32 | base64url)
	y=$(public_der "$1" | tail -c 32 | base64url)
	printf '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' "$x" "$y"
}

rsa_jwk() {
	n=$(public_der "$1" | tail -c +34 | head -c "$2" | base64url)
	printf '{"e":"AQAB","kty":"RSA","n":"%s"}' "$n"
}

show() {
	describe "$1" || fail "$1 is not a private key that Signet can use" 'move it out of the directory, then run this again'
}

# start_file DIR sets tmp to a new empty file in DIR. Its name does not end in .pem, so nobody reads it as a key.
start_file() {
	tmp=$(mktemp "$1/.genkeys.XXXXXX") || {
		tmp=
		fail "writing to $1" 'choose a directory that you may write to: --out DIR'
	}
}

# run_openssl ARGUMENTS runs openssl silently; what it says is shown only when it fails.
run_openssl() {
	talk=$(openssl "$@" 2>&1) || {
		say "$talk"
		fail "openssl $1 failed" "check the disk's free space, and openssl version (1.1.1 or later, or LibreSSL)"
	}
}

# generate ALG DIR sets tmp to a finished private key (PKCS#8). It is read back, because a full disk can go unnoticed.
generate() {
	start_file "$2"
	case $1 in
	ES256) set -- -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve ;;
	RS256) set -- -algorithm RSA -pkeyopt rsa_keygen_bits:2048 ;;
	esac
	run_openssl genpkey "$@" -out "$tmp"
	describe "$tmp" >/dev/null || fail 'openssl wrote no usable key' "check the disk's free space"
	chmod 600 "$tmp"
}

# publish FILE gives the finished file its name, and fails when the name is taken: a hard link never overwrites. Where
# there are no hard links mv -n does it; it can exit with 0 and leave the file.
publish() {
	if ln "$tmp" "$1" 2>/dev/null; then
		rm -f "$tmp"
	else
		mv -n "$tmp" "$1" 2>/dev/null && [ ! -e "$tmp" ] || return 1
	fi
	tmp=
}

# exists FILE... reports whether a pattern matched.
exists() { [ -e "$1" ]; }

# signing_key ALG PREFIX keeps the signing keys of an algorithm, or makes one when there is none or with --force, and
# shows them all. The first key signs at once. A later one signs from a day on: until then it is only published, so that
# every verifier has it before it sees a token that it signed.
signing_key() {
	set -- "$1" "$out/issuer/$2"
	ahead=0
	! exists "$2"-*.pem || ahead=86400
	if [ -z "$force" ] && [ "$ahead" -ne 0 ]; then
		say "keeping the $1 signing key (--force adds the next one)"
	else
		say "making an $1 signing key$([ "$ahead" -eq 0 ] || echo ', which signs from tomorrow on')"
		generate "$1" "$out/issuer"
		publish_at "$2" "$ahead"
	fi
	for file in "$2"-*.pem; do show "$file"; done
}

# publish_at PREFIX AHEAD names a signing key by the second that is AHEAD seconds from now. When another run took the
# name, its key will do; with --force the next second will.
publish_at() {
	for _ in 1 2 3 4 5; do
		if [ -z "$force" ] && exists "$1"-*.pem; then
			rm -f "$tmp"
			tmp=
			return
		fi
		! publish "$1-$(moment "$2").pem" || return 0
		sleep 1
	done
	fail "naming the key $1-….pem" 'check that the directory takes new files, then run this again'
}

# moment AHEAD prints the second that is AHEAD seconds from now. Where -d does not take a number (BSD), -r does.
moment() {
	at=$(($(date +%s) + $1))
	date -u -d "@$at" +%Y%m%dT%H%M%SZ 2>/dev/null || date -u -r "$at" +%Y%m%dT%H%M%SZ
}

# client_pair keeps the demo client's pair, or makes it when there is none or with --force, and shows it.
client_pair() {
	private=$out/client/demo.pem
	if [ -z "$force" ] && exists "$private"; then
		say "keeping the demo client's pair (--force replaces it)"
	else
		say "making the demo client's pair"
		generate ES256 "$out/client"
		publish_private "$private"
	fi
	show "$private"
	public_half "$private" "$out/client/demo.pub.pem"
}

publish_private() {
	if [ -n "$force" ]; then
		mv -f "$tmp" "$1" || fail "writing $1" 'check that the directory takes new files, then run this again'
		tmp=
	elif ! publish "$1"; then
		exists "$1" || fail "writing $1" 'check that the directory takes new files, then run this again'
		rm -f "$tmp" # another run was faster
		tmp=
	fi
}

# is_half PUBLIC PRIVATE reports whether the two are halves of one pair.
is_half() { [ "$(openssl pkey -pubin -in "$1" -outform DER 2>/dev/null | hex)" = "$(public_der "$2" | hex)" ]; }

# public_half PRIVATE PUBLIC writes the public half beside the private key. One that is there already is replaced only
# with --force; a file that is right is left alone.
public_half() {
	start_file "$out/client"
	for _ in 1 2 3 4 5; do # another run with --force may replace the private key in between
		run_openssl pkey -in "$1" -passin pass: -pubout -out "$tmp"
		! is_half "$tmp" "$1" || break
	done
	is_half "$tmp" "$1" || fail "openssl wrote no usable public key" "check the disk's free space"
	if [ -z "$force" ] && exists "$2"; then
		[ "$(cat "$2")" = "$(cat "$tmp")" ] ||
			fail "$2 is not the public half of $1" 'remove it, then run this again to have it written anew'
		rm -f "$tmp"
	else
		chmod 644 "$tmp"
		mv -f "$tmp" "$2" || fail "writing $2" 'check that the directory takes new files, then run this again'
	fi
	tmp=
}

main() {
	trap clean_up EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	parse_options "$@"
	command -v openssl >/dev/null || fail 'openssl is not installed' 'install it, for example: apt-get install openssl'
	default=$(default_directory)
	[ -n "$out" ] || out=$default
	make_directories
	for name in $algorithms; do
		case $name in
		ES256) signing_key ES256 es256 ;;
		RS256) signing_key RS256 rs256 ;;
		esac
	done
	client_pair
	if [ "$out" = "$default" ]; then
		say 'next: go run ./issuer'
	else
		say "next: go run ./issuer --keys-dir \"$out/issuer\""
	fi
}

main "$@"
