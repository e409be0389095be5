package proxy

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"moggy/greylist"
	"moggy/metrics"
	"moggy/proxy/relay"
	"moggy/proxy/tarpit"
	"moggy/store/bolt"
	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// A lab is the real proxy in virtual time: real store, real budgets, connections
// in memory, backends of a few lines.
type lab struct {
	t       *testing.T
	dir     string
	set     labSet
	store   *bolt.Store
	book    *whitelist.Book
	traps   *greylist.Traps
	judge   *Judge
	server  *Server
	listens atomic.Pointer[map[uint16]*memListener] // by port
	backend *memBackend                             // behind port 25
	streams *memStreams                             // behind all others
	journal memJournal
	stop    context.CancelFunc
	served  chan struct{}
	beside  sync.WaitGroup // what runs beside the server
}

// A labSet is what a lab is set up with.
type labSet struct {
	settings func(*Settings) // changes the defaults; nil: does not
	slots    int             // of the pit
	visitors int             // 0: 100
	line     int             // 0: 100
	grace    time.Duration   // 0: 30 s
	ports    []uint16        // that are listened at; none: 25
	local    []whitelist.Entry
	learn    func(*lab, *Judge)                 // tells the judge of the world outside; nil: nothing
	beside   func(*lab) []func(context.Context) // what else the daemon runs, until the context ends; nil: nothing
	healthy  func() error                       // of the store; nil: it is
	recorder func(Recorder) Recorder            // around the journal; nil: nothing
}

// labTimers are moggy.toml's defaults.
var labTimers = greylist.Timers{Pass: 4 * time.Minute, PassUnnamed: 25 * time.Minute, Window: 48 * time.Hour, Remember: 36 * 24 * time.Hour}

// inLab runs f in a lab with default settings, which change may alter.
func inLab(t *testing.T, change func(*Settings), slots int, f func(l *lab)) {
	inHouse(t, labSet{settings: change, slots: slots}, f)
}

// inWorld is inLab with a judge that learn has told of the world outside.
func inWorld(t *testing.T, change func(*Settings), slots int, learn func(*lab, *Judge), f func(l *lab)) {
	inHouse(t, labSet{settings: change, slots: slots, learn: learn}, f)
}

// inHouse runs f in a lab. Afterwards nothing may be left open.
func inHouse(t *testing.T, set labSet, f func(l *lab)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{t: t, dir: dir, set: set, backend: &memBackend{}, streams: &memStreams{}}
		l.start()
		defer l.end()
		f(l)
	})
}

// start opens the store and serves: what is in its file is known again.
func (l *lab) start() {
	l.server = nil
	l.store = must(bolt.Open(bolt.Options{Path: filepath.Join(l.dir, "moggy.db")}))
	l.book = must(whitelist.Open(l.t.Context(), whitelist.Options{Store: l.store, Local: l.set.local, Now: time.Now(),
		Changed: func(changed netip.Prefix) {
			if l.server != nil {
				l.server.Changed(changed)
			}
		}}))
	l.traps = must(greylist.OpenTraps(l.t.Context(), l.store, []string{"trap@example.net"}, time.Now()))
	l.judge = NewJudge(l.book, l.store, l.traps, labTimers)
	if l.set.learn != nil {
		l.set.learn(l, l.judge)
	}
	l.server = New(l.options())
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	if err := l.server.Check(ctx); err != nil {
		l.t.Fatal(err)
	}
	served := make(chan struct{})
	l.served = served
	go func(s *Server) { s.Serve(ctx); close(served) }(l.server)
	if lists := l.judge.Lists; lists != nil {
		l.beside.Go(func() { lists.Watch(ctx) })
	}
	if l.set.beside == nil {
		return
	}
	for _, run := range l.set.beside(l) {
		l.beside.Go(func() { run(ctx) })
	}
}

// end ends the server as SIGTERM does, and sees that nothing is left.
func (l *lab) end() {
	l.stop()
	<-l.served
	l.beside.Wait()
	if l.judge.Lists != nil {
		l.judge.Lists.Close()
	}
	for _, left := range l.leftOpen() {
		l.t.Errorf("in the end %s", left)
	}
	l.book.Flush(time.Now())
	if err := l.store.Close(); err != nil {
		l.t.Error(err)
	}
}

func (l *lab) options() Options {
	set := &Settings{Policy: verdict.Policy{Hostname: "mx.test", GreyCode: 451, TrapTTL: 24 * time.Hour},
		Stutter: stutter, Recipients: 100, Errors: 10}
	if l.set.settings != nil {
		l.set.settings(set)
	}
	o := Options{Judge: l.judge, Journal: &l.journal, Settings: set, Grace: cmp.Or(l.set.grace, 30*time.Second), Healthy: l.set.healthy,
		Visitors: cmp.Or(l.set.visitors, 100), Line: cmp.Or(l.set.line, 100), Log: slog.New(slog.DiscardHandler),
		Pit: tarpit.New(tarpit.Options{Slots: l.set.slots, Gap: time.Second, Timeout: time.Minute})}
	ports, names := l.set.ports, []string(nil)
	if len(ports) == 0 {
		ports = []uint16{25}
	}
	if l.set.recorder != nil {
		o.Journal = l.set.recorder(o.Journal)
	}
	listens := make(map[uint16]*memListener)
	for _, port := range ports {
		listens[port] = newMemListener(port)
		o.Doors = append(o.Doors, l.doorAt(port, listens[port]))
		names = append(names, doorName(port))
	}
	l.listens.Store(&listens)
	o.Metrics = metrics.New(metrics.Options{Listeners: names})
	return o
}

// doorAt is the door of a port: the kind of it is that by convention.
func (l *lab) doorAt(port uint16, listen net.Listener) DoorOptions {
	d := DoorOptions{Name: doorName(port), Service: whitelist.Client, Tongue: TongueOf(port), Listen: listen,
		Backend: relay.Backend{Address: doorName(port), Form: relay.ProxyV2, Dialer: l.streams.dial}}
	switch port {
	case 25:
		d.Service, d.Idle, d.Backend.Dialer = whitelist.Mail, 10*time.Minute, l.backend.dial
	case 80, 443:
		d.Service = whitelist.Web
	}
	return d
}

func doorName(port uint16) string {
	if port == 25 {
		return "smtp"
	}
	return fmt.Sprintf("port%d", port)
}

// leftOpen says what is still taken.
func (l *lab) leftOpen() (left []string) {
	for _, row := range l.top() {
		if row.Usage.Open != 0 {
			left = append(left, fmt.Sprintf("%d of %s %s%s count as open", row.Usage.Open, row.Key.Class, row.Key.Net, row.Key.Origin))
		}
	}
	s := l.server
	counts := map[string]int{"slots": s.pit.Taken(), "visitors": int(s.visitors.taken.Load()),
		"places in line": int(s.line.taken.Load()), "guests": len(s.Guests()), "hand-overs": len(s.opening)}
	for what, n := range counts {
		if n != 0 {
			left = append(left, fmt.Sprintf("%d %s are taken", n, what))
		}
	}
	return left
}

// top are the budgets that are in use.
func (l *lab) top() []budget.Row {
	return l.judge.Meter.(*budget.Local).Top(budget.MaxKeys, time.Now())
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A memJournal keeps all records.
type memJournal struct {
	mu  sync.Mutex
	all []journal.Record
}

func (j *memJournal) Append(r journal.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all = append(j.all, r)
}

// where returns the records that f picks, oldest first.
func (j *memJournal) where(f func(*journal.Record) bool) (found []journal.Record) {
	synctest.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.all {
		if f(&j.all[i]) {
			found = append(found, j.all[i])
		}
	}
	return found
}

// records are what the journal holds of an address, oldest first.
func (l *lab) records(addr string) []journal.Record {
	from := netip.MustParseAddr(addr)
	return l.journal.where(func(r *journal.Record) bool { return r.Peer.Addr() == from })
}

// notes are what was noted, oldest first.
func (l *lab) notes() []journal.Record {
	return l.journal.where(func(r *journal.Record) bool { return r.Event == journal.EventNoted })
}

// rules are the rules that decided about an address, oldest first.
func (l *lab) rules(addr string) string {
	var rules []string
	for _, r := range l.records(addr) {
		if r.Event == journal.EventDecided {
			rules = append(rules, r.Rule)
		}
	}
	return strings.Join(rules, " ")
}
