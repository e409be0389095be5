package proxy

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"moggy/metrics"
	"moggy/proxy/relay"
	"moggy/proxy/tarpit"
	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
)

// Slow backends are waited for together: here each of two greets its first
// client when the other has one as well.
func TestCheckAsksAllBackendsAtOnce(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	j, err := journal.Open(journal.Options{Dir: t.TempDir(), Size: 8 << 20, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var met sync.WaitGroup
	met.Add(2)
	s := New(Options{Journal: j, Log: log, Metrics: metrics.New(metrics.Options{}), Pit: tarpit.New(tarpit.Options{}),
		Settings: &Settings{Policy: verdict.Policy{Hostname: "mx.test"}},
		Doors:    []DoorOptions{slowDoor(t, "one", &met), slowDoor(t, "two", &met)}})
	if err := s.Check(t.Context()); err != nil || len(s.Ready()) > 0 {
		t.Errorf("%v, %v", err, s.Ready())
	}
}

// slowDoor leads to a backend that greets nobody until all that meet have a
// client, and then says 250 to everything but RCPT.
func slowDoor(t *testing.T, name string, meet *sync.WaitGroup) DoorOptions {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	clients.Go(func() {
		for first := true; ; first = false {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if first {
				meet.Done()
			}
			clients.Go(func() {
				meet.Wait()
				answer(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		clients.Wait()
	})
	return DoorOptions{Name: name, Service: whitelist.Mail, Backend: relay.Backend{Address: l.Addr().String(), Form: relay.None}}
}

// answer answers one client, and closes conn.
func answer(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(conn, "220 backend.test\r\n")
	for said := bufio.NewScanner(conn); said.Scan(); {
		if strings.HasPrefix(said.Text(), "RCPT") {
			io.WriteString(conn, "550 no relaying\r\n")
		} else {
			io.WriteString(conn, "250 ok\r\n")
		}
	}
}
