package main_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
)

// What these benchmarks do. The machine is not theirs alone: sessions are short, and each kind comes to all doors in
// turn, so that what is compared was measured in the same seconds.
const (
	redisAlone  = 2000 // peers that come one after the other, to each side
	redisCrowd  = 3000 // peers of one round that come many at once
	redisRounds = 3
	redisHang   = 1000 // peers that come one after the other while Redis hangs
	redisHouses = 200  // addresses of the known
)

// A redisBench is doors with and without a Redis, and one backend.
type redisBench struct {
	programs
	b       *testing.B
	redis   *peers.Redis
	backend string
	come    int // newcomers so far: none comes twice
	back    int // returners so far
}

func openRedisBench(b *testing.B) *redisBench {
	b.Helper()
	if runtime.GOOS != "linux" {
		b.Skip("only Linux calls from every 127.x and tells in /proc what a process uses")
	}
	return &redisBench{b: b, redis: peers.StartRedis(b), programs: build(b), backend: startFleetSink(b).address}
}

// alone is a door with the embedded store.
func (r *redisBench) alone() *benchDoor {
	return doorForBench(r.b, r.programs, "embedded", r.backend)
}

// shared is a door on Redis.
func (r *redisBench) shared() *benchDoor {
	return doorForBench(r.b, r.programs, r.redis.URL("bench"), r.backend)
}

// newcomers are n strangers that never came before.
func (r *redisBench) newcomers(n int) visits {
	first := r.come
	r.come += n
	return func(d *benchDoor, i int) session { return d.stranger(r.b.Context(), newcomer(first+i), 451) }
}

// friends are those that a person let in, from so many addresses.
func (r *redisBench) friends(addresses int) visits {
	return func(d *benchDoor, i int) session { return d.friend(r.b.Context(), i%addresses) }
}

// BenchmarkWithRedis has the same peers come to a moggyd with Redis and to one with the embedded store, first each
// alone, then many at once. A second one with the embedded store says how much two doors differ that are alike: "noise"
// is what that seems to add.
func BenchmarkWithRedis(b *testing.B) {
	r := openRedisBench(b)
	doors := []*benchDoor{r.alone(), r.shared(), r.alone()}
	known := func() visits { return r.friends(redisHouses) }
	fresh := func() visits { return r.newcomers(redisCrowd) }
	for _, c := range []struct {
		name string
		try  func(*testing.B)
	}{
		{"known", func(b *testing.B) { compare(b, "connect", inTurn(b, redisAlone, doors, known()), sessions.connects) }},
		{"new", func(b *testing.B) {
			seen := inTurn(b, redisAlone, doors, r.newcomers(redisAlone))
			compare(b, "connect", seen, sessions.connects)
			compare(b, "rcpt", seen, sessions.rcpts)
		}},
		{"back", func(b *testing.B) { compare(b, "rcpt", r.comeBack(b, redisAlone, doors), sessions.rcpts) }},
		{"many-known", func(b *testing.B) { many(b, doors[:2], known, sessions.connects) }},
		{"many-new", func(b *testing.B) { many(b, doors[:2], fresh, sessions.rcpts) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.try(b)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// comeBack has n strangers come, and come again when their time has passed. Then they are handed over.
func (r *redisBench) comeBack(b *testing.B, n int, doors []*benchDoor) []sessions {
	first := r.back
	r.back += n
	visit := func(code int) visits {
		return func(d *benchDoor, i int) session { return d.stranger(b.Context(), returner(first+i), code) }
	}
	inTurn(b, n, doors, visit(451))
	rest(b.Context(), time.Now().Add(redisPass))
	return inTurn(b, n, doors, visit(250))
}

// redisPass is longer than a stranger waits, see redisToml.
const redisPass = 1100 * time.Millisecond

// compare reports what Redis adds: seen are the sessions with the embedded store, with Redis, and with the embedded
// store once more.
func compare(b *testing.B, what string, seen []sessions, of func(sessions) times) {
	for _, q := range []struct {
		name string
		at   int
	}{{"p50", 500}, {"p99", 990}} {
		embedded, redis, again := of(seen[0]).at(q.at), of(seen[1]).at(q.at), of(seen[2]).at(q.at)
		name := func(who string) string { return fmt.Sprintf("%s-%s-%s-µs", what, who, q.name) }
		b.ReportMetric(embedded, name("embedded"))
		b.ReportMetric(redis, name("redis"))
		b.ReportMetric(redis-(embedded+again)/2, name("added"))
		b.ReportMetric(again-embedded, name("noise"))
	}
}

// many has many peers come at once to the one with the embedded store and to the one with Redis, in turn.
func many(b *testing.B, doors []*benchDoor, next func() visits, of func(sessions) times) {
	loads := make([]load, len(doors))
	for round := range redisRounds * len(doors) {
		at := (round + round/len(doors)) % len(doors) // A B, B A
		loads[at].crowded(b, redisCrowd, doors[at:at+1], next())
	}
	for at, who := range []string{"embedded", "redis"} {
		loads[at].report(b, who)
		b.ReportMetric(of(loads[at].seen).at(500), who+"-p50-µs")
		b.ReportMetric(of(loads[at].seen).at(990), who+"-p99-µs")
	}
	var ratios []float64 // of two rounds, one after the other
	for round, rate := range loads[1].rates {
		ratios = append(ratios, rate/loads[0].rates[round])
	}
	b.ReportMetric(middle(ratios), "×speed")
}

// BenchmarkWithHangingRedis is the same while redis-server is stopped and its connections stay, so that nobody hears
// that it is gone. The first strangers are among those who come.
func BenchmarkWithHangingRedis(b *testing.B) {
	r := openRedisBench(b)
	doors := []*benchDoor{r.alone(), r.shared(), r.alone()}
	for b.Loop() {
		friend, stranger, before := r.friends(redisHouses), r.newcomers(redisHang), doors[1].fromMemory(b)
		r.redis.Pause()
		seen := inTurn(b, redisHang, doors, func(d *benchDoor, i int) session {
			known, fresh := friend(d, i), stranger(d, i)
			return session{connect: known.connect, rcpt: fresh.rcpt, err: errors.Join(known.err, fresh.err)}
		})
		r.redis.Resume()
		compare(b, "known-connect", seen, sessions.connects)
		compare(b, "rcpt", seen, sessions.rcpts)
		for at, who := range []string{"embedded", "redis"} {
			b.ReportMetric(seen[at].connects().at(1000), "known-connect-"+who+"-max-µs")
			b.ReportMetric(seen[at].rcpts().at(1000), "rcpt-"+who+"-max-µs")
		}
		b.ReportMetric(float64(doors[1].fromMemory(b)-before)/redisHang*1000, "from-memory/1000")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDoorsOnRedis is what one, two and three moggyd on one Redis do together, on the same machine with their
// callers: its cores bound what they do. What tells how far it goes on machines of their own is the CPU time of a
// session, at the doors and at Redis.
func BenchmarkDoorsOnRedis(b *testing.B) {
	r := openRedisBench(b)
	doors := []*benchDoor{r.shared(), r.shared(), r.shared()}
	b.Run("known", func(b *testing.B) { together(b, doors, func() visits { return r.friends(redisHouses) }) })
	b.Run("new", func(b *testing.B) { together(b, doors, func() visits { return r.newcomers(redisCrowd) }) })
}

// together has the same peers come to the first door, to the first two, and so on, in turn.
func together(b *testing.B, doors []*benchDoor, next func() visits) {
	loads := make([]load, len(doors))
	for b.Loop() {
		for range redisRounds {
			for n := range loads {
				loads[n].crowded(b, redisCrowd, doors[:n+1], next())
			}
		}
	}
	for n := range loads {
		loads[n].report(b, fmt.Sprintf("%d-doors", n+1))
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRedisCommands is what a session costs Redis, beside what a door asks when nobody comes: scripts that were
// run, and commands, theirs included. The budget of an address that came is told once a second.
func BenchmarkRedisCommands(b *testing.B) {
	r := openRedisBench(b)
	doors := []*benchDoor{r.shared()}
	for b.Loop() {
		idle := r.asked(b, func() {})
		b.ReportMetric(idle.scripts/idle.seconds, "idle-scripts/s")
		for _, c := range []struct {
			name  string
			visit visits
		}{
			{"known-of-1", r.friends(1)},
			{"known-of-200", r.friends(redisHouses)},
			{"known-once", r.friends(redisCrowd)},
			{"new", r.newcomers(redisCrowd)},
		} {
			a := r.asked(b, func() { new(load).crowded(b, redisCrowd, doors, c.visit) })
			b.ReportMetric((a.scripts-idle.scripts*a.seconds/idle.seconds)/redisCrowd, c.name+"-scripts")
			b.ReportMetric((a.commands-idle.commands*a.seconds/idle.seconds)/redisCrowd, c.name+"-commands")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// asked is what Redis did in some time.
type asked struct{ scripts, commands, seconds float64 }

// asked counts what Redis is asked because of act, and for a while after it.
func (r *redisBench) asked(b *testing.B, act func()) asked {
	scripts, commands, began := r.redis.Count(scriptsRun), r.redis.Count(commandsRun), time.Now()
	act()
	rest(b.Context(), time.Now().Add(redisTold))
	return asked{float64(r.redis.Count(scriptsRun) - scripts), float64(r.redis.Count(commandsRun) - commands), time.Since(began).Seconds()}
}

// These have Redis count what it was asked.
const (
	scriptsRun  = `EVAL "return tonumber(string.match(redis.call('INFO', 'commandstats'), 'evalsha:calls=(%d+)'))" 0`
	commandsRun = `EVAL "return tonumber(string.match(redis.call('INFO', 'stats'), 'total_commands_processed:(%d+)'))" 0`
)
