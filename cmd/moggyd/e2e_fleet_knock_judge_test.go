package main_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"moggy/whitelist/budget"
)

// A tally is what became of the knocks of one kind.
type tally struct {
	knocks, taken, overRate, overOpen, shut, broken int

	calm, worst float64       // the greatest part of what is allowed that was used, where all was well, and anywhere
	open        float64       // the same of what may be open
	heard       int           // taken in by a door that had to know of all others
	leased      time.Duration // for how long after its end a connection to a killed door was in the way of another
}

func (j *judgement) tally(k *knocker) *tally {
	if j.tallies[k.kind] == nil {
		j.tallies[k.kind] = &tally{}
	}
	return j.tallies[k.kind]
}

// knockers judges all of them.
func (j *judgement) knockers() {
	j.lives, j.tallies = j.f.lives(), make(map[*knockerKind]*tally)
	for _, k := range j.f.knockers {
		slices.SortFunc(k.knocks, func(a, b *knock) int { return a.began.Compare(b.began) })
		for _, n := range k.knocks {
			j.knock(k, n)
		}
		j.most(k)
		j.open(k)
	}
}

// overIn is what the answer to a refused client says it is over; "": it says nothing
// of a budget.
func overIn(text string) budget.Over {
	switch {
	case !strings.Contains(text, "Too much at once"):
		return budget.Within
	case strings.Contains(text, " open: "):
		return budget.OverOpen
	}
	return budget.OverRate
}

// takenIn reports whether a knock has surely used a connection of the budget.
func (j *judgement) takenIn(k *knocker, n *knock) bool {
	return n.code == 220 && n.carried == k.kind.known
}

// ofClass reports whether a refusal was for the budget of the knocker's class.
func (j *judgement) ofClass(k *knocker, n *knock) bool {
	return strings.Contains(n.text, fmt.Sprintf(" of %d burst, %d/min", k.kind.limit.Burst, k.kind.limit.Rate))
}

// knock judges one connection by itself.
func (j *judgement) knock(k *knocker, n *knock) {
	t := j.tally(k)
	t.knocks++
	over := n.refusedFor(overRate) || n.refusedFor(overOpen)
	switch {
	case n.shut && j.up(&n.visit):
		j.fault("broken off", &n.visit, "nobody listened at a door that was up all the while")
	case n.shut:
		t.shut++
	case n.code == 0 && !j.up(&n.visit):
		t.broken++
	case n.code == 220, over:
		j.tookIn(k, n, over)
	default:
		j.manners(&n.visit)
	}
}

// tookIn judges a knock that was answered: by the right budget, after no longer than
// the class waits, and if the client was patient with yes.
func (j *judgement) tookIn(k *knocker, n *knock, over bool) {
	if !j.takenIn(k, n) && !(over && j.ofClass(k, n)) {
		if k.kind.known && j.f.seen.letsIn(k.since, &n.visit) {
			j.fault("another class", &n.visit, "%d %s", n.code, n.text)
		}
		return
	}
	t := j.tally(k)
	switch {
	case n.code == 220:
		t.taken++
	case n.refusedFor(overOpen):
		t.overOpen++
	default:
		t.overRate++
	}
	if over && k.kind.patient {
		j.fault("patient, and refused", &n.visit, "%s", n.text)
	}
	if took := n.answered.Sub(n.began); took > k.kind.limit.Wait+generous && j.up(&n.visit) {
		j.fault("a knocker waited", &n.visit, "%v", took)
	}
}

// most compares what a knocker got with what it may get, in all windows of time that
// begin and end with a connection.
func (j *judgement) most(k *knocker) {
	t, worst, most := j.tally(k), "", 0.0
	in := filterKnocks(k.knocks, func(n *knock) bool { return j.takenIn(k, n) })
	byEnd := slices.SortedFunc(slices.Values(in), func(a, b *knock) int { return a.answered.Compare(b.answered) })
	for _, first := range in {
		got := 0
		for _, last := range byEnd {
			if last.began.Before(first.began) {
				continue
			}
			got++
			w := span{first.began, last.answered}
			may := j.allowed(k.kind.limit, w)
			t.use(got, may)
			if over := float64(got) - min(may.alone, may.shared); over > most {
				most = over
				worst = fmt.Sprintf("%d in %v, where %s", got, w.to.Sub(w.from).Round(time.Millisecond), may)
			}
		}
	}
	if worst != "" {
		j.fault("over budget", nil, "%s %v had %s", k.kind.name, k.source, worst)
	}
}

// use notes how much of what is allowed is used.
func (t *tally) use(got int, may allowance) {
	used := float64(got) / may.shared
	t.worst = max(t.worst, used)
	if may.calm {
		t.calm = max(t.calm, used)
	}
}

func filterKnocks(all []*knock, want func(*knock) bool) []*knock {
	return slices.DeleteFunc(slices.Clone(all), func(n *knock) bool { return !want(n) })
}

func (j *judgement) reportKnockers() {
	seen := make(map[*knockerKind]bool)
	for _, k := range j.f.knockers {
		if seen[k.kind] {
			continue
		}
		seen[k.kind] = true
		t := j.tally(k)
		j.t.Logf("%d %s: %d knocks, %d taken in, %d over rate, %d over open, %d at no door, %d broken off",
			k.kind.count, k.kind.name, t.knocks, t.taken, t.overRate, t.overOpen, t.shut, t.broken)
		j.t.Logf("  of what is allowed they had %.0f %% at most, and %.0f %% where all was well", 100*t.worst, 100*t.calm)
		if t.overOpen == 0 {
			continue
		}
		j.t.Logf("  of what may be open %.0f %%; %d came to doors that had to know of all of them", 100*t.open, t.heard)
		j.t.Logf("  what was open at killed doors was in their way for %v at most", t.leased.Round(time.Millisecond))
	}
}
