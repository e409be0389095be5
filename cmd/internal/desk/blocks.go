package desk

import (
	"context"
	"net/netip"
	"time"

	"moggy/whitelist/foreign"
)

// BlockFilter says what is looked for among the blocks outside moggy.
type BlockFilter struct {
	Addr netip.Addr `json:"addr,omitzero"` // what blocks it; not valid: only what hits the known-good
}

// A Sight is what was seen of blocks outside moggy.
type Sight struct {
	Time   time.Time         `json:"time,omitzero"`    // zero: nobody has looked
	Blocks []foreign.Block   `json:"blocks,omitempty"` // that hold the address that was asked for
	Hits   []Hit             `json:"hits,omitempty"`   // known-good addresses that are blocked
	More   int               `json:"more,omitempty"`   // hits beyond those
	Unread map[string]string `json:"unread,omitempty"` // what could not be read, and why
	Read   []string          `json:"read,omitempty"`   // what could
}

// A Hit is a known-good network that is blocked.
type Hit struct {
	foreign.Block
	Addr     netip.Prefix `json:"addr"` // the known-good network
	Standing Standing     `json:"standing"`
	First    time.Time    `json:"first,omitzero"` // when it was first seen
}

// Blocked implements Desk. It reads with the privilege of its process alone.
func (l *Local) Blocked(ctx context.Context, q BlockFilter) (Sight, error) {
	switch {
	case l.Foreign == nil:
		return Sight{}, nil
	case !q.Addr.IsValid():
		return SightOf(nil, l.Foreign.Look(ctx)), nil
	}
	return SightOf(l.Foreign.About(ctx, q.Addr)), nil
}

// SightOf is what a look found.
func SightOf(about []foreign.Block, r foreign.Report) Sight {
	s := Sight{Time: r.Time, Blocks: about, More: r.More, Unread: r.Unread, Read: r.Read}
	for _, h := range r.Hits {
		s.Hits = append(s.Hits, Hit{Block: h.Block, Addr: h.Addr, Standing: standingOf(h.Standing), First: h.First})
	}
	return s
}

// lastSight is what was seen when somebody last looked; nil if nobody does.
func (l *Local) lastSight() *Sight {
	if l.Foreign == nil {
		return nil
	}
	s := SightOf(nil, l.Foreign.Last())
	return &s
}
