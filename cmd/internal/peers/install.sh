#!/bin/sh
# install.sh: fetches the mail programs, name servers, firewalls and whatever else the tests run, on Debian, as root.
#
# Postfix, swaks, unbound, rbldnsd, nftables, iptables, ipset, fail2ban, Redis, Prometheus (for promtool), HAProxy and
# docker-compose (to check what deploy/ holds) are installed, and none of them is started.
# Debian's OpenSMTPD and Exim cannot be installed beside Postfix, and Dovecot and nginx need not be: they and the
# libraries they miss are unpacked below $MOGGY_PEERS_CACHE (default: moggy-peers in the user's cache directory).
# Nothing that is installed is removed or upgraded. Run it as often as you like.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
policy=/usr/sbin/policy-rc.d
work=$(mktemp -d)
made=

die() { echo "install.sh: $*" >&2; exit 1; }

# quietly COMMAND...: shows what it printed only if it fails
quietly() { "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; die "failed: $*"; }; }

leave() {
	rm -rf "$work"
	[ -z "$made" ] || rm -f "$policy"
}

install_programs() {
	missing=
	for package in postfix swaks libnet-ssleay-perl unbound rbldnsd nftables iptables ipset fail2ban redis-server prometheus haproxy docker-compose; do
		dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	# A test machine serves no mail and no names: what is installed here must not start.
	if ! [ -e "$policy" ]; then
		made=yes
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	case $missing in
	*postfix*) echo "postfix postfix/main_mailer_type select Local only" | debconf-set-selections ;;
	esac
	# shellcheck disable=SC2086 # one word a package
	quietly apt-get install -y --no-install-recommends --no-upgrade --no-remove $missing
	# Nor may it start with the machine, where it would write firewall rules and take ports.
	[ -e /run/systemd/system ] || [ -e /etc/systemd/system ] || return 0
	for service in fail2ban redis-server prometheus haproxy; do
		case $missing in
		*$service*) quietly systemctl disable $service ;;
		esac
	done
}

# missing_libraries PACKAGE...: the libraries they need, and what those need, that are not installed
missing_libraries() {
	apt-cache depends --no-recommends --no-suggests "$@" | sed -n 's/^ *Depends: \(lib[^ ]*\)$/\1/p' | sort -u >"$work/libraries"
	xargs apt-get install -s --no-install-recommends --no-upgrade <"$work/libraries" | sed -n 's/^Inst \([^ ]*\) (.*/\1/p'
}

# unpack NAME PACKAGE...: packages and their missing libraries into $cache/NAME, unless that is what lies there
unpack() {
	name=$1
	shift
	mkdir "$work/$name"
	cd "$work/$name"
	libraries=$(missing_libraries "$@")
	# shellcheck disable=SC2086 # one word a library
	apt-get download --print-uris "$@" $libraries | sort >"$work/$name.uris"
	if ! cmp -s "$work/$name.uris" "$cache/$name/.uris"; then
		# shellcheck disable=SC2086
		quietly apt-get download "$@" $libraries
		rm -rf "$cache/$name.new"
		mkdir -p "$cache/$name.new"
		for file in ./*.deb; do dpkg -x "$file" "$cache/$name.new"; done
		# the tests lay usr over the machine's /usr, and Debian's /lib is /usr/lib
		[ ! -d "$cache/$name.new/lib" ] || cp -a "$cache/$name.new/lib/." "$cache/$name.new/usr/lib/"
		cp "$work/$name.uris" "$cache/$name.new/.uris"
		rm -rf "${cache:?}/$name"
		mv "$cache/$name.new" "$cache/$name"
	fi
	echo "$name: $cache/$name"
	cd /
}

[ "$(id -u)" = 0 ] || die "this takes root; try: sudo $0"
command -v apt-get >/dev/null || die "this is for Debian: there is no apt-get here"
trap leave EXIT
trap 'exit 1' HUP INT TERM
cache=${MOGGY_PEERS_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/moggy-peers}
mkdir -p "$cache"
quietly apt-get update
install_programs
echo "postfix: $(postconf -dh mail_version)"
for package in unbound rbldnsd nftables iptables ipset fail2ban redis-server prometheus haproxy docker-compose; do
	echo "$package: $(dpkg-query -W -f '${Version}' "$package")"
done
unpack opensmtpd opensmtpd
unpack exim exim4-base exim4-daemon-heavy
unpack dovecot dovecot-core dovecot-imapd
unpack nginx nginx
