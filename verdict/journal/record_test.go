package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/verdict"
	"moggy/whitelist"
)

var (
	now    = time.Date(2026, 11, 22, 21, 2, 11, 204_999_999, time.UTC)
	policy = verdict.Policy{GreyCode: 451}
)

// stranger are the facts of a first try.
func stranger() *verdict.Facts {
	return &verdict.Facts{
		Stage: verdict.Recipient, Ref: "7KQ2ZD", Listener: "smtp", Peer: netip.MustParseAddrPort("[::ffff:192.0.2.7]:40000"),
		Standing: whitelist.Standing{Class: whitelist.Stranger, Evidence: whitelist.Nothing},
		Helo:     "mx.contoso.example", Sender: "bob@contoso.example", Recipient: "me@example.org",
		Origin:   greylist.Origin{Kind: greylist.Domain, Name: "contoso.example"},
		Grey:     greylist.Result{Outcome: greylist.FirstSeen, First: now, Tries: 1, Wait: 4 * time.Minute},
		Degraded: []verdict.Dependency{verdict.Store, verdict.DNS},
	}
}

func decided(f *verdict.Facts) Record {
	v := verdict.Decide(f, &policy)
	return Decided(now, f, &v)
}

// roundTrip gives r as a reader of the file sees it.
func roundTrip(t *testing.T, r Record) Record {
	t.Helper()
	b := newBatch(false)
	b.add(&r)
	line := b.buf.Bytes()
	if n := bytes.Count(line, []byte("\n")); n != 1 || line[len(line)-1] != '\n' {
		t.Fatalf("%d newlines in %q", n, line)
	}
	got, err := decode(line)
	if err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return got
}

func TestDecidedLine(t *testing.T) {
	r := decided(stranger())
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"time":"2026-11-22T21:02:11.204Z","ref":"7KQ2ZD","event":"decided","stage":"recipient",` +
		`"listener":"smtp","peer":"192.0.2.7:40000","class":"stranger","evidence":"nothing","action":"defer","rule":"first-seen",` +
		`"why":"try 1 of contoso.example (spf), 4m0s to wait",` +
		`"steps":["denied-recipient","known-recipient","listed-recipient","dns-allowed","trap","early","dns-listed","over-recipients","excessive","over-pool","origin-known","returned",` +
		`"null-sender","greylist-down","crowded","too-early","too-late","first-seen"],` +
		`"origin":"contoso.example (spf)","helo":"mx.contoso.example","from":"bob@contoso.example","to":"me@example.org",` +
		`"code":451,"wait":240,"degraded":["store","dns"]}`
	if string(line) != want {
		t.Errorf("got  %s\nwant %s", line, want)
	}
	if got := roundTrip(t, r); !reflect.DeepEqual(got, r) {
		t.Errorf("got  %+v\nwant %+v", got, r)
	}
}

func TestEndedLine(t *testing.T) {
	f := stranger()
	v := verdict.Decide(f, &policy)
	r := Ended(now, f, &v, End{Outcome: HandedOver, Held: 10234567 * time.Microsecond, In: 5120, Out: 300, Answer: "250 2.1.5 Ok\r\n"})
	got := roundTrip(t, r)
	if !reflect.DeepEqual(got, r) {
		t.Errorf("got  %+v\nwant %+v", got, r)
	}
	if got.Held != 10.235 || got.Answer != `250 2.1.5 Ok\x0d\x0a` || got.Steps != nil || got.In != 5120 || got.Out != 300 {
		t.Errorf("got %+v", got)
	}
}

func TestNotedLine(t *testing.T) {
	r := Noted(now, "open-relay", "the backend\nrelays")
	if got := roundTrip(t, r); !reflect.DeepEqual(got, r) || got.Why != `the backend\x0arelays` {
		t.Errorf("got %+v", got)
	}
}

func TestDeniedHasAClass(t *testing.T) {
	f := stranger()
	f.Standing = whitelist.Standing{Deny: true, Evidence: whitelist.Operator}
	if r := decided(f); r.Class != Denied || r.Code != 550 {
		t.Errorf("got %+v", r)
	}
}

// TestHostilePeer fills in every string that a peer chooses.
func TestHostilePeer(t *testing.T) {
	for _, h := range hostile {
		f := stranger()
		long := h.in + strings.Repeat("\x00\x1b\u202e", 1000)
		f.Helo, f.Sender, f.Recipient, f.Origin.Name = long, long, long, long
		r := roundTrip(t, decided(f))
		for i, s := range []string{r.Helo, r.From, r.To, r.Origin} {
			if !shown(s) || len(s) > MaxText+len(cut) || !strings.HasPrefix(s, h.out) {
				t.Errorf("%d: %q became %q", i, h.in, s)
			}
		}
	}
}

func TestLineIsBounded(t *testing.T) {
	f := stranger()
	worst := strings.Repeat(`"\`, 1<<20)
	f.Helo, f.Sender, f.Recipient, f.Origin.Name, f.Listener, f.Ref = worst, worst, worst, worst, worst, worst
	f.Standing.Class = whitelist.Class(worst)
	b, r := newBatch(false), decided(f)
	b.add(&r)
	if b.buf.Len() > 16<<10 {
		t.Errorf("a line of %d bytes", b.buf.Len())
	}
}

// logfmt is the line as slog writes it.
func logfmt(r Record) string {
	var b bytes.Buffer
	h := slog.NewTextHandler(&b, nil)
	record := slog.NewRecord(time.Time{}, slog.LevelInfo, "decided", 0)
	record.AddAttrs(r.LogAttrs()...)
	_ = h.Handle(context.Background(), record)
	return strings.TrimPrefix(strings.TrimSpace(b.String()), "level=INFO msg=decided ")
}

func TestLogLine(t *testing.T) {
	known := stranger()
	known.Stage, known.Standing = verdict.Connect, whitelist.Standing{Class: whitelist.User, Evidence: whitelist.Operator}
	down := *known
	down.Stage = verdict.Backend
	f := stranger()
	v := verdict.Decide(f, &policy)
	hasty := &verdict.Facts{Stage: verdict.Connect, Ref: "7KQ2ZD", Listener: "smtp", Peer: f.Peer, Standing: f.Standing, Early: true}
	talked := verdict.Decide(hasty, &policy)
	end := Ended(now, f, &v, End{Outcome: LetGo, Held: 10200 * time.Millisecond, In: 90, Out: 300})
	for _, c := range []struct {
		r    Record
		want string
	}{
		{decided(stranger()), `conn=7KQ2ZD src=192.0.2.7 listener=smtp class=stranger act=defer why=first-seen ` +
			`origin="contoso.example (spf)" helo=mx.contoso.example from=bob@contoso.example to=me@example.org ` +
			`code=451 wait=240s numbers="try 1 of contoso.example (spf), 4m0s to wait" degraded=store,dns ` +
			`next="any host of contoso.example (spf) after 21:06:11Z" do="moggy allow add 192.0.2.7 --note WHY"`},
		{decided(known), `conn=7KQ2ZD src=192.0.2.7 listener=smtp class=user act=carry why=known evidence=operator ` +
			`origin="contoso.example (spf)" helo=mx.contoso.example from=bob@contoso.example to=me@example.org ` +
			`wait=240s degraded=store,dns`},
		{decided(&down), `conn=7KQ2ZD src=192.0.2.7 listener=smtp class=user act=busy why=backend-down evidence=operator ` +
			`origin="contoso.example (spf)" helo=mx.contoso.example from=bob@contoso.example to=me@example.org ` +
			`code=421 wait=240s harm=yes degraded=store,dns next="any host of contoso.example (spf) after 21:06:11Z" do="moggy status"`},
		{end, `conn=7KQ2ZD src=192.0.2.7 listener=smtp class=stranger act=defer why=first-seen ` +
			`origin="contoso.example (spf)" helo=mx.contoso.example from=bob@contoso.example to=me@example.org ` +
			`end=let-go held=10.2s in=90 out=300 do="moggy allow add 192.0.2.7 --note WHY"`},
		{Ended(now, hasty, &talked, End{Outcome: Left}), `conn=7KQ2ZD src=192.0.2.7 listener=smtp class=stranger act=talk ` +
			`why=stranger early=yes end=left do="moggy allow add 192.0.2.7 --note WHY"`},
		{Noted(now, "open-relay", "it relays"), `note=open-relay why="it relays"`},
	} {
		if got := logfmt(c.r); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestEveryRefusalSaysWhatToDo asks all rules.
func TestEveryRefusalSaysWhatToDo(t *testing.T) {
	for _, rule := range verdict.Rules() {
		for _, observed := range []bool{false, true} {
			v := verdict.Verdict{Action: rule.Action, Rule: rule.Name, Observed: observed}
			r := Decided(now, stranger(), &v)
			says := slices.ContainsFunc(r.LogAttrs(), func(a slog.Attr) bool { return a.Key == "do" })
			passes := !observed && (rule.Action == verdict.Carry || rule.Action == verdict.HandOver)
			if says == passes {
				t.Errorf("%s, observed %v: do= is there: %v", rule.Name, observed, says)
			}
		}
	}
}

func TestOneLogLineWhateverThePeerSays(t *testing.T) {
	f := stranger()
	f.Helo, f.Sender = "x\nconn=000000 act=carry", "\"\x1b[2J"
	if line := logfmt(decided(f)); strings.ContainsAny(line, "\n\x1b") {
		t.Errorf("got %q", line)
	}
}

func TestOutcomes(t *testing.T) {
	for _, o := range Outcomes() {
		if want := strings.HasPrefix(string(o), "carried") || strings.HasPrefix(string(o), "handed"); o.Relayed() != want {
			t.Errorf("%s: relayed %v", o, o.Relayed())
		}
	}
}

func BenchmarkDecided(b *testing.B) {
	f := stranger()
	v := verdict.Decide(f, &policy)
	b.ReportAllocs()
	for b.Loop() {
		_ = Decided(now, f, &v)
	}
}
