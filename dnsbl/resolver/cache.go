package resolver

import (
	"time"

	"github.com/maypok86/otter/v2"
)

const (
	failureTTL = 5 * time.Second  // how long a failure is kept: at least 1 s, at most 5 min (RFC 9520 §3.2)
	retryStale = 30 * time.Second // between two tries to renew what has expired, after the first has failed (RFC 8767 §5)
	unit       = 256              // bytes of an answer that count as one entry
)

// An entry is what the cache holds of a question. It does not change. Its times are nanoseconds since the Resolver began.
type entry struct {
	answer
	err   *Error // instead of the answer
	fresh int64  // until then it is given out as it is
	retry int64  // until then, though expired, it is given out without asking again
	dead  int64  // from then on it is gone
}

// state is what an entry is good for at a time.
type state uint8

const (
	missing state = iota
	fresh         // to be given out
	stale         // expired, but to be given out: asking again has failed a moment ago
	renew         // expired: to be given out if asking again fails
)

// newEntry makes an entry of what was found out. It is dead from the start if it must not be kept.
func newEntry(a answer, err *Error, now, keepStale time.Duration) *entry {
	e := &entry{answer: a, err: err}
	switch {
	case err != nil && err.lasting():
		e.fresh = int64(now + failureTTL)
		e.dead = e.fresh
	case err == nil && a.ttl > 0:
		e.fresh = int64(now + a.ttl)
		e.dead = int64(now + a.ttl + keepStale)
	}
	e.retry = e.fresh
	return e
}

// postponed is the entry after it could not be renewed.
func (e *entry) postponed(now time.Duration) *entry {
	later := *e
	later.retry = int64(now + retryStale)
	return &later
}

// state tells what the entry is good for.
func (e *entry) state(now time.Duration) state {
	switch t := int64(now); {
	case e == nil || t >= e.dead:
		return missing
	case t < e.fresh:
		return fresh
	case t < e.retry:
		return stale
	}
	return renew
}

// weight is how many entries of ordinary size the entry counts as.
func (e *entry) weight() uint32 { return 1 + uint32(e.size()/unit) }

// A cache holds entries, as many as its size says; what is asked for least goes first.
type cache struct {
	*otter.Cache[question, *entry]
}

// newCache makes a cache. now is the time of the entries.
func newCache(size int, now func() time.Duration) (cache, error) {
	c, err := otter.New(&otter.Options[question, *entry]{
		MaximumWeight: uint64(size),
		Weigher:       func(_ question, e *entry) uint32 { return e.weight() },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[question, *entry]) time.Duration {
			return max(time.Duration(e.Value.dead)-now(), 1)
		}),
		Executor: func(task func()) { task() }, // no goroutines that nobody waits for
	})
	return cache{c}, err
}

// get returns the entry of a question, or nil.
func (c cache) get(q question) *entry {
	e, _ := c.GetIfPresent(q)
	return e
}

// put keeps an entry, unless it is dead.
func (c cache) put(q question, e *entry, now time.Duration) {
	if e.state(now) != missing {
		c.Set(q, e)
	}
}

// close ends the goroutine that removes what has expired.
func (c cache) close() { c.StopAllGoroutines() }
