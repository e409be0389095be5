package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"moggy/metrics"
	"moggy/proxy/handover"
	"moggy/proxy/relay"
	"moggy/proxy/tarpit"
	"moggy/verdict"
	"moggy/whitelist"
)

// A backend that begins to relay for everybody, as one may that was down when
// moggyd started, is given nobody where it cannot tell peers apart, and everybody
// again when it was put right.
func TestOpenRelayIsGivenNobody(t *testing.T) {
	var open atomic.Bool
	d := relayDoor(t, &open)
	for _, now := range []bool{true, false} {
		open.Store(now)
		d.ask(t.Context())
		if fault := d.state().fault; errors.Is(fault, handover.ErrOpenRelay) != now {
			t.Errorf("open %v: fault %v", now, fault)
		}
		conn, _, err := d.connect(&guest{door: d, peer: netip.MustParseAddrPort("192.0.2.7:4444")})
		if errors.Is(err, handover.ErrOpenRelay) != now {
			t.Errorf("open %v: connecting: %v", now, err)
		}
		if err == nil {
			conn.Close()
		}
	}
}

// relayDoor leads to a backend that relays for everybody while open says so.
func relayDoor(t *testing.T, open *atomic.Bool) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	clients.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			clients.Go(func() { relays(conn, open) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		clients.Wait()
	})
	s := New(Options{Journal: &memJournal{}, Log: slog.New(slog.DiscardHandler), Metrics: metrics.New(metrics.Options{}),
		Pit: tarpit.New(tarpit.Options{}), Settings: &Settings{Policy: verdict.Policy{Hostname: "mx.test"}},
		Doors: []DoorOptions{{Name: "smtp", Service: whitelist.Mail, Backend: relay.Backend{Address: l.Addr().String(), Form: relay.None}}}})
	return s.doors[0]
}

// relays answers one client and closes conn.
func relays(conn net.Conn, open *atomic.Bool) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(conn, "220 backend.test\r\n")
	for said := bufio.NewScanner(conn); said.Scan(); {
		code := 250
		if strings.HasPrefix(said.Text(), "RCPT") && !open.Load() {
			code = 554
		}
		fmt.Fprintf(conn, "%d so be it\r\n", code)
	}
}
