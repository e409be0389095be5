package handover

import (
	"errors"
	"fmt"

	"moggy/proxy/relay"
)

// ErrMisread is wrapped by the error about a backend that took the PROXY header for
// commands. What it says from then on answers something else than was said, and may be a
// permanent refusal that nobody meant: no peer is to be given to it.
var ErrMisread = errors.New("it does not read the PROXY header")

// hello says the first EHLO or HELO of a session.
func (s *session) hello(form relay.Form, command string) (Reply, error) {
	reply, err := s.expect(EHLO, command)
	refused, ok := errors.AsType[*Refused](err)
	if ok && (form == relay.ProxyV1 || form == relay.ProxyV2) && refused.misread() {
		err = fmt.Errorf("%w of forward = %q, and answers it as a command: %s; make it read the header"+
			" (Postfix: smtpd_upstream_proxy_protocol = haproxy, OpenSMTPD: proxy-v2, Exim: hosts_proxy),"+
			" or name the port where it does as backend", ErrMisread, form, refused.Reply)
	}
	return reply, err
}

// misread reports whether a refused EHLO is none: who knows no EHLO, or finds it out of
// order, heard something else. A backend that does not like the name says 501 or 550.
func (r *Refused) misread() bool {
	return r.Reply.Code == 500 || r.Reply.Code == 502 || r.Reply.Code == 503
}

// ungreeted is what to look at when a backend does not greet us.
func ungreeted(form relay.Form) string {
	switch form {
	case relay.ProxyV1:
		return `if it reads version 2 of the PROXY header only, as OpenSMTPD does, set forward = "proxy-v2"`
	case relay.ProxyV2:
		return `if it expects no PROXY header from this address, name the port where it does as backend`
	}
	return `if it waits for a PROXY header, set forward = "proxy-v2"`
}
