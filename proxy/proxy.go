// Package proxy is the conductor: it accepts connections, has them judged, has
// the judgement recorded, and then acts on it.
//
//	accept -> classify -> verdict -> record -> act -> record
//
// It knows the order of things and who owns a connection at each moment. What
// is decided is package verdict's, what is said to strangers package dialogue's,
// how slowly package tarpit's, how bytes are carried package relay's.
package proxy

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"moggy/metrics"
	"moggy/proxy/handover"
	"moggy/proxy/relay"
	"moggy/proxy/tarpit"
	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
)

// Options are what a Server is made of. All fields are needed.
type Options struct {
	Judge    *Judge
	Pit      *tarpit.Pit
	Journal  Recorder
	Metrics  *metrics.Metrics
	Log      *slog.Logger
	Settings *Settings
	Doors    []DoorOptions
	Grace    time.Duration // what carried connections get to end by themselves at a shutdown
	Visitors int           // connections to stream listeners of clients that are not known
	Line     int           // connections that wait for their turn, a quarter of them for the known alone; 0: nobody waits
	Healthy  func() error  // whether the store keeps what it is given; nil: it does
	Dropped  func() int64  // records that were not written since the start; nil: none
}

// A Recorder keeps records of decisions, as *journal.Journal does. Append never
// blocks.
type Recorder interface{ Append(r journal.Record) }

// Settings are what can change while connections are open. A connection keeps
// those it began with.
type Settings struct {
	Policy     verdict.Policy
	Stutter    time.Duration // how long a stranger's banner is stuttered
	Recipients int           // asked about in one session of a stranger
	Errors     int           // faulty commands of a stranger
}

// DoorOptions describe one listener and the backend behind it.
type DoorOptions struct {
	Name    string
	Service whitelist.Service // Mail: strangers are talked to; else class and budget only
	Tongue  Tongue            // of a stream listener
	Listen  net.Listener      // closed by the Server
	Backend relay.Backend
	Idle    time.Duration // a carried connection may be silent for this long

	// TrustProxy are balancers whose PROXY header is required and believed; whoever else
	// comes is refused. None: clients come themselves, and no header is read.
	TrustProxy []netip.Prefix
}

// A Server is the running proxy.
type Server struct {
	judge    *Judge
	pit      *tarpit.Pit
	journal  Recorder
	metrics  *metrics.Metrics
	log      *slog.Logger
	settings atomic.Pointer[Settings]
	doors    []*door
	guests   *guests
	grace    time.Duration
	opening  chan struct{} // a place for each hand-over that is under way
	visitors places        // of clients that are not known
	line     places        // of connections that wait for their turn
	gateways gateways
	alarms   alarms
	healthy  func() error
	dropped  func() int64
	lastHarm atomic.Int64 // in ns since 1970; 0: never

	carrying context.Context // ends when carried connections have had their grace
	stop     context.CancelFunc
	wait     sync.WaitGroup // everything that was started for a connection
}

// New makes a Server. It does nothing until Serve is called.
func New(o Options) *Server {
	s := &Server{judge: o.Judge, pit: o.Pit, journal: o.Journal, metrics: o.Metrics, log: o.Log, grace: o.Grace, healthy: o.Healthy,
		guests: newGuests(o.Metrics.Open), opening: make(chan struct{}, max(1, o.Pit.Slots()/8))}
	s.visitors.most, s.line.most = o.Visitors, o.Line
	s.dropped = o.Dropped
	s.alarms.standing = make(map[metrics.Alarm]Alarm)
	s.carrying, s.stop = context.WithCancel(context.Background())
	s.settings.Store(o.Settings)
	for _, d := range o.Doors {
		s.doors = append(s.doors, newDoor(s, d))
	}
	return s
}

// Apply puts new settings in force for connections that come from now on.
func (s *Server) Apply(set *Settings) { s.settings.Store(set) }

// Serve accepts connections until ctx ends. Then strangers are let go at once,
// and carried connections get their grace. It returns when all that it started
// has ended.
func (s *Server) Serve(ctx context.Context) error {
	var doors sync.WaitGroup
	doors.Go(func() { s.lookAfter(ctx) })
	for _, d := range s.doors {
		doors.Go(func() { d.watch(ctx) })
		doors.Go(func() { d.accept(ctx) })
	}
	doors.Wait()
	s.shutDown()
	return nil
}

func (s *Server) shutDown() {
	done := make(chan struct{})
	s.wait.Go(func() { s.pit.Close(context.Background()) })
	go func() { s.wait.Wait(); close(done) }()
	grace := time.NewTimer(s.grace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
		s.log.Info("grace is over", "carried", s.guests.count(carried))
	}
	s.stop()
	<-done
}

// record writes a decision down, before it is acted on. It never blocks.
func (s *Server) record(f *verdict.Facts, v *verdict.Verdict) {
	s.write("decided", journal.Decided(time.Now(), f, v))
	s.metrics.Decided(f, v)
	if v.Harms(f) {
		s.harmed(f, v)
	}
}

// ended writes down what became of a connection.
func (s *Server) ended(f *verdict.Facts, v *verdict.Verdict, e journal.End) {
	r := journal.Ended(time.Now(), f, v, e)
	s.write("ended", r)
	s.metrics.Ended(r)
}

func (s *Server) write(what string, r journal.Record) {
	s.journal.Append(r)
	s.log.LogAttrs(context.Background(), slog.LevelInfo, what, r.LogAttrs()...)
}

// Ready says what keeps a door from working, by its name; nil errors are left out.
func (s *Server) Ready() map[string]error {
	faults := make(map[string]error)
	for _, d := range s.doors {
		if err := d.state().fault; err != nil {
			faults[d.Name] = err
		}
	}
	return faults
}

// Recheck asks the backends again that were not asked within [fresh], all at the same
// time, for a person who wants to know how they are now.
func (s *Server) Recheck(ctx context.Context) {
	var asked sync.WaitGroup
	for _, d := range s.doors {
		if time.Since(time.Unix(0, d.asked.Load())) > fresh {
			asked.Go(func() { d.ask(ctx) })
		}
	}
	asked.Wait()
}

// fresh is how old what is known of a backend may be for a person.
const fresh = 10 * time.Second

// Hides reports whether an address, of which that is known, makes most of the
// connections and is carried unjudged.
func (s *Server) Hides(addr netip.Addr, standing whitelist.Standing) bool {
	return s.gateways.is(addr) && !answeredFor(standing)
}

// Check asks every backend once, all at the same time, before Serve. It returns an error only where
// serving would do harm: a backend that relays for everybody because it takes
// every peer for us ([handover.ErrOpenRelay]) and is not told otherwise.
func (s *Server) Check(ctx context.Context) error {
	var asked sync.WaitGroup
	for _, d := range s.doors {
		asked.Go(func() { d.ask(ctx) })
	}
	asked.Wait()
	for _, d := range s.doors {
		if d.state().openRelay != nil && d.Backend.Form == relay.None {
			return handover.ErrOpenRelay
		}
	}
	return nil
}
