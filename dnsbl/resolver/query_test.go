package resolver

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestJudge(t *testing.T) {
	asked := query{name: "wWw.exAmple.test.", rrtype: typeA, id: 4711, mixed: true}
	for _, tt := range []struct {
		name  string
		spoil func(*dns.Msg)
		want  match
	}{
		{"the answer", func(m *dns.Msg) {}, answers},
		{"servfail", func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }, answers},
		{"another id", func(m *dns.Msg) { m.Id++ }, foreign},
		{"a query", func(m *dns.Msg) { m.Response = false }, foreign},
		{"another opcode", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, foreign},
		{"another name", func(m *dns.Msg) { m.Question[0].Name = "www.examples.test." }, foreign},
		{"a longer name", func(m *dns.Msg) { m.Question[0].Name = "x." + m.Question[0].Name }, foreign},
		{"another type", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT }, foreign},
		{"another class", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, foreign},
		{"two questions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, foreign},
		{"no question", func(m *dns.Msg) { m.Question = nil }, foreign},
		{"refused in few words", func(m *dns.Msg) { m.Question, m.Rcode = nil, dns.RcodeRefused }, unclear},
		{"other case", func(m *dns.Msg) { m.Question[0].Name = strings.ToLower(m.Question[0].Name) }, caseless},
		{"truncated", func(m *dns.Msg) { m.Truncated = true }, truncated},
		{"no EDNS0", func(m *dns.Msg) { m.Rcode = dns.RcodeFormatError }, unclear},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := new(dns.Msg).SetQuestion(asked.name, dns.TypeA)
			m.Id, m.Response = asked.id, true
			tt.spoil(m)
			wire, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if _, got := asked.judge(wire); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
			if got := judgeAll(asked, wire); got != "" {
				t.Error(got)
			}
		})
	}
}

// judgeAll judges every beginning of a message: none may be taken for an answer.
func judgeAll(q query, wire []byte) string {
	for n := range wire {
		if _, is := q.judge(wire[:n]); is == answers || n < headerSize && is != foreign {
			return "the beginning of a message is taken for an answer"
		}
	}
	return ""
}

func TestSecrets(t *testing.T) {
	ids, names := make(map[uint16]bool), make(map[string]bool)
	for range 200 {
		q, err := newQuery(question{"a-long-enough.example.test", typeA}, true)
		if err != nil || strings.ToLower(q.name) != "a-long-enough.example.test." {
			t.Fatal(q.name, err)
		}
		ids[q.id], names[q.name] = true, true
	}
	if len(ids) < 190 || len(names) < 190 {
		t.Errorf("of 200 queries %d ids and %d names", len(ids), len(names))
	}
	if q, err := newQuery(question{"example.test", typeA}, false); err != nil || q.name != "example.test." {
		t.Error(q.name, err)
	}
}

func TestPack(t *testing.T) {
	q := query{name: "eXample.test.", rrtype: typeMX, id: 7}
	for _, edns := range []bool{true, false} {
		wire, err := q.pack(edns)
		m := new(dns.Msg)
		if err != nil || m.Unpack(wire) != nil {
			t.Fatal(err)
		}
		opt := m.IsEdns0()
		if !m.RecursionDesired || m.Id != 7 || m.Question[0].Name != q.name || (opt != nil) != edns {
			t.Error(m)
		}
		if edns && opt.UDPSize() != udpSize {
			t.Error(opt)
		}
	}
}
