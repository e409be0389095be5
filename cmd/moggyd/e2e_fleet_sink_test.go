package main_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
)

// sinkName is in the banner of the sink: who hears it was carried.
const sinkName = "sink.moggy.test"

// A fleetSink is the mail server behind the fleet. It wants the PROXY header
// (version 2), takes all mail for peers.Domain, and remembers from whom.
type fleetSink struct {
	address string

	mu   sync.Mutex
	mail map[string]netip.Addr // by recipient
}

func startFleetSink(t testing.TB) *fleetSink {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fleetSink{address: l.Addr().String(), mail: make(map[string]netip.Addr)}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.serve(ctx, conn) })
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		serving.Wait()
	})
	return s
}

// serve speaks with one peer, until either is gone or a minute has passed.
func (s *fleetSink) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	conn.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(conn)
	peer, err := proxyV2(r)
	if err != nil {
		return
	}
	say := func(line string) { fmt.Fprint(conn, line+"\r\n") }
	say("220 " + sinkName + " ESMTP")
	to := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(line[:min(4, len(line))]); verb {
		case "EHLO":
			say("250 " + sinkName)
		case "RCPT":
			to = strings.Trim(strings.TrimSpace(line[8:]), "<>")
			if !strings.HasSuffix(to, "@"+peers.Domain) {
				say("554 5.7.1 Relay access denied")
				continue
			}
			say("250 2.1.5 Ok")
		case "DATA":
			say("354 Go on")
			if readText(r) != nil {
				return
			}
			s.note(to, peer)
			say("250 2.0.0 Ok")
		case "QUIT":
			say("221 2.0.0 Bye")
			return
		default:
			say("250 2.0.0 Ok")
		}
	}
}

func readText(r *bufio.Reader) error {
	for {
		if line, err := r.ReadString('\n'); err != nil || line == ".\r\n" {
			return err
		}
	}
}

func (s *fleetSink) note(to string, peer netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mail[to] = peer
}

// from is who sent the mail to a recipient; invalid: there was none.
func (s *fleetSink) from(to string) netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mail[to]
}

// proxyV2 reads the header of the PROXY protocol, version 2, and returns the peer
// that it names; none if it names none.
func proxyV2(r io.Reader) (netip.Addr, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return netip.Addr{}, err
	}
	if string(head[:12]) != "\r\n\r\n\x00\r\nQUIT\n" || head[12]>>4 != 2 {
		return netip.Addr{}, errors.New("no PROXY header")
	}
	rest := make([]byte, binary.BigEndian.Uint16(head[14:]))
	if _, err := io.ReadFull(r, rest); err != nil {
		return netip.Addr{}, err
	}
	if head[12]&0xf == 0 || head[13]>>4 != 1 || len(rest) < 12 { // LOCAL, or not IPv4
		return netip.Addr{}, nil
	}
	return netip.AddrFrom4([4]byte(rest[:4])), nil
}
