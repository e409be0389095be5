package resolver

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// records parses lines of a zone file.
func records(t testing.TB, lines ...string) []dns.RR {
	t.Helper()
	var all []dns.RR
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rr)
	}
	return all
}

// soa ends answers that there is nothing; its own TTL is 600 s and its last field 300 s.
const soa = "test. 600 SOA ns.test. root.test. 1 2 3 4 300"

func TestReadAnswer(t *testing.T) {
	for _, tt := range []struct {
		name      string
		rcode     int
		asked     rrtype
		answer    []string
		authority []string
		want      string // the contents, with blanks between them
		ttl       time.Duration
		kind      Kind
		fails     bool
	}{
		{name: "address", asked: typeA, answer: []string{"a.test. 60 A 192.0.2.1", "a.test. 30 A 192.0.2.2"}, want: "192.0.2.1 192.0.2.2", ttl: 30 * time.Second},
		{name: "case of the owner", asked: typeA, answer: []string{"A.TeSt. 60 A 192.0.2.1"}, want: "192.0.2.1", ttl: time.Minute},
		{name: "ipv6", asked: typeAAAA, answer: []string{"a.test. 60 AAAA 2001:db8::1"}, want: "2001:db8::1", ttl: time.Minute},
		{name: "text in pieces", asked: typeTXT, answer: []string{`a.test. 60 TXT "v=spf1 " "-all" "\"\\\007\255"`}, want: "v=spf1 -all\"\\\x07\xff", ttl: time.Minute},
		{name: "hosts by preference", asked: typeMX, answer: []string{"a.test. 60 MX 20 b.test.", "a.test. 60 MX 10 C.tEst.", "a.test. 60 MX 20 d.test."}, want: "c.test b.test d.test", ttl: time.Minute},
		{name: "null mx", asked: typeMX, answer: []string{"a.test. 60 MX 0 ."}, ttl: time.Minute},
		{name: "names", asked: typePTR, answer: []string{"a.test. 60 PTR b.test.", `a.test. 60 PTR x\010y.test.`}, want: "b.test", ttl: time.Minute},
		{name: "alias", asked: typeA, answer: []string{"a.test. 60 CNAME b.test.", "B.test. 20 CNAME c.test.", "c.test. 90 A 192.0.2.1"}, want: "192.0.2.1", ttl: 20 * time.Second},
		{name: "alias in any order", asked: typeA, answer: []string{"c.test. 90 A 192.0.2.1", "b.test. 20 CNAME c.test.", "a.test. 60 CNAME b.test."}, want: "192.0.2.1", ttl: 20 * time.Second},
		{name: "alias of nothing", asked: typeA, answer: []string{"a.test. 60 CNAME b.test."}, authority: []string{soa}, ttl: 300 * time.Second},
		{name: "alias of no name", rcode: dns.RcodeNameError, asked: typeA, answer: []string{"a.test. 60 CNAME b.test."}, authority: []string{soa}, ttl: 300 * time.Second},
		{name: "alias of itself", asked: typeA, answer: []string{"a.test. 60 CNAME a.test."}, kind: Malformed, fails: true},
		{name: "aliases in a circle", asked: typeA, answer: []string{"a.test. 60 CNAME b.test.", "b.test. 60 CNAME a.test."}, kind: Malformed, fails: true},
		{name: "somebody else's", asked: typeA, answer: []string{"b.test. 60 A 192.0.2.1"}, ttl: unsaid},
		{name: "another type", asked: typeA, answer: []string{"a.test. 60 TXT x"}, ttl: unsaid},
		{name: "another class", asked: typeA, answer: []string{"a.test. 60 CH A 192.0.2.1"}, ttl: unsaid},
		{name: "no such name", rcode: dns.RcodeNameError, asked: typeA, authority: []string{soa}, ttl: 300 * time.Second},
		{name: "no such name, with records", rcode: dns.RcodeNameError, asked: typeA, answer: []string{"a.test. 60 A 192.0.2.1"}, ttl: unsaid},
		{name: "nothing, shorter TTL of the SOA itself", asked: typeA, authority: []string{"test. 7 SOA ns.test. root.test. 1 2 3 4 300"}, ttl: 7 * time.Second},
		{name: "nothing, for too long", asked: typeA, authority: []string{"test. 86400 SOA ns.test. root.test. 1 2 3 4 86400"}, ttl: maxNegative},
		{name: "nothing, not to be kept", asked: typeA, authority: []string{"test. 60 SOA ns.test. root.test. 1 2 3 4 0"}},
		{name: "nothing, without SOA", asked: typeA, ttl: unsaid},
		{name: "for ever", asked: typeA, answer: []string{"a.test. 2147483647 A 192.0.2.1"}, want: "192.0.2.1", ttl: maxTTL},
		{name: "not to be kept", asked: typeA, answer: []string{"a.test. 0 A 192.0.2.1"}, want: "192.0.2.1"},
		{name: "first bit of the TTL", asked: typeA, answer: []string{"a.test. 2147483648 A 192.0.2.1"}, want: "192.0.2.1"},
		{name: "other servers", asked: typeA, authority: []string{"test. 60 NS ns.test."}, kind: Refused, fails: true},
		{name: "servfail", rcode: dns.RcodeServerFailure, asked: typeA, kind: ServerFailure, fails: true},
		{name: "refused", rcode: dns.RcodeRefused, asked: typeA, kind: Refused, fails: true},
		{name: "a code that nobody knows", rcode: 3000, asked: typeA, kind: ServerFailure, fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reply := &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: tt.rcode}, Answer: records(t, tt.answer...), Ns: records(t, tt.authority...)}
			a, kind, err := readAnswer(reply, "a.test.", tt.asked)
			if got := contents(a); got != tt.want || a.ttl != tt.ttl {
				t.Errorf("%q for %v, want %q for %v", got, a.ttl, tt.want, tt.ttl)
			}
			if (err != nil) != tt.fails || kind != tt.kind {
				t.Errorf("%v: %v, want %v: %v", kind, err, tt.kind, tt.fails)
			}
		})
	}
}

// contents writes an answer in one line.
func contents(a answer) string {
	all := slices.Clone(a.texts)
	for _, addr := range a.addrs {
		all = append(all, addr.String())
	}
	return strings.Join(all, " ")
}

func TestBoundedAnswer(t *testing.T) {
	reply := new(dns.Msg)
	for i := range 1000 {
		ptr := &dns.PTR{Hdr: dns.RR_Header{Name: "a.test.", Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: 60}, Ptr: "x.test."}
		txt := &dns.TXT{Hdr: dns.RR_Header{Name: "a.test.", Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: []string{string(rune('a' + i%26))}}
		reply.Answer = append(reply.Answer, ptr, txt)
	}
	for asked, most := range map[rrtype]int{typePTR: maxNames, typeTXT: maxRecords} {
		if a, _, err := readAnswer(reply, "a.test.", asked); err != nil || len(a.texts) != most {
			t.Errorf("%v: %d, %v, want %d", asked, len(a.texts), err, most)
		}
	}
}

func TestUnescape(t *testing.T) {
	for escaped, want := range map[string]string{
		"":           "",
		"plain":      "plain",
		`\"\\`:       `"\`,
		`\000\255x`:  "\x00\xffx",
		`\12`:        "12",
		`end\`:       `end\`,
		`\\032`:      `\032`,
		`a\195\164b`: "aäb",
	} {
		if got := unescape(escaped); got != want {
			t.Errorf("%q: %q, want %q", escaped, got, want)
		}
	}
}

// FuzzAnswer reads any message as the answer to a question, as if its secrets had been guessed.
func FuzzAnswer(f *testing.F) {
	types := []rrtype{typeA, typeAAAA, typeTXT, typeMX, typePTR}
	for i, lines := range [][]string{
		{"a.test. 60 CNAME b.test.", "b.test. 60 A 192.0.2.1"},
		{"a.test. 60 AAAA 2001:db8::1"},
		{`a.test. 60 TXT "v=spf1 " "\000\255\"\\"`},
		{"a.test. 60 MX 10 b.test.", "a.test. 60 MX 5 ."},
		{"a.test. 60 PTR b.test.", "a.test. 60 CNAME a.test."},
		{},
	} {
		m := new(dns.Msg).SetQuestion("a.test.", uint16(types[i%len(types)]))
		m.Response, m.Answer, m.Ns = true, records(f, lines...), records(f, soa)
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i%len(types)), wire)
	}
	f.Fuzz(func(t *testing.T, kind byte, wire []byte) {
		q := query{name: "a.test.", rrtype: types[int(kind)%len(types)], id: 7}
		if len(wire) > 2 {
			wire[0], wire[1], wire[2] = 0, 7, wire[2]&^0x78|0x80
		}
		reply, is := q.judge(wire)
		if is != answers {
			return
		}
		a, k, err := readAnswer(reply, q.name, q.rrtype)
		if k.String() == "" || len(a.addrs) > maxRecords || len(a.texts) > maxRecords || a.ttl < 0 || a.ttl > maxTTL {
			t.Errorf("%v %v %v", a, k, err)
		}
		checkContents(t, q.rrtype, a, len(wire))
	})
}

// checkContents wants the contents to be what the methods promise.
func checkContents(t *testing.T, asked rrtype, a answer, wire int) {
	for _, addr := range a.addrs {
		if addr.Is4() != (asked == typeA) || !addr.IsValid() || addr == (netip.Addr{}) {
			t.Errorf("%v for %v", addr, asked)
		}
	}
	for _, s := range a.texts {
		host := asked != typeTXT
		odd := strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' })
		if host && (s == "" || len(s) > maxName || odd) || len(s) > wire {
			t.Errorf("%q for %v in %d bytes", s, asked, wire)
		}
	}
}
