#!/bin/sh
# capture.sh: writes the outputs of real programs below this directory anew. As root, in a network namespace of its own:
#   unshare -n ./capture.sh
# pf is not among them: what is in pf/ was written after the manual pages pfctl(8) and pf.conf(5).
set -eu
export LC_ALL=C TZ=UTC
cd "$(dirname "$0")"
ip link set lo up
nftv=nft-$(nft --version | sed 's/nftables v\([0-9.]*\).*/\1/')
iptv=iptables-$(iptables-nft --version | sed 's/iptables v\([0-9.]*\).*/\1/')
mkdir -p "$nftv" "$iptv"

nft -f guide.nft
nft add element inet guard abusers '{ 198.51.100.7 timeout 1d expires 23h50m, 203.0.113.9 timeout 2h expires 1h }'
nft add element inet guard rate '{ 198.51.100.7 limit rate over 3/second burst 15 packets }' 2>/dev/null || true
nft -j list ruleset >"$nftv/guide.json"
nft -a -s -t list ruleset >"$nftv/guide.txt"
nft flush ruleset

nft -f many.nft
nft -j list ruleset >"$nftv/many.json"
nft -a -s -t list ruleset >"$nftv/many.txt"
nft flush ruleset

rules() { # rules VARIANT: the same rules by iptables-legacy or iptables-nft
	"iptables-$1" -N f2b-sshd
	"iptables-$1" -N guard
	"iptables-$1" -N orphan
	"iptables-$1" -A orphan -s 198.51.100.50 -j DROP
	"iptables-$1" -A INPUT -i lo -j ACCEPT
	"iptables-$1" -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	"iptables-$1" -A INPUT -m set --match-set moggy_good src -j ACCEPT
	"iptables-$1" -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
	"iptables-$1" -A f2b-sshd -s 198.51.100.7 -j REJECT --reject-with icmp-port-unreachable
	"iptables-$1" -A f2b-sshd -j RETURN
	"iptables-$1" -A INPUT -s 203.0.113.0/24 -m comment --comment 'by "hand", 2026' -j DROP
	"iptables-$1" -A INPUT ! -s 192.0.2.0/24 -p tcp --dport 2222 -j DROP
	"iptables-$1" -A INPUT -s 192.0.2.53 -p udp --dport 53 -j DROP
	"iptables-$1" -A INPUT -m set --match-set banned src -j DROP
	"iptables-$1" -A INPUT -m set --match-set nets src -j DROP
	"iptables-$1" -A INPUT -m set --match-set all src -j DROP
	"iptables-$1" -A INPUT -m set --match-set pairs src,dst -j DROP
	"iptables-$1" -A INPUT -m set ! --match-set office src -p tcp --dport 8443 -j DROP
	"iptables-$1" -A INPUT -p tcp --dport 993 -m conntrack --ctstate NEW -m recent --name imap --set
	"iptables-$1" -A INPUT -p tcp --dport 993 -m conntrack --ctstate NEW -m recent --name imap --update --seconds 60 --hitcount 16 -j DROP
	"iptables-$1" -A INPUT -p tcp --dport 587 -m hashlimit --hashlimit-name sub --hashlimit-above 15/sec --hashlimit-burst 15 --hashlimit-mode srcip -j DROP
	"iptables-$1" -A INPUT -p tcp -m multiport --dports 25,465 -m connlimit --connlimit-above 15 -j REJECT --reject-with tcp-reset
	"iptables-$1" -A INPUT -p tcp --dport 22 -m recent --name ssh --rcheck --seconds 60 --hitcount 4 -j DROP
	"iptables-$1" -A INPUT -j guard
	"iptables-$1" -A guard -s 198.51.100.40 -j DROP
	"iptables-$1" -A guard -s 198.51.100.41 -j DROP
	"iptables-$1-save" >"$iptv/$1.txt"
}
ipset create moggy_good hash:net
ipset add moggy_good 198.51.100.40
ipset create banned hash:ip timeout 86400
ipset add banned 198.51.100.8 timeout 3600
ipset create nets hash:net
ipset add nets 192.0.2.128/25
ipset add nets 192.0.2.200 nomatch
ipset create more hash:ip
ipset add more 198.51.100.60
ipset create all list:set
ipset add all more
ipset create pairs hash:ip,port
ipset add pairs 198.51.100.9,tcp:25
ipset create office hash:ip
ipset add office 192.0.2.1
ipset create banned6 hash:net family inet6
ipset add banned6 2001:db8:bad::/48
rules legacy
ip6tables-legacy -A INPUT -s 2001:db8::7 -j DROP
ip6tables-legacy -A INPUT -m set --match-set banned6 src -j DROP
ip6tables-legacy-save >"$iptv/legacy6.txt"
iptables-legacy -F; iptables-legacy -X; ip6tables-legacy -F
rules nft
nft -j list ruleset >"$iptv/nft-ruleset.json"
ipset save >ipset.txt
iptables-nft -F; iptables-nft -X
nft flush ruleset
nft -f - <<X
table ip filter {
	set s { type ipv4_addr; elements = { 198.51.100.7 } }
	chain INPUT { type filter hook input priority filter; policy accept; ip saddr @s drop; ip saddr 198.51.100.8 drop; }
}
X
iptables-nft-save >"$iptv/incompatible.txt" 2>&1 || echo "exit status $?" >>"$iptv/incompatible.txt"
nft flush ruleset
