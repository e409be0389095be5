package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/whitelist"
)

func epoch() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func timers() greylist.Timers {
	return greylist.Timers{Pass: 4 * time.Minute, PassUnnamed: 25 * time.Minute,
		Window: 48 * time.Hour, Remember: 36 * 24 * time.Hour}
}

// nth is a try that differs from every other nth one in its recipient.
func nth(n int, now time.Time) greylist.Try {
	return greylist.Try{Now: now, Timers: timers(), Peer: netip.MustParseAddr("192.0.2.7"), Triplet: greylist.Triplet{
		Origin: greylist.Origin{Kind: greylist.Domain, Name: "example.org"},
		Sender: "alice@example.org", Recipient: fmt.Sprintf("r%d@example.net", n)}}
}

// wide is one that differs in its origin, and all else.
func wide(n int, now time.Time) greylist.Try {
	return greylist.Try{Now: now, Timers: timers(), Peer: netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), Triplet: greylist.Triplet{
		Origin: greylist.Origin{Kind: greylist.Network, Name: fmt.Sprintf("10.%d.%d.0/24", n>>8&255, n&255)},
		Sender: fmt.Sprintf("sender%d@example.org", n), Recipient: fmt.Sprintf("recipient%d@example.net", n%1000)}}
}

func try(t testing.TB, s *Store, x greylist.Try) greylist.Result {
	t.Helper()
	r, err := s.Try(context.Background(), x)
	must(t, err)
	return r
}

func same(a, b greylist.Result) bool {
	return a.Outcome == b.Outcome && a.First.Equal(b.First) && a.Tries == b.Tries && a.Wait == b.Wait
}

// oddTimers are such as nobody configures, now and then.
func oddTimers(r *rand.Rand) greylist.Timers {
	odd := func(d time.Duration) time.Duration {
		switch r.IntN(6) {
		case 0:
			return 0
		case 1:
			return time.Duration(r.Int64N(int64(2 * d)))
		}
		return d
	}
	t := timers()
	return greylist.Timers{Pass: odd(t.Pass), PassUnnamed: odd(t.PassUnnamed), Window: odd(t.Window), Remember: odd(t.Remember)}
}

// step is some time, now and then backwards.
func step(r *rand.Rand) time.Duration {
	most := []time.Duration{time.Millisecond, time.Second, 5 * time.Minute, 30 * time.Minute, 60 * time.Hour, 40 * 24 * time.Hour}[r.IntN(6)]
	d := time.Duration(r.Int64N(int64(most)))
	if r.IntN(8) == 0 {
		return -d
	}
	return d
}

// TestScriptDoesAsNext walks through histories of single triplets and origins, in
// the script and in the pure functions.
func TestScriptDoesAsNext(t *testing.T) {
	s := openAt(t, Options{URL: start(t).url("next"), patience: calm})
	histories := 250
	if testing.Short() {
		histories = 50
	}
	for n := range histories {
		r := rand.New(rand.NewPCG(uint64(n), 5))
		x := wide(n, epoch())
		x.Origin.Kind = []greylist.OriginKind{greylist.Domain, greylist.Name, greylist.Network}[r.IntN(3)]
		x.Timers = oddTimers(r)
		var state greylist.State
		for range 40 {
			x.Now = round(x.Now.Add(step(r)))
			var want greylist.Result
			state, want = greylist.Next(state, x.Now, x.Timers.PassFor(x.Origin), x.Timers)
			if peeked, err := s.Peek(context.Background(), x); err != nil || !same(peeked, want) {
				t.Fatalf("history %d, peek: %v\n%+v\n got %+v\nwant %+v", n, err, x, peeked, want)
			}
			if got := try(t, s, x); !same(got, want) {
				t.Fatalf("history %d: %+v\n got %+v\nwant %+v", n, x, got, want)
			}
		}
	}
}

// TestScriptKnowsOrigins is the same for origins that pass.
func TestScriptKnowsOrigins(t *testing.T) {
	s := openAt(t, Options{URL: start(t).url("known"), patience: calm})
	for n := range 60 {
		r := rand.New(rand.NewPCG(uint64(n), 6))
		x := wide(n, epoch())
		x.Timers.Remember = 24 * time.Hour * time.Duration(1+r.IntN(40))
		slack := min(time.Hour, x.Timers.Remember/32)
		try(t, s, x) // Pass learns Remember from it
		var known greylist.Known
		for range 40 {
			x.Now = round(x.Now.Add(step(r)))
			if r.IntN(3) == 0 {
				must(t, s.Pass(context.Background(), x.Origin, x.Now))
				known = known.Renew(x.Now, x.Timers)
				continue
			}
			want := known.Fresh(x.Now, x.Timers)
			if got := try(t, s, x).Outcome == greylist.OriginKnown; got != want {
				t.Fatalf("history %d: known %v, want %v: %+v of %+v", n, got, want, x, known)
			}
			if want && x.Now.Sub(known.Used) >= slack {
				known = known.Renew(x.Now, x.Timers)
			}
		}
	}
}

// TestJoin: what two memories of one triplet come to.
func TestJoin(t *testing.T) {
	s := openAt(t, Options{URL: start(t).url("join"), patience: calm})
	at := func(m int) time.Time { return epoch().Add(time.Duration(m) * time.Minute) }
	now := at(3000)
	const window = 48 * 60
	for name, c := range map[string]struct{ redis, here, want greylist.State }{
		"here alone":     {greylist.State{}, greylist.State{First: at(2900), Last: at(2950), Tries: 3}, greylist.State{First: at(2900), Last: at(2950), Tries: 3}},
		"here earlier":   {greylist.State{First: at(2990), Last: at(2995), Tries: 2}, greylist.State{First: at(2900), Last: at(2950), Tries: 9}, greylist.State{First: at(2900), Last: at(2995), Tries: 9}},
		"here later":     {greylist.State{First: at(2900), Last: at(2950), Tries: 9}, greylist.State{First: at(2990), Last: at(2995), Tries: 2}, greylist.State{First: at(2900), Last: at(2995), Tries: 9}},
		"here over":      {greylist.State{First: at(2990), Last: at(2995), Tries: 2}, greylist.State{First: at(2999 - window - 1), Last: at(500), Tries: 9}, greylist.State{First: at(2990), Last: at(2995), Tries: 2}},
		"there over":     {greylist.State{First: at(2999 - window - 1), Last: at(500), Tries: 9}, greylist.State{First: at(2990), Last: at(2995), Tries: 2}, greylist.State{First: at(2990), Last: at(2995), Tries: 2}},
		"both over":      {greylist.State{First: at(1), Last: at(1), Tries: 1}, greylist.State{First: at(2), Last: at(2), Tries: 1}, greylist.State{}},
		"at the last ms": {greylist.State{First: at(3000 - window), Last: at(500), Tries: 9}, greylist.State{First: at(2990), Last: at(2995), Tries: 2}, greylist.State{First: at(3000 - window), Last: at(2995), Tries: 9}},
	} {
		x := nth(len(name)*1000+int(name[0]), now)
		x.Sender = name
		q := s.question(x)
		keep := func(state greylist.State, at time.Time) greylist.State {
			if state.Tries == 0 {
				return state
			}
			s.clock.Store(at.UnixMilli())
			r, err := s.keepTriplet(context.Background(), q.triplet(state))
			must(t, err)
			return r.state
		}
		keep(c.redis, c.redis.First)
		if got := keep(c.here, now); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestJoinOrigins: what two memories of one origin come to.
func TestJoinOrigins(t *testing.T) {
	s := openAt(t, Options{URL: start(t).url("join"), patience: calm})
	day := func(n int) time.Time { return epoch().Add(time.Duration(n) * 24 * time.Hour) }
	now := day(100)
	for name, c := range map[string]struct{ redis, here, want greylist.Known }{
		"here alone":   {greylist.Known{}, greylist.Known{Since: day(70), Used: day(80)}, greylist.Known{Since: day(70), Used: day(80)}},
		"here earlier": {greylist.Known{Since: day(90), Used: day(91)}, greylist.Known{Since: day(70), Used: day(80)}, greylist.Known{Since: day(70), Used: day(91)}},
		"here later":   {greylist.Known{Since: day(70), Used: day(80)}, greylist.Known{Since: day(90), Used: day(91)}, greylist.Known{Since: day(70), Used: day(91)}},
		"here over":    {greylist.Known{Since: day(90), Used: day(91)}, greylist.Known{Since: day(1), Used: day(2)}, greylist.Known{Since: day(90), Used: day(91)}},
		"there over":   {greylist.Known{Since: day(1), Used: day(2)}, greylist.Known{Since: day(90), Used: day(91)}, greylist.Known{Since: day(90), Used: day(91)}},
		"both over":    {greylist.Known{Since: day(1), Used: day(2)}, greylist.Known{Since: day(2), Used: day(3)}, greylist.Known{}},
	} {
		x := nth(0, now)
		x.Origin.Name = name
		q := s.question(x)
		keep := func(known greylist.Known, at time.Time) greylist.Known {
			if known.Since.IsZero() {
				return known
			}
			s.clock.Store(at.UnixMilli())
			r, err := s.keepOrigin(context.Background(), q.origin(known))
			must(t, err)
			return r.known
		}
		keep(c.redis, c.redis.Used)
		if got := keep(c.here, now); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestDoorsWithWrongClocks: nobody gets in early, or waits longer, because it came
// to doors whose clocks differ.
func TestDoorsWithWrongClocks(t *testing.T) {
	server := start(t)
	door := func(wrong time.Duration) *Store {
		return openAt(t, Options{URL: server.url("clocks"), patience: calm, Clock: func() time.Time { return time.Now().Add(wrong) }})
	}
	wrongs := []time.Duration{0, 7 * time.Minute, -13 * time.Minute, 40 * time.Hour}
	var doors []*Store
	for _, w := range wrongs {
		doors = append(doors, door(w))
	}
	for n := range 30 {
		r := rand.New(rand.NewPCG(uint64(n), 7))
		at := epoch()
		var state greylist.State
		for range 30 {
			at = round(at.Add(step(r).Abs() / 8))
			i := r.IntN(len(doors))
			x := wide(n, at.Add(wrongs[i]))
			var want greylist.Result
			state, want = greylist.Next(state, at, x.Timers.PassFor(x.Origin), x.Timers)
			want.First = want.First.Add(wrongs[i])
			got := try(t, doors[i], x)
			// the two clocks are not read in the same millisecond
			if got.Outcome != want.Outcome || got.Tries != want.Tries || got.First.Sub(want.First).Abs() > time.Second {
				t.Fatalf("history %d, door %d: %v\n got %+v\nwant %+v", n, i, at, got, want)
			}
		}
	}
	for i, s := range doors {
		for row, err := range s.Triplets(context.Background(), epoch().Add(wrongs[i])) {
			must(t, err)
			if d := row.First.Sub(epoch().Add(wrongs[i])); d < -time.Second {
				t.Errorf("door %d shows a triplet first seen %v before the beginning", i, -d)
			}
		}
	}
}

// TestStrangersExpire: of all keys, only those of persons stay for ever, and the log,
// which is bounded.
func TestStrangersExpire(t *testing.T) {
	server := start(t)
	s := openAt(t, Options{URL: server.url("m"), patience: calm})
	ctx := context.Background()
	now := time.Now()
	for i := range 50 {
		try(t, s, wide(i, now))
		must(t, s.Pass(ctx, wide(i+25, now).Origin, now))
		s.LearnEntries(learned(i, now))
	}
	must(t, s.PutEntry(ctx, person("192.0.2.0/24")))
	must(t, s.PutTrap(ctx, greylist.Trap{Address: "trap@example.org"}))
	must(t, s.Sync())
	longest := map[string]time.Duration{"m:t:": timers().Window + time.Hour, "m:o:": timers().Remember + time.Hour, "m:{e}:l:": 25 * time.Hour, "m:{e}:probe": time.Minute}
	seen := make(map[string]int)
	for _, k := range server.do("KEYS", "*").([]any) {
		key, ttl := k.(string), time.Duration(server.do("PTTL", k).(int64))*time.Millisecond
		found := ""
		for begin, most := range longest {
			if strings.HasPrefix(key, begin) {
				found = begin
				if ttl <= 0 || ttl > most {
					t.Errorf("%s expires in %v", key, ttl)
				}
			}
		}
		seen[found]++
		if found == "" && key != "m:{e}:said" && key != "m:{e}:traps" && key != "m:{e}:log" {
			t.Errorf("%s never expires", key)
		}
	}
	if seen["m:t:"] < 25 || seen["m:o:"] != 50 || seen[""] != 3 {
		t.Errorf("keys: %v", seen)
	}
}

// TestLongestTriplet: what a stranger can make Redis keep.
func TestLongestTriplet(t *testing.T) {
	server := start(t)
	s := openAt(t, Options{URL: server.url(strings.Repeat("x", 32)), patience: calm})
	x := nth(1, epoch())
	x.Origin.Name, x.Sender, x.Recipient = strings.Repeat("o", 5000), strings.Repeat("s", 5000), strings.Repeat("r", 5000)
	x.Origin.Kind, x.Peer = greylist.Network, netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666")
	x.Timers.Window *= 1000
	try(t, s, x)
	if n := server.do("MEMORY", "USAGE", s.question(x).tripletName).(int64); n > 1700 {
		t.Errorf("%d bytes", n)
	}
}

func person(net string) whitelist.Entry {
	return whitelist.Entry{Net: netip.MustParsePrefix(net), Class: whitelist.Peer, Source: whitelist.Operator, Note: "ticket 12", Added: epoch()}
}

func learned(n int, now time.Time) whitelist.Entry {
	return whitelist.Entry{Net: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), 32), Class: whitelist.Peer,
		Source: whitelist.Passed, Added: now, Expires: now.Add(24 * time.Hour)}
}
