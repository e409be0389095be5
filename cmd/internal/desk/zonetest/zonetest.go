// Package zonetest is a name server for tests: it answers over UDP what a few
// lines of text say.
//
// It knows single records, and names that it fails at. It does not know zones,
// TCP or anything of lists.
package zonetest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// A Server answers questions until it is closed.
type Server struct {
	conn *net.UDPConn
	wait sync.WaitGroup

	mu      sync.Mutex
	records map[string][]record // by name, in lower case, without the dot at its end
}

// A record is what is to be said of a name: a type and a value, or "fail" and
// nothing.
type record struct{ kind, value string }

// Start starts a Server on a free port of 127.0.0.1 that answers by text, see
// [Server.Set].
func Start(text string) (*Server, error) {
	s := &Server{}
	if err := s.Set(text); err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		return nil, err
	}
	s.conn = conn
	s.wait.Go(s.serve)
	return s, nil
}

// Addr is where the Server can be asked.
func (s *Server) Addr() netip.AddrPort { return s.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Close ends the Server.
func (s *Server) Close() error {
	err := s.conn.Close()
	s.wait.Wait()
	return err
}

// Set replaces what the Server answers. Each line is a name, one of A, TXT, MX,
// PTR or fail (SERVFAIL), and a value; the name "*.example.org" stands for all
// names below example.org that have no line of their own. Whatever has no line
// does not exist.
func (s *Server) Set(text string) error {
	records := make(map[string][]record)
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if len(words) < 2 {
			return fmt.Errorf("zonetest: %q: give a name, a type and a value", line)
		}
		name := strings.ToLower(words[0])
		records[name] = append(records[name], record{words[1], strings.Join(words[2:], " ")})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = records
	return nil
}

func (s *Server) serve() {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if reply := s.answer(buf[:n]); err == nil && reply != nil {
			s.conn.WriteToUDPAddrPort(reply, from)
		}
	}
}

// answer is the reply to a question; nil: none.
func (s *Server) answer(wire []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(wire)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	msg := dnsmessage.Message{Questions: []dnsmessage.Question{q},
		Header: dnsmessage.Header{ID: h.ID, Response: true, RecursionDesired: true, RecursionAvailable: true}}
	known := s.find(q.Name.String())
	if len(known) == 0 {
		msg.RCode = dnsmessage.RCodeNameError
	}
	for _, r := range known {
		if r.kind == "fail" {
			msg.RCode = dnsmessage.RCodeServerFailure
		} else if body := r.body(q.Type); body != nil {
			msg.Answers = append(msg.Answers, dnsmessage.Resource{Body: body,
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}})
		}
	}
	reply, err := msg.Pack()
	if err != nil {
		return nil
	}
	return reply
}

// find returns the records of a name, or of the nearest wildcard above it.
func (s *Server) find(name string) []record {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.records[name]; known != nil {
		return known
	}
	for {
		_, above, ok := strings.Cut(name, ".")
		if !ok {
			return nil
		}
		if known := s.records["*."+above]; known != nil {
			return known
		}
		name = above
	}
}

// body is the record as it stands in an answer; nil where another type was asked
// for.
func (r record) body(asked dnsmessage.Type) dnsmessage.ResourceBody {
	switch {
	case r.kind == "A" && asked == dnsmessage.TypeA:
		return &dnsmessage.AResource{A: netip.MustParseAddr(r.value).As4()}
	case r.kind == "TXT" && asked == dnsmessage.TypeTXT:
		return &dnsmessage.TXTResource{TXT: []string{r.value}}
	case r.kind == "MX" && asked == dnsmessage.TypeMX:
		return &dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName(r.value + ".")}
	case r.kind == "PTR" && asked == dnsmessage.TypePTR:
		return &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(r.value + ".")}
	}
	return nil
}
