package proxy

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"moggy/dnsbl"
	"moggy/greylist"
	"moggy/greylist/origin"
	"moggy/metrics"
	"moggy/verdict/journal"
	"moggy/whitelist"
	"moggy/whitelist/foreign"
	"moggy/whitelist/hints"
)

// A stage is the lab that a scenario is played in, with all that the daemon runs
// beside the proxy.
type stage struct {
	*lab
	sc       *scenario
	began    time.Time
	hints    atomic.Pointer[hints.Hints]
	firewall firewall
	down     atomic.Bool // the store's disk, see healthy
}

// The lab's room: a pit as small as the reference simulator's, the rest as on a
// machine with 32,768 descriptors.
const (
	stageSlots = 750
	stagePlace = 4096
)

// crawlerNames are some that the daemon comes with.
var crawlerNames = []string{"googlebot.com", "google.com", "search.msn.com", "applebot.apple.com"}

func newStage(sc *scenario) *stage {
	s := &stage{sc: sc}
	sc.World.name()
	return s
}

// labSet is what the lab is set up with. A restart gives carried connections no
// time: whoever comes at the moment of it meets the new daemon.
func (s *stage) labSet() labSet {
	return labSet{slots: stageSlots, visitors: stagePlace, line: stagePlace, grace: time.Nanosecond, ports: s.sc.ports(),
		local: s.sc.World.local(), learn: s.learn, beside: s.beside, healthy: s.healthy}
}

// learn tells the judge of the world outside.
func (s *stage) learn(l *lab, j *Judge) {
	w := &s.sc.World
	dns := must(origin.New(origin.Options{Resolver: w}))
	j.Finder = dns
	j.Lists = dnsbl.New(dnsbl.Options{Resolver: w, Threshold: 3, Events: listAlarms{&l.journal}, Lists: []dnsbl.List{{Zone: listZone, Weight: 3}}})
	j.Crawlers = &Crawlers{Names: crawlerNames, Confirmed: dns.Confirmed, Book: l.book}
	l.traps.Configure(w.Traps, time.Now())
	l.backend.users, l.backend.brief = lower(w.ValidRcpt), true
	s.hints.Store(hints.New(hints.Options{Book: l.book, Resolver: w,
		Origins: func(ctx context.Context, domain string, now time.Time) error {
			return pass(ctx, j.Greylist, domain, now)
		}}))
}

// pass makes known what passes SPF for a domain.
func pass(ctx context.Context, store greylist.Store, domain string, now time.Time) error {
	o, ok := origin.OfDomain(domain)
	if !ok {
		return nil
	}
	return store.Pass(ctx, o, now)
}

// lower is all in lower case; nil stays nil.
func lower(all []string) (low []string) {
	for _, a := range all {
		low = append(low, strings.ToLower(a))
	}
	if all != nil && low == nil {
		low = []string{}
	}
	return low
}

// beside are the look-ups of hints and the watch over what others block.
func (s *stage) beside(l *lab) []func(context.Context) {
	server := l.server
	watch := foreign.NewWatch(foreign.Options{Readers: []foreign.Reader{&s.firewall}, List: l.book.List, Every: time.Minute,
		Appeared: func(h foreign.Hit) {
			server.Alarm(metrics.BlockedElse, true, h.Addr.String()+" is in "+h.By+" "+h.Where)
		}})
	return []func(context.Context){s.hints.Load().Run, watch.Run}
}

var errStoreDown = errors.New("the disk is full")

// healthy is what the embedded store says of itself. As long as its disk fails it
// answers from memory, and keeps there what it could not write (see store/bolt).
func (s *stage) healthy() error {
	if s.down.Load() {
		return errStoreDown
	}
	return nil
}

// listAlarms notes what the DNS lists raise, as the daemon does.
type listAlarms struct{ *memJournal }

func (a listAlarms) Answered(string, dnsbl.Answer, time.Duration) {}
func (a listAlarms) Changed(c dnsbl.Change) {
	if c.Alarm() {
		a.Append(journal.Noted(time.Now(), "dnsbl-"+string(c.To), c.List+": "+c.Why))
	}
}

// A firewall has tables of its own.
type firewall struct {
	mu     sync.Mutex
	blocks []foreign.Block
}

func (f *firewall) Name() string { return "pf" }

func (f *firewall) Read(context.Context) ([]foreign.Block, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]foreign.Block(nil), f.blocks...), nil
}

func (f *firewall) add(table string, addr netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocks = append(f.blocks, foreign.Block{Net: netip.PrefixFrom(addr, addr.BitLen()), By: "pf", Where: "table " + table})
}

// faults are what can go wrong.
var faults = map[string]func(*stage, *fault){
	"dnsbl_lists_everything": func(s *stage, _ *fault) { s.sc.World.listsAll.Store(true) },
	"store_down":             func(s *stage, _ *fault) { s.down.Store(true) },
	"store_up":               func(s *stage, _ *fault) { s.down.Store(false) },
	"foreign_table_add":      func(s *stage, f *fault) { s.firewall.add(f.Table, f.Addr) },
	"restart":                func(s *stage, _ *fault) { s.restart() },
}

// restart ends the daemon and begins another over the same files.
func (s *stage) restart() {
	s.end()
	s.start()
}

// past tells of what was before the scenario began.
func (s *stage) past() {
	w, ctx := &s.sc.World, s.t.Context()
	for _, e := range w.entries() {
		if err := s.book.Put(ctx, e, s.began); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, e := range w.peers(s.began) {
		if err := s.book.Learn(e, s.began); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, p := range w.KnownPools {
		for _, at := range []float64{p.Since, 0} { // it was in use until now
			if err := pass(ctx, s.store, p.Domain, s.began.Add(seconds(at))); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// reports are what others tell of the world: who logged in, where the operator is,
// to whom our users wrote. Some of it is before the scenario begins.
func (s *stage) reports() (all []event) {
	for _, l := range s.sc.World.Logins {
		all = append(all, event{l.T, func() { s.report(l.T, l.Addr, "imap", &l.login) }})
	}
	for _, h := range s.sc.World.SSH {
		all = append(all, event{h.T, func() {
			s.hints.Load().Session(hints.Session{Time: s.began.Add(seconds(h.T)), Addr: h.Addr, User: h.User})
		}})
	}
	for _, m := range s.sc.World.Sent {
		all = append(all, event{m.T, func() {
			_, domain, _ := strings.Cut(m.To, "@")
			s.hints.Load().Sent(hints.Sent{Time: s.began.Add(seconds(m.T)), Domain: domain})
			synctest.Wait() // it is looked up
		}})
	}
	return all
}

// report tells of a login, as Dovecot does.
func (s *stage) report(t float64, addr netip.Addr, service string, l *login) {
	s.hints.Load().Login(hints.Login{Time: s.began.Add(seconds(t)), Addr: whitelist.CanonicalAddr(addr), User: l.User,
		Service: service, From: "dovecot", OK: l.OK, Hash: l.User + "\x00" + l.PW})
}
