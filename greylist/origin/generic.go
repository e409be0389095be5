package origin

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// generic reports whether a reverse name only numbers a line or a machine, as
// names of dynamic pools and of rented machines do that nobody named. Its domain
// is then that of a provider, behind which stand all its customers: not an origin.
//
// A name is generic that says so by a word, or contains the address. Words are
// looked for below the registered domain only (mail.cable.example is a host of the
// firm Cable), and not in labels that name a mail host (smtp-pool3). Some senders
// number their mail hosts by address, below a name that says what they are
// (o16789112187.outbound-mail.sendgrid.net): these are not generic.
func generic(name string, addr netip.Addr) bool {
	host, _ := strings.CutSuffix(name, registered(name))
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	if slices.ContainsFunc(labels, genericLabel) {
		return true
	}
	return !slices.ContainsFunc(labels[1:], mailLabel) && containsAddr(name, addr)
}

// genericLabel reports whether a word of the label says that it names nobody.
func genericLabel(label string) bool {
	if mailLabel(label) {
		return false
	}
	words := words(label)
	return slices.ContainsFunc(words, genericWord) ||
		slices.ContainsFunc(words, machineWord) && digits(label) >= 3
}

// mailLabel reports whether a word of the label says that it is for mail.
func mailLabel(label string) bool { return slices.ContainsFunc(words(label), mailWord) }

// words are the runs of letters in a label.
func words(label string) []string {
	return strings.FieldsFunc(label, func(r rune) bool { return r < 'a' || r > 'z' })
}

// mailWord knows what hosts are called that carry mail.
func mailWord(w string) bool {
	switch w {
	case "mail", "email", "mailer", "mailout", "smtp", "smtpout", "mta", "vmta", "mx", "mxout", "mout", "relay", "out", "outbound":
		return true
	}
	return false
}

// genericWord knows how lines of access networks are called, and machines and
// addresses of which nothing is known but who rents them out.
func genericWord(w string) bool {
	switch w {
	case "dyn", "dynip", "dsl", "fios", "ftth", "fttx", "fttb", "gpon", "docsis", "hsd", "hfc",
		"pool", "pools", "poolip", "ppp", "pppool", "dip", "dial", "modem", "cable", "catv", "cpe", "wifi", "wimax", "gprs", "lte", "umts", "cgn", "cgnat",
		"cust", "custs", "client", "clients", "subs", "subscriber", "subscribers", "residential", "rev", "reverse", "rdns",
		"static", "vps", "vmi", "hosted", "colo", "unassigned", "unallocated", "unused", "undefined", "unknown", "noptr", "nordns", "nohost":
		return true
	}
	return strings.HasSuffix(w, "dsl") || slices.ContainsFunc(genericStems(), func(stem string) bool { return strings.HasPrefix(w, stem) })
}

// genericStems are words to which others are glued: dynamicip, dialuppool.
func genericStems() []string {
	return []string{"dynamic", "dhcp", "adsl", "vdsl", "xdsl", "pppoe", "dialup", "dialin", "broadband", "cablemodem", "customer"}
}

// machineWord knows words that name nobody when a long number goes with them:
// host-81-22, srv20511; host2 and server01 are what small offices call theirs.
func machineWord(w string) bool {
	switch w {
	case "host", "ip", "srv", "server", "node", "vm", "ns", "user", "port":
		return true
	}
	return false
}

func digits(s string) (n int) {
	for i := range len(s) {
		if digit(s[i]) {
			n++
		}
	}
	return n
}

// containsAddr reports whether the name contains the address, or most of it, in
// one of the ways in which providers write it.
func containsAddr(name string, addr netip.Addr) bool {
	if addr.Is4() {
		return containsIPv4(name, addr.As4())
	}
	return containsIPv6(name, addr)
}

// containsIPv4 finds 192-0-2-7, 7.2.0.192, the first three of these, ip192000002007,
// c0000207 and 3221225991, and each backwards by bytes.
func containsIPv4(name string, a [4]byte) bool {
	back := [4]byte{a[3], a[2], a[1], a[0]}
	runs := strings.FieldsFunc(name, func(r rune) bool { return r < '0' || r > '9' })
	if containsOctets(runs, a[:]) || containsOctets(runs, a[:3]) || containsOctets(runs, back[:]) || containsOctets(runs, back[1:]) {
		return true
	}
	solid := squeeze(name)
	for _, o := range [][4]byte{a, back} {
		plain := fmt.Sprintf("%d%d%d%d", o[0], o[1], o[2], o[3])
		number := strconv.FormatUint(uint64(o[0])<<24|uint64(o[1])<<16|uint64(o[2])<<8|uint64(o[3]), 10)
		switch {
		case strings.Contains(solid, hex.EncodeToString(o[:])),
			strings.Contains(solid, fmt.Sprintf("%03d%03d%03d%03d", o[0], o[1], o[2], o[3])),
			len(plain) >= 8 && slices.Contains(runs, plain),
			len(number) >= 8 && slices.Contains(runs, number):
			return true
		}
	}
	return false
}

// containsOctets reports whether the numbers of a name contain the octets, one
// after the other.
func containsOctets(runs []string, octets []byte) bool {
	for i := range len(runs) - len(octets) + 1 {
		if slices.EqualFunc(runs[i:i+len(octets)], octets, func(run string, o byte) bool {
			n, err := strconv.ParseUint(run, 10, 8)
			return err == nil && byte(n) == o
		}) {
			return true
		}
	}
	return false
}

// containsIPv6 finds half of the address, network or host: as 16 digits, however
// they are divided, backwards too; as four groups; and the short form.
func containsIPv6(name string, addr netip.Addr) bool {
	all := addr.As16()
	digits := []byte(hex.EncodeToString(all[:]))
	solid := squeeze(name)
	groups := make([]string, 8)
	for i := range groups {
		groups[i] = strconv.FormatUint(uint64(all[2*i])<<8|uint64(all[2*i+1]), 16)
	}
	for _, half := range [][]byte{digits[:16], digits[16:]} {
		back := slices.Clone(half)
		slices.Reverse(back)
		if strings.Contains(solid, string(half)) || strings.Contains(solid, string(back)) {
			return true
		}
	}
	return containsGroups(name, groups[:4]) || containsGroups(name, groups[4:]) ||
		strings.Contains(name, strings.ReplaceAll(addr.String(), ":", "-"))
}

// containsGroups reports whether the name contains the groups of an IPv6 address
// without leading zeros, divided by one kind of character.
func containsGroups(name string, groups []string) bool {
	for _, between := range []string{"-", "."} {
		if strings.Contains(between+name+between, between+strings.Join(groups, between)+between) {
			return true
		}
	}
	return false
}

// squeeze takes dots and hyphens out of a name.
func squeeze(name string) string { return strings.NewReplacer(".", "", "-", "").Replace(name) }
