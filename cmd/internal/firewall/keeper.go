package firewall

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"time"

	"moggy/whitelist"
)

// A Keeper keeps the sets moggy_good and moggy_good6 of tables of nft in step with
// the List: what is in them are the known-good, to be accepted before rules that
// count. It makes the sets in tables that are there, and touches nothing else.
// When it ends the sets stay as they are: the good remain good.
//
// A change is in the sets at once, or where one was made just before, within about
// a second: with very many networks, when nft takes long, it runs for at most a
// fifth of the time. It looks every ten seconds to an hour, the longer that takes
// the rarer, whether the sets still hold what they should.
type Keeper struct {
	list   func() *whitelist.List
	log    *slog.Logger
	run    func(ctx context.Context, in io.Reader, args ...string) ([]byte, error) // nft
	pace   time.Duration                                                           // the least time between two runs
	rare   time.Duration                                                           // the least time between two looks at what is in the sets
	tables []*kept
	wake   chan struct{} // holds a token when something has changed

	mu      sync.Mutex
	pending []netip.Prefix    // what changed; at most maxPending
	dirty   bool              // more than that did
	faults  map[string]string // by table
}

// kept is one table. Only Run uses it.
type kept struct {
	table string
	sets  []goodSet
	have  map[string][]span // what is in the sets; nil: not known
}

// The bounds of a Keeper.
const (
	maxGood    = 250_000 // networks in the sets, those of the strongest evidence
	maxPending = 1000
	paceFloor  = time.Second      // between two runs
	paceShare  = 4                // times as long as a run took, at least, to the next
	checkFloor = 10 * time.Second // between two looks at what is in the sets
	checkCeil  = time.Hour
	checkShare = 100             // times as long as a look took, at least, to the next
	fillTime   = 2 * time.Minute // for one run of nft
)

// NewKeeper returns a Keeper for tables that are named by family and name, such as
// "inet guard". List returns the List in force.
func NewKeeper(tables []string, list func() *whitelist.List, log *slog.Logger) *Keeper {
	k := &Keeper{list: list, log: log, pace: paceFloor, rare: checkFloor, wake: make(chan struct{}, 1), faults: make(map[string]string)}
	k.run = func(ctx context.Context, in io.Reader, args ...string) ([]byte, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, fillTime, fmt.Errorf("it took longer than %s", fillTime))
		defer cancel()
		return Machine{}.feed(ctx, in, "nft", args...)
	}
	for _, table := range tables {
		k.tables = append(k.tables, &kept{table: table, sets: goodSets(table)})
	}
	return k
}

// Changed tells that what the List says of a network is no longer the same. It
// never blocks.
func (k *Keeper) Changed(net netip.Prefix) {
	k.mu.Lock()
	if len(k.pending) < maxPending {
		k.pending = append(k.pending, net)
	} else {
		k.dirty = true
	}
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Faults returns what is wrong, in words, by table; empty when all is well.
func (k *Keeper) Faults() map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.faults)
}

// Run fills the sets and keeps them in step until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	if len(k.tables) == 0 {
		return
	}
	took := k.timed(func() { k.check(ctx) })
	check := time.NewTimer(between(took*checkShare, k.rare, checkCeil))
	defer check.Stop()
	for {
		if !wait(ctx, max(k.pace, took*paceShare)) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
			took = k.timed(func() { k.follow(ctx) })
		case <-check.C:
			took = k.timed(func() { k.check(ctx) })
			check.Reset(between(took*checkShare, k.rare, checkCeil))
		}
	}
}

func (k *Keeper) timed(do func()) time.Duration {
	start := time.Now()
	do()
	return time.Since(start)
}

func between(d, floor, ceil time.Duration) time.Duration { return min(max(d, floor), ceil) }

// wait waits, and reports whether ctx has not ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// follow brings the sets in step after a change, if it changed who is good.
func (k *Keeper) follow(ctx context.Context) {
	k.mu.Lock()
	pending, dirty := k.pending, k.dirty
	k.pending, k.dirty = nil, false
	k.mu.Unlock()
	list, now := k.list(), time.Now()
	matters := dirty
	for _, t := range k.tables {
		matters = matters || t.have == nil
		for _, net := range pending {
			matters = matters || !t.settled(list, net, now)
		}
	}
	if matters {
		k.sync(ctx, list, now)
	}
}

// settled reports whether a table holds a single peer just as the list says. Of
// wider networks it says no.
func (t *kept) settled(list *whitelist.List, net netip.Prefix, now time.Time) bool {
	if !narrow(net) {
		return false
	}
	for _, set := range t.sets {
		if set.holds(net.Addr()) {
			return contains(t.have[set.name], net) == list.Look(net.Addr(), whitelist.Anywhere, now).Known()
		}
	}
	return true
}

// check looks what is in the sets, and then brings them in step.
func (k *Keeper) check(ctx context.Context) {
	for _, t := range k.tables {
		t.have = nil
	}
	k.sync(ctx, k.list(), time.Now())
}

// sync makes the sets of all tables hold what they should.
func (k *Keeper) sync(ctx context.Context, list *whitelist.List, now time.Time) {
	want, whole := goodSpans(list, now)
	for _, t := range k.tables {
		err := k.table(ctx, t, want)
		if err == nil && !whole {
			err = fmt.Errorf("more than %d networks are known to be good; the sets hold those of the strongest evidence", maxGood)
		}
		if ctx.Err() == nil {
			k.fault(t.table, err)
		}
	}
}

// fault notes what is wrong with a table, and tells when that is news.
func (k *Keeper) fault(table string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.faults[table]
	delete(k.faults, table)
	if err != nil {
		k.faults[table] = err.Error()
	}
	switch now := k.faults[table]; {
	case now == was:
	case now == "":
		k.log.Info("the known-good are in nft again", "table", table)
	default:
		k.log.Warn("the known-good are not kept in nft", "table", table, "error", now)
	}
}
