package config

import (
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"time"
)

// checker compares values with their bounds and with one another.
type checker struct {
	*sheet
	c *Config
}

// check adds the faults and warnings of c to s; mode is that of the file.
func check(s *sheet, c *Config, mode fs.FileMode) {
	k := &checker{sheet: s, c: c}
	k.top()
	k.store(mode)
	k.listeners()
	k.greylist()
	k.talk()
	k.tarpit()
	k.trap()
	k.dnsbl()
	k.classes()
	k.hints(mode)
	k.crawlers()
	k.foreign()
	k.good()
	k.admin()
	if c.Journal.Size < 4*megabyte {
		k.fault("journal.size", `is less than 4MB; write size = "256MB"`)
	}
}

func (k *checker) top() {
	if !validDomain(k.c.Hostname) {
		k.fault("hostname", `is not a domain name; write hostname = "mx.example.org"`)
	} else if k.given("hostname") && !strings.Contains(k.c.Hostname, ".") {
		k.warn("hostname", `has no domain, and strangers are greeted with it; write hostname = "%s.example.org"`, k.c.Hostname)
	}
	if k.c.StateDir == "" {
		k.fault("state_dir", `is empty; write state_dir = "/var/lib/moggy"`)
	}
	k.between("grace", k.c.Grace, 0, time.Hour, "")
	for i, text := range k.c.LocalNetworks {
		k.localNetwork(fmt.Sprintf("local_networks[%d]", i), text)
	}
}

func (k *checker) localNetwork(path, text string) {
	if text == LocalAuto {
		return
	}
	p, err := parsePrefix(text)
	if err != nil {
		k.fault(path, "%s", withAdvice(err, `local_networks = ["auto"]`))
	} else if p.Bits() == 0 {
		k.warn(path, `makes own machines of everybody, and nobody is greylisted; write local_networks = ["auto"]`)
	}
}

func (k *checker) greylist() {
	g := k.c.Greylist
	k.between("greylist.pass", g.Pass, time.Second, day, "")
	k.order("greylist.pass", g.Pass, "greylist.pass_unnamed", g.PassUnnamed)
	k.before("greylist.pass", g.Pass, "greylist.window", g.Window)
	k.before("greylist.pass_unnamed", g.PassUnnamed, "greylist.window", g.Window)
	k.order("greylist.window", g.Window, "greylist.remember", g.Remember)
}

// Senders that prove good must not lose patience: Exim's call-outs wait 30 s
// for a reply, so moggy takes no longer than this for one.
const patience = 25 * time.Second

const patienceWhy = ", and Exim's call-outs hang up after 30s"

func (k *checker) talk() {
	t := k.c.Talk
	k.between("talk.timeout", t.Timeout, time.Second, 10*time.Minute, "")
	if k.sound("talk.timeout") && t.Timeout < 30*time.Second {
		k.warn("talk.timeout", `is short, and slow but honest clients are let go; write timeout = "60s"`)
	}
	k.atLeast("talk.recipients", t.Recipients, 100, " (RFC 5321 section 4.5.3.1.8)")
	k.atLeast("talk.errors", t.Errors, 1, "")
}

func (k *checker) tarpit() {
	t := k.c.Tarpit
	k.between("tarpit.stutter", t.Stutter, 0, patience, patienceWhy)
	k.between("tarpit.gap", t.Gap, time.Millisecond, patience, patienceWhy)
	k.atLeast("tarpit.slots", t.Slots, 0, "")
}

func (k *checker) trap() {
	for i, text := range k.c.Trap.Addresses {
		if !validMailbox(text) {
			k.fault(fmt.Sprintf("trap.addresses[%d]", i), `is not a mail address; write addresses = ["trap@example.org"]`)
		}
	}
	k.between("trap.ttl", k.c.Trap.TTL, time.Second, 3650*day, "")
}

func (k *checker) dnsbl() {
	d := k.c.DNSBL
	k.atLeast("dnsbl.threshold", d.Threshold, 1, "")
	k.between("dnsbl.timeout", d.Timeout, 10*time.Millisecond, 10*time.Second, "")
	zones, sum := make(map[string]bool), 0
	for i, list := range d.Lists {
		row := fmt.Sprintf("dnsbl.list[%d]", i)
		k.list(row, list, zones)
		sum += max(list.Weight, 0)
	}
	if len(d.Lists) > 0 && sum < d.Threshold && k.sound("dnsbl.threshold") {
		k.warn("dnsbl.threshold", "is more than all lists together weigh (%d), so nobody is ever listed; write threshold = %d or less", sum, max(sum, 1))
	}
}

func (k *checker) list(row string, list DNSList, zones map[string]bool) {
	zone := strings.ToLower(list.Zone)
	switch {
	case zone == "":
		k.fault(row+".zone", `is missing; write zone = "zen.spamhaus.org"`)
	case !validHost(zone):
		k.fault(row+".zone", `is not a domain name; write zone = "zen.spamhaus.org"`)
	case zones[zone]:
		k.fault(row+".zone", "is there twice; remove one of the two")
	}
	zones[zone] = true
	switch {
	case list.Weight != 0:
	case k.given(row + ".weight"):
		k.fault(row+".weight", "lets the list count for nothing; write weight = 3, or remove the list")
	default:
		k.fault(row+".weight", "is missing; write weight = 3, or a negative number for an allow list")
	}
	if len(list.Codes) == 0 {
		k.fault(row+".codes", `is empty, so nothing would be a listing; write codes = ["127.0.0.2-127.0.0.11"]`)
	}
}

func (k *checker) admin() {
	e, ok := k.endpoint("admin.address", k.c.Admin.Address, true)
	if !ok {
		return
	}
	if !e.loopback() {
		k.warn("admin.address", `can be reached from other machines, and the page is open to all who reach it; write address = "127.0.0.1:9925"`)
	}
	for i, l := range k.c.Listeners {
		if other, err := parseEndpoint(l.Address); err == nil && e.same(other) {
			k.fault("admin.address", "is also that of %s; write another port", k.spoken(fmt.Sprintf("listener[%d]", i)))
		}
	}
}

// between checks that d is at least least and at most most; why tells what
// happens above.
func (k *checker) between(path string, d, least, most time.Duration, why string) {
	switch {
	case d < least:
		k.fault(path, "is shorter than %s; write %q or more", formatDuration(least), formatDuration(least))
	case d > most:
		k.fault(path, "is longer than %s%s; write %q or less", formatDuration(most), why, formatDuration(most))
	}
}

// atLeast checks that n is at least least; why tells who says so.
func (k *checker) atLeast(path string, n, least int, why string) {
	if n < least {
		k.fault(path, "is less than %d%s; write %d or more", least, why, least)
	}
}

// before checks that a < b.
func (k *checker) before(pathA string, a time.Duration, pathB string, b time.Duration) {
	if a >= b {
		k.disorder(pathA, a, pathB, b, "must be shorter than", "must be longer than")
	}
}

// order checks that a <= b.
func (k *checker) order(pathA string, a time.Duration, pathB string, b time.Duration) {
	if a > b {
		k.disorder(pathA, a, pathB, b, "must not be longer than", "must not be shorter than")
	}
}

// disorder blames the first of two keys that the file has: of A it says ofA,
// of B ofB.
func (k *checker) disorder(pathA string, a time.Duration, pathB string, b time.Duration, ofA, ofB string) {
	_, keyA, _ := strings.Cut(pathA, ".")
	_, keyB, _ := strings.Cut(pathB, ".")
	switch {
	case !k.sound(pathA, pathB):
	case k.given(pathA):
		k.fault(pathA, "%s %s (%s); write a shorter %s or a longer %s", ofA, keyB, formatDuration(b), keyA, keyB)
	default:
		k.fault(pathB, "%s %s (%s); write a longer %s or a shorter %s", ofB, keyA, formatDuration(a), keyB, keyA)
	}
}

// validMailbox reports whether s is local@domain, with no quotes.
func validMailbox(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 {
		return false
	}
	local, domain := s[:at], s[at+1:]
	return !strings.ContainsFunc(local, notAtom) && validDomain(domain)
}

// notAtom reports what RFC 5321's Dot-string has no room for.
func notAtom(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`"(),:;<>@[\]`, r) }

// validName reports whether s can be the name of a class or a listener: 1 to
// 32 lower-case letters, digits and dashes.
func validName(s string) bool {
	other := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
	return s != "" && len(s) <= 32 && s[0] != '-' && !strings.ContainsFunc(s, other)
}

// validDomain reports whether s is a host name of RFC 1123 section 2.1 and not
// an address.
func validDomain(s string) bool { return validHost(s) && !strings.Contains(s, "_") }

// validHost is validDomain with the underscores of container and list names.
func validHost(s string) bool {
	if len(s) > 253 || s == "" {
		return false
	}
	labels := strings.Split(strings.ToLower(s), ".")
	for _, label := range labels {
		name := strings.ReplaceAll(label, "_", "-")
		if len(label) > 63 || !validLabel(name) {
			return false
		}
	}
	_, err := netip.ParseAddr(s)
	return err != nil && !allDigits(labels[len(labels)-1])
}

func validLabel(s string) bool {
	other := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
	return s != "" && s[0] != '-' && s[len(s)-1] != '-' && !strings.ContainsFunc(s, other)
}

func allDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }
