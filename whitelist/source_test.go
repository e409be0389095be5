package whitelist

import (
	"slices"
	"strings"
	"testing"
)

func TestSources(t *testing.T) {
	want := []Source{Operator, Session, Local, Login, Crawling, Passed, Wrote, Trapped, Guessing}
	if got := Sources(); !slices.Equal(got, want) {
		t.Errorf("order %v", got)
	}
	for i, s := range append(want, Nothing, "", "of a later version") {
		learned := i < len(want) && s != Operator && s != Local
		if s.rank() != min(i, len(want)) || s.Said() != (s == Operator) || s.Learned() != learned || (MaxLearned(s) > 0) != learned {
			t.Errorf("%s: rank %d, said %v, learned %v, at most %d", s, s.rank(), s.Said(), s.Learned(), MaxLearned(s))
		}
	}
	Sources()[0] = Nothing
	if Operator.rank() != 0 {
		t.Error("the order can be changed from outside")
	}
}

func TestWhichCount(t *testing.T) {
	for at, want := range map[Service]string{
		Anywhere: "operator ssh local login crawler passed wrote trap guess",
		Mail:     "operator ssh local login passed wrote trap",
		Client:   "operator ssh local login guess",
		Web:      "operator ssh local login crawler guess",
	} {
		var got []string
		for _, s := range append(Sources(), Nothing, "of a later version") {
			if s.Counts(at) {
				got = append(got, string(s))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", at, got, want)
		}
	}
}

// TestEachAlone asks at every service for addresses of one source each.
func TestEachAlone(t *testing.T) {
	for _, s := range Sources() {
		l := list(entry("192.0.2.7/32", Peer, s))
		for _, at := range []Service{Anywhere, Mail, Client, Web} {
			want := Standing{Class: at.nobody(), Evidence: Nothing}
			if s.Counts(at) {
				want = Standing{Class: Peer, Evidence: s, Entry: entry("192.0.2.7/32", Peer, s)}
			}
			if got := l.Look(addr("192.0.2.7"), at, epoch); got != want {
				t.Errorf("%s at %q: %+v, want %+v", s, at, got, want)
			}
		}
	}
	for at, want := range map[Service]Class{Anywhere: Stranger, Mail: Stranger, Client: MUA, Web: MUA} {
		if got := list().Classify(addr("192.0.2.7"), at, epoch); got != (Standing{Class: want, Evidence: Nothing}) {
			t.Errorf("nothing known at %q: %+v", at, got)
		}
	}
}
