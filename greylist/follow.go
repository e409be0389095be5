package greylist

import (
	"context"
	"maps"
)

// Follow puts a trap in force that another node has given to the store.
func (t *Traps) Follow(trap Trap) {
	trap.Address = CanonicalTrap(trap.Address)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(trap)
}

// Unfollow takes a trap out of force that another node has taken out of the store.
// One that stands in the configuration stays.
func (t *Traps) Unfollow(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(CanonicalTrap(address))
}

// Reload puts in force what the store has, because changes of other nodes may have
// been missed. Those of the configuration stay, and so does what changes while it
// reads: nobody waits for that, however slow the store is.
func (t *Traps) Reload(ctx context.Context) error {
	t.reloading.Lock()
	defer t.reloading.Unlock()
	t.mu.Lock()
	t.meanwhile = make(map[string]struct{})
	t.mu.Unlock()
	kept, err := readTraps(ctx, t.store)

	t.mu.Lock()
	defer t.mu.Unlock()
	later := t.meanwhile
	t.meanwhile = nil
	if err != nil {
		return err
	}
	t.replace(func(set map[string]Trap) {
		maps.DeleteFunc(set, func(address string, _ Trap) bool { _, changed := later[address]; return !changed })
		for address, trap := range kept {
			if _, changed := later[address]; !changed {
				set[address] = trap
			}
		}
	})
	return nil
}
