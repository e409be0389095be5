package resolver

import (
	"crypto/rand"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
)

// right and wrong are the address that the hostile server gives when it is in earnest, and the one that no question must
// ever get.
const right, wrong = "192.0.2.1", "192.0.2.66"

// A hostile server listens on the loopback over UDP and TCP. What it does with a question is said by the first label of
// the name.
type hostile struct {
	addr    netip.AddrPort
	lower   atomic.Bool  // it puts names in lower case
	mute    atomic.Bool  // it answers nothing
	udp     atomic.Int32 // questions over UDP
	tcp     atomic.Int32
	held    chan struct{} // closed when the test ends: nobody waits for an answer any more
	mu      sync.Mutex
	ids     map[uint16]int // of questions over UDP
	ports   map[string]int // that they came from
	edns    int            // questions with EDNS0
	news    chan struct{}  // one for each question, while there is room
	handler map[string]func(dns.ResponseWriter, *dns.Msg, bool)
}

// newHostile starts a server and stops it after the test.
func newHostile(t testing.TB) *hostile {
	t.Helper()
	h := &hostile{held: make(chan struct{}), news: make(chan struct{}, 8), ids: make(map[uint16]int), ports: make(map[string]int)}
	h.handler = h.manners()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = l.Addr().(*net.TCPAddr).AddrPort()
	p, err := net.ListenPacket("udp", h.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	tcp := &dns.Server{Listener: l, Handler: h}
	udp := &dns.Server{PacketConn: p, Handler: h}
	var serving sync.WaitGroup
	for _, s := range []*dns.Server{tcp, udp} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		serving.Go(func() { s.ActivateAndServe() })
		<-up
	}
	t.Cleanup(func() {
		close(h.held)
		tcp.Shutdown()
		udp.Shutdown()
		serving.Wait()
	})
	return h
}

// ServeDNS does what the first label says.
func (h *hostile) ServeDNS(w dns.ResponseWriter, asked *dns.Msg) {
	_, overTCP := w.RemoteAddr().(*net.TCPAddr)
	h.note(w, asked, overTCP)
	select {
	case h.news <- struct{}{}:
	default:
	}
	if h.mute.Load() {
		return
	}
	if h.lower.Load() {
		asked.Question[0].Name = strings.ToLower(asked.Question[0].Name)
	}
	label, _, _ := strings.Cut(strings.ToLower(asked.Question[0].Name), ".")
	if do := h.handler[label]; do != nil {
		do(w, asked, overTCP)
		return
	}
	w.WriteMsg(give(asked, right))
}

// note counts the question.
func (h *hostile) note(w dns.ResponseWriter, asked *dns.Msg, overTCP bool) {
	if overTCP {
		h.tcp.Add(1)
		return
	}
	h.udp.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ids[asked.Id]++
	h.ports[w.RemoteAddr().String()]++
	if asked.IsEdns0() != nil {
		h.edns++
	}
}

// give answers with an address.
func give(asked *dns.Msg, addr string) *dns.Msg {
	m := new(dns.Msg).SetReply(asked)
	m.RecursionAvailable = true
	m.Answer = []dns.RR{&dns.A{
		Hdr: dns.RR_Header{Name: asked.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
		A:   net.ParseIP(addr),
	}}
	return m
}

// code answers with a code.
func code(rcode int, authority ...string) func(dns.ResponseWriter, *dns.Msg, bool) {
	return func(w dns.ResponseWriter, asked *dns.Msg, _ bool) {
		m := new(dns.Msg).SetRcode(asked, rcode)
		for _, line := range authority {
			rr, _ := dns.NewRR(line)
			m.Ns = append(m.Ns, rr)
		}
		w.WriteMsg(m)
	}
}

// before sends something else first, then the right answer.
func before(spoil func(*dns.Msg)) func(dns.ResponseWriter, *dns.Msg, bool) {
	return func(w dns.ResponseWriter, asked *dns.Msg, overTCP bool) {
		if !overTCP {
			m := give(asked, wrong)
			spoil(m)
			w.WriteMsg(m)
		}
		w.WriteMsg(give(asked, right))
	}
}

// overUDP does one thing over UDP and answers over TCP.
func overUDP(do func(dns.ResponseWriter, *dns.Msg)) func(dns.ResponseWriter, *dns.Msg, bool) {
	return func(w dns.ResponseWriter, asked *dns.Msg, overTCP bool) {
		if overTCP {
			w.WriteMsg(give(asked, right))
			return
		}
		do(w, asked)
	}
}

// truncate answers that the answer is too long.
func truncate(w dns.ResponseWriter, asked *dns.Msg) {
	m := give(asked, wrong)
	m.Truncated = true
	w.WriteMsg(m)
}

// aliases answers with a chain of CNAMEs along the names, and an address of end.test.
func aliases(names ...string) func(dns.ResponseWriter, *dns.Msg, bool) {
	return func(w dns.ResponseWriter, asked *dns.Msg, _ bool) {
		m := give(asked, right)
		owner := asked.Question[0].Name
		m.Answer[0].Header().Name = "end.test."
		for _, name := range names {
			h := dns.RR_Header{Name: owner, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60}
			m.Answer = append(m.Answer, &dns.CNAME{Hdr: h, Target: name})
			owner = name
		}
		w.WriteMsg(m)
	}
}

// garbage sends bytes after the id.
func garbage(asked *dns.Msg, n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	b[0], b[1], b[2] = byte(asked.Id>>8), byte(asked.Id), 0x81
	for i := range 8 { // it says that it holds many records
		b[4+i] = 0x7f
	}
	return b
}

// manners are what the server does, by label.
func (h *hostile) manners() map[string]func(dns.ResponseWriter, *dns.Msg, bool) {
	return map[string]func(dns.ResponseWriter, *dns.Msg, bool){
		"drop":        func(dns.ResponseWriter, *dns.Msg, bool) {},
		"hold":        func(dns.ResponseWriter, *dns.Msg, bool) { <-h.held },
		"lost":        h.everySecond,
		"nx":          code(dns.RcodeNameError, soa),
		"nx-bare":     code(dns.RcodeNameError),
		"nodata":      code(dns.RcodeSuccess, soa),
		"servfail":    code(dns.RcodeServerFailure),
		"refused":     code(dns.RcodeRefused),
		"notimp":      code(dns.RcodeNotImplemented),
		"formerr":     code(dns.RcodeFormatError),
		"referral":    code(dns.RcodeSuccess, "test. 60 NS ns.test."),
		"no-edns":     overUDP(func(w dns.ResponseWriter, m *dns.Msg) { code(dns.RcodeFormatError)(w, m, false) }),
		"few-words":   fewWords,
		"truncated":   overUDP(truncate),
		"shut":        shutTCP,
		"half":        halfTCP,
		"tcp-garbage": garbageTCP,
		"id":          before(func(m *dns.Msg) { m.Id++ }),
		"name":        before(func(m *dns.Msg) { m.Question[0].Name = "other.test." }),
		"type":        before(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeMX }),
		"class":       before(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }),
		"query":       before(func(m *dns.Msg) { m.Response = false }),
		"opcode":      before(func(m *dns.Msg) { m.Opcode = dns.OpcodeStatus }),
		"case":        before(func(m *dns.Msg) { m.Question[0].Name = swapCase(m.Question[0].Name) }),
		"flood":       overUDP(flood),
		"noise":       noise,
		"garbage":     overUDP(func(w dns.ResponseWriter, m *dns.Msg) { w.Write(garbage(m, 200)) }),
		"twice":       before(func(m *dns.Msg) { m.Answer = give(m, right).Answer }),
		"somebody":    aliasOwner,
		"chain":       aliases("b.test.", "c.test.", "end.test."),
		"loop":        aliases("b.test.", "c.test.", "b.test."),
		"long":        aliases(strings.Fields(strings.Repeat("x.test. ", 20))...),
		"big":         big,
	}
}

// everySecond answers every second question only.
func (h *hostile) everySecond(w dns.ResponseWriter, asked *dns.Msg, _ bool) {
	if h.udp.Load()%2 == 0 {
		w.WriteMsg(give(asked, right))
	}
}

// fewWords refuses with a header only.
func fewWords(w dns.ResponseWriter, asked *dns.Msg, _ bool) {
	m := new(dns.Msg).SetRcode(asked, dns.RcodeRefused)
	m.Question = nil
	w.WriteMsg(m)
}

// shutTCP truncates, and closes the connection when it is asked over TCP.
func shutTCP(w dns.ResponseWriter, asked *dns.Msg, overTCP bool) {
	if overTCP {
		w.Close()
		return
	}
	truncate(w, asked)
}

// halfTCP truncates, and over TCP says half of what it announces.
func halfTCP(w dns.ResponseWriter, asked *dns.Msg, overTCP bool) {
	if !overTCP {
		truncate(w, asked)
		return
	}
	w.(interface{ Hijack() }).Hijack()
	w.Write(nil) // a length of 0
	w.Close()
}

// garbageTCP truncates, and over TCP sends garbage.
func garbageTCP(w dns.ResponseWriter, asked *dns.Msg, overTCP bool) {
	if overTCP {
		w.Write(garbage(asked, 60_000))
		return
	}
	truncate(w, asked)
}

// flood guesses ids.
func flood(w dns.ResponseWriter, asked *dns.Msg) {
	m := give(asked, wrong)
	for range 2 * maxForeign {
		m.Id++
		w.WriteMsg(m)
	}
}

// noise sends bytes that are no message before the answer.
func noise(w dns.ResponseWriter, asked *dns.Msg, _ bool) {
	for _, n := range []int{0, 1, 2, 11, 12, 500} {
		w.Write(make([]byte, n))
	}
	w.WriteMsg(give(asked, right))
}

// aliasOwner answers with an address of somebody else.
func aliasOwner(w dns.ResponseWriter, asked *dns.Msg, _ bool) {
	m := give(asked, wrong)
	m.Answer[0].Header().Name = "other.test."
	w.WriteMsg(m)
}

// big answers with more text than UDP holds.
func big(w dns.ResponseWriter, asked *dns.Msg, overTCP bool) {
	m := new(dns.Msg).SetReply(asked)
	for range 10 {
		h := dns.RR_Header{Name: asked.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}
		m.Answer = append(m.Answer, &dns.TXT{Hdr: h, Txt: []string{strings.Repeat("a", 200), strings.Repeat("b", 100)}})
	}
	if !overTCP {
		m.Truncate(int(asked.IsEdns0().UDPSize()))
	}
	w.WriteMsg(m)
}

// swapCase writes upper-case letters in lower case and the other way round.
func swapCase(s string) string {
	b := []byte(s)
	for i, c := range b {
		if letter := c | 0x20; 'a' <= letter && letter <= 'z' {
			b[i] ^= 0x20
		}
	}
	return string(b)
}
