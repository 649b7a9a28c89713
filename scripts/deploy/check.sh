#!/bin/sh
# Checks what is in scripts/deploy, as far as there are tools for it. What cannot be checked is named, with the reason.
set -eu

usage() {
	cat <<'END'
Usage: scripts/deploy/check.sh

Checks the container file, the compose file, nginx.conf, the systemd units and the Kubernetes manifests, and that the
programs know every setting in them and accept them together; and plays the compose file without containers. It needs
Go and openssl; nginx, PostgreSQL, namespaces, systemd-analyze, kubectl and docker compose check more where they are. It
prints a line "skipped: WHAT: WHY" for what is not there, and ends with 1 when something is wrong.

  -h, --help  show this text
END
}

case ${1:-} in
-h | --help)
	usage
	exit 0
	;;
esac
if [ $# -gt 0 ]; then
	printf 'error: unknown option: %s\n' "$1" >&2
	usage >&2
	exit 2
fi

cd "$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)"
deploy=$PWD/scripts/deploy
tmp=$(mktemp -d)

clean_up() {
	status=$?
	rm -rf "$tmp"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# wrong WHAT notes a fault, in a file because loops that read from a pipe are processes of their own, and goes on.
wrong() {
	printf 'error: %s\n' "$1" >&2
	: >"$tmp/failed"
}

# skip WHAT WHY
skip() { printf 'skipped: %s: %s\n' "$1" "$2"; }

# expect FILE WHAT PATTERN... finds each pattern in a line of the file. A pattern is a basic regular expression.
expect() {
	where=$1 what=$2
	shift 2
	for pattern in "$@"; do
		grep -q -e "$pattern" "$where" || wrong "$what: there is no $pattern"
	done
}

# refuse FILE WHAT PATTERN... finds none of them.
refuse() {
	where=$1 what=$2
	shift 2
	for pattern in "$@"; do
		! grep -n -e "$pattern" "$where" || wrong "$what: there is $pattern"
	done
}

# find_program NAME prints where it is. Debian keeps nginx where only root looks.
find_program() { command -v "$1" || PATH=$PATH:/usr/sbin command -v "$1"; }

# no_larger PROGRAM OCTETS. What a processor's code takes differs, so one kind is measured.
no_larger() {
	[ "$(go env GOARCH)" = amd64 ] || return 0
	size=$(wc -c <"$tmp/bin/$1")
	[ "$size" -le "$2" ] || wrong "the $1 has $size octets, of at most $2"
}

build() {
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$tmp/bin/" ./issuer ./resource ./client
	no_larger issuer 22000000
	no_larger client 10000000
	mv "$tmp/bin/issuer" "$tmp/bin/signet-issuer"
	mv "$tmp/bin/resource" "$tmp/bin/signet-resource"
}

# make_secrets runs the script that compose needs, and sees that it makes what it says and nothing twice.
make_secrets() {
	"$deploy/compose-secrets.sh" --out "$tmp/compose" >"$tmp/made"
	before=$(cat "$tmp"/compose/secrets/* | openssl dgst -sha256)
	"$deploy/compose-secrets.sh" --out "$tmp/compose" >"$tmp/made"
	[ "$before" = "$(cat "$tmp"/compose/secrets/* | openssl dgst -sha256)" ] ||
		wrong 'compose-secrets.sh: a second run changes secrets'
	[ -z "$(find "$tmp/compose/secrets" -type f ! -perm 600)" ] || wrong 'compose-secrets.sh: others can read a secret'
	for name in postgres nginx; do
		openssl verify -x509_strict -CAfile "$tmp/compose/secrets/ca.crt" "$tmp/compose/secrets/$name.crt" >/dev/null ||
			wrong "compose-secrets.sh: $name.crt does not verify"
	done
	sed -n 's|.*{file: secrets/\(.*\)}.*|\1|p' "$deploy/compose.yaml" | while read -r file; do
		[ -s "$tmp/compose/secrets/$file" ] || wrong "compose.yaml: nobody makes secrets/$file"
	done
}

check_image() {
	file=$deploy/Containerfile
	expect "$file" Containerfile '^USER 65532:65532$' 'CGO_ENABLED=0' '-trimpath' '^ENTRYPOINT \["/issuer"\]$' \
		'^FROM gcr.io/distroless/static-[a-z0-9]*:nonroot AS base$' '^FROM base AS issuer$' '^FROM base AS resource$'
	refuse "$file" Containerfile ':latest' '^CMD' '^ADD'
	# The first line of the list that is not a comment shuts everything out; what is let in again is code.
	[ "$(grep -v '^#' "$file.dockerignore" | head -n 1)" = '*' ] ||
		wrong 'Containerfile.dockerignore does not begin with *'
	expect "$file.dockerignore" Containerfile.dockerignore '^keys/local$'
	sed -n 's/^!//p' "$file.dockerignore" | while read -r name; do
		[ -e "$name" ] || wrong "Containerfile.dockerignore: there is no $name"
	done
	skip 'building the images' 'needs the base images from the internet'
}

check_compose() {
	file=$deploy/compose.yaml
	expect "$file" compose.yaml 'sslmode=verify-full' 'cap_drop: \[ALL\]' 'read_only: true' 'no-new-privileges:true'
	refuse "$file" compose.yaml ':latest' 'privileged: true' 'docker.sock' 'INSECURE_DATABASE'
	nginx_at=$(sed -n 's/.*SIGNET_TRUSTED_PROXIES: \([0-9.]*\).*/\1/p' "$file")
	expect "$file" compose.yaml "issuers: {ipv4_address: $nginx_at}"
	sed -n 's/^.*server \([0-9.]*\):.*$/\1/p; s|^.*proxy_pass http://\([0-9.]*\):.*$|\1|p' "$deploy/nginx.conf" |
		while read -r address; do
			expect "$file" compose.yaml "ipv4_address: $address}"
		done
	check_services
	if docker compose version >/dev/null 2>&1; then
		SIGNET_USER=65532:65532 docker compose -f "$file" --profile admin config -q || wrong 'compose.yaml is not valid'
	else
		skip 'docker compose config' 'no docker compose'
	fi
}

# check_services: each service is confined, and has the secrets that it names. It ends where the next begins.
check_services() {
	awk '
		function end(name) {
			if (service != "" && !confined) print service " is not confined"
			for (name in named) if (!(name in given)) print service " has no secret " name
			split("", named); split("", given); confined = 0
		}
		/^x-issuer:/ { service = "x-issuer" }
		/^[a-z]+:/ { end(); service = ""; services = /^services:/ }
		services && /^  [a-z0-9-]+:$/ { end(); service = substr($1, 1, length($1) - 1) }
		/^ +<<: \*(confined|issuer)$/ { confined = 1 }
		/^ +secrets: \[/ { list = $0; gsub(/.*\[|[],]/, "", list); n = split(list, all, " "); for (i = 1; i <= n; i++) given[all[i]] }
		service != "" {
			for (rest = $0; match(rest, /\/run\/secrets\/[a-z.-]+/); rest = substr(rest, RSTART + RLENGTH))
				named[substr(rest, RSTART + 13, RLENGTH - 13)]
		}
	' "$deploy/compose.yaml" >"$tmp/unfit"
	while read -r unfit; do wrong "compose.yaml: $unfit"; done <"$tmp/unfit"
}

# check_nginx has nginx read the configuration as it is, but for the places of files and for a port that needs no root.
check_nginx() {
	expect "$deploy/nginx.conf" nginx.conf 'proxy_set_header X-Forwarded-For .remote_addr;' \
		'ssl_protocols TLSv1.2 TLSv1.3;'
	refuse "$deploy/nginx.conf" nginx.conf '^[^#]*non_idempotent' 'proxy_add_x_forwarded_for'
	if nginx=$(find_program nginx); then
		mkdir "$tmp/nginx"
		sed -e "s|/tmp/|$tmp/nginx/|; s|/run/secrets/|$tmp/compose/secrets/|" \
			-e "s|/dev/stdout|$tmp/nginx/log|; s|listen 443 |listen 127.0.0.1:20443 |" \
			"$deploy/nginx.conf" >"$tmp/nginx.conf"
		"$nginx" -t -q -e stderr -c "$tmp/nginx.conf" || wrong 'nginx.conf is not valid'
	else
		skip 'nginx -t' 'no nginx'
	fi
}

# check_credentials UNIT... finds what gives the service each file that it looks for among its credentials.
check_credentials() {
	sed -n 's|^Environment=.*%d/\([a-z.-]*\)$|\1|p' "$@" | while read -r credential; do
		cat "$@" | grep -q "^LoadCredential=$credential:/etc/signet/$credential\$" || wrong "$1: nothing loads $credential"
	done
}

# check_systemd reads the units with our own programs in the place of those that are not installed here.
check_systemd() {
	if ! command -v systemd-analyze >/dev/null; then
		skip 'systemd units' 'no systemd-analyze'
		return
	fi
	check_credentials "$deploy/systemd/signet-issuer.service" "$deploy/systemd/postgres.conf"
	mkdir "$tmp/units" "$tmp/units/signet-issuer.service.d"
	for unit in signet-issuer.service signet-resource.service signet-issuer.service.d/postgres.conf; do
		sed "s|/usr/local/bin/|$tmp/bin/|; s|/usr/local/share/doc/signet/|$PWD/|" \
			"$deploy/systemd/${unit##*/}" >"$tmp/units/$unit"
	done
	for unit in signet-issuer.service signet-resource.service; do
		systemd-analyze verify --man=no "$tmp/units/$unit" >"$tmp/verified" 2>&1 ||
			wrong "systemd-analyze verify: $unit is not valid"
		if [ -s "$tmp/verified" ]; then
			cat "$tmp/verified" >&2
			wrong "systemd-analyze verify: $unit has faults"
		fi
		check_exposure "$unit"
	done
}

# check_exposure UNIT
check_exposure() {
	if ! systemd-analyze security --help 2>&1 | grep -q -e --offline; then
		skip "systemd-analyze security of $1" 'this systemd has no --offline'
		return
	fi
	exposure=$(systemd-analyze security --offline=true --no-pager "$tmp/units/$1" 2>&1 |
		sed -n 's/.*Overall exposure level for .*: \([0-9.]*\) .*/\1/p')
	printf '%s: exposure %s of at most 2.0\n' "$1" "${exposure:-unknown}"
	awk -v value="$exposure" 'BEGIN { exit !(value != "" && value + 0 <= 2.0) }' || wrong "$1 is too open"
}

check_kubernetes() {
	refuse "$deploy/kustomize/base/kustomization.yaml" kustomization.yaml 'newTag: latest'
	if ! command -v kubectl >/dev/null; then
		skip 'kustomize overlays' 'no kubectl'
		return
	fi
	for overlay in sqlite postgres; do
		if ! kubectl kustomize "$deploy/kustomize/overlays/$overlay" >"$tmp/$overlay.yaml"; then
			wrong "kubectl kustomize: overlay $overlay does not build"
			: >"$tmp/$overlay.yaml"
		fi
		expect "$tmp/$overlay.yaml" "overlay $overlay" 'runAsNonRoot: true' 'readOnlyRootFilesystem: true' '^ *- ALL$' \
			'allowPrivilegeEscalation: false' 'automountServiceAccountToken: false' 'type: RuntimeDefault' 'path: /livez' \
			'path: /readyz' 'kind: NetworkPolicy' 'SIGNET_MASTER_KEY_FILE: ' 'secretName: signet-issuer$' 'fsGroup: 65532'
		refuse "$tmp/$overlay.yaml" "overlay $overlay" 'podSelector: {}' 'kind: Secret' 'INSECURE' 'privileged: true'
		check_stop "$overlay"
		grep -o '/run/secrets/[a-z]*/' "$tmp/$overlay.yaml" | sort -u | while read -r place; do
			expect "$tmp/$overlay.yaml" "overlay $overlay" "mountPath: ${place%/}\$"
		done
	done
	expect "$tmp/postgres.yaml" 'overlay postgres' 'replicas: 3' 'kind: PodDisruptionBudget' 'topologySpreadConstraints' \
		'SIGNET_DATABASE: postgres://.*sslmode=verify-full' 'SIGNET_DATABASE_PASSWORD_FILE: ' 'port: 5432'
	expect "$tmp/sqlite.yaml" 'overlay sqlite' 'replicas: 1' 'type: Recreate' 'kind: PersistentVolumeClaim' \
		'SIGNET_DATABASE: sqlite:' 'fsGroupChangePolicy: OnRootMismatch'
}

# check_stop OVERLAY: Kubernetes must not kill an issuer that is still stopping.
check_stop() {
	takes=$(awk '/ SIGNET_SHUTDOWN_(DELAY|GRACE): / { sub("s$", "", $2); sum += $2 } END { print sum + 0 }' "$tmp/$1.yaml")
	given=$(awk '/ terminationGracePeriodSeconds: / { print $2 }' "$tmp/$1.yaml")
	[ "${given:-0}" -gt "$takes" ] ||
		wrong "overlay $1: a stop takes $takes s, terminationGracePeriodSeconds is ${given:-0}"
}

check_settings() { "$deploy/check-settings.sh" "$tmp" || : >"$tmp/failed"; }

rehearse() { "$deploy/rehearse.sh" "$tmp" || : >"$tmp/failed"; }

build
make_secrets
check_image
check_compose
check_nginx
check_systemd
check_kubernetes
check_settings
[ ! -e "$tmp/failed" ] || exit 1 # what is wrong already would only fail again
rehearse
[ ! -e "$tmp/failed" ] || exit 1
echo 'scripts/deploy: ok'
