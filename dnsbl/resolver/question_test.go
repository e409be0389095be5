package resolver

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestAsk(t *testing.T) {
	label := strings.Repeat("a", 63)
	long := strings.Repeat(label+".", 3) + strings.Repeat("b", 61)
	for name, want := range map[string]string{
		"example.test":            "example.test",
		"Example.TEST.":           "example.test",
		"*.test":                  "*.test",
		"_dmarc.x.test":           "_dmarc.x.test",
		"münchen.test":            "münchen.test",
		"\xffÄ.Test":              "\xffÄ.test",
		`a\.b.test`:               `a\.b.test`,
		label + ".test":           label + ".test",
		long:                      long,
		long + ".":                long,
		"":                        "",
		".":                       "",
		"a..test":                 "",
		".test":                   "",
		"test..":                  "",
		label + "a.test":          "",
		long + "b":                "",
		strings.Repeat("a.", 200): "",
	} {
		q, err := ask(name, typeA)
		if bad, _ := errors.AsType[*Error](err); (want == "") != (bad != nil && bad.Kind == BadName && !bad.Temporary()) {
			t.Errorf("%q: %v", name, err)
		} else if err == nil && q.name != want {
			t.Errorf("%q: %q, want %q", name, q.name, want)
		}
	}
}

func TestReverse(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7":          "7.2.0.192.in-addr.arpa",
		"::ffff:192.0.2.7":   "7.2.0.192.in-addr.arpa",
		"2001:db8::567:89ab": "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", // RFC 3596 §2.5, near enough
	} {
		if got := reverse(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
}

// What the longest and oddest names become on the wire must come back as the same name.
func TestCanonical(t *testing.T) {
	for name, want := range map[string]string{
		"a.test":      "a.test.",
		`a\b.test`:    `a\\b.test.`,
		"a b;.test":   `a\ b\;.test.`,
		"\x00ä.test":  `\000\195\164.test.`,
		`\065.test`:   `\\065.test.`, // four bytes, not an A
		`trail\.test`: `trail\\.test.`,
	} {
		if got, err := canonical(name); got != want || err != nil {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	worst := strings.Repeat(strings.Repeat("\xff", 63)+".", 3) + strings.Repeat("\xff", 61)
	if _, err := newQuery(question{worst, typeA}, true); err != nil {
		t.Error(err)
	}
}
