// Package redis keeps entries, triplets, origins and traps in Redis, for several
// moggyd that share one memory. A [Store] is a whitelist.Store and a
// greylist.Store in one.
//
// What a try means is decided by greylist.Next, which a script repeats inside
// Redis so that look-up and change are one step for all nodes, and which this
// package calls itself while Redis is away: then a node goes on from its own
// memory, and gives what happened back when Redis returns. No call that mail waits
// for takes longer than a quarter of a second, whatever Redis does, nor does a
// person's change.
//
// # One clock
//
// Times are kept by the clock of the Redis server. Each script compares it with
// the wall clock of the node that calls, and corrects the node's times where the
// two differ by a second or more; answers are brought back to the node's clock.
// So a node with a wrong clock lets nobody in early, to within a second. Where a
// replica with another clock becomes the master, the times kept are wrong by the
// difference: the machines of Redis need NTP.
//
// That is so for triplets and origins alone. When an entry was added, used and
// ends, and when it was forgotten, is kept by the clock of the node that says so, and
// compared with those of others: an entry of a node whose clock is an hour behind ends
// an hour early everywhere, and what is forgotten there may come back. So the machines
// of moggy need NTP too, to agree to within seconds.
//
// # What is in Redis
//
//	moggy:t:{ORIGIN}TRIPLET  a triplet: a string, which expires
//	moggy:o:{ORIGIN}         an origin that passed: a string, which expires
//	moggy:{e}:said           entries of persons: a hash
//	moggy:{e}:traps          traps of persons: a hash
//	moggy:{e}:l:00 to :3f    what was learned: hashes, swept, each expires as a whole
//	moggy:{e}:gone           which entries and traps were taken away: a hash, swept
//	moggy:{e}:log            the last changes, for the other nodes: a stream
//	moggy:{e}:nodes          who is here: a hash, which expires
//	moggy:{e}:whole          that all there was to give is there: a word of chance
//	moggy:{r}:records        what nodes decided: a stream, which expires
//	moggy:b:{BUDGET}         what nodes used of a budget: a hash, which expires
//
// ORIGIN and TRIPLET are 12 bytes of SHA-256 in base64, so that nothing a peer
// says gets into a key, and a triplet lies in one slot with its origin. The
// strings hold what they are about; texts longer than 320 bytes are cut and
// hashed. A triplet takes some 280 bytes of Redis' memory, and never more than
// 1.7 kB.
//
// What was learned lies there for an hour after it has ended, in which a door can
// say that it was renewed. Then it is swept by the clock of Redis: each door looks at
// a page of 500 rows in half a minute, and goes on at once where more than 100 of
// them have ended, so that a fifth of the rows at most are old. The rows that have
// not are bounded by whitelist.MaxLearned. A table that nothing is added to expires
// after the last of its rows, and not within a day.
//
// What is taken away by a person, or because of a login, is noted with the time, so
// that a node that was cut off meanwhile does not bring it back; what is found out or
// said later takes the note away. The notes are swept in the same walk after 30 days,
// and there are 100,000 at most: beyond, none is added, and what is taken away then may
// come back from such a node.
//
// While a Cluster moves a slot to another master, what needs several keys of that slot
// is refused: of the triplets and origins in it, and of entries where it is theirs. A
// node goes on as if Redis were away for these alone, and merges them afterwards.
//
// Redis 6.2 or later will do. [ACL] are the rights that are needed.
//
// The package does not know who is family, nor when to ask.
package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what [Open] needs. Only URL has no default.
type Options struct {
	URL      string           // see [Open]
	Name     string           // of this node, for Nodes; "": it is none, but a tool
	Remember time.Duration    // how long Pass remembers until a Try has said; 36 days
	Flush    time.Duration    // the least time between two writes of what was learned; 500 ms
	Pending  int              // most changes of what was learned held until they are written; 100,000
	Memory   int              // most triplets, and most origins, held in memory; 100,000
	Records  int              // most lines that all nodes keep together, see Append; 100,000
	Log      *slog.Logger     // told when Redis begins to fail and when it works again; nil: nobody
	Clock    func() time.Time // the wall clock of those who call; time.Now

	patience time.Duration // for tests on a machine that is busy
	sweep    time.Duration // for tests that do not wait
}

func (o Options) withDefaults() Options {
	o.Remember = cmp.Or(o.Remember, 36*24*time.Hour)
	o.Flush = cmp.Or(o.Flush, 500*time.Millisecond)
	o.Pending = cmp.Or(o.Pending, 100_000)
	o.Memory = cmp.Or(o.Memory, 100_000)
	o.Records = cmp.Or(o.Records, 100_000)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.patience = cmp.Or(o.patience, patience)
	o.sweep = cmp.Or(o.sweep, sweepEvery)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

// A Store is one node's way to Redis. Its methods may be called from many
// goroutines.
//
// What a node holds itself is bounded. Beyond Options.Memory a triplet or an
// origin of an outage is not remembered: its next try is a first try again, until
// Redis is back. Beyond Options.Pending, which only a long outage reaches, what
// was learned and times of use are lost. [Stats] counts both.
type Store struct {
	o       Options
	at      address
	client  atomic.Pointer[client]
	scripts scripts
	nonce   string        // of this Store, so that no two share a word
	count   atomic.Uint64 // of calls

	memory     *memory
	learning   chan struct{} // full while what was learned is written, and by persons' changes
	queue      *queue
	records    records
	clock      atomic.Int64 // the caller's, in unix milliseconds, at the last Try
	remember   atomic.Int64 // Timers.Remember at the last Try, in milliseconds
	damaged    atomic.Int64
	survey     atomic.Pointer[survey]
	nodes      atomic.Pointer[[]Node]
	read       atomic.Pointer[place]  // where Redis stood when entries or traps were first read whole
	generation atomic.Pointer[string] // of Redis, that has what this node has; nil: not known yet

	breaker breaker
	fault   atomic.Pointer[error] // why the last pass of the mender failed
	failure atomic.Pointer[error] // why the last call failed since a pass that did not
	mending sync.Mutex            // one pass at a time
	lap     lap
	wake    chan struct{}
	stop    context.CancelFunc
	once    sync.Once
	loop    sync.WaitGroup
}

// Open makes a Store for a URL:
//
//	redis://[user:password@]host[:port][/database]
//	rediss://…                                        the same, with TLS
//	redis+sentinel://[user:password@]host,host,host/master[/database]
//	redis+cluster://[user:password@]host,host,host
//
// A password is percent-encoded. Options follow a question mark: prefix=moggy is
// what all keys begin with; tls=yes is TLS for Sentinel and Cluster; ca, cert and
// key name PEM files; sentinel_user and sentinel_password are for the Sentinels
// themselves.
//
// Only what is wrong with the URL is an error. Redis need not be there: until it
// is, tries are answered from memory, and [Store.Healthy] says why; [Store.Check]
// asks. Whoever opens must [Store.Close].
func Open(o Options) (*Store, error) {
	o = o.withDefaults()
	at, err := parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("[store] url %w", err)
	}
	c, err := connect(at, o.patience)
	if err != nil {
		return nil, fmt.Errorf("[store] url %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Store{o: o, at: at, scripts: newScripts(), nonce: rand.Text(),
		memory: newMemory(o.Memory), queue: newQueue(o.Pending), lap: newLap(),
		learning: make(chan struct{}, 1), wake: make(chan struct{}, 1), stop: stop}
	s.client.Store(c)
	s.remember.Store(o.Remember.Milliseconds())
	s.arm()
	s.loop.Go(func() { s.mend(ctx) })
	return s, nil
}

// Close writes what is pending and lets go of Redis. The error is that of
// writing: what was pending is lost then.
func (s *Store) Close() (err error) {
	s.once.Do(func() {
		s.stop()
		s.loop.Wait()
		if s.pending() > 0 {
			err = s.Sync()
		}
		s.leave()
		err = errors.Join(err, s.client.Load().Close())
	})
	return err
}

// Healthy returns nil when Redis takes what it is given and nothing waits in memory
// because it did not, or says what is wrong and what to type. It is never nil while
// the Store is [Store.Degraded], be it for one answer that got lost. It waits for
// nothing, and is never older than five seconds.
func (s *Store) Healthy() error {
	if fault := s.fault.Load(); fault != nil {
		return *fault
	}
	if !s.Degraded() {
		return nil
	}
	if failure := s.failure.Load(); failure != nil {
		return *failure
	}
	return fmt.Errorf("%s has not been told yet of all that this machine remembers; wait a second, then type: redis-cli ping", s.at)
}

// Degraded reports whether tries are answered from this node's memory, or were
// and Redis has not yet been told of all of them. It waits for nothing.
func (s *Store) Degraded() bool { return s.breaker.isOpen() || s.memory.dirty() > 0 }

// Stats are figures for people and for metrics.
type Stats struct {
	Triplets int64 // in Redis: an estimate from a sample, a minute old at most
	Origins  int64 // the same
	Pending  int   // triplets, origins, entries and lines in memory that Redis does not have yet
	Dropped  int64 // of those, how many were not remembered for want of room, since Open
	Damaged  int64 // rows read that made no sense and were taken for absent, since Open

	RecordsDropped int64 // lines that Append did not take, since Open
}

// Stats returns the figures. It waits for nothing.
func (s *Store) Stats() Stats {
	st := Stats{Pending: s.pending(), Dropped: s.memory.lost.Load() + s.queue.lost.Load(), Damaged: s.damaged.Load(),
		RecordsDropped: s.records.lost.Load()}
	if v := s.survey.Load(); v != nil {
		st.Triplets, st.Origins = v.triplets, v.origins
	}
	return st
}

// pending is what Redis has not been told yet.
func (s *Store) pending() int { return s.memory.dirty() + s.queue.len() + s.records.len() }
