package proxy

import (
	"bufio"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"moggy/proxy/dialogue"
	"moggy/proxy/relay"
	"moggy/whitelist"
)

// How long a balancer may take for its header (proxy-protocol.txt §2 asks
// for at least 3 s), and for all of a health check.
const (
	headerPatience = 5 * time.Second
	checkPatience  = 10 * time.Second
)

// ends are the addresses of a connection's two ends: those that the balancer in front
// announces, where there is one. Not ok: the connection was no client's, and has been
// dealt with. Behind a balancer everything else is refused: a header that anybody may
// send is an address that anybody may choose.
func (d *door) ends(conn net.Conn) (peer, local netip.AddrPort, ok bool) {
	peer, local = addrPort(conn.RemoteAddr()), addrPort(conn.LocalAddr())
	if len(d.TrustProxy) == 0 {
		return peer, local, true
	}
	a, err := d.announced(conn, whitelist.CanonicalAddr(peer.Addr()))
	switch {
	case err != nil:
		conn.Close()
		d.metrics.HeaderRefused(d.Name)
		d.log.Debug("a connection without a PROXY header to believe was closed", "listener", d.Name, "src", peer, "error", err)
		return peer, local, false
	case a.Own:
		d.check(conn)
		return peer, local, false
	}
	return a.Peer, a.Local, true
}

// announced is what a balancer that is believed says of a connection.
func (d *door) announced(conn net.Conn, from netip.Addr) (relay.Announced, error) {
	if !slices.ContainsFunc(d.TrustProxy, func(p netip.Prefix) bool { return p.Contains(from) }) {
		return relay.Announced{}, errors.New("it does not come from trust_proxy")
	}
	return relay.ReadHeader(conn, headerPatience)
}

// check answers a health check: it is nobody's, has no class and is in no journal. A
// balancer that speaks SMTP learns whether there is a backend.
func (d *door) check(conn net.Conn) {
	defer conn.Close()
	if d.Service != whitelist.Mail {
		return
	}
	conn.SetDeadline(time.Now().Add(checkPatience))
	o := dialogue.Options{Hostname: d.settings.Load().Policy.Hostname, Errors: 3}
	hello := o.Greeting()
	if d.state().fault != nil {
		hello = dialogue.Reply{Code: 421, Enhanced: "4.3.2", Text: "The mail system is not available, come back later"}
	}
	if _, err := conn.Write(hello.Append(nil)); err != nil || hello.Code != 220 {
		return
	}
	answerCheck(conn, dialogue.New(&o))
}

// answerCheck holds the dialogue of a health check, in which no mail is taken.
func answerCheck(conn net.Conn, m *dialogue.Machine) {
	in := bufio.NewReaderSize(conn, dialogue.MaxLine)
	for {
		text, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		var lines dialogue.Lines
		_, line, ok := lines.Cut(text)
		if !ok {
			return
		}
		t := m.Line(line)
		if t.Ask != dialogue.Nothing {
			t = dialogue.Turn{Reply: dialogue.Reply{Code: 421, Enhanced: "4.7.0", Text: "This is a health check, goodbye"}, End: true}
		}
		if _, err := conn.Write(t.Reply.Append(nil)); err != nil || t.End {
			return
		}
	}
}
