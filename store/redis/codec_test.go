package redis

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/whitelist"
)

// TestKeysHoldNothingOfAPeer, and a triplet's has the slot of its origin's.
func TestKeysHoldNothingOfAPeer(t *testing.T) {
	s := away(t, Options{})
	for _, name := range []string{"", "}{", "{a}", "a\r\nb", "*", strings.Repeat("x", 5000)} {
		x := nth(0, epoch())
		x.Origin.Name, x.Sender, x.Recipient = name, name, name
		q := s.question(x)
		slot := func(key string) string {
			_, rest, _ := strings.Cut(key, "{")
			tag, _, _ := strings.Cut(rest, "}")
			return tag
		}
		if len(q.originName) != len("moggy:o:")+18 || len(q.tripletName) != len("moggy:t:")+34 || slot(q.originName) != slot(q.tripletName) || len(slot(q.originName)) != 16 {
			t.Errorf("%q: %q, %q", name, q.originName, q.tripletName)
		}
		if len(q.aboutTriplet) > 3*(maxText+sumLen+12) {
			t.Errorf("%q: about %d bytes", name, len(q.aboutTriplet))
		}
	}
}

func TestTexts(t *testing.T) {
	long := strings.Repeat("x", maxText)
	for _, s := range []string{"", "a", "12:ab", "a\nb\x00", long, long + "y", long + "z"} {
		b := string(appendText(nil, s)) + "rest"
		got, rest, ok := cutText(b)
		if !ok || got != s[:min(len(s), maxText)] || rest != "rest" {
			t.Errorf("%.20q: %.20q, %q, %v", s, got, rest, ok)
		}
	}
	if string(appendText(nil, long+"y")) == string(appendText(nil, long+"z")) {
		t.Error("what is cut is not told apart")
	}
}

func TestEntryRows(t *testing.T) {
	e := whitelist.Entry{Net: netip.MustParsePrefix("2001:db8::/64"), Deny: true, Source: whitelist.Operator, Note: "said \"no\"\n\x00\xff 5",
		Added: epoch(), Expires: epoch().Add(time.Hour), Used: epoch().Add(time.Minute), Renew: 1500 * time.Millisecond}
	for range 2 {
		got, ok := decodeEntry(entryField(e.Key()), encodeEntry(e))
		if !ok || got != e {
			t.Errorf("\n got %+v, %v\nwant %+v", got, ok, e)
		}
		e = whitelist.Entry{Net: e.Net, Class: "with\nodd 1 2 bytes", Source: whitelist.Passed}
	}
}

func FuzzDecode(f *testing.F) {
	s := &Store{}
	s.at.prefix = "m"
	f.Add("192.0.2.0/24 operator", encodeEntry(person("192.0.2.0/24")))
	f.Add("trap@example.org", encodeTrap(greylist.Trap{Note: "x"}))
	f.Add("", "1 1772366400000 0 1 172800000 network 192.0.2.7\n12:10.0.1.0/24x1:a1:b")
	f.Add("", "1 1772366400000 0 3110400000 spf\n11:example.org")
	f.Fuzz(func(t *testing.T, field, row string) {
		if e, ok := decodeEntry(field, row); ok && e.Check() == nil {
			if again, ok := decodeEntry(entryField(e.Key()), encodeEntry(e)); !ok || again != e {
				t.Errorf("%+v became %+v", e, again)
			}
		}
		decodeTrap(field, row)
		decodeTriplet(row, 0)
		decodeOrigin(row, time.Hour)
		entryChange(field, row)
		earlier(field, row)
	})
}
