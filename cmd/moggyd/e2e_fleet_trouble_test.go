package main_test

import (
	"context"
	"math/rand/v2"
	"os"
	"syscall"
	"time"
)

// A span is from some time to another; an end that is zero has not come.
type span struct{ from, to time.Time }

// troubleDoors kills doors, one after the other, and starts them again. Two are
// always there: what only one has in memory is lost with it.
func (f *fleet) troubleDoors(ctx context.Context) {
	for _, d := range f.doors {
		go d.looks(ctx) // ends with ctx
	}
	r := f.chance(1)
	for end := f.until(fleetTrouble); time.Now().Before(end); {
		if !rest(ctx, time.Now().Add(between(r, time.Second, 4*time.Second))) {
			return
		}
		d, how := f.doors[r.IntN(len(f.doors))], os.Signal(syscall.SIGKILL)
		if r.IntN(4) == 0 {
			how = syscall.SIGTERM
		}
		d.kill(how)
		rest(ctx, time.Now().Add(between(r, 0, 2*time.Second)))
		if err := d.start(ctx); err != nil {
			f.t.Error(err)
			return
		}
	}
}

// troubleRedis has Redis hang, die, and lose everything, in some order.
func (f *fleet) troubleRedis(ctx context.Context) {
	r := f.chance(2)
	ways := []func(context.Context, *rand.Rand){f.hang, f.hang, f.hang, f.die, f.die, f.empty}
	r.Shuffle(len(ways), func(i, j int) { ways[i], ways[j] = ways[j], ways[i] })
	for i, way := range ways {
		at := f.until(fleetTrouble * time.Duration(i+1) / time.Duration(len(ways)+1))
		if !rest(ctx, at.Add(between(r, -time.Second, time.Second))) {
			return
		}
		way(ctx, r)
	}
	rest(ctx, f.until(fleetTrouble))
}

// longestHang is for how long Redis hangs, at most.
const longestHang = 3 * time.Second

func (f *fleet) hang(ctx context.Context, r *rand.Rand) {
	defer f.seen.redisAway("hangs")()
	f.redis.Pause()
	rest(ctx, time.Now().Add(between(r, 500*time.Millisecond, longestHang)))
	f.redis.Resume()
}

func (f *fleet) die(ctx context.Context, r *rand.Rand) {
	defer f.seen.redisAway("dies")()
	f.redis.Kill()
	rest(ctx, time.Now().Add(between(r, 0, 3*time.Second)))
	f.redis.Start()
}

// seenBy is how long a door may take until it has an entry of another.
const seenBy = time.Second

// emptied is what became of a Redis that has lost all it had.
const emptied = "is emptied"

// empty has Redis come back without all it had. What is in force at a door then
// comes from there; so nobody makes entries that only Redis has.
func (f *fleet) empty(ctx context.Context, r *rand.Rand) {
	f.making.Lock()
	defer f.making.Unlock()
	rest(ctx, time.Now().Add(2*seenBy))
	defer f.seen.redisAway(emptied)()
	f.redis.Kill()
	f.redis.Forget()
	rest(ctx, time.Now().Add(between(r, 0, 2*time.Second)))
	f.redis.Start()
}

// stalls is what a Redis does that answers too late for a door, or the machine.
const (
	stalls  = "stalls"
	tooSlow = 200 * time.Millisecond // two tries of a door
)

// watchRedis notes when it stalls. A test on a machine that is busy must not take
// that for a fault of moggyd.
func (f *fleet) watchRedis(ctx context.Context) {
	for rest(ctx, time.Now().Add(tooSlow/8)) {
		asked, back := time.Now(), f.seen.redisAway(stalls)
		f.redis.Ask("SET watched 1") // as durable as what doors say
		if time.Since(asked) > tooSlow {
			back()
		}
	}
}
