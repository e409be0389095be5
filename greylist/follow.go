package greylist

import "context"

// Follow puts a trap in force that another node has given to the store.
func (t *Traps) Follow(trap Trap) {
	trap.Address = CanonicalTrap(trap.Address)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.replace(func(set map[string]Trap) { set[trap.Address] = trap })
}

// Unfollow takes a trap out of force that another node has taken out of the store.
// One that stands in the configuration stays.
func (t *Traps) Unfollow(address string) {
	address = CanonicalTrap(address)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.replace(func(set map[string]Trap) {
		if !set[address].Configured {
			delete(set, address)
		}
	})
}

// Reload puts in force what the store has, because changes of other nodes may have
// been missed. Those of the configuration stay.
func (t *Traps) Reload(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept, err := readTraps(ctx, t.store)
	if err != nil {
		return err
	}
	for address, trap := range t.All() {
		if trap.Configured && kept[address].Address == "" {
			kept[address] = trap
		}
	}
	t.set.Store(&kept)
	return nil
}
