package desk

import (
	"context"
	"slices"
	"strings"

	"moggy/greylist"
)

// TrapPut is a trap to be set.
type TrapPut struct {
	Address string `json:"address"`
	Note    string `json:"note,omitempty"`
}

// TrapKey names a trap.
type TrapKey struct {
	Address string `json:"address"`
}

// TrapChange is a trap that was set or taken away.
type TrapChange struct {
	Trap greylist.Trap `json:"trap"`
	Was  bool          `json:"was"` // it was a trap before
}

// TrapFilter asks for all traps.
type TrapFilter struct{}

// TrapList is the traps, by address.
type TrapList struct {
	Traps []greylist.Trap `json:"traps"`
}

// PutTrap implements Desk.
func (l *Local) PutTrap(ctx context.Context, q TrapPut) (TrapChange, error) {
	trap := greylist.Trap{Address: greylist.CanonicalTrap(q.Address), Note: q.Note, Added: l.now()}
	local, domain, _ := strings.Cut(trap.Address, "@")
	if local == "" || domain == "" || len(trap.Address) > 254 {
		return TrapChange{}, wrongUse("%q is no mail address; give trap@example.org", q.Address)
	}
	was := l.Judge.Traps.Has(trap.Address)
	if err := l.Judge.Traps.Put(ctx, trap); err != nil {
		return TrapChange{}, err
	}
	return TrapChange{Trap: trap, Was: was}, nil
}

// RemoveTrap implements Desk. One of the configuration cannot be taken away
// here: it would be back at the next start.
func (l *Local) RemoveTrap(ctx context.Context, q TrapKey) (TrapChange, error) {
	address := greylist.CanonicalTrap(q.Address)
	if l.configured(address) {
		return TrapChange{}, wrongUse("%s stands in moggy.toml; remove it from [trap] addresses there, then reload moggyd", address)
	}
	trap, ok := l.Judge.Traps.All()[address]
	if !ok {
		return TrapChange{}, sayNo("%s is no trap; type: moggy trap ls", address)
	}
	if _, err := l.Judge.Traps.Remove(ctx, address); err != nil {
		return TrapChange{}, err
	}
	return TrapChange{Trap: trap, Was: true}, nil
}

func (l *Local) configured(address string) bool {
	return slices.ContainsFunc(l.Settings().Traps, func(t string) bool { return greylist.CanonicalTrap(t) == address })
}

// Traps implements Desk.
func (l *Local) Traps(context.Context, TrapFilter) (TrapList, error) {
	out := TrapList{Traps: []greylist.Trap{}}
	for _, t := range l.Judge.Traps.All() {
		t.Configured = l.configured(t.Address)
		out.Traps = append(out.Traps, t)
	}
	slices.SortFunc(out.Traps, func(a, b greylist.Trap) int { return strings.Compare(a.Address, b.Address) })
	return out, nil
}
