package proxy

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"
)

// An event is something that happens at a time, in seconds from the start.
type event struct {
	t  float64
	do func()
}

// patience is how long a client waits for the first byte of a banner.
const patience = 2 * time.Minute

// quiet is how long the lab runs on when nothing happens any more: every watch
// has looked once more by then.
const quiet = 10 * time.Minute

// A play is a scenario on its way.
type play struct {
	*stage
	running sync.WaitGroup

	mu      sync.Mutex
	ports   map[netip.Addr]uint16     // the last port that an address came from
	owners  map[netip.AddrPort]string // the client behind a connection
	tallies map[string]*tally         // by client
}

// A tally is what came of a client's connections and messages.
type tally struct {
	refused   int
	delay     float64   // longest, before the backend's banner
	messages  int       //
	delivered []float64 // the delay of each message that was taken
	rcpts     int       // that got an answer
	logins    int       // that reached the backend
	harsh     []string  // 5yz at a banner, RCPT or DATA that was not the backend's
}

func newPlay(s *stage) *play {
	p := &play{stage: s, ports: make(map[netip.Addr]uint16), owners: make(map[netip.AddrPort]string), tallies: make(map[string]*tally)}
	for _, m := range s.sc.Messages {
		p.of(m.Client).messages++
	}
	return p
}

// of is the tally of a client. Callers hold mu, or are alone.
func (p *play) of(client string) *tally {
	if p.tallies[client] == nil {
		p.tallies[client] = &tally{}
	}
	return p.tallies[client]
}

// count changes the tally of a client.
func (p *play) count(client string, f func(*tally)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.of(client))
}

// run plays all that happens, each thing when it is due. Of what happens at one
// moment faults come first, then what the world reports, and one thing is dealt
// with before the next.
func (p *play) run() {
	for _, e := range p.events() {
		if due := p.began.Add(seconds(e.t)); e.t > 0 {
			time.Sleep(time.Until(due)) // virtual
		}
		e.do()
		synctest.Wait()
	}
	p.running.Wait()
	time.Sleep(quiet) // virtual
	synctest.Wait()
}

func (p *play) events() (all []event) {
	for _, f := range p.sc.Faults {
		// A message that is tried again at the same moment comes after it.
		all = append(all, event{f.T - 1e-6, func() { faults[f.Kind](p.stage, &f) }})
	}
	all = append(all, p.reports()...)
	for _, c := range p.sc.Connections {
		all = append(all, event{c.T, func() { p.running.Go(func() { p.connect(&c) }) }})
	}
	for _, m := range p.sc.Messages {
		if len(m.Attempts) > 0 {
			all = append(all, event{m.Attempts[0].T, func() { p.running.Go(func() { p.send(&m) }) }})
		}
	}
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.t, b.t) })
	return all
}

// dial connects a client, each time from another port of its own.
func (p *play) dial(client string, src netip.Addr, port uint16) (net.Conn, bool) {
	src = src.Unmap()
	p.mu.Lock()
	p.ports[src] = max(1024, p.ports[src]+1)
	from := netip.AddrPortFrom(src, p.ports[src])
	p.owners[from] = client
	p.mu.Unlock()
	return p.lab.connect(port, from)
}

// connect is one connection of the open loop.
func (p *play) connect(c *connection) {
	if c.Port == sshPort {
		p.count(c.Client, func(*tally) {}) // sshd answers, and nobody is in between
		return
	}
	conn, ok := p.dial(c.Client, c.Src, c.Port)
	if !ok {
		p.count(c.Client, func(t *tally) { t.refused++ })
		return
	}
	defer conn.Close()
	came := time.Now()
	r := bufio.NewReader(conn)
	conn.SetReadDeadline(came.Add(patience))
	_, err := r.Peek(1)
	waited := time.Since(came)
	if conn.SetReadDeadline(time.Now().Add(patience)); err == nil {
		err = p.greeted(c, r, waited)
	}
	if err != nil {
		p.count(c.Client, func(t *tally) { t.refused++ })
		return
	}
	conn.SetReadDeadline(came.Add(waited + c.hold()))
	io.Copy(io.Discard, r)
}

// hold is how long a client stays.
func (c *connection) hold() time.Duration {
	if c.Hold == nil {
		return 2 * time.Second
	}
	return seconds(*c.Hold)
}

var errRefused = errors.New("refused")

// greeted reads a banner. Where it is the backend's, the client logs in.
func (p *play) greeted(c *connection, r *bufio.Reader, waited time.Duration) error {
	banner, err := r.ReadString('\n')
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(banner, "421") || strings.HasPrefix(banner, "* BYE") || strings.HasPrefix(banner, "-ERR"):
		return errRefused
	}
	p.count(c.Client, func(t *tally) {
		if banner == backendBanner || banner == streamBanner {
			t.delay = max(t.delay, waited.Seconds())
			if c.Login != nil {
				t.logins++
			}
		} else if banner[0] == '5' {
			t.harsh = append(t.harsh, banner)
		}
	})
	if c.Login != nil && banner == streamBanner {
		p.report(time.Since(p.began).Seconds(), c.Src, serviceAt(c.Port), c.Login)
	}
	return nil
}

// serviceAt is what Dovecot calls what is served at a port.
func serviceAt(port uint16) string {
	switch port {
	case 25, 465, 587:
		return "submission"
	case 110, 995:
		return "pop3"
	}
	return "imap"
}

// send tries a message until it is taken by all its recipients, or by none for good.
func (p *play) send(m *message) {
	d := &delivery{message: m, open: slices.Clone(m.To)}
	for _, a := range m.Attempts {
		time.Sleep(time.Until(p.began.Add(seconds(a.T)))) // virtual; at once if the last attempt took longer
		began := time.Now()
		o := p.attempt(d, a.Src)
		p.count(m.Client, func(t *tally) {
			t.rcpts += o.rcpts
			t.harsh = append(t.harsh, o.harsh...)
			t.delay = max(t.delay, o.waited.Seconds())
			if o.refused {
				t.refused++
			}
			if len(d.open) == 0 && d.failed == 0 {
				delay := began.Add(o.waited).Sub(p.began.Add(seconds(m.Attempts[0].T)))
				t.delivered = append(t.delivered, math.Round(delay.Seconds()*1000)/1000)
			}
		})
		if len(d.open) == 0 {
			return
		}
	}
}

// backendSessions are the times of the sessions that the backends had with a client.
func (p *play) backendSessions(client string) (times []time.Time) {
	for _, s := range slices.Concat(p.backend.sessions, p.streams.sessions) {
		if owner := p.owners[s.from]; client == "*" || owner == client {
			times = append(times, s.began)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}
