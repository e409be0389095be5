package whitelist

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestNet(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7/32",
		"::ffff:192.0.2.7":     "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
	} {
		if got := Net(addr(in)).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if Net(netip.Addr{}).IsValid() {
		t.Error("no address has a network")
	}
}

func TestParseNet(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7":             "192.0.2.7/32",
		"192.0.2.7/24":          "192.0.2.0/24",
		"0.0.0.0/0":             "0.0.0.0/0",
		"::ffff:192.0.2.7":      "192.0.2.7/32",
		"::ffff:192.0.2.7/120":  "192.0.2.0/24",
		"2001:db8::1":           "2001:db8::1/128",
		"2001:db8::1/64":        "2001:db8::/64",
		"fe80::1%eth0":          "fe80::1/128",
		"::ffff:0:0/95":         "::fffe:0:0/95",
		"":                      "",
		"192.0.2":               "",
		"192.0.2.0/33":          "",
		"example.org":           "",
		"192.0.2.7 ":            "",
		"192.0.2.0-192.0.2.255": "",
	} {
		got, err := ParseNet(in)
		if err != nil {
			if want != "" || !strings.Contains(err.Error(), "give ") {
				t.Errorf("%q: %v", in, err)
			}
			continue
		}
		if got.String() != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
		if got != Canonical(got) {
			t.Errorf("%q: %s is not canonical", in, got)
		}
	}
}

func TestCheck(t *testing.T) {
	good := entry("192.0.2.0/24", Peer, Operator)
	for name, change := range map[string]func(*Entry){
		"no network":   func(e *Entry) { e.Net = netip.Prefix{} },
		"host bits":    func(e *Entry) { e.Net = net("192.0.2.1/24") },
		"mapped":       func(e *Entry) { e.Net = net("::ffff:192.0.2.0/120") },
		"long note":    func(e *Entry) { e.Note = strings.Repeat("x", MaxNote+1) },
		"deny a class": func(e *Entry) { e.Deny = true },
		"no class":     func(e *Entry) { e.Class = "" },
	} {
		e := good
		change(&e)
		if err := e.Check(); !errors.Is(err, ErrEntry) || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	good.Note = strings.Repeat("x", MaxNote)
	for _, e := range []Entry{good, deny("0.0.0.0/0"), entry("2001:db8::/64", "customers", Passed)} {
		if err := e.Check(); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

// TestEnd: the row and the entry agree about when it ends.
func TestEnd(t *testing.T) {
	never := time.Time{}
	for _, c := range []struct {
		expires, used time.Time
		renew         time.Duration
		end           time.Time
	}{
		{never, never, 0, never},
		{never, epoch, time.Hour, never},
		{epoch, never, time.Hour, epoch},
		{epoch, epoch, 0, epoch},
		{epoch, epoch.Add(-time.Minute), time.Hour, epoch.Add(59 * time.Minute)},
		{epoch, epoch.Add(-2 * time.Hour), time.Hour, epoch},
	} {
		e := Entry{Net: net("192.0.2.0/24"), Expires: c.expires, Used: c.used, Renew: c.renew}
		if !e.End().Equal(c.end) {
			t.Errorf("%+v: ends %v", c, e.End())
		}
		r := newRow(e)
		if c.end.IsZero() {
			if !r.inForce(epoch.AddDate(100, 0, 0).Unix()) {
				t.Errorf("%+v: the row ends", c)
			}
			continue
		}
		if !r.inForce(c.end.Unix()-1) || r.inForce(c.end.Unix()) {
			t.Errorf("%+v: the row ends at another time", c)
		}
	}
}

func TestClasses(t *testing.T) {
	known := 0
	for _, k := range Kinds() {
		if k.Class.Known() != k.Known || k.Doc == "" {
			t.Errorf("%+v", k)
		}
		if k.Known {
			known++
		}
		if s := (Standing{Class: k.Class}); s.Known() != k.Known || s.Listed() != (k.Class == Listed || k.Class == Guesser) {
			t.Errorf("%s: known %v, listed %v", k.Class, s.Known(), s.Listed())
		}
	}
	if known != 7 || !Class("customers").Known() || Class("").Known() || Stranger.Known() || MUA.Known() || Guesser.Known() {
		t.Error("who is known?")
	}
	Kinds()[0].Known = false
	if !Own.Known() {
		t.Error("the table can be changed from outside")
	}
}
