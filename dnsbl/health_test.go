package dnsbl

import (
	"testing"
	"time"
)

var (
	right   = finding{tested6: true, ipv6: true}
	wrong   = finding{reason: ListsEverybody, why: "it does"}
	nobody  = finding{reason: ListsNobody, why: "it does not"}
	vain    = finding{unanswered: true}
	minutes = time.Minute
)

// step is what happens to a list, and what its health is then.
type step struct {
	after time.Duration // since the step before
	what  any           // a finding, or one of the words below
	state State
	pause time.Duration // until the next probe; 0: not looked at
}

func (s step) apply(h *health, now time.Time) {
	switch what := s.what.(type) {
	case finding:
		h.probed(what, now)
	case int:
		for range what {
			h.failed(now)
		}
	case Reason:
		h.suspect(what, "", now)
	case nil:
		h.answered()
	}
}

func TestHealth(t *testing.T) {
	const s = time.Second
	for name, steps := range map[string][]step{
		"a list that works": {
			{0, right, Working, 5 * minutes}, {5 * minutes, right, Working, 5 * minutes}, {0, nil, Working, 0}},
		"listing the world": {
			{0, right, Working, 0}, {5 * minutes, wrong, Suspended, 30 * s}, {30 * s, wrong, Suspended, minutes},
			{minutes, wrong, Suspended, 2 * minutes}, {2 * minutes, wrong, Suspended, 4 * minutes},
			{4 * minutes, wrong, Suspended, 5 * minutes}, {5 * minutes, wrong, Suspended, 5 * minutes}},
		"back after two right probes": {
			{0, right, Working, 0}, {0, wrong, Suspended, 30 * s}, {0, wrong, Suspended, minutes},
			{minutes, right, Suspended, 30 * s}, {30 * s, right, Working, 5 * minutes}},
		"a wrong one in between": {
			{0, wrong, Suspended, 30 * s}, {0, right, Suspended, 30 * s}, {0, nobody, Suspended, minutes},
			{0, right, Suspended, 30 * s}, {0, right, Working, 0}},
		"none in between": {
			{0, wrong, Suspended, 30 * s}, {0, right, Suspended, 30 * s}, {0, vain, Suspended, minutes}, {0, right, Suspended, 30 * s}, {0, right, Working, 0}},
		"flapping": {
			{0, wrong, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Working, 0},
			{0, wrong, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Working, 0},
			{0, wrong, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Suspended, 0},
			{0, right, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Working, 0},
			{59 * minutes, wrong, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Suspended, 0},
			{0, right, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Working, 0},
			{61 * minutes, wrong, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Working, 0}},
		"suspected for nothing": {
			{0, right, Working, 0}, {0, Surge, Suspected, 0}, {0, Surge, Suspected, 0}, {s, right, Working, 5 * minutes},
			{s, Surge, Working, 0}, {minutes, Surge, Suspected, 0}, {0, wrong, Suspended, 30 * s}},
		"suspected, and no answer": {
			{0, right, Working, 0}, {0, Surge, Suspected, 0}, {0, vain, Suspected, 5 * s}, {0, vain, Suspected, 5 * s},
			{0, vain, Suspected, 5 * s}, {0, vain, Suspected, 5 * s}, {0, vain, Silent, 30 * s}, {0, vain, Silent, minutes}, {0, right, Working, 0}},
		"only a list that works is suspected": {{0, Surge, Untested, 0}, {0, wrong, Suspended, 0}, {0, Surge, Suspended, 0}},
		"silent": {
			{0, right, Working, 0}, {0, 4, Working, 0}, {0, nil, Working, 0}, {0, 4, Working, 0}, {0, 1, Silent, 30 * s},
			{0, nil, Silent, 0}, {30 * s, vain, Silent, minutes}, {0, 3, Silent, minutes}, {minutes, right, Working, 5 * minutes}},
		"silent again and again": {
			{0, right, Working, 0}, {0, 5, Silent, 0}, {0, right, Working, 0}, {0, 5, Silent, 0}, {0, right, Silent, 30 * s},
			{0, right, Working, 0}, {2 * time.Hour, 5, Silent, 0}, {0, right, Working, 0}},
		"silent, then wrong": {
			{0, 5, Silent, 0}, {0, wrong, Suspended, 30 * s}, {0, 9, Suspended, 0}, {0, right, Suspended, 0}, {0, right, Working, 0}},
		"probes in vain": {
			{0, vain, Untested, 5 * s}, {5 * s, right, Working, 5 * minutes}, {0, vain, Working, 30 * s}, {0, vain, Working, 30 * s},
			{0, vain, Working, 30 * s}, {0, vain, Working, 30 * s}, {0, vain, Silent, 30 * s}},
	} {
		h, now := newHealth(5*minutes, epoch), epoch
		for i, step := range steps {
			now = now.Add(step.after)
			before := h
			step.apply(&h, now)
			if h.state != step.state || step.pause != 0 && h.pause != step.pause {
				t.Fatalf("%s, step %d: %s, next probe after %s; want %s, %s", name, i, h.state, h.pause, step.state, step.pause)
			}
			if moved := h.since != before.since; moved && h.state == before.state || h.state != before.state && h.since != now {
				t.Errorf("%s, step %d: %s since %s", name, i, h.state, h.since)
			}
			if (h.reason == "") != (h.state == Working || h.state == Untested) {
				t.Errorf("%s, step %d: %s because of %q", name, i, h.state, h.reason)
			}
		}
	}
}

func TestHealthIPv6(t *testing.T) {
	h := newHealth(time.Minute, epoch)
	for i, c := range []struct {
		f    finding
		want bool
	}{
		{right, true}, {finding{}, true}, {vain, true}, {finding{tested6: true}, false}, {finding{}, false}, {right, true},
	} {
		if h.probed(c.f, epoch); h.ipv6 != c.want {
			t.Errorf("step %d: knows IPv6 %v", i, h.ipv6)
		}
	}
}

// TestHealthShortEvery: no pause is longer than that of a list that works.
func TestHealthShortEvery(t *testing.T) {
	h := newHealth(time.Second, epoch)
	for _, f := range []finding{right, wrong, wrong, right, vain, vain, right, right, vain, vain, vain, vain, vain, vain} {
		if h.probed(f, epoch); h.pause > time.Second || h.pause <= 0 {
			t.Errorf("%s: a pause of %s", h.state, h.pause)
		}
	}
}

func TestTrial(t *testing.T) {
	yes, other, clean := reading{Listed, ip("127.0.0.2")}, reading{Other, ip("127.0.10.3")}, reading{answer: Clean}
	late, failed := reading{answer: Late}, reading{answer: Failed}
	parked, typo := reading{Foreign, ip("192.0.2.80")}, reading{Refused, ip("127.255.255.252")}
	for name, c := range map[string]struct {
		yes, no, yes6, no6 reading
		good, named        int
		want               finding // without its words
	}{
		"all right":               {yes, clean, yes, clean, 0, 0, finding{tested6: true, ipv6: true}},
		"no IPv6":                 {yes, clean, clean, clean, 0, 0, finding{tested6: true}},
		"no answer about IPv6":    {yes, clean, late, clean, 0, 0, finding{}},
		"another code":            {other, clean, other, clean, 0, 0, finding{tested6: true, ipv6: true}},
		"the world":               {yes, yes, clean, clean, 0, 0, finding{reason: ListsEverybody}},
		"the world, another code": {other, other, clean, clean, 0, 0, finding{reason: ListsEverybody}},
		"the IPv6 world":          {yes, clean, yes, yes, 0, 0, finding{reason: ListsEverybody}},
		"the world, half heard":   {failed, yes, late, late, 0, 0, finding{reason: ListsEverybody}},
		"nobody":                  {clean, clean, clean, clean, 0, 0, finding{reason: ListsNobody}},
		"parked":                  {parked, parked, parked, parked, 0, 0, finding{reason: Astray}},
		"typing error":            {typo, typo, typo, typo, 0, 0, finding{reason: Refuses}},
		"refused, half heard":     {late, typo, late, late, 0, 0, finding{reason: Refuses}},
		"no answer":               {late, failed, late, late, 0, 0, finding{unanswered: true}},
		"half an answer":          {yes, late, yes, clean, 0, 0, finding{unanswered: true}},
		"three good peers":        {yes, clean, yes, clean, 3, 3, finding{tested6: true, ipv6: true}},
		"four of four":            {yes, clean, yes, clean, 4, 4, finding{reason: ListsGood}},
		"four of twenty":          {yes, clean, yes, clean, 20, 4, finding{tested6: true, ipv6: true}},
		"five of twenty":          {yes, clean, yes, clean, 20, 5, finding{reason: ListsGood}},
		"worse than good peers":   {yes, yes, yes, clean, 20, 20, finding{reason: ListsEverybody}},
	} {
		l := List{Weight: 3}.withDefaults(1)
		tr := newTrial(&l)
		for i, r := range []reading{c.yes, c.no, c.yes6, c.no6} {
			tr.points[i].reading = r
		}
		tr.good, tr.named = c.good, c.named
		got := tr.find()
		if (got.why == "") != (got.reason == "") {
			t.Errorf("%s: %s, %q", name, got.reason, got.why)
		}
		if got.why = ""; got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
