package verdict_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/dnsbl"
	"moggy/greylist"
	"moggy/verdict"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

var policy = verdict.Policy{Hostname: "mx.example.org", GreyCode: 451, TrapTTL: 24 * time.Hour}

// facts are those of a stranger's ordinary mail, changed by each of with.
func facts(stage verdict.Stage, with ...func(*verdict.Facts)) *verdict.Facts {
	f := &verdict.Facts{
		Stage: stage, Ref: "7KQ2ZD", Listener: "smtp", Service: whitelist.Mail, Peer: netip.MustParseAddrPort("192.0.2.7:40000"),
		Standing: whitelist.Standing{Class: whitelist.Stranger, Evidence: whitelist.Nothing},
		Helo:     "mx.example.com", Sender: "bob@example.com", Recipient: "me@example.org",
		Origin: greylist.Origin{Kind: greylist.Domain, Name: "example.com"},
	}
	for _, w := range with {
		w(f)
	}
	return f
}

func denied(f *verdict.Facts) {
	f.Standing = whitelist.Standing{Deny: true, Evidence: whitelist.Operator}
}
func null(f *verdict.Facts)      { f.Sender = "" }
func trap(f *verdict.Facts)      { f.Trap = true }
func full(f *verdict.Facts)      { f.Full = true }
func early(f *verdict.Facts)     { f.Early = true }
func excessive(f *verdict.Facts) { f.Excessive = true }
func notSMTP(f *verdict.Facts)   { f.NotSMTP = true }
func greyDown(f *verdict.Facts)  { f.GreyDown = true }

func gateway(f *verdict.Facts) { f.Gateway = true }
func client(f *verdict.Facts)  { f.Service = whitelist.Client }

// over is a budget that is used up; in line, one that is for now.
func over(o budget.Over) func(*verdict.Facts) {
	return func(f *verdict.Facts) {
		f.Budget = budget.Usage{Limit: budget.Limit{Rate: 20, Burst: 20, Open: 10, Recipients: 30}, Used: 20, Open: 3, Over: o}
	}
}

func inLine(wait time.Duration) func(*verdict.Facts) {
	return func(f *verdict.Facts) { f.Budget.Wait = wait }
}

func class(c whitelist.Class) func(*verdict.Facts) {
	return func(f *verdict.Facts) { f.Standing.Class = c }
}

func grey(o greylist.Outcome) func(*verdict.Facts) {
	return func(f *verdict.Facts) {
		f.Grey = greylist.Result{Outcome: o, Tries: 2, First: time.Date(2026, 11, 22, 21, 2, 11, 0, time.UTC), Wait: time.Minute}
	}
}

// score is what DNS lists say, where 3 is the threshold.
func score(total int) func(*verdict.Facts) {
	return func(f *verdict.Facts) {
		f.DNS = dnsbl.Score{Total: total, Threshold: 3, Hits: []dnsbl.Hit{{List: "bl.example.net", Weight: total, Code: netip.MustParseAddr("127.0.0.2")}}}
	}
}

type with = []func(*verdict.Facts)

// decisions are what Decide has to say; each rule is in it at least once.
var decisions = []struct {
	name  string
	stage verdict.Stage
	with  with
	rule  string
	code  int
}{
	{"nobody we know", verdict.Connect, nil, "stranger", 0},
	{"container's gateway", verdict.Connect, with{gateway}, "gateway", 0},
	{"container's gateway that a person denied", verdict.Connect, with{gateway, denied}, "denied", 0},
	{"stranger that comes too often", verdict.Connect, with{over(budget.OverRate)}, "over-budget", 421},
	{"user that comes too often", verdict.Connect, with{class(whitelist.User), over(budget.OverOpen)}, "over-budget", 421},
	{"user in line", verdict.Connect, with{class(whitelist.User), inLine(time.Second)}, "in-line", 0},
	{"mail program in line", verdict.Connect, with{client, class(whitelist.MUA), inLine(time.Second)}, "in-line", 0},
	{"mail program", verdict.Connect, with{client, class(whitelist.MUA)}, "client", 0},
	{"mail program, all places taken", verdict.Connect, with{client, class(whitelist.MUA), full}, "full", 421},
	{"mail program of a denied address", verdict.Connect, with{client, denied}, "denied-client", 0},
	{"password guesser", verdict.Connect, with{client, class(whitelist.Guesser)}, "guesser", 0},
	{"user of a stream", verdict.Connect, with{client, class(whitelist.User)}, "known", 0},
	{"denied", verdict.Connect, with{denied}, "denied", 0},
	{"deny beats a class", verdict.Connect, with{denied, class(whitelist.Own)}, "denied", 0},
	{"known", verdict.Connect, with{class(whitelist.Peer)}, "known", 0},
	{"known when full", verdict.Connect, with{class(whitelist.Pool), full}, "known", 0},
	{"class of an operator", verdict.Connect, with{class("printers"), full}, "known", 0},
	{"listed", verdict.Connect, with{class(whitelist.Listed)}, "listed", 0},
	{"guesser", verdict.Connect, with{class(whitelist.Guesser)}, "listed", 0},
	{"no slot for a stranger", verdict.Connect, with{full}, "full", 421},
	{"no slot for a listed one", verdict.Connect, with{full, class(whitelist.Listed)}, "full", 421},
	{"no slot for a denied one", verdict.Connect, with{full, denied}, "full", 421},

	{"web browser", verdict.Command, with{notSMTP}, "not-smtp", 421},
	{"too many errors", verdict.Command, nil, "errors", 421},

	{"first try", verdict.Recipient, with{grey(greylist.FirstSeen)}, "first-seen", 451},
	{"greylist not asked yet", verdict.Recipient, nil, "first-seen", 451},
	{"back too early", verdict.Recipient, with{grey(greylist.TooEarly)}, "too-early", 451},
	{"back too late", verdict.Recipient, with{grey(greylist.TooLate)}, "too-late", 451},
	{"back in time", verdict.Recipient, with{grey(greylist.Returned)}, "returned", 0},
	{"origin passed", verdict.Recipient, with{grey(greylist.OriginKnown)}, "origin-known", 0},
	{"greylist away", verdict.Recipient, with{greyDown}, "greylist-down", 451},
	{"denied meanwhile", verdict.Recipient, with{denied, grey(greylist.Returned)}, "denied-recipient", 550},
	{"deny beats allow", verdict.Recipient, with{denied, class(whitelist.Peer)}, "denied-recipient", 550},
	{"allowed while it was held", verdict.Recipient, with{class(whitelist.Peer), trap, early, excessive, greyDown}, "known-recipient", 0},
	{"listed meanwhile", verdict.Recipient, with{class(whitelist.Listed), grey(greylist.Returned)}, "listed-recipient", 450},
	{"trap", verdict.Recipient, with{trap, grey(greylist.Returned)}, "trap", 451},
	{"trap that an origin named", verdict.Recipient, with{trap, grey(greylist.OriginKnown)}, "trap", 451},
	{"bounce to a trap", verdict.Recipient, with{trap, null}, "null-sender", 250},
	{"early", verdict.Recipient, with{early}, "early", 451},
	{"early never passes", verdict.Recipient, with{early, grey(greylist.Returned)}, "early", 451},
	{"early, origin known", verdict.Recipient, with{early, grey(greylist.OriginKnown)}, "early", 451},
	{"early bounce", verdict.Recipient, with{early, null}, "early", 451},
	{"too many recipients a minute", verdict.Recipient, with{over(budget.OverRecipients), grey(greylist.Returned)}, "over-recipients", 452},
	{"too much of an origin", verdict.Recipient, with{over(budget.OverRate), grey(greylist.OriginKnown)}, "over-pool", 421},
	{"known, whatever was counted before", verdict.Recipient, with{class(whitelist.Peer), over(budget.OverRecipients)}, "known-recipient", 0},
	{"too many recipients", verdict.Recipient, with{excessive, grey(greylist.Returned)}, "excessive", 452},
	{"call-out", verdict.Recipient, with{null, grey(greylist.FirstSeen)}, "null-sender", 250},
	{"call-out, greylist away", verdict.Recipient, with{null, greyDown}, "null-sender", 250},
	{"bounce that came back", verdict.Recipient, with{null, grey(greylist.Returned)}, "returned", 0},

	{"on a block list", verdict.Recipient, with{score(3), grey(greylist.Returned)}, "dns-listed", 450},
	{"on a block list that does not weigh enough", verdict.Recipient, with{score(2), grey(greylist.Returned)}, "returned", 0},
	{"bounce from a block list", verdict.Recipient, with{score(3), null}, "dns-listed", 450},
	{"on an allow list", verdict.Recipient, with{score(-3), trap}, "dns-allowed", 0},
	{"listed by us beats an allow list", verdict.Recipient, with{score(-3), class(whitelist.Listed)}, "listed-recipient", 450},
	{"one newcomer too many", verdict.Recipient, with{grey(greylist.Crowded)}, "crowded", 451},
	{"data from a block list", verdict.Data, with{null, score(3)}, "dns-listed", 450},
	{"data of one newcomer too many", verdict.Data, with{null, grey(greylist.Crowded)}, "crowded", 451},
	{"data of a bounce", verdict.Data, with{null, grey(greylist.FirstSeen)}, "first-seen", 451},
	{"data of a bounce to a trap", verdict.Data, with{null, trap, grey(greylist.FirstSeen)}, "first-seen", 451},
	{"data, early again", verdict.Data, with{null, grey(greylist.TooEarly)}, "too-early", 451},
	{"data, greylist away", verdict.Data, with{null, greyDown}, "greylist-down", 451},
	{"data, denied meanwhile", verdict.Data, with{null, denied}, "denied-recipient", 550},
	{"data, late", verdict.Data, with{null, grey(greylist.TooLate)}, "too-late", 451},
	{"data, listed meanwhile", verdict.Data, with{null, class(whitelist.Listed)}, "listed-recipient", 450},
	{"data for a trap", verdict.Data, with{trap}, "trap", 451},
	{"data, spoke early", verdict.Data, with{null, early}, "early", 451},
	{"data for too many", verdict.Data, with{null, excessive}, "excessive", 452},
	{"data is no door", verdict.Data, with{null, grey(greylist.Returned)}, "first-seen", 451},

	{"backend away", verdict.Backend, nil, "backend-down", 421},
	{"backend away for a known peer", verdict.Backend, with{class(whitelist.Peer)}, "backend-down", 421},
}

func TestDecide(t *testing.T) {
	for _, d := range decisions {
		t.Run(string(d.stage)+" "+d.name, func(t *testing.T) {
			v := verdict.Decide(facts(d.stage, d.with...), &policy)
			if v.Rule != d.rule || v.Reply.Code != d.code {
				t.Fatalf("%s %d, want %s %d; asked %v", v.Rule, v.Reply.Code, d.rule, d.code, v.Steps())
			}
			if i := slices.IndexFunc(verdict.Rules(), named(v.Rule)); verdict.Rules()[i].Action != v.Action {
				t.Errorf("action %s is not the rule's", v.Action)
			}
		})
	}
}

func named(rule string) func(verdict.Rule) bool {
	return func(r verdict.Rule) bool { return r.Name == rule }
}

func TestEveryRuleIsTested(t *testing.T) {
	for _, r := range verdict.Rules() {
		for _, stage := range r.Stages {
			hit := false
			for _, d := range decisions {
				hit = hit || d.rule == r.Name && d.stage == stage
			}
			if !hit {
				t.Errorf("no decision above is taken by %s at %s", r.Name, stage)
			}
		}
	}
}

func TestGreyCodeIsTheOperators(t *testing.T) {
	p := policy
	p.GreyCode = 450
	v := verdict.Decide(facts(verdict.Recipient, grey(greylist.FirstSeen)), &p)
	if v.Reply.Code != 450 || v.Reply.Enhanced != "4.7.0" {
		t.Errorf("got %v", v.Reply)
	}
}

func TestReplyCarriesTheRefAndNoTime(t *testing.T) {
	for _, d := range decisions {
		f := facts(d.stage, d.with...)
		text := verdict.Decide(f, &policy).Reply.Text
		if d.code >= 400 && !strings.Contains(text, "(ref 7KQ2ZD)") {
			t.Errorf("%s: no ref in %q", d.name, text)
		}
		if strings.HasPrefix(d.rule, "over-") {
			continue // its numbers are the peer's own
		}
		if text = strings.ReplaceAll(text, f.Ref, ""); strings.ContainsAny(text, "0123456789") {
			t.Errorf("%s: a number that strangers can use in %q", d.name, text)
		}
	}
}

func TestNoRefNoParentheses(t *testing.T) {
	f := facts(verdict.Recipient)
	f.Ref = ""
	if v := verdict.Decide(f, &policy); strings.Contains(v.Reply.Text, "ref") {
		t.Errorf("got %q", v.Reply.Text)
	}
}

func TestObserve(t *testing.T) {
	p := policy
	p.Observe = true
	for _, d := range decisions {
		f := facts(d.stage, d.with...)
		plain, v := verdict.Decide(f, &policy), verdict.Decide(f, &p)
		if v.Action != plain.Action || v.Rule != plain.Rule {
			t.Errorf("%s: observing changed the judgement: %s", d.name, v.Rule)
		}
		if let := v.Action == verdict.Carry || v.Action == verdict.HandOver; v.Observed == (let || d.stage == verdict.Backend || v.Rule == "full") {
			t.Errorf("%s: observed %v", d.name, v.Observed)
		}
		if v.Observed && (v.Effective() != verdict.Carry || v.Act() != "observe:"+string(v.Action)) {
			t.Errorf("%s: effective %s, act %s", d.name, v.Effective(), v.Act())
		}
		if !v.Observed && (v.Effective() != v.Action || v.Act() != string(v.Action)) {
			t.Errorf("%s: effective %s, act %s", d.name, v.Effective(), v.Act())
		}
	}
}

func TestWhy(t *testing.T) {
	for _, c := range []struct {
		outcome greylist.Outcome
		why     string
	}{
		{"", ""},
		{greylist.OriginKnown, "example.com (spf) passed before"},
		{greylist.Returned, "try 2, first at 2026-11-22T21:02:11Z"},
		{greylist.TooEarly, "try 2 of example.com (spf), 1m0s to wait"},
	} {
		f := facts(verdict.Recipient, grey(c.outcome))
		if v := verdict.Decide(f, &policy); v.Why != c.why {
			t.Errorf("%s: %q, want %q", c.outcome, v.Why, c.why)
		}
	}
	f := facts(verdict.Connect, grey(greylist.Returned))
	if v := verdict.Decide(f, &policy); v.Why != "" {
		t.Errorf("at connect: %q", v.Why)
	}
}

func TestLeftToGreylist(t *testing.T) {
	for _, c := range []struct {
		with with
		left bool
	}{
		{nil, true}, {with{null}, true}, {with{null, trap}, true},
		{with{trap}, false}, {with{early}, false}, {with{denied}, false}, {with{class(whitelist.Peer)}, false},
		{with{grey(greylist.Returned)}, false},
	} {
		v := verdict.Decide(facts(verdict.Recipient, c.with...), &policy)
		if v.LeftToGreylist() != c.left {
			t.Errorf("%s: %v", v.Rule, !c.left)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, c := range []struct {
		name string
		f    *verdict.Facts
	}{
		{"connect/known", facts(verdict.Connect, class(whitelist.Peer))},
		{"connect/stranger", facts(verdict.Connect)},
		{"command", facts(verdict.Command)},
		{"recipient/first", facts(verdict.Recipient, grey(greylist.FirstSeen))},
		{"recipient/returned", facts(verdict.Recipient, grey(greylist.Returned))},
		{"data", facts(verdict.Data, null, grey(greylist.FirstSeen))},
		{"backend", facts(verdict.Backend)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = verdict.Decide(c.f, &policy)
			}
		})
	}
}

func TestConnectAllocatesNothing(t *testing.T) {
	for _, f := range []*verdict.Facts{facts(verdict.Connect), facts(verdict.Connect, class(whitelist.Own)), facts(verdict.Connect, denied)} {
		if n := testing.AllocsPerRun(100, func() { _ = verdict.Decide(f, &policy) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// A guesser is not to be made the owner of the machine because it comes too often.
func TestRemedyForTheClass(t *testing.T) {
	for class, want := range map[whitelist.Class]string{
		whitelist.User: "moggy allow add 192.0.2.7 --class own --note WHY", whitelist.Guesser: "moggy pardon 192.0.2.7",
		whitelist.MUA: "moggy allow add 192.0.2.7 --note WHY", "": "moggy allow add 192.0.2.7 --note WHY",
	} {
		if got := verdict.Remedy("over-budget", class, "192.0.2.7"); got != want {
			t.Errorf("%q: %s", class, got)
		}
	}
}
