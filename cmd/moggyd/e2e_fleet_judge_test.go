package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// generous is how long a known peer may wait for its banner on a machine that is
// busy with all this.
const generous = 3 * time.Second

// A judgement compares what peers saw with what the model allows.
type judgement struct {
	t        *testing.T
	f        *fleet
	accounts map[*visit]account
	faults   map[string]int

	visits, broken, due, again int // visits; broken off; that had to get in; that waited again for what a door need not know
	friends, certain           int // visits of friends; at doors that had to know them
	slowest                    time.Duration

	lives   []span
	tallies map[*knockerKind]*tally
}

// judge says whether all of it may have been so.
func (f *fleet) judge() {
	slices.SortFunc(f.seen.away, func(a, b outage) int { return a.from.Compare(b.from) })
	j := judgement{t: f.t, f: f, accounts: f.accounts(), faults: make(map[string]int)}
	origins := make(map[int][]*visit) // that got in
	for _, m := range f.seen.letters {
		for _, v := range m.visits {
			if v.passed() {
				origins[m.origin] = append(origins[m.origin], v)
			}
		}
	}
	for _, m := range f.seen.letters {
		j.letter(m, origins[m.origin])
	}
	for _, fr := range f.seen.friends {
		j.friend(fr)
	}
	j.knockers()
	j.doors()
	j.report()
}

// fault notes what must not be; of each kind the first few are told.
func (j *judgement) fault(kind string, v *visit, format string, args ...any) {
	if j.faults[kind]++; j.faults[kind] > 3 {
		return
	}
	what := ""
	if v != nil {
		what = fmt.Sprintf("%s to %s of %v, %v after the beginning: ", v.door.name, v.to, v.source, v.began.Sub(j.f.seen.began).Round(time.Millisecond))
	}
	j.t.Errorf("%s: %s%s", kind, what, fmt.Sprintf(format, args...))
}

// passed reports whether the mail was let in, whatever became of it then.
func (v *visit) passed() bool { return v.carried || v.code == 250 }

// letter judges the visits for one triplet. passes are those of its origin.
func (j *judgement) letter(m *letter, passes []*visit) {
	for i, v := range m.visits {
		j.visits++
		j.manners(v)
		if v.passed() {
			j.passes(m, i, passes)
		}
		if v.passed() || v.code == 451 {
			j.remembers(m, i, passes)
		}
	}
	j.arrived(m)
}

// passes judges a visit that got in.
func (j *judgement) passes(m *letter, i int, passes []*visit) {
	v := m.visits[i]
	waited := func(b *visit) bool { return !b.sent.IsZero() && v.answered.Sub(b.sent) >= fleetPass }
	after := func(p *visit) bool { return p != v && p.began.Before(v.began) }
	if !slices.ContainsFunc(m.visits[:i], waited) && !slices.ContainsFunc(passes, after) {
		j.fault("passed early", v, "%s", tries(m, v))
	}
}

// remembers judges whether a visit got in that had waited, or whose origin had
// passed.
func (j *judgement) remembers(m *letter, i int, passes []*visit) {
	v := m.visits[i]
	waited := func(b *visit) bool { return b.code == 451 && !b.answered.Add(fleetPass+slack).After(v.sent) }
	ripe := slices.Concat(filter(m.visits[:i], waited), filter(passes, func(p *visit) bool { return p.taken && p.answered.Before(v.began) }))
	switch known := slices.ContainsFunc(ripe, func(b *visit) bool { return j.knows(b, v) }); {
	case known && v.passed():
		j.due++
	case known:
		j.fault("lost", v, "%s", tries(m, v))
	case len(ripe) > 0 && !v.passed():
		j.again++
	}
}

func filter(all []*visit, want func(*visit) bool) []*visit {
	return slices.DeleteFunc(slices.Clone(all), func(v *visit) bool { return !want(v) })
}

// tries are all tries of a mail, for people.
func tries(m *letter, of *visit) string {
	var all []string
	for _, v := range m.visits {
		all = append(all, fmt.Sprintf("%s %+.3fs %d", v.door.name, v.sent.Sub(of.sent).Seconds(), v.code))
	}
	return strings.Join(all, ", ")
}

// arrived wants the mail to have got through in the end, with its peer's address.
func (j *judgement) arrived(m *letter) {
	if len(m.visits) == 0 {
		return
	}
	last := m.visits[len(m.visits)-1]
	if !last.taken {
		j.fault("never got in", last, "%s", tries(m, last))
		return
	}
	if got := j.f.sink.from(m.to); got != last.source {
		j.fault("wrong address", last, "the backend was told %v", got)
	}
}

// manners judges what holds of every visit.
func (j *judgement) manners(v *visit) {
	up := j.up(v)
	switch {
	case v.code >= 500:
		j.fault("refused for good", v, "%d %s", v.code, v.text)
	case v.code == 0:
		if j.broken++; up {
			j.fault("broken off", v, "by a door that was up all the while")
		}
	case v.code == 421 && up, v.code == 451 && !strings.Contains(v.text, "Greylisted"), v.code/100 == 4 && v.code != 451 && v.code != 421:
		j.fault("unexpected", v, "%d %s", v.code, v.text)
	}
}

// up reports whether the door was there during the whole visit.
func (j *judgement) up(v *visit) bool { return v.door.lifeAt(v) != nil }

// friend judges the visits of a network that a person let in.
func (j *judgement) friend(fr *friend) {
	for _, v := range fr.visits {
		j.friends++
		j.manners(v)
		if v.code == 0 || v.code == 421 || !j.f.seen.letsIn(fr.since, v) {
			continue
		}
		j.certain++
		if !v.carried || !v.taken {
			j.fault("a friend was not carried", v, "%v after the entry: %d %s; %s",
				v.began.Sub(fr.since).Round(time.Millisecond), v.code, v.text, v.door.history())
			continue
		}
		took := v.greeted.Sub(v.began)
		if j.slowest = max(j.slowest, took); took > generous {
			j.fault("a friend waited", v, "%v", took)
		}
	}
}

// doors judges what the doors say of themselves, and what is left in the end.
func (j *judgement) doors() {
	for _, d := range j.f.doors {
		for _, l := range d.lives {
			if l.harm != "" {
				j.fault("harm", nil, "%s says %s", d.name, l.harm)
			}
		}
	}
	if n := j.f.redis.Count("HLEN fleet:{e}:said"); n != len(j.f.seen.friends)+j.f.seen.entries {
		j.fault("entries", nil, "%d in Redis, of %d that were acknowledged", n, len(j.f.seen.friends)+j.f.seen.entries)
	}
}

func (j *judgement) report() {
	lives := 0
	for _, d := range j.f.doors {
		lives += len(d.lives)
	}
	j.t.Logf("%d mails of strangers in %d visits, of which %d were broken off, %d had to get in, and %d waited again for what a door need not know",
		len(j.f.seen.letters), j.visits, j.broken, j.due, j.again)
	j.t.Logf("%d friends in %d visits, %d of them to doors that had to know them; their banner took %v at most",
		len(j.f.seen.friends), j.friends, j.certain, j.slowest.Round(time.Millisecond))
	j.reportKnockers()
	j.t.Logf("%d lives of %d doors", lives, len(j.f.doors))
	j.reportRedis()
	for kind, n := range j.faults {
		j.t.Logf("%s: %d times", kind, n)
	}
}

func (j *judgement) reportRedis() {
	away := j.f.seen.away
	for i, o := range away {
		if o.what == stalls && slices.ContainsFunc(away[:i], func(p outage) bool { return p.to.After(o.from) }) {
			continue // nobody wonders
		}
		from, took := o.from.Sub(j.f.seen.began), o.to.Sub(o.from)
		j.t.Logf("Redis %s from %v for %v", o.what, from.Round(time.Millisecond), took.Round(time.Millisecond))
	}
}
