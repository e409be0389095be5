package dnsbl

import (
	"maps"
	"time"
)

// A Status is how a list does and what it is worth. Counts are since the start.
type Status struct {
	Name   string    `json:"name"`
	Weight int       `json:"weight"`
	State  State     `json:"state"`
	Since  time.Time `json:"since"`            // of the state
	Reason Reason    `json:"reason,omitempty"` // why it does not work
	Why    string    `json:"why,omitempty"`    // the same in words
	IPv6   bool      `json:"ipv6"`             // it knows IPv6

	Asked    uint64            `json:"asked"`    // questions about peers
	Answers  map[Answer]uint64 `json:"answers"`  // to them; every Answer is there
	Hits     uint64            `json:"hits"`     // listings that counted
	Alone    uint64            `json:"alone"`    // hits on peers that no other list on its side had
	Decisive uint64            `json:"decisive"` // hits without which the peer had fared otherwise
	Passed   uint64            `json:"passed"`   // hits on peers that passed later, or are known to be good

	Mean time.Duration `json:"mean"` // until an answer
	P95  time.Duration `json:"p95"`  // at most this for 95 of 100 answers, rounded up

	Probed     time.Time     `json:"probed,omitzero"` // the last probe of its test points
	ProbeTook  time.Duration `json:"probe_took"`      // all test points together
	Next       time.Time     `json:"next,omitzero"`   // the next probe, unless something happens
	Good       int           `json:"good"`            // peers known to be good that the last probe asked about
	GoodListed int           `json:"good_listed"`     // those of them that it has

	// LastError is the last answer that was an error, in words. It may be long ago.
	LastError string `json:"last_error,omitempty"`
	// Doubtful are the decisions that hung on it between its last right probe
	// and its last suspension, the oldest first; it stays when the list is back.
	Doubtful []Decision `json:"doubtful,omitempty"`
}

// value counts what a list is worth.
type value struct {
	asked, hits, alone, decisive, passed uint64
	answers                              map[Answer]uint64
	latency                              latency
}

func newValue() value {
	v := value{answers: make(map[Answer]uint64)}
	for _, a := range Answers() {
		v.answers[a] = 0
	}
	return v
}

// answered counts what became of a question.
func (v *value) answered(a Answer, took time.Duration) {
	v.asked++
	v.answers[a]++
	if !a.silent() {
		v.latency.add(took)
	}
}

// hit counts a listing that counted.
func (v *value) hit(alone, decisive bool) {
	v.hits++
	if alone {
		v.alone++
	}
	if decisive {
		v.decisive++
	}
}

func (v *value) fill(s *Status) {
	s.Asked, s.Answers = v.asked, maps.Clone(v.answers)
	s.Hits, s.Alone, s.Decisive, s.Passed = v.hits, v.alone, v.decisive, v.passed
	s.Mean, s.P95 = v.latency.mean(), v.latency.p95()
}

// latency is a histogram of times.
type latency struct {
	counts [len(bounds)]uint64
	n      uint64
	sum    time.Duration
}

// bounds are the upper ends of the histogram; the last takes all that is above.
var bounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
}

func (l *latency) add(d time.Duration) {
	i := 0
	for i < len(bounds)-1 && d > bounds[i] {
		i++
	}
	l.counts[i]++
	l.n++
	l.sum += d
}

func (l *latency) mean() time.Duration {
	if l.n == 0 {
		return 0
	}
	return l.sum / time.Duration(l.n)
}

func (l *latency) p95() time.Duration {
	var below uint64
	for i, n := range l.counts {
		if below += n; below > 0 && 100*below >= 95*l.n {
			return bounds[i]
		}
	}
	return 0
}
