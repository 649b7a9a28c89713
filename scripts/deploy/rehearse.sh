#!/bin/sh
# Plays the container file and compose.yaml without containers, for check.sh: the issuer alone in its image, and PostgreSQL,
# two issuers, nginx, a resource server and a client, under the same names and addresses, in a network of their own.
set -eu

usage() {
	cat <<'END'
Usage: scripts/deploy/rehearse.sh DIR

Plays the container file and the compose file without containers, and sees that the issuer needs nothing but what is in
its image, and that clients are served while each issuer in turn is killed. It needs nginx, PostgreSQL, ip and
namespaces (user_namespaces(7)); where one is missing it prints a line "skipped: WHAT: WHY" instead. DIR has, from
check.sh: bin with the programs, compose/secrets, and the settings of compose.yaml in issuer.settings and
resource.settings. What it starts ends with it; logs are in DIR.

  -h, --help  show this text
END
}

inside=
case ${1:-} in
-h | --help)
	usage
	exit 0
	;;
--inside) # this script itself, where nobody else is
	inside=$2
	shift 2
	;;
esac
if [ $# -ne 1 ]; then
	echo 'error: one argument, DIR, is needed' >&2
	usage >&2
	exit 2
fi

deploy=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
dir=$(CDPATH='' cd -- "$1" && pwd)
secrets=$dir/run/secrets
PATH=$PATH:/usr/sbin:/sbin # where Debian has nginx, ip and chroot

fail() {
	printf 'error: rehearsal: %s\n' "$1" >&2
	tail -n 5 "$dir"/*.log >&2 || :
	exit 1
}

# skip WHAT WHY
skip() {
	printf 'skipped: %s: %s\n' "$1" "$2"
	exit 0
}

# apart runs a command with users, mounts, processes and a network of its own, as the user of the containers. The others
# see it as us, so what is ours it may read.
apart() {
	unshare --user --map-user=65532 --map-group=65532 --keep-caps --mount --net --pid --fork --kill-child --mount-proc "$@"
}

# confined becomes a command that has no more rights than one in a container: kill has to find it and not a shell.
confined() { exec setpriv --no-new-privs --inh-caps=-all --ambient-caps=-all --bounding-set=-all "$@"; }

# await WHAT COMMAND... runs the command until it succeeds, for a minute at most: a machine may be busy.
await() {
	what=$1
	shift
	deadline=$(($(date +%s) + 60))
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$deadline" ] || fail "waited for $what in vain"
		sleep 0.1
	done
}

# play_image runs the issuer as in its image, with nothing beside it. Only the volume can be written.
play_image() {
	cd "$dir"
	mkdir -p image/var/lib/signet
	cp bin/signet-issuer image/issuer
	mount --bind image image
	mount -o remount,bind,ro image
	mount -t tmpfs volume image/var/lib/signet
	sed -n 's/^ENV //p' "$deploy/Containerfile" | tr ' ' '\n' >image.env
	for command in 'keys generate' 'migrate up' check; do
		# shellcheck disable=SC2086 # words, not one
		in_image $command >image.log 2>&1 || fail "issuer $command, in its image: $(cat image.log)"
	done
}

in_image() {
	set -- "$(command -v chroot)" image /issuer "$@" --issuer https://issuer.example.com
	while read -r setting; do set -- "$setting" "$@"; done <image.env
	env -i "$@"
}

# furnish gives this machine the names and addresses of the containers, and a root that is read-only as theirs.
furnish() {
	ip link set lo up
	for address in $(grep -o '172\.30\.[0-9]*\.[1-9][0-9]*' "$deploy/compose.yaml" | sort -u) "$postgres_at"; do
		ip address add "$address/32" dev lo
	done
	echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
	printf '127.0.0.1 localhost\n%s postgres\n172.30.95.2 issuer.example.com orders.example.com\n' "$postgres_at" >"$dir/hosts"
	mount --bind "$dir/hosts" /etc/hosts
	{ cat /etc/passwd && echo 'signet:x:65532:65532::/:/bin/false'; } >"$dir/passwd" # initdb asks who it is
	mount --bind "$dir/passwd" /etc/passwd
	mount --bind "$dir" "$dir"
	mount -o remount,bind,ro /
	cd "$dir"
}

start_postgres() {
	LC_ALL=C initdb --no-sync --username=postgres --pwfile="$secrets/database-password" --auth-local=trust \
		--auth-host=scram-sha-256 --pgdata=pgdata >initdb.log 2>&1 || fail 'initdb'
	echo 'hostssl all all all scram-sha-256' >>pgdata/pg_hba.conf
	confined postgres -D pgdata -k "$dir" --listen_addresses="$postgres_at" --fsync=off --ssl=on \
		--ssl_cert_file="$secrets/postgres.crt" --ssl_key_file="$secrets/postgres.key" >postgres.log 2>&1 &
	await PostgreSQL pg_isready --host=postgres
	sql --file="$deploy/postgres-init.sql" >sql.log 2>&1 || fail 'postgres-init.sql'
}

sql() {
	POSTGRES_PASSWORD=$(cat "$secrets/database-password") \
		psql --host="$dir" --username=postgres --no-psqlrc --set=ON_ERROR_STOP=1 --quiet --tuples-only --no-align "$@"
}

# with FILE COMMAND... becomes a confined command with the settings in the file and nothing else.
with() {
	settings=$1
	shift
	while read -r setting; do set -- "$setting" "$@"; done <"$settings"
	confined env -i "$@"
}

admin() { (with issuer.env bin/signet-issuer "$@") >>admin.log 2>&1 || fail "issuer $*"; }

# start_issuer NUMBER starts an issuer at its own address, and sets pid to its process.
start_issuer() {
	sed "s|0\.0\.0\.0|172.30.94.1$1|" issuer.env >"issuer-$1.env"
	: >"issuer-$1.log"
	with "issuer-$1.env" bin/signet-issuer >"issuer-$1.log" 2>&1 &
	pid=$!
	await "issuer $1" grep -q 'issuer serves' "issuer-$1.log"
}

# start_nginx lets nginx call from its own address, which the containers' network does by itself. It has one worker: each
# decides for itself who is dead, and answers would see what one of them has decided.
start_nginx() {
	mkdir nginx-tmp
	sed -e "s|/tmp/|$dir/nginx-tmp/|; s|/run/secrets/|$secrets/|; s|/dev/stdout|$dir/access.log|" \
		-e 's/^worker_processes .*/worker_processes 1;/; /^http {/a proxy_bind 172.30.94.2;' "$deploy/nginx.conf" >nginx.conf
	confined nginx -e stderr -c "$dir/nginx.conf" -g 'daemon off;' >nginx.log 2>&1 &
}

register() {
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out client.pem 2>/dev/null
	openssl pkey -in client.pem -pubout -out client.pub.pem
	admin resources add https://orders.example.com --scopes read
	admin clients add billing --public-key client.pub.pem --allow 'https://orders.example.com read'
}

# call obtains a token and calls the resource server with it, all through nginx.
call() {
	(confined env -i SSL_CERT_FILE="$secrets/ca.crt" bin/client --issuer https://issuer.example.com --client-id billing \
		--key client.pem --resource https://orders.example.com --scope read --url https://orders.example.com/) >client.log 2>&1
}

# survives NUMBER PID: nobody is refused while that issuer is dead, although nginx asks it.
survives() {
	kill -9 "$2"
	: >access.log
	for _ in 1 2 3 4 5 6 7 8; do
		call || fail "refused while issuer $1 is dead: $(cat client.log)"
	done
	grep -q "172.30.94.1$1:8080, 172.30.94" access.log || fail "nginx has not asked issuer $1"
}

# answers NUMBER: nginx has a request answered by that issuer.
answers() { call && tail -n 2 access.log | grep -q " 172.30.94.1$1:8080\$"; }

# look_at_postgres sees that all issuers speak TLS to it, and that a password that somebody has read opens no more than
# their database.
look_at_postgres() {
	plain=$(sql --command="SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'signet' AND NOT ssl")
	[ "$plain" = 0 ] || fail 'issuers speak to PostgreSQL without TLS'
	mighty=$(sql --command='SELECT count(*) FROM pg_authid WHERE rolsuper AND rolpassword IS NOT NULL')
	[ "$mighty" = 0 ] || fail 'somebody who may do everything in PostgreSQL has a password'
}

play_compose() {
	postgres_at=172.30.96.2 # compose.yaml leaves it to docker
	furnish
	start_postgres
	admin keys generate
	start_issuer 1
	first=$pid
	start_issuer 2
	second=$pid
	start_nginx
	with resource.env bin/signet-resource >resource.log 2>&1 &
	register
	await 'a first call' call
	grep -q 'Super Secret Information' client.log || fail 'the resource server answers something else'
	survives 1 "$first"
	start_issuer 1
	await 'nginx to ask issuer 1 again' answers 1
	survives 2 "$second"
	look_at_postgres
}

# find_programs puts PostgreSQL into PATH from where Debian has it, and sees that all is there.
find_programs() {
	for bin in /usr/lib/postgresql/*/bin; do PATH=$PATH:$bin; done
	for program in nginx initdb psql ip setpriv; do
		command -v "$program" >/dev/null || skip 'rehearsal of compose.yaml' "no $program"
	done
}

# take_over copies secrets, which root has given to somebody else, and says in the settings where they are.
take_over() {
	mkdir "$dir/run"
	cp -R "$dir/compose/secrets" "$secrets"
	for of in issuer resource; do
		sed "s|/run/secrets/|$secrets/|g" "$dir/$of.settings" >"$dir/$of.env"
	done
}

if [ -n "$inside" ]; then
	"play_$inside"
	exit 0
fi
apart true 2>/dev/null || skip 'rehearsal of Containerfile and compose.yaml' 'no namespaces for this user'
apart "$0" --inside image "$dir"
echo 'Containerfile: the issuer needs nothing but what is in its image'
find_programs
take_over
apart "$0" --inside compose "$dir"
echo 'compose.yaml: nobody is refused while an issuer is dead'
