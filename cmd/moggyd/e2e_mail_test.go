package main_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"moggy/cmd/internal/peers"
	"moggy/verdict/journal"
)

// A way is what mail takes: from a sender through moggyd to a backend.
type way struct {
	*daemon
	from *peers.Sender
	to   *peers.Backend
	sees string // matches the backend's log when it has seen 127.9.9.9
}

// What backends log of the sender's true address.
const (
	postfixSees   = `client=unknown\[127\.9\.9\.9\]`
	openSMTPDSees = `smtp connected address=127\.9\.9\.9`
	eximSees      = `<= \S+ H=.*\[127\.9\.9\.9\]`
)

// first has Postfix send through moggyd to Postfix, which learns the address in the given form.
func first(forward string) func(*testing.T, programs) {
	return func(t *testing.T, p programs) {
		b := peers.PostfixBackend(t, peers.PostfixOptions{})
		d := p.start(t, conf{Backend: port(b, forward), Forward: forward})
		w := way{d, peers.PostfixSender(t, peers.SenderOptions{Relay: d.Mail}), b, postfixSees}
		w.firstMail()
		w.nextMail()
	}
}

// port is where a backend wants connections of that form.
func port(b *peers.Backend, forward string) string {
	switch forward {
	case "xclient":
		return b.XClient
	case "none":
		return b.Plain
	}
	return b.Proxy
}

// firstMail sends the first mail of a stranger: it is deferred, and its first valid retry delivered in the connection
// in which it comes, as it is, with the sender's address.
func (w way) firstMail() {
	w.t.Helper()
	m := peers.Awkward(from, to)
	w.from.Send(from, to, m.Raw)
	refusal := w.from.WaitLog(w.t.Context(), regexp.MustCompile(`451 4\.7\.0 Greylisted, please try again later \(ref \w{6}\)`))
	w.explained(refusal)
	w.mature()
	w.from.Retry()
	w.arrives(m, 1)
	w.inOneConnection()
	w.to.WaitLog(w.t.Context(), regexp.MustCompile(w.sees))
	w.from.WaitEmpty(w.t.Context())
}

// explained wants moggy to know of a refusal by the ref in it.
func (d *daemon) explained(refusal string) {
	d.t.Helper()
	_, ref, _ := strings.Cut(refusal, "(ref ")
	if why := d.tool("why", ref[:6]); !strings.Contains(why, "first-seen") || !strings.Contains(why, from) {
		d.t.Errorf("moggy why %s says:\n%s", ref[:6], why)
	}
}

// arrives wants the nth message of the backend, and no other, to be m.
func (w way) arrives(m peers.Message, n int) {
	w.t.Helper()
	all := w.to.WaitMessages(w.t.Context(), n)
	if err := m.Same(all[n-1]); err != nil {
		w.t.Error(err)
	}
	if len(all) > n {
		w.t.Errorf("%d messages were delivered, not %d", len(all), n)
	}
}

// inOneConnection wants a stranger to have been talked to and handed over with one ref.
func (d *daemon) inOneConnection() {
	d.t.Helper()
	end := d.outcome(journal.HandedOver)
	var got []string
	for _, r := range d.records() {
		if r.Ref == end.Ref {
			got = append(got, fmt.Sprintf("%s %s by %s", r.Event, r.Action, r.Rule))
		}
	}
	want := []string{"decided talk by stranger", "decided hand-over by returned", "ended hand-over by returned"}
	if !slices.Equal(got, want) {
		d.t.Errorf("the journal says of %s %q, not %q", end.Ref, got, want)
	}
}

// nextMail sends another mail of the sender that is known by now: it is carried at once.
func (w way) nextMail() {
	w.t.Helper()
	const from, to = "c@" + peers.SenderDomain, "d@" + peers.Domain
	m := peers.Awkward(from, to)
	w.from.Send(from, to, m.Raw)
	w.arrives(m, 2)
	if r := w.outcome(journal.Carried); r.Rule != "known" || r.Peer.Addr().String() != "127.9.9.9" {
		w.t.Errorf("carried %s by rule %s, not 127.9.9.9 because it is known", r.Peer, r.Rule)
	}
	w.from.WaitEmpty(w.t.Context())
	w.noHarm()
}

// noHarm wants no known peer to have been refused or made to wait.
func (d *daemon) noHarm() {
	d.t.Helper()
	for _, class := range []string{"own", "peer"} {
		if n := d.metric(`moggy_harm_total{class="` + class + `"}`); n != "0" {
			d.t.Errorf("%s peers of class %s came to harm", n, class)
		}
	}
}

func fromOpenSMTPD(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy})
	w := way{d, peers.OpenSMTPDSender(t, peers.SenderOptions{Relay: d.Mail}), b, postfixSees}
	w.firstMail()
	w.nextMail()
}

func fromEximToPostfix(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy})
	fromExim(way{d, peers.EximSender(t, peers.SenderOptions{Relay: d.Mail}), b, postfixSees})
}

// Exim as a backend goes by the address that calls it: moggyd has to call from that one.
func fromEximToExim(t *testing.T, p programs) {
	b := peers.EximBackend(t, peers.EximOptions{})
	d := p.start(t, conf{Backend: b.Proxy, Source: b.Source})
	fromExim(way{d, peers.EximSender(t, peers.SenderOptions{Relay: d.Mail}), b, eximSees})
}

// fromExim wants both mails to be sent by BDAT, as Exim's log tells: once through a hand-over, once carried.
func fromExim(w way) {
	w.firstMail()
	w.from.WaitLog(w.t.Context(), regexp.MustCompile(`=> b@maildir\.test .* K `))
	w.nextMail()
	w.from.WaitLog(w.t.Context(), regexp.MustCompile(`=> d@maildir\.test .* K `))
}

// OpenSMTPD offers no PIPELINING and reads version 2 of the header only.
func toOpenSMTPD(t *testing.T, p programs) {
	b := peers.OpenSMTPDBackend(t)
	d := p.start(t, conf{Backend: b.Proxy})
	w := way{d, peers.PostfixSender(t, peers.SenderOptions{Relay: d.Mail}), b, openSMTPDSees}
	w.firstMail()
	w.nextMail()
}

// known peers are carried in each form, alone and many at once.
func known(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	for _, forward := range []string{"proxy-v1", "proxy-v2", "xclient"} {
		d := p.start(t, conf{Backend: port(b, forward), Forward: forward, Own: "127.8.0.0/16"})
		w := way{daemon: d, to: b}
		w.crowd("127.0.0.1", 1, 8<<20)
		w.crowd("127.8.8.8", 50, 0)
		d.noHarm()
	}
	b.WaitLog(t.Context(), regexp.MustCompile(`client=unknown\[127\.8\.8\.8\]`))
}

// crowd sends n messages of at least so many bytes from the address at the same time, and wants each to arrive as it is.
func (w way) crowd(source string, n, size int) {
	w.t.Helper()
	have := len(w.to.Messages())
	sent, errs := make([]peers.Message, n), make([]error, n)
	var sending sync.WaitGroup
	for i := range n {
		sent[i] = peers.Awkward(from, to)
		sent[i].Raw = append(sent[i].Raw, bytes.Repeat([]byte("as long as it takes\r\n"), size/21)...)
		call := peers.Call{Addr: w.Mail, Source: netip.MustParseAddr(source)}
		sending.Go(func() { errs[i] = call.Send(w.t.Context(), from, to, sent[i].Raw) })
	}
	sending.Wait()
	all := w.to.WaitMessages(w.t.Context(), have+n)
	for i, m := range sent {
		at := slices.IndexFunc(all, m.Arrived)
		if errs[i] != nil || at < 0 {
			w.t.Fatalf("message %d of %s did not arrive: %v", i, source, errs[i])
		}
		w.whole(m, all[at], source)
	}
}

// whole wants a message to be as it was sent, and to come from the address.
func (w way) whole(m peers.Message, got []byte, source string) {
	w.t.Helper()
	if err := m.Same(got); err != nil {
		w.t.Error(err)
	}
	if received := regexp.MustCompile(`Received: from \S+ \(.*\[(.*)\]\)`).FindSubmatch(got); received == nil || string(received[1]) != source {
		w.t.Errorf("the backend took it from %q, not %s", received, source)
	}
}
