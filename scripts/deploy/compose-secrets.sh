#!/bin/sh
# Makes the secrets that scripts/deploy/compose.yaml reads. It needs openssl, and Go or the issuer's container image.
set -eu
umask 077

usage() {
	cat <<'END'
Usage: scripts/deploy/compose-secrets.sh [--out DIR]

Makes, in DIR/secrets, PostgreSQL's password, the master key, a CA of which the key is thrown away, and two certificates
that it signed: PostgreSQL's, and one for a trial of nginx, which yours replaces (nginx.crt with its chain, nginx.key).
In DIR/.env it notes the user that the containers run as. What is there is kept.

  --out DIR   where they go (default: scripts/deploy)
  -h, --help  show this text
END
}

# fail MESSAGE HINT
fail() {
	printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
	exit 1
}

wrong_usage() {
	printf 'error: %s\n' "$1" >&2
	usage >&2
	exit 2
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
out=$root/scripts/deploy
case ${1:-} in
-h | --help)
	usage
	exit 0
	;;
--out)
	[ -n "${2:-}" ] || wrong_usage '--out needs a directory'
	mkdir -p -- "$2" || fail "making directory $2" 'choose a directory that you may write to: --out DIR'
	out=$(CDPATH='' cd -- "$2" && pwd)
	shift 2
	;;
esac
[ $# -eq 0 ] || wrong_usage "unknown option: $1"
command -v openssl >/dev/null || fail 'openssl is not installed' 'install it, for example: apt-get install openssl'

tmp=
clean_up() {
	status=$?
	[ -z "$tmp" ] || rm -rf "$tmp"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

secrets=$out/secrets
mkdir -p "$secrets"
tmp=$(mktemp -d "$secrets/.unfinished.XXXXXX") # beside its goal, so that a finished file only has to be renamed

# keep FILE... reports whether all are there, and refuses some without the others.
keep() {
	there=0
	for file in "$@"; do
		[ ! -e "$secrets/$file" ] || there=$((there + 1))
	done
	[ "$there" -eq 0 ] || [ "$there" -eq $# ] ||
		fail "only some of these are in $secrets: $*" 'remove them, then run this again'
	[ "$there" -gt 0 ] && printf 'keeping %s\n' "$*"
}

# publish FILE... gives finished files their names.
publish() {
	for file in "$@"; do
		mv -n "$tmp/$file" "$secrets/$file"
	done
	printf 'made %s\n' "$*"
}

make_password() {
	openssl rand -hex 32 >"$tmp/database-password"
	publish database-password
}

make_master_key() {
	if command -v go >/dev/null; then
		go -C "$root" run ./issuer master-key generate "$tmp/master.key" >/dev/null
	elif command -v docker >/dev/null; then
		docker run --rm --network none --user "$(id -u):$(id -g)" --volume "$tmp:/new" signet-issuer:local \
			master-key generate /new/master.key >/dev/null
	else
		fail 'neither Go nor docker is installed' 'install one of them'
	fi
	publish master.key
}

# run_openssl ARGUMENTS runs openssl silently; what it says is shown only when it fails.
run_openssl() {
	talk=$(openssl "$@" 2>&1) || fail "openssl $1 failed: $talk" 'openssl version must be 1.1.1 or later'
}

# certificate NAME DAYS EXTENSIONS makes a key and a certificate that the CA in $tmp signs.
certificate() {
	printf '%b' "$3" >"$tmp/extensions"
	run_openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
		-keyout "$tmp/$1.key" -out "$tmp/csr"
	run_openssl x509 -req -in "$tmp/csr" -CA "$tmp/ca.crt" -CAkey "$tmp/ca.key" -set_serial "0x$(openssl rand -hex 16)" \
		-days "$2" -sha256 -extfile "$tmp/extensions" -out "$tmp/$1.crt"
}

# The key of the CA ends with the temporary directory: nobody can sign with it later on.
make_certificates() {
	run_openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=Signet compose CA' -days 3650 \
		-addext 'keyUsage=critical,keyCertSign' -keyout "$tmp/ca.key" -out "$tmp/ca.crt"
	usual='basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n'
	certificate postgres 3650 "${usual}subjectAltName=DNS:postgres\n"
	certificate nginx 90 "${usual}subjectAltName=DNS:issuer.example.com,DNS:orders.example.com\n"
	publish ca.crt postgres.crt postgres.key nginx.crt nginx.key
}

# note_user notes who owns the secrets, and gives root's to a user who is nobody else.
note_user() {
	user=$(sed -n 's/^SIGNET_USER=//p' "$out/.env" 2>/dev/null || :)
	if [ -z "$user" ]; then
		user=$(id -u):$(id -g)
		[ "$(id -u)" -ne 0 ] || user=65532:65532
		printf 'SIGNET_USER=%s\n' "$user" >>"$out/.env"
	fi
	[ "$(id -u)" -ne 0 ] || chown -R "$user" "$secrets"
}

keep database-password || make_password
keep master.key || make_master_key
keep ca.crt postgres.crt postgres.key nginx.crt nginx.key || make_certificates
note_user
echo "next: keep a copy of $secrets/master.key in another place: without it the signing keys in the database are lost"
