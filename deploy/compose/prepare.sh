#!/bin/sh
# prepare.sh: puts what .env says into the configuration of moggyd and of Redis.
#
#	prepare.sh SOURCE MOGGY REDIS
#
# SOURCE holds moggy.toml, redis.conf and users.acl as they are in the repository; what is ready to be read goes into
# the directories MOGGY and REDIS. Passwords stand in files that only their reader can open, and Redis has but a hash of
# them. It runs before everything else, each time the fleet is started.
set -eu
umask 077
source=$1 moggy=$2 redis=$3

die() { echo "prepare.sh: $*" >&2; exit 1; }

# word NAME VALUE EXTRA: letters and digits, and EXTRA, are the same in a URL, in TOML, in a shell and in an ACL
word() {
	case $2 in
	'') die "$1 is empty; see deploy/compose/.env.example" ;;
	*[!0-9A-Za-z$3]*) die "$1 has more than letters and digits; for a password type: openssl rand -hex 24" ;;
	esac
}

hash() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }

# put FILE READER: standard input becomes FILE at once, and only READER (a number) can read it; a FILE that is right
# already stays, or "moggy doctor" would say that it was changed
put() {
	rm -f "$1.new"
	cat >"$1.new"
	if cmp -s "$1.new" "$1"; then rm -f "$1.new"; return; fi
	chmod 0400 "$1.new"
	[ "$(id -u)" != 0 ] || chown "$2:$2" "$1.new"
	mv -f "$1.new" "$1"
}

word MOGGY_HOSTNAME "${MOGGY_HOSTNAME:-}" .-
word MOGGY_REDIS_PASSWORD "${MOGGY_REDIS_PASSWORD:-}" ''
word REDIS_ADMIN_PASSWORD "${REDIS_ADMIN_PASSWORD:-}" ''

# The users of the images: see Dockerfile, and redis in docker-compose.yml.
sed "s/MOGGY_HOSTNAME/$MOGGY_HOSTNAME/; s/MOGGY_REDIS_PASSWORD/$MOGGY_REDIS_PASSWORD/" "$source/moggy.toml" | put "$moggy/moggy.toml" 65532
sed "s/MOGGY_REDIS_PASSWORD/$(hash "$MOGGY_REDIS_PASSWORD")/; s/REDIS_ADMIN_PASSWORD/$(hash "$REDIS_ADMIN_PASSWORD")/" "$source/users.acl" | put "$redis/users.acl" 999
put "$redis/redis.conf" 999 <"$source/redis.conf"
