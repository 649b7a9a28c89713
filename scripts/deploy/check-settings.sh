#!/bin/sh
# Checks the settings in scripts/deploy, for check.sh: that the programs know each of them, and accept them together.
set -eu

usage() {
	cat <<'END'
Usage: scripts/deploy/check-settings.sh DIR

Checks the settings in scripts/deploy with the programs in DIR/bin, and writes those of compose.yaml to
DIR/issuer.settings and DIR/resource.settings. It ends with 1 when something is wrong.

  -h, --help  show this text
END
}

case ${1:-} in
-h | --help)
	usage
	exit 0
	;;
esac
if [ $# -ne 1 ]; then
	echo 'error: one argument, DIR, is needed' >&2
	usage >&2
	exit 2
fi

deploy=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
tmp=$(CDPATH='' cd -- "$1" && pwd)
issuer=$tmp/bin/signet-issuer
resource=$tmp/bin/signet-resource
rm -f "$tmp/wrong-settings"

# wrong WHAT notes a fault, in a file because loops that read from a pipe are processes of their own, and goes on.
wrong() {
	printf 'error: %s\n' "$1" >&2
	: >"$tmp/wrong-settings"
}

# environment FILE... prints the variables in them, NAME=VALUE, however the format writes them.
environment() {
	sed -n -e '/^[[:space:]]*#/d' -e 's/[[:space:]]#[[:space:]].*$//' -e 's/"//g' \
		-e 's/^[[:space:]-]*\([A-Z][A-Z0-9_]*\)[:=][[:space:]]*\(.*\)$/\1=\2/p' "$@"
}

# with FILE [NAME=VALUE]... COMMAND... runs a command with the variables in the file and these, which win, and no others.
with() {
	settings=$1
	shift
	while read -r setting; do set -- "$setting" "$@"; done <"$settings"
	env -i "$@"
}

# check_names WHAT PROGRAM FILE...: no program tells of a variable that it does not know, so we ask for its flags.
check_names() {
	what=$1
	"$2" --help | sed -n 's/^ *--\([a-z-]*\).*/\1/p' | tr 'a-z-' 'A-Z_' | sed 's/^/SIGNET_/' >"$tmp/known"
	shift 2
	grep -hv '^[[:space:]]*#' "$@" | grep -o 'SIGNET_[A-Z0-9_]*' | sort -u >"$tmp/named"
	[ -s "$tmp/named" ] || wrong "$what: no settings found"
	while read -r name; do
		case $name in
		SIGNET_USER | SIGNET_PORT) ;; # compose.yaml's own
		*) grep -qx "$name" "$tmp/known" || wrong "$what: there is no setting $name" ;;
		esac
	done <"$tmp/named"
}

# accepts WHAT FILE: the issuer accepts the settings in the file with one another. The database is another, because
# theirs is not here; that theirs proves itself check.sh asks.
accepts() {
	with "$2" "$issuer" config >/dev/null || wrong "$1: the issuer does not know these settings"
	with "$2" "SIGNET_DATABASE=sqlite:$tmp/settings.db" "$issuer" migrate up >/dev/null ||
		wrong "$1: the issuer refuses these settings"
}

# resource_accepts WHAT FILE: the resource server has no command that only looks at settings. It looks at all of them
# before it looks for the file of keys, of which there is none here.
resource_accepts() {
	if talk=$(with "$2" "SIGNET_JWKS_FILE=$tmp/no-keys" "$resource" 2>&1) || ! printf '%s' "$talk" | grep -q 'no-keys'; then
		wrong "$1: the resource server refuses these settings: $talk"
	fi
}

check_image() { check_names Containerfile "$issuer" "$deploy/Containerfile"; }

check_compose() {
	# In compose.yaml each service ends where the next begins.
	sed '/^services:/,$d' "$deploy/compose.yaml" >"$tmp/compose-issuer"
	sed -n '/^  resource:/,/^  nginx:/p' "$deploy/compose.yaml" >"$tmp/compose-resource"
	check_names 'compose, issuer' "$issuer" "$tmp/compose-issuer"
	check_names 'compose, resource server' "$resource" "$tmp/compose-resource"
	environment "$tmp/compose-issuer" >"$tmp/issuer.settings"
	environment "$tmp/compose-resource" >"$tmp/resource.settings"
	accepts compose "$tmp/issuer.settings"
	resource_accepts compose "$tmp/resource.settings"
}

check_systemd() {
	check_names 'systemd, issuer' "$issuer" "$deploy/systemd/signet-issuer.service" "$deploy/systemd/postgres.conf"
	check_names 'systemd, resource server' "$resource" "$deploy/systemd/resource.env"
	echo "SIGNET_CONFIG=$deploy/systemd/issuer.yaml" >"$tmp/systemd.settings"
	accepts systemd "$tmp/systemd.settings"
	environment "$deploy/systemd/resource.env" >"$tmp/systemd-resource.settings"
	resource_accepts systemd "$tmp/systemd-resource.settings"
}

check_kubernetes() {
	for overlay in sqlite postgres; do
		set -- "$deploy/kustomize/base/kustomization.yaml" "$deploy/kustomize/overlays/$overlay/kustomization.yaml"
		check_names "overlay $overlay" "$issuer" "$@"
		environment "$@" >"$tmp/$overlay.settings"
		accepts "overlay $overlay" "$tmp/$overlay.settings"
	done
}

check_image
check_compose
check_systemd
check_kubernetes
[ ! -e "$tmp/wrong-settings" ]
