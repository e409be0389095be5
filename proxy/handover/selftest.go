package handover

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"moggy/proxy/relay"
)

// ErrOpenRelay is what SelfTest found: the backend would relay mail of a stranger.
var ErrOpenRelay = errors.New("open relay")

// testRecipient is a mailbox of a domain that is nobody's and yet exists (RFC 2606 §3).
// The sender is the null sender: a backend that looks whether the domains of addresses
// exist is not to look closed for that alone.
const testRecipient = "<moggy-relay-test@example.com>"

// SelfTest asks the backend, in the name of a stranger, whether it would take mail for
// a domain that is not its own. The stranger is 192.0.2.1, which nobody is (RFC 5737);
// with the form None the backend sees us instead, which is just what is to be found out.
// No message is sent.
//
// It returns nil if the backend refuses at MAIL or RCPT. An error that wraps ErrOpenRelay
// says that it does not, and what to change; any other, that the question could not be
// put.
func SelfTest(ctx context.Context, b relay.Backend, o Options) error {
	stranger := netip.MustParseAddrPort("192.0.2.1:25252")
	ours := netip.MustParseAddrPort("192.0.2.2:25")
	s, err := dial(ctx, b, o, stranger, ours)
	if err != nil {
		return fmt.Errorf("relay self-test: %w", err)
	}
	defer s.abandon()
	open, err := s.relays(b.Form, stranger)
	if err != nil {
		return fmt.Errorf("relay self-test of backend %s: %w", b.Address, err)
	}
	if open {
		return fmt.Errorf("%w: backend %s would relay mail of a stranger (%s) to a foreign domain: %s",
			ErrOpenRelay, b.Address, stranger.Addr(), remedy(b.Form))
	}
	return nil
}

// relays puts the question, and takes leave if it got an answer.
func (s *session) relays(form relay.Form, stranger netip.AddrPort) (bool, error) {
	if err := s.greet(form, stranger); err != nil {
		return false, err
	}
	if _, err := s.hello(form, "EHLO "+s.o.Hostname); err != nil {
		return false, err
	}
	for _, command := range []string{"MAIL FROM:<>", "RCPT TO:" + testRecipient} {
		reply, err := s.ask(command)
		if err != nil {
			return false, err
		}
		if !reply.ok() {
			s.leave()
			return false, nil
		}
	}
	s.leave()
	return true, nil
}

// leave forgets the transaction and ends the session; the answer is known already.
func (s *session) leave() {
	if _, err := s.ask("RSET"); err == nil {
		s.quit()
	}
}

// remedy says what an open relay means with a form, and what to change.
func remedy(form relay.Form) string {
	if form == relay.None {
		return `it takes every mail for moggy's own, whose address it trusts;` +
			` set forward = "proxy-v2" in moggy.toml and make the backend read it` +
			` (Postfix: smtpd_upstream_proxy_protocol = haproxy),` +
			` or take moggy's address out of the networks it trusts (Postfix: mynetworks)`
	}
	if form == relay.XClient {
		return `it does not act on the address it is told by XCLIENT, or trusts every network;` +
			` look at its trusted networks (Postfix: mynetworks, smtpd_relay_restrictions)`
	}
	return fmt.Sprintf(`it does not act on the address it is told by forward = %q, or trusts every network;`+
		` make it read the header (Postfix: smtpd_upstream_proxy_protocol = haproxy)`+
		` and look at its trusted networks (Postfix: mynetworks, smtpd_relay_restrictions)`, form)
}
