package origin

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"moggy/greylist"
)

// TestSPF: only a pass that means something gives a name.
func TestSPF(t *testing.T) {
	const peer = "192.0.2.7"
	ten := "v=spf1 a:h1.example a:h2.example a:h3.example a:h4.example a:h5.example a:h6.example a:h7.example a:h8.example a:h9.example a:h10.example"
	for name, c := range map[string]struct {
		record string
		want   SPF
	}{
		"pass":                   {"v=spf1 ip4:192.0.2.0/24 -all", Pass},
		"only its neighbours":    {"v=spf1 ip4:192.0.0.0/8 -all", Pass},
		"softfail":               {"v=spf1 ~all", SoftFail},
		"neutral":                {"v=spf1 ?all", Neutral},
		"nothing said":           {"v=spf1", Neutral},
		"fail":                   {"v=spf1 -all", Fail},
		"neutral match":          {"v=spf1 ?ip4:192.0.2.7 -all", Neutral},
		"nonsense":               {"v=spf1 ip4:300.1.1.1 -all", PermError},
		"no such include":        {"v=spf1 include:nowhere.example -all", PermError},
		"broken include":         {"v=spf1 include:broken.example -all", TempError},
		"mx":                     {"v=spf1 mx -all", Pass},
		"a with mask":            {"v=spf1 a:net.example/24 -all", Pass},
		"a/0":                    {"v=spf1 a:net.example/0 -all", Wide},
		"exists, by address":     {"v=spf1 exists:%{i}.ok.example -all", Pass},
		"exists, reversed":       {"v=spf1 exists:%{ir}.%{l}.%{d1}.ok.example -all", Pass},
		"exists, anybody":        {"v=spf1 exists:net.example -all", Wide},
		"redirect":               {"v=spf1 redirect=pool.example", Pass},
		"redirect nowhere":       {"v=spf1 redirect=nowhere.example", PermError},
		"ptr":                    {"v=spf1 ptr:host.example -all", Pass},
		"+all":                   {"v=spf1 +all", Wide},
		"all":                    {"v=spf1 all", Wide},
		"its own, then +all":     {"v=spf1 ip4:192.0.2.7 +all", Wide},
		"+all but for controls":  {"v=spf1 -ip4:193.0.0.0/8 +all", Wide},
		"+all by include":        {"v=spf1 include:all.example -all", Wide},
		"+all by redirect":       {"v=spf1 redirect=all.example", Wide},
		"ip4:0.0.0.0/0":          {"v=spf1 ip4:0.0.0.0/0 -all", Wide},
		"two halves":             {"v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all", Wide},
		"/7":                     {"v=spf1 ip4:192.0.0.0/7 -all", Wide},
		"ten lookups":            {ten + " ip4:192.0.2.7 -all", Pass},
		"eleven lookups":         {ten + " a:h11.example ip4:192.0.2.7 -all", PermError},
		"endless":                {"v=spf1 include:sender.example -all", PermError},
		"two void lookups":       {"v=spf1 a:v1.example a:v2.example ip4:192.0.2.7 -all", Pass},
		"three void lookups":     {"v=spf1 a:v1.example a:v2.example mx:v3.example ip4:192.0.2.7 -all", PermError},
		"eleven mail hosts":      {"v=spf1 mx:many.example ip4:192.0.2.7 -all", PermError},
		"a name nobody can have": {`v=spf1 exists:%{l}\.ok.example ip4:192.0.2.7 -all`, Pass},
		"a record without end":   {"v=spf1 ip4:192.0.2.7 -all" + strings.Repeat(" ", maxRecord), None},
		"no version":             {"spf1 ip4:192.0.2.7", None},
	} {
		z := spfZones("sender.example", c.record, "pool.example", "v=spf1 ip4:192.0.2.0/28 -all", "all.example", "v=spf1 +all").host(peer, "mx.host.example")
		z.broken = map[string]bool{"broken.example": true}
		z.mx = map[string][]string{"sender.example": {"mx.host.example."}, "many.example": slices.Repeat([]string{"mx.host.example."}, 11)}
		for n, addr := range map[string]string{"net.example": "192.0.2.99", "192.0.2.7.ok.example": "127.0.0.2", "7.2.0.192.a.example.ok.example": "127.0.0.2"} {
			z.ip[n] = []string{addr}
		}
		for i := range 11 {
			z.ip[fmt.Sprintf("h%d.example", i+1)] = []string{"198.51.100.1"}
		}
		o, f := find(t, z, from(peer, "a@sender.example"))
		want := named("host.example")
		if c.want == Pass {
			want = domain("sender.example")
		}
		if f.SPF != c.want || o != want || f.Degraded != (c.want == TempError) {
			t.Errorf("%s: %v %+v, want %s", name, o, f, c.want)
		}
		if !slices.Contains(SPFs(), f.SPF) || !slices.Contains(Reverses(), f.Reverse) {
			t.Errorf("%s: %+v is not on the lists", name, f)
		}
	}
	two := spfZones("sender.example", "v=spf1 ip4:192.0.2.7 -all", "sender.example", "v=spf1 -all")
	if o, f := find(t, two, from(peer, "a@sender.example")); f.SPF != PermError || o != network("192.0.2.0/24") {
		t.Errorf("two records: %v %+v", o, f)
	}
}

// TestWideIPv6: the same for networks wider than /16.
func TestWideIPv6(t *testing.T) {
	for record, want := range map[string]SPF{
		"v=spf1 ip6:2001:db8::/32 -all":            Pass,
		"v=spf1 ip6:2001::/16 -all":                Pass,
		"v=spf1 ip6:2000::/15 -all":                Wide,
		"v=spf1 ip6:2000::/3 -all":                 Wide,
		"v=spf1 ip6:::/0 -all":                     Wide,
		"v=spf1 exists:%{ir}.%{v}.ok.example ~all": SoftFail,
	} {
		if _, f := find(t, spfZones("sender.example", record), from("2001:db8::7", "a@sender.example")); f.SPF != want {
			t.Errorf("%s: %s, want %s", record, f.SPF, want)
		}
	}
}

// TestRegistered: who the domain of a pass is counted as.
func TestRegistered(t *testing.T) {
	for name, want := range map[string]string{
		"example.org":                        "example.org",
		"bounces.em123.example.com":          "example.com",
		"a.b.example.co.uk":                  "example.co.uk",
		"eu-west-1.amazonses.com":            "amazonses.com",
		"em_1234.example.com":                "example.com",
		"user.github.io":                     "user.github.io",
		"mail.firm.uk.com":                   "firm.uk.com",
		"xn--bcher-kva.example":              "xn--bcher-kva.example",
		"email.shop.example":                 "shop.example",
		"a.under_score.example":              "",
		"co.uk":                              "",
		"com":                                "",
		"github.io":                          "",
		"herokuapp.com":                      "",
		"localhost":                          "",
		"":                                   "",
		".":                                  "",
		"a..b":                               "",
		".example.org":                       "",
		"example.123":                        "",
		"-a.example":                         "",
		"bücher.example":                     "",
		strings.Repeat("a", 64) + ".example": "",
		strings.Repeat("a.", 130) + "org":    "",
	} {
		if got := registered(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	for _, suffix := range []string{"co.uk", "github.io", "herokuapp.com"} {
		z := spfZones(suffix, "v=spf1 ip4:192.0.2.7 -all").host("192.0.2.7", suffix)
		if o, f := find(t, z, from("192.0.2.7", "a@"+suffix)); o != network("192.0.2.0/24") || f.SPF != Suffix || f.Reverse != ReverseNone {
			t.Errorf("%s: %v %+v", suffix, o, f)
		}
	}
}

// TestAskable: what macros make of a stranger's text is cut to what DNS takes, or
// not asked at all.
func TestAskable(t *testing.T) {
	long := strings.Repeat("abcdefgh.", 40) + "example"
	for name, want := range map[string]string{
		"_spf.Example.ORG.": "_spf.example.org",
		"a+b=c.example":     "a+b=c.example",
		long:                long[len(long)-len("example")-27*9:],
	} {
		if got, ok := askable(name); got != want || !ok {
			t.Errorf("%q: %q, %v, want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"", ".", "a..b", "a b.example", `a\.b`, "a\x00.example", "ü.example", strings.Repeat("a", 64), strings.Repeat("a", 300)} {
		if got, ok := askable(name); ok {
			t.Errorf("%q is asked for as %q", name, got)
		}
	}
}

// TestPartialIP: a name server that fails at AAAA does not undo the A record.
func TestPartialIP(t *testing.T) {
	z := partial{spfZones("sender.example", "v=spf1 a:host.example -all").host("192.0.2.7", "host.example")}
	for peer, want := range map[string]greylist.Origin{"192.0.2.7": domain("sender.example"), "192.0.2.8": network("192.0.2.0/24")} {
		o, degraded := mustNew(t, z).Find(t.Context(), from(peer, "a@sender.example"))
		if o != want || degraded == o.Named() {
			t.Errorf("%s: %v, degraded %v, want %v", peer, o, degraded, want)
		}
	}
	if name, ok, degraded := mustNew(t, z).Confirmed(t.Context(), netip.MustParseAddr("192.0.2.7")); name != "host.example" || !ok || degraded {
		t.Errorf("%q %v %v", name, ok, degraded)
	}
}

// partial knows A records only.
type partial struct{ *zones }

func (p partial) IP(ctx context.Context, name string) ([]netip.Addr, error) {
	addrs, _ := p.zones.IP(ctx, name)
	return addrs, errBroken
}

// TestLookupBad: addresses that are none, from a resolver that should know better.
func TestLookupBad(t *testing.T) {
	l := &lookup{resolver: oneAddr{}}
	if ips, err := l.LookupIPAddr(context.Background(), "a.example"); len(ips) != 0 || err != nil {
		t.Errorf("%v, %v", ips, err)
	}
	if names, err := l.LookupAddr(context.Background(), "not an address"); len(names) != 0 || err == nil {
		t.Errorf("%v, %v", names, err)
	}
}

type oneAddr struct{ Resolver }

func (oneAddr) IP(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{{}}, nil }

// TestHeavyRecord: the heaviest records that are read at all are worked through
// in no time.
func TestHeavyRecord(t *testing.T) {
	local := strings.Repeat("a.", maxLocal/2)
	for name, term := range map[string]string{
		"macros":      "exists:" + strings.Repeat("%{s}", 1900) + ".example",
		"open macro":  "exists:%{" + strings.Repeat("s", 8000),
		"fields":      strings.TrimSpace(strings.Repeat("ip4:1.1.1.1/8 ", 580)),
		"many macros": strings.TrimSpace(strings.Repeat("exists:"+strings.Repeat("%{L}", 170)+".example ", 11)),
		"itself":      strings.TrimSpace(strings.Repeat("include:sender.example ", 350)),
	} {
		z := spfZones("sender.example", "v=spf1 "+term+" ?all")
		if n := len(z.txt["sender.example"][1]); n > maxRecord {
			t.Fatalf("%s: %d bytes are not read at all", name, n)
		}
		if _, f := find(t, z, from("192.0.2.7", local+"@sender.example")); f.SPF == Pass || f.SPF == None || f.Took > DefaultTimeout {
			t.Errorf("%s: %+v", name, f)
		} else {
			t.Logf("%s: %v", name, f.Took)
		}
	}
}
