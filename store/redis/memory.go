package redis

import (
	"sync"
	"sync/atomic"
	"time"

	"moggy/greylist"
)

// A memory is what one node remembers of triplets and origins. While Redis is
// there it is a copy of what this node was told last; while Redis is away the node
// goes on from it, and what changes is dirty until Redis has been told.
//
// It is bounded. What is not dirty gives way first; when all is dirty, what is new
// is not remembered, and counted as lost.
type memory struct {
	mu       sync.Mutex
	triplets shelf[tripletMemory]
	origins  shelf[originMemory]
	lost     atomic.Int64
}

// A tripletMemory is a triplet. What is beside its state is there only where it is
// dirty: what Redis has to be told.
type tripletMemory struct {
	state  greylist.State
	window time.Duration
	key    string // in Redis
	who    string // the kind of its origin, and the peer
	about  string
}

// An originMemory is an origin.
type originMemory struct {
	known    greylist.Known
	remember time.Duration
	key      string // in Redis
	kind     greylist.OriginKind
	about    string
}

func newMemory(most int) *memory {
	m := &memory{}
	m.triplets = newShelf[tripletMemory](most, &m.lost)
	m.origins = newShelf[originMemory](most, &m.lost)
	return m
}

// dirty is how many rows Redis has not been told of.
func (m *memory) dirty() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.triplets.dirty) + len(m.origins.dirty)
}

// try does as a store does that has nothing but this memory.
func (m *memory) try(q *question, change bool) greylist.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.origins.get(q.originKey); ok && o.known.Fresh(q.t.Now, q.t.Timers) {
		if change {
			m.origins.change(q.originKey, q.origin(o.known.Renew(q.t.Now, q.t.Timers)))
		}
		return originKnown(q.t.Now)
	}
	kept, _ := m.triplets.get(q.tripletKey)
	next, r := greylist.Next(kept.state, q.t.Now, q.t.Timers.PassFor(q.t.Origin), q.t.Timers)
	if change {
		m.triplets.change(q.tripletKey, q.triplet(next))
	}
	return r
}

// pass makes an origin known.
func (m *memory) pass(q *question) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, _ := m.origins.get(q.originKey)
	m.origins.change(q.originKey, q.origin(o.known.Renew(q.t.Now, q.t.Timers)))
}

// hints are what Redis has to be told with a question, and their turns.
type hints struct {
	state                   greylist.State
	known                   greylist.Known
	tripletTurn, originTurn uint64
}

func (m *memory) hints(q *question) (h hints) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, turn := m.triplets.told(q.tripletKey)
	h.state, h.tripletTurn = t.state, turn
	o, turn := m.origins.told(q.originKey)
	h.known, h.originTurn = o.known, turn
	return h
}

// saw keeps what Redis answered to a try.
func (m *memory) saw(q *question, h hints, r reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.outcome == greylist.OriginKnown {
		m.origins.settle(q.originKey, q.origin(r.known), h.originTurn)
		return
	}
	m.origins.drop(q.originKey, h.originTurn)
	m.triplets.settle(q.tripletKey, tripletMemory{state: r.state}, h.tripletTurn)
}

// sawPassed keeps what Redis answered to a pass.
func (m *memory) sawPassed(q *question, h hints, r reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.origins.settle(q.originKey, q.origin(r.known), h.originTurn)
}

// clear forgets what is only a copy of what Redis has, or had.
func (m *memory) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.triplets.clear()
	m.origins.clear()
}

// restore marks all origins as unknown to Redis: it has lost them. Triplets that
// were known to it come again.
func (m *memory) restore() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.origins.restore()
}
