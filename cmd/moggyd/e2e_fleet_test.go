package main_test

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
)

// The fleet's times, and how long all of it goes on.
const (
	fleetPass    = 2 * time.Second // of the configuration, see fleetToml
	fleetTrouble = 45 * time.Second
	fleetDrain   = 20 * time.Second // when all is well again, until everybody has got in

	fleetDoors     = 3
	fleetStrangers = 2400 // each of a network of its own
	fleetFriends   = 90   // each let in by an entry that is made meanwhile
)

// TestFleet has three moggyd share one Redis, while thousands of peers come to any
// of them, some of them to all at once and too often, doors are killed, and Redis
// hangs, is killed, and once loses all it had. All that the peers see is written
// down, and afterwards a model of the whole run says whether it may have been so; see
// e2e_fleet_model_test.go and, for budgets, e2e_fleet_budget_test.go.
//
// MOGGY_FLEET_SEED repeats a run's trouble, as far as the machine lets it.
func TestFleet(t *testing.T) {
	if os.Getenv("MOGGY_E2E") != "1" || testing.Short() {
		t.Skip("takes more than a minute; try: MOGGY_E2E=1")
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux calls from every 127.x")
	}
	f := openFleet(t)
	f.run()
	f.judge()
}

// A fleet is doors on one Redis, what stands behind them, and what was seen of it.
type fleet struct {
	programs
	t     *testing.T
	seed  uint64
	redis *peers.Redis
	sink  *fleetSink
	doors []*fleetDoor
	seen  chronicle

	knockers []*knocker

	making sync.RWMutex // held for reading by who makes an entry
}

func openFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{programs: build(t), t: t, seed: uint64(time.Now().UnixNano())}
	if text := os.Getenv("MOGGY_FLEET_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		f.seed = seed
	}
	t.Logf("MOGGY_FLEET_SEED=%d", f.seed)
	// What Redis has said yes to survives its death: nothing may be lost but by Forget.
	f.redis = peers.StartRedis(t, "appendonly yes", "appendfsync always")
	f.sink = startFleetSink(t)
	for i := range fleetDoors {
		f.doors = append(f.doors, f.openDoor(i))
	}
	return f
}

// chance is a source of chance for one of those who play.
func (f *fleet) chance(who int) *rand.Rand { return rand.New(rand.NewPCG(f.seed, uint64(who))) }

// run plays everybody until all are done.
func (f *fleet) run() {
	f.introduce()
	ctx, cancel := context.WithTimeout(f.t.Context(), fleetTrouble+fleetDrain)
	defer cancel()
	f.seen.began = time.Now()
	var trouble, players, watch sync.WaitGroup
	watching, enough := context.WithCancel(ctx)
	defer enough()
	watch.Go(func() { f.watchRedis(watching) })
	players.Go(func() { f.strangers(ctx) })
	players.Go(func() { f.friends(ctx) })
	players.Go(func() { f.knocking(ctx) })
	trouble.Go(func() { f.troubleDoors(ctx) })
	f.troubleRedis(ctx) // here, because it may end the test
	trouble.Wait()
	players.Wait()
	enough()
	watch.Wait()
	for _, d := range f.doors {
		d.look()
	}
}

// until is the time so long after the beginning.
func (f *fleet) until(d time.Duration) time.Time { return f.seen.began.Add(d) }

// rest waits until a time; it reports false when ctx has ended before.
func rest(ctx context.Context, until time.Time) bool {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// between is some time from least to most.
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}
