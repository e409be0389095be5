package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"moggy/greylist"
)

// A mirror is a store made of nothing but the pure functions.
type mirror struct {
	triplets map[greylist.Triplet]*greylist.Row
	origins  map[string]*greylist.OriginRow
}

// modelSteps is enough for every outcome many times over.
const modelSteps = 6000

// model walks at random through all that strangers and time can do, and compares
// each answer with the mirror's.
func model(t *testing.T, s Subject) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 7))
		m := &mirror{map[greylist.Triplet]*greylist.Row{}, map[string]*greylist.OriginRow{}}
		_, _, err := s.Forget(context.Background(), func(greylist.Row) bool { return true }, func(greylist.OriginRow) bool { return true })
		must(t, err)
		now := epoch()
		for step := range modelSteps {
			now = now.Add(pass(r))
			if !m.step(t, s, r, now) {
				t.Fatalf("seed %d, step %d", seed, step)
			}
		}
	}
}

// pass is some time, now and then a little of it backwards.
func pass(r *rand.Rand) time.Duration {
	scale := []time.Duration{time.Second, time.Minute, 10 * time.Minute, 2 * time.Hour, 24 * time.Hour, 20 * 24 * time.Hour}
	weight := r.IntN(100)
	i := 0
	for _, limit := range []int{50, 75, 90, 97, 99} {
		if weight >= limit {
			i++
		}
	}
	d := time.Duration(r.Int64N(int64(scale[i]))).Truncate(time.Millisecond)
	if r.IntN(20) == 0 {
		return -min(d, 5*time.Minute)
	}
	return d
}

func randomTry(r *rand.Rand, now time.Time) greylist.Try {
	origins := []greylist.Origin{{Kind: greylist.Domain, Name: "example.org"}, {Kind: greylist.Name, Name: "example.net"},
		{Kind: greylist.Network, Name: "192.0.2.0/24"}, {Kind: greylist.Network, Name: "2001:db8::/64"}}
	return greylist.Try{Now: now, Timers: timers(), Peer: netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(256))}),
		Triplet: greylist.Triplet{Origin: origins[r.IntN(len(origins))],
			Sender: fmt.Sprintf("s%d@example.org", r.IntN(2)), Recipient: fmt.Sprintf("r%d@example.com", r.IntN(3))}}
}

func (m *mirror) step(t *testing.T, s Subject, r *rand.Rand, now time.Time) bool {
	x := randomTry(r, now)
	switch n := r.IntN(200); {
	case n < 130:
		return m.try(t, x, try(t, s, x), true)
	case n < 170:
		return m.try(t, x, peek(t, s, x), false)
	case n < 175:
		must(t, s.Pass(context.Background(), x.Origin, now))
		m.pass(x)
	case n < 178:
		return m.forget(t, s, x)
	case n < 190:
		settle(t, s)
	case n < 191:
		settle(t, s)
		reopen(t, s)
	default:
		return m.compare(t, s, now)
	}
	return true
}

// try compares an answer, and changes the mirror if the store was to change.
func (m *mirror) try(t *testing.T, x greylist.Try, got greylist.Result, change bool) bool {
	t.Helper()
	if m.known(x, got.Outcome == greylist.OriginKnown) {
		if change {
			o := m.origins[x.Origin.Name]
			o.Known = o.Renew(x.Now, x.Timers)
		}
		want := greylist.Result{Outcome: greylist.OriginKnown, First: x.Now, Tries: 1}
		return expect(t, x, got, want)
	}
	var state greylist.State
	if row := m.triplets[x.Triplet]; row != nil {
		state = row.State
	}
	next, want := greylist.Next(state, x.Now, x.Timers.PassFor(x.Origin), x.Timers)
	if change {
		m.triplets[x.Triplet] = &greylist.Row{Triplet: x.Triplet, State: next, Peer: x.Peer}
	}
	return expect(t, x, got, want)
}

func expect(t *testing.T, x greylist.Try, got, want greylist.Result) bool {
	t.Helper()
	if agree(got, want) {
		return true
	}
	t.Errorf("%+v\n got %+v\nwant %+v", x, got, want)
	return false
}

// known reports whether the origin counts as known. Where the store may have
// renewed it lazily, what the store says is right.
func (m *mirror) known(x greylist.Try, said bool) bool {
	o := m.origins[x.Origin.Name]
	if o == nil || !o.Fresh(x.Now, x.Timers) {
		return false
	}
	if unsure(o.Known, x.Now) && !said {
		delete(m.origins, x.Origin.Name)
		return false
	}
	return true
}

func unsure(k greylist.Known, now time.Time) bool {
	return now.Sub(k.Used) >= timers().Remember-RenewSlack
}

func (m *mirror) pass(x greylist.Try) {
	o := m.origins[x.Origin.Name]
	if o == nil {
		o = &greylist.OriginRow{Origin: x.Origin}
		m.origins[x.Origin.Name] = o
	}
	o.Known = o.Renew(x.Now, x.Timers)
}

// forget takes one sender's triplets, and one origin. Expired ones may be gone.
func (m *mirror) forget(t *testing.T, s Subject, x greylist.Try) bool {
	least, most := 0, 0
	for key, row := range m.triplets {
		if key.Sender != x.Sender {
			continue
		}
		if most++; !x.Now.After(row.Expires(x.Timers)) {
			least++
		}
		delete(m.triplets, key)
	}
	delete(m.origins, x.Origin.Name)
	n, _, err := s.Forget(context.Background(),
		func(r greylist.Row) bool { return r.Sender == x.Sender },
		func(r greylist.OriginRow) bool { return r.Name == x.Origin.Name })
	must(t, err)
	if n < least || n > most {
		t.Errorf("forgot %d triplets, not %d to %d", n, least, most)
	}
	return least <= n && n <= most
}

// compare looks at all that is kept.
func (m *mirror) compare(t *testing.T, s Subject, now time.Time) bool {
	ctx, live := context.Background(), 0
	for _, row := range m.triplets {
		if !now.After(row.Expires(timers())) {
			live++
		}
	}
	for _, got := range collect(t, s.Triplets(ctx, now)) {
		live--
		want := m.triplets[got.Triplet]
		if want == nil || !got.First.Equal(want.First) || !got.Last.Equal(want.Last) || got.Tries != want.Tries || got.Peer != want.Peer {
			t.Errorf("row %+v, want %+v", got, want)
		}
	}
	if live != 0 {
		t.Errorf("%d rows missing", live)
	}
	m.compareOrigins(t, s, now)
	return !t.Failed()
}

func (m *mirror) compareOrigins(t *testing.T, s Subject, now time.Time) {
	got := make(map[string]greylist.OriginRow)
	for _, row := range collect(t, s.Origins(context.Background(), now)) {
		got[row.Name] = row
	}
	for name, o := range m.origins {
		row, there := got[name]
		delete(got, name)
		fresh := o.Fresh(now, timers())
		if there != fresh && !unsure(o.Known, now) {
			t.Errorf("origin %s: there %v, known %v", name, there, fresh)
		}
		if d := o.Used.Sub(row.Used); there && (d < 0 || d >= RenewSlack) {
			t.Errorf("origin %s: used %v, kept as %v", name, o.Used, row.Used)
		}
	}
	for name := range got {
		t.Errorf("origin %s should not be there", name)
	}
}
