package verdict_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/verdict"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

func TestRulesAreWellFormed(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	sentence := regexp.MustCompile(`^[A-Z][^\n]+\.$`)
	seen := make(map[string]bool)
	for _, r := range verdict.Rules() {
		switch {
		case !name.MatchString(r.Name) || seen[r.Name]:
			t.Errorf("%s: no name, or not the only one", r.Name)
		case !sentence.MatchString(r.Doc) || strings.Contains(r.Doc, "  "):
			t.Errorf("%s: %q is no sentence", r.Name, r.Doc)
		case !slices.Contains(verdict.Actions(), r.Action):
			t.Errorf("%s: no action %q", r.Name, r.Action)
		case len(r.Stages) == 0:
			t.Errorf("%s: is never asked", r.Name)
		}
		for _, s := range r.Stages {
			if !slices.Contains(verdict.Stages(), s) {
				t.Errorf("%s: no stage %q", r.Name, s)
			}
		}
		seen[r.Name] = true
	}
	if len(seen) > 64 {
		t.Errorf("%d rules; a verdict has room for 64 bits of them", len(seen))
	}
}

func TestEveryActionIsUsed(t *testing.T) {
	for _, a := range verdict.Actions() {
		if !slices.ContainsFunc(verdict.Rules(), func(r verdict.Rule) bool { return r.Action == a }) {
			t.Errorf("no rule leads to %s", a)
		}
	}
}

func TestRulesCannotBeChanged(t *testing.T) {
	verdict.Rules()[0].Name = "changed"
	if verdict.Rules()[0].Name == "changed" {
		t.Error("Rules gave the table away")
	}
}

func TestRemedies(t *testing.T) {
	command := regexp.MustCompile(`^moggy [a-z]+( [a-z]+)?( 192\.0\.2\.7)?( --class own)?( --note WHY)?$`)
	for _, r := range verdict.Rules() {
		do := verdict.RemedyFor(r.Name, "192.0.2.7")
		if !command.MatchString(do) {
			t.Errorf("%s: %q cannot be typed", r.Name, do)
		}
	}
	if do := verdict.RemedyFor("no such rule", "192.0.2.7"); do != "" {
		t.Errorf("a remedy for nothing: %q", do)
	}
}

// anyFacts makes facts up, sensible or not.
func anyFacts(r *rand.Rand) *verdict.Facts {
	some := func() bool { return r.IntN(4) == 0 }
	f := facts(pick(r, verdict.Stages()))
	f.Standing.Class = pick(r, []whitelist.Class{whitelist.Own, whitelist.Peer, "made-up", whitelist.MUA,
		whitelist.Stranger, whitelist.Stranger, whitelist.Listed, whitelist.Guesser, ""})
	f.Standing.Deny = some()
	f.Full, f.Early, f.NotSMTP, f.Excessive = some(), some(), some(), some()
	f.Trap, f.GreyDown, f.Gateway = some(), some(), some()
	f.Service = pick(r, []whitelist.Service{whitelist.Mail, whitelist.Mail, whitelist.Client, whitelist.Web})
	f.Budget = pick(r, []budget.Usage{{}, {}, {}, {Wait: time.Second}, {Over: budget.OverRate}, {Over: budget.OverRecipients}})
	if some() {
		f.Sender = ""
	}
	f.Grey.Outcome = pick(r, []greylist.Outcome{"", "nonsense", greylist.FirstSeen, greylist.TooEarly,
		greylist.TooLate, greylist.Returned, greylist.OriginKnown})
	return f
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// TestPromises looks at many decisions for what must hold of each.
func TestPromises(t *testing.T) {
	r := rand.New(rand.NewPCG(2026, 11))
	for range 50_000 {
		f := anyFacts(r)
		p := policy
		p.Observe = r.IntN(2) == 0
		v := verdict.Decide(f, &p)
		if broken := promise(f, &v); broken != "" {
			t.Fatalf("%s: %+v led to %s, %s, %d", broken, f, v.Rule, v.Action, v.Reply.Code)
		}
	}
}

// promise names a promise that a decision breaks.
func promise(f *verdict.Facts, v *verdict.Verdict) string {
	known := !f.Standing.Deny && f.Standing.Class.Known()
	gate := f.Stage == verdict.Connect || f.Stage == verdict.Recipient
	let := v.Action == verdict.Carry || v.Action == verdict.Wait || v.Action == verdict.HandOver
	over := f.Stage == verdict.Connect && f.Budget.Over != ""
	steps := v.Steps()
	switch {
	case v.Rule == "":
		return "some rule decides"
	case v.Reply.Code >= 500 && !f.Standing.Deny:
		return "5yz only where a person said deny"
	case f.Standing.Deny && let:
		return "a denied peer does not get in"
	case known && gate && !let && !over:
		return "a known peer gets in"
	case v.Harms(f) != (known && (!let || v.Wait > verdict.Patience) && !v.Observed):
		return "harm is a known peer that is refused, or waits for long"
	case (v.Action == verdict.Wait) != (v.Wait > 0):
		return "who waits knows how long"
	case (v.Action == verdict.Carry || v.Action == verdict.Wait) && f.Stage != verdict.Connect:
		return "carried at connect only"
	case v.Action == verdict.HandOver && f.Stage != verdict.Recipient:
		return "handed over at a recipient only"
	case v.Action == verdict.HandOver && f.Early && !known:
		return "who spoke early is not handed over"
	case (v.Action == verdict.Talk || v.Action == verdict.Hold) && f.Stage == verdict.Connect && f.Service != whitelist.Mail:
		return "nobody talks where the protocol is not ours"
	case let != (v.Reply.Code == 0) && f.Stage != verdict.Connect:
		return "a reply for all but those let in"
	case v.Action == verdict.Defer && !v.Reply.Temporary():
		return "deferred with a 4yz"
	case len(steps) == 0 || !steps[len(steps)-1].Hit || steps[len(steps)-1].Rule != v.Rule:
		return "the last step is the one that decided"
	case slices.ContainsFunc(steps[:len(steps)-1], func(s verdict.Step) bool { return s.Hit }):
		return "no other step hit"
	}
	return ""
}

// TestKnownLooksAtNothingElse is the first invariant: a known peer's verdict at
// connect does not depend on anything that could be slow, full or away.
func TestKnownLooksAtNothingElse(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5_000 {
		f := anyFacts(r)
		f.Stage, f.Standing.Deny, f.Standing.Class = verdict.Connect, false, whitelist.Correspondent
		f.Gateway, f.Budget = false, budget.Usage{} // its own, and in memory
		if v := verdict.Decide(f, &policy); v.Rule != "known" {
			t.Fatalf("%+v: %s", f, v.Rule)
		}
	}
}
