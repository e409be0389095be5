package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"moggy/dnsbl"
	"moggy/greylist/origin"
	"moggy/whitelist"
)

// A scenario is traffic to be played in virtual time (format moggy-scenarios/1):
// messages that are tried until they are taken, faults, and what is expected.
type scenario struct {
	ID, Title string
	World     world
	Messages  []message
	Faults    []struct {
		T    float64
		Kind string
	}
	Expect []struct {
		Client, Metric, Op string
		Value              any
	}
}

// A world is what is true outside the proxy.
type world struct {
	PTR_  map[string]string `json:"ptr"`
	Addr  map[string][]string
	SPF   map[string][]string
	Known []struct{ Addr string }
	DNSBL []string
	Traps []string

	listsAll atomic.Bool
}

type message struct {
	ID, Client, Helo, From string
	To                     []string
	Attempts               []struct {
		T   float64
		Src string
	}
}

// TestScenarios plays testdata/scenarios.json, or the file that MOGGY_SCENARIOS
// names, and prints a table of what was expected and seen.
func TestScenarios(t *testing.T) {
	file := "testdata/scenarios.json"
	if other := os.Getenv("MOGGY_SCENARIOS"); other != "" {
		file = other
	}
	var all struct{ Scenarios []*scenario }
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, sc := range all.Scenarios {
		t.Run(sc.ID, func(t *testing.T) {
			if len(sc.Messages) == 0 {
				t.Skip("connections to stream listeners are not available yet")
			}
			inWorld(t, nil, 2000, sc.learn, func(l *lab) { sc.play(l) })
		})
	}
}

// learn tells the judge of the world: its DNS, its list, and who is known in it.
func (sc *scenario) learn(l *lab, j *Judge) {
	j.Finder = must(origin.New(origin.Options{Resolver: &sc.World}))
	j.Lists = dnsbl.New(dnsbl.Options{Resolver: &sc.World, Threshold: 3, Events: listAlarms{l},
		Lists: []dnsbl.List{{Zone: "bl.test", Weight: 3}}})
	for _, a := range sc.World.Traps {
		l.traps.Configure([]string{a}, time.Now())
	}
	for _, k := range sc.World.Known {
		now := time.Now()
		l.book.Learn(whitelist.Entry{Net: whitelist.Net(netip.MustParseAddr(k.Addr)), Class: whitelist.Peer,
			Source: whitelist.Passed, Added: now.Add(-30 * 24 * time.Hour), Expires: now.Add(36 * 24 * time.Hour)}, now)
	}
}

// listAlarms keeps what the DNS lists raise.
type listAlarms struct{ l *lab }

func (a listAlarms) Answered(string, dnsbl.Answer, time.Duration) {}
func (a listAlarms) Changed(c dnsbl.Change) {
	if c.Alarm() {
		a.l.alarm("dnsbl-" + string(c.To))
	}
}

func (l *lab) alarm(name string) {
	l.journal.mu.Lock()
	defer l.journal.mu.Unlock()
	l.alarms = append(l.alarms, name)
}

// play plays messages and faults, each when it is due, and checks what is expected.
func (sc *scenario) play(l *lab) {
	began := time.Now()
	at := func(t float64) { time.Sleep(time.Until(began.Add(time.Duration(t * float64(time.Second))))) } // virtual
	delays := make([]float64, len(sc.Messages))
	var all sync.WaitGroup
	for i, m := range sc.Messages {
		all.Go(func() { delays[i] = m.send(l, at) })
	}
	for _, f := range sc.Faults {
		all.Go(func() {
			at(f.T)
			sc.World.listsAll.Store(f.Kind == "dnsbl_lists_everything")
		})
	}
	all.Wait()
	sc.check(l, delays)
}

// send tries a message until it is taken, and returns its delay in seconds; +Inf if
// it never was.
func (m *message) send(l *lab, at func(float64)) float64 {
	for _, a := range m.Attempts {
		at(a.T)
		if m.attempt(l, a.Src) {
			return a.T - m.Attempts[0].T
		}
	}
	return math.Inf(1)
}

// attempt is one session of the message's sender; true if the message was taken.
func (m *message) attempt(l *lab, src string) bool {
	c := l.call(src)
	defer c.Close()
	lines := []string{"", "EHLO " + m.Helo, "MAIL FROM:<" + m.From + ">", "RCPT TO:<" + m.To[0] + ">", "DATA", "Subject: x\n\nx\n."}
	for i, line := range lines {
		if line != "" {
			line += "\n"
		}
		if got := c.ask(line); len(got) < 3 || (got[0] != '2' && got[0] != '3') {
			if i < len(lines) && strings.HasPrefix(got, "4") {
				c.ask("QUIT\n")
			}
			return false
		}
	}
	c.ask("QUIT\n")
	return true
}

func (sc *scenario) check(l *lab, delays []float64) {
	for _, e := range sc.Expect {
		seen := sc.metric(l, e.Client, e.Metric, delays)
		l.t.Logf("%-24s %-10s %-20s want %s %v, seen %v", sc.ID, e.Client, e.Metric, e.Op, e.Value, seen)
		if !holds(seen, e.Op, e.Value) {
			l.t.Errorf("%s of %s is %v, want %s %v", e.Metric, e.Client, seen, e.Op, e.Value)
		}
	}
}

func (sc *scenario) metric(l *lab, client, metric string, delays []float64) any {
	total, delivered, longest, backend := 0, 0, 0.0, 0
	for i, m := range sc.Messages {
		if m.Client != client {
			continue
		}
		total++
		longest = max(longest, delays[i])
		if !math.IsInf(delays[i], 1) {
			delivered++
		}
		for _, a := range m.Attempts {
			backend += len(l.backend.told(a.Src))
		}
	}
	switch metric {
	case "delivered":
		return float64(delivered)
	case "delivered_ratio":
		return float64(delivered) / float64(max(total, 1))
	case "mail_delay_max":
		return longest
	case "backend_connections":
		return float64(backend)
	case "alert":
		l.journal.mu.Lock()
		defer l.journal.mu.Unlock()
		return slices.Clone(l.alarms)
	}
	return fmt.Sprintf("metric %q is not available yet", metric)
}

func holds(seen any, op string, want any) bool {
	if names, ok := seen.([]string); ok {
		name, _ := want.(string)
		return op == "has" && slices.Contains(names, name)
	}
	x, ok1 := seen.(float64)
	y, ok2 := want.(float64)
	return ok1 && ok2 && ((op == "==" && x == y) || (op == "<=" && x <= y))
}

// The world's DNS: the interfaces of dnsbl and origin.

func (w *world) A(_ context.Context, name string) ([]netip.Addr, error) {
	reversed, ok := strings.CutSuffix(name, ".bl.test")
	if !ok {
		return nil, nil
	}
	parts := strings.Split(reversed, ".")
	slices.Reverse(parts)
	addr := strings.Join(parts, ".")
	if w.listsAll.Load() || addr == "127.0.0.2" || slices.Contains(w.DNSBL, addr) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
	}
	return nil, nil
}

func (w *world) TXT(_ context.Context, name string) ([]string, error) {
	nets, ok := w.SPF[name]
	if !ok {
		return nil, nil
	}
	return []string{"v=spf1 ip4:" + strings.Join(nets, " ip4:") + " -all"}, nil
}

func (w *world) MX(context.Context, string) ([]string, error) { return nil, nil }

func (w *world) IP(_ context.Context, name string) (addrs []netip.Addr, _ error) {
	for _, a := range w.Addr[name] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return addrs, nil
}

func (w *world) PTR(_ context.Context, addr netip.Addr) ([]string, error) {
	if name, ok := w.PTR_[addr.String()]; ok {
		return []string{name}, nil
	}
	return nil, nil
}
