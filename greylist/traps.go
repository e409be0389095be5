package greylist

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Traps is the set of trap addresses in force. Readers wait for nobody. Its size
// is what persons typed.
type Traps struct {
	set   atomic.Pointer[map[string]Trap]
	store Store

	mu         sync.Mutex          // serialises writers
	configured map[string]Trap     // all of the configuration, also where a person typed the same
	meanwhile  map[string]struct{} // addresses that changed while Reload reads; nil: it does not
	reloading  sync.Mutex
}

// OpenTraps reads the traps of the store and adds those of the configuration.
func OpenTraps(ctx context.Context, store Store, configured []string, now time.Time) (*Traps, error) {
	set, err := readTraps(ctx, store)
	if err != nil {
		return nil, err
	}
	traps := &Traps{store: store}
	traps.set.Store(&set)
	traps.Configure(configured, now)
	return traps, nil
}

func readTraps(ctx context.Context, store Store) (map[string]Trap, error) {
	set := make(map[string]Trap)
	for t, err := range store.Traps(ctx) {
		if err != nil {
			return nil, fmt.Errorf("reading the traps: %w", err)
		}
		set[t.Address] = t
	}
	return set, nil
}

// Configure puts the traps of a configuration in the place of those of an
// earlier one. What persons added stays.
func (t *Traps) Configure(addresses []string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.configured = make(map[string]Trap)
	for _, a := range addresses {
		a = CanonicalTrap(a)
		t.configured[a] = Trap{Address: a, Added: now, Configured: true}
	}
	t.replace(func(set map[string]Trap) {
		maps.DeleteFunc(set, func(_ string, trap Trap) bool { return trap.Configured })
	})
}

// CanonicalTrap is the form in which traps are compared: all in lower case,
// because a trap that case could get around would be none.
func CanonicalTrap(address string) string { return strings.ToLower(address) }

// Has reports whether a recipient is a trap.
func (t *Traps) Has(recipient string) bool {
	_, ok := (*t.set.Load())[CanonicalTrap(recipient)]
	return ok
}

// All returns the traps, in no order.
func (t *Traps) All() map[string]Trap { return *t.set.Load() }

// Put adds a trap; it is in force, and survives a crash, when Put returns nil.
func (t *Traps) Put(ctx context.Context, trap Trap) error {
	trap.Address = CanonicalTrap(trap.Address)
	if local, domain, ok := strings.Cut(trap.Address, "@"); !ok || local == "" || domain == "" || len(trap.Address) > 254 {
		return fmt.Errorf("%q is not a mail address; give trap@example.org", trap.Address)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.store.PutTrap(ctx, trap); err != nil {
		return fmt.Errorf("keeping the trap %s: %w", trap.Address, err)
	}
	t.put(trap)
	return nil
}

// Remove takes away a trap that a person added, and reports whether there was one.
// One of the configuration stays.
func (t *Traps) Remove(ctx context.Context, address string) (bool, error) {
	address = CanonicalTrap(address)
	t.mu.Lock()
	defer t.mu.Unlock()
	kept, err := t.store.DeleteTrap(ctx, address)
	if err != nil {
		return false, fmt.Errorf("removing the trap %s: %w", address, err)
	}
	had := t.Has(address)
	t.remove(address)
	return kept || had, nil
}

// put puts a trap in force. Callers hold mu.
func (t *Traps) put(trap Trap) {
	t.note(trap.Address)
	t.replace(func(set map[string]Trap) { set[trap.Address] = trap })
}

// remove takes a trap out of force that somebody added. Callers hold mu.
func (t *Traps) remove(address string) {
	t.note(address)
	t.replace(func(set map[string]Trap) { delete(set, address) })
}

// note tells Reload what changes meanwhile.
func (t *Traps) note(address string) {
	if t.meanwhile != nil {
		t.meanwhile[address] = struct{}{}
	}
}

// replace puts another set in force. What the configuration says is in each: who
// types the same and takes it away again, at any door, changes nothing of that.
func (t *Traps) replace(change func(map[string]Trap)) {
	next := maps.Clone(t.All())
	change(next)
	for address, trap := range t.configured {
		if _, there := next[address]; !there {
			next[address] = trap
		}
	}
	t.set.Store(&next)
}
