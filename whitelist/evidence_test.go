package whitelist

import (
	"strings"
	"testing"
	"time"
)

// findings is evidence in short: what is not None, and of what network.
func findings(all []Finding) string {
	var text []string
	for _, f := range all {
		if f.State == None && f.Entry == (Entry{}) {
			continue
		}
		word := string(f.Source) + " " + string(f.State)
		if f.Entry.Net.IsValid() {
			word += " " + f.Entry.Net.String()
		}
		text = append(text, word)
	}
	return strings.Join(text, ", ")
}

func TestEvidence(t *testing.T) {
	l := list(deny("198.51.100.0/24"), entry("10.0.0.0/8", Own, Local),
		until(entry("192.0.2.0/28", Own, Session), time.Hour), entry("192.0.2.7/32", User, Login),
		entry("192.0.2.7/32", Peer, Passed), until(entry("192.0.2.0/30", Listed, Trapped), -time.Hour),
		entry("192.0.0.0/16", Listed, Trapped), entry("192.0.2.7/32", Guesser, Guessing),
		entry("198.51.100.7/32", Own, Session), entry("2001:db8::/64", Crawler, Crawling))
	for _, c := range []struct {
		addr string
		at   Service
		want string
	}{
		{"192.0.2.7", Anywhere, "ssh decides 192.0.2.0/28, login also 192.0.2.7/32, passed also 192.0.2.7/32, trap also 192.0.0.0/16, guess also 192.0.2.7/32"},
		{"192.0.2.7", Mail, "ssh decides 192.0.2.0/28, login also 192.0.2.7/32, crawler elsewhere, passed also 192.0.2.7/32, trap also 192.0.0.0/16, guess elsewhere 192.0.2.7/32"},
		{"192.0.3.7", Mail, "crawler elsewhere, trap decides 192.0.0.0/16, guess elsewhere"},
		{"198.51.100.7", Web, "operator decides 198.51.100.0/24, ssh also 198.51.100.7/32, passed elsewhere, wrote elsewhere, trap elsewhere"},
		{"2001:db8::1%eth0", Client, "crawler elsewhere 2001:db8::/64, passed elsewhere, wrote elsewhere, trap elsewhere"},
		{"::ffff:10.1.1.1", Anywhere, "local decides 10.0.0.0/8"},
		{"203.0.113.1", Anywhere, ""},
	} {
		all := l.Evidence(addr(c.addr), c.at, epoch)
		if got := findings(all); got != c.want {
			t.Errorf("%s at %q:\n got %s\nwant %s", c.addr, c.at, got, c.want)
		}
		s := l.Look(addr(c.addr), c.at, epoch)
		for rank, f := range all {
			if f.Source != sources[rank] || (f.State == Decides && f.Entry != s.Entry) || (f.State == Decides) != (f.Source == s.Evidence) {
				t.Errorf("%s at %q: %+v, but %+v", c.addr, c.at, f, s)
			}
		}
	}
	if e, _ := l.Get(net("192.0.2.7/32"), Login); !e.Used.IsZero() {
		t.Error("Evidence left a trace")
	}
}

func TestCounts(t *testing.T) {
	l := list(deny("198.51.100.0/24"), deny("198.51.100.7/32"), entry("192.0.2.0/24", Peer, Operator),
		entry("10.0.0.0/8", Own, Local), entry("172.17.0.1/32", Stranger, Local), until(entry("192.0.2.7/32", User, Login), -time.Hour))
	for i, s := range []Source{Passed, Trapped, Session, Login, Crawling, Wrote, Guessing} {
		for j := range i + 1 {
			l = l.With(entry("203.0.113."+string(rune('0'+j))+"/32", Peer, s))
		}
	}
	want := Counts{Allowed: 1, Denied: 2, Local: 1, Passed: 1, Trapped: 2, Sessions: 3, Logins: 4 + 1, Crawlers: 5, Wrote: 6, Guessing: 7}
	if got := l.Counts(); got != want {
		t.Errorf("got %+v", got)
	}
	if got := list().Counts(); got != (Counts{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

// A gateway among the local networks hides who comes: nothing is known of it,
// wherever it comes, and nothing that is weaker can make it known.
func TestGatewayIsNobody(t *testing.T) {
	l := list(entry("172.18.0.1/32", Stranger, Local), entry("172.18.0.1/32", User, Login))
	for at, want := range map[Service]Class{Mail: Stranger, Client: MUA, Web: MUA, Anywhere: Stranger} {
		if s := l.Look(addr("172.18.0.1"), at, epoch); s.Class != want || s.Known() {
			t.Errorf("at %q: %s", at, s.Class)
		}
	}
}
