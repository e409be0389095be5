package whitelist

import (
	"math"
	"net/netip"
	"sync/atomic"
	"time"
)

// row is an entry as the List keeps it: without its network and source, which
// its place says, and with times in seconds since 1970. It has 64 bytes, so
// that reading it costs one line of the processor's cache and not two: among a
// million of them that is most of what an answer costs.
type row struct {
	class   Class
	note    string
	expires int64 // 0: never
	added   uint32
	renew   uint32 // seconds
	used    atomic.Uint32
	flushed uint32 // the use the store knows of; written by the Book alone
	deny    bool
	bits    uint8 // of its network
}

func newRow(e Entry) *row {
	r := &row{class: e.Class, note: e.Note, deny: e.Deny, bits: uint8(e.Net.Bits()),
		added: stamp(seconds(e.Added)), expires: seconds(e.Expires), renew: stamp(int64(e.Renew / time.Second))}
	r.flushed = stamp(seconds(e.Used))
	r.used.Store(r.flushed)
	return r
}

func (r *row) entry(net netip.Prefix, source Source) (e Entry) {
	e.Net = net
	r.fill(&e, source)
	return e
}

// fill fills in an entry but for its network.
func (r *row) fill(e *Entry, source Source) {
	e.Deny, e.Class, e.Source, e.Note = r.deny, r.class, source, r.note
	e.Added, e.Expires, e.Used = at(int64(r.added)), at(r.expires), at(int64(r.used.Load()))
	e.Renew = time.Duration(r.renew) * time.Second
}

// inForce reports whether the row counts at the second now. Use renews it.
func (r *row) inForce(now int64) bool {
	if r.expires == 0 || now < r.expires {
		return true
	}
	used := r.used.Load()
	return r.renew != 0 && used != 0 && now < int64(used)+int64(r.renew)
}

// touch notes a use at the second now. It writes only what is new: many
// processors read the row.
func (r *row) touch(now int64) {
	if used := stamp(now); r.used.Load() != used {
		r.used.Store(used)
	}
}

// keepUse takes over a later use that another row of the entry was told of; the store
// has still to be.
func (r *row) keepUse(other *row) {
	if used := other.used.Load(); used > r.used.Load() {
		r.used.Store(used)
	}
}

// stamp brings seconds to what a row holds of them: from 1970 to 2106.
func stamp(s int64) uint32 { return uint32(min(max(s, 0), math.MaxUint32)) }

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func at(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}
