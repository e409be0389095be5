package tally

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

var now = time.Date(2026, 11, 22, 21, 14, 7, 0, time.UTC)

// keep writes records as a daemon does, into one file.
func keep(t testing.TB, dir string, records ...journal.Record) {
	t.Helper()
	j, err := journal.Open(journal.Options{Dir: dir, Queue: len(records) + 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		j.Append(r)
	}
	if err := j.Close(); err != nil || j.Dropped() > 0 {
		t.Fatalf("%v, %d dropped", err, j.Dropped())
	}
}

// rotate makes the current file an old one.
func rotate(t testing.TB, dir, stamp string) {
	t.Helper()
	if err := os.Rename(filepath.Join(dir, current), filepath.Join(dir, oldPrefix+stamp+oldSuffix)); err != nil {
		t.Fatal(err)
	}
}

// facts are those of a connection by a class.
func facts(class whitelist.Class, service whitelist.Service, peer string) *verdict.Facts {
	return &verdict.Facts{Stage: verdict.Connect, Ref: "7KQ2ZD", Listener: "smtp", Service: service,
		Peer:     netip.AddrPortFrom(netip.MustParseAddr(peer), 40000),
		Standing: whitelist.Standing{Class: class, Evidence: whitelist.Login}}
}

// came is the record of an arrival, ended that of its end.
func came(at time.Time, f *verdict.Facts) journal.Record {
	v := verdict.Decide(f, &verdict.Policy{})
	return journal.Decided(at, f, &v)
}

func ended(at time.Time, f *verdict.Facts, o journal.Outcome) journal.Record {
	v := verdict.Decide(f, &verdict.Policy{})
	return journal.Ended(at, f, &v, journal.End{Outcome: o})
}

func TestFates(t *testing.T) {
	for _, c := range []struct {
		action  string
		outcome journal.Outcome
		want    Class
	}{
		{"carry", journal.Carried, Class{LetIn: 1}},
		{"carry", journal.Failed, Class{LetIn: 1}},
		{"carry", journal.Cancelled, Class{LetIn: 1}},
		{"wait", journal.Carried, Class{LetIn: 1}},
		{"wait", journal.Left, Class{Left: 1}},
		{"hand-over", journal.HandedOver, Class{LetIn: 1}},
		{"hand-over", journal.Failed, Class{Left: 1}},
		{"observe:defer", journal.Carried, Class{LetIn: 1}},
		{"observe:hold", journal.Failed, Class{LetIn: 1}},
		{"defer", journal.LetGo, Class{Deferred: 1}},
		{"answer", journal.Left, Class{Deferred: 1}},
		{"hold", journal.Left, Class{Held: 1}},
		{"hold", journal.LetGo, Class{Held: 1}},
		{"busy", journal.Shed, Class{Refused: 1}},
		{"busy", journal.BackendDown, Class{Refused: 1}},
		{"close", journal.Shed, Class{Refused: 1}},
		{"talk", journal.Left, Class{Left: 1}},
		{"talk", journal.Timeout, Class{Left: 1}},
		{"", "", Class{Left: 1}},
	} {
		var got Class
		*fate(&got, c.action, c.outcome)++
		if got != c.want {
			t.Errorf("%s %s: %+v", c.action, c.outcome, got)
		}
	}
}

func TestHarm(t *testing.T) {
	full := facts(whitelist.User, whitelist.Client, "198.51.100.7")
	full.Budget = budget.Usage{Limit: budget.Limit{Rate: 600, Burst: 300}, Used: 301, Over: budget.OverRate}
	denied := facts(whitelist.Peer, whitelist.Mail, "192.0.2.9")
	denied.Stage = verdict.Backend
	dir := t.TempDir()
	keep(t, dir,
		came(now.Add(-25*time.Hour), full), // too long ago
		came(now.Add(-2*time.Hour), full),
		came(now.Add(-time.Hour), denied),
		came(now.Add(-time.Minute), full),
		ended(now, full, journal.Shed))
	d := Count(dir, now, time.Minute)
	if d.Peers != 2 || d.Times != 3 || len(d.Harms) != 2 || d.Bound != "" || d.Records != 4 || !d.From.Equal(now.Add(-Span)) {
		t.Fatalf("%+v", d)
	}
	want := Harm{Peer: netip.MustParseAddr("198.51.100.7"), Class: whitelist.User, Evidence: whitelist.Login, Rule: "over-budget", Listener: "smtp",
		Ref: "7KQ2ZD", Why: full.Budget.String(), Times: 2, First: now.Add(-2 * time.Hour), Last: now.Add(-time.Minute),
		Do: "moggy allow add 198.51.100.7 --class own --note WHY"}
	if d.Harms[0] != want {
		t.Errorf("got %+v", d.Harms[0])
	}
	if h := d.Harms[1]; h.Rule != "backend-down" || h.Times != 1 {
		t.Errorf("got %+v", h)
	}
	if got := d.Classes; !reflect.DeepEqual(got, []Class{
		{Class: whitelist.User, Came: 2, Refused: 1, Harmed: 2}, {Class: whitelist.Peer, Harmed: 1}}) {
		t.Errorf("got %+v", got)
	}
}

func TestHarmsAreBounded(t *testing.T) {
	var all []journal.Record
	for i := range 100 {
		f := facts(whitelist.Peer, whitelist.Mail, fmt.Sprintf("192.0.2.%d", i))
		f.Stage = verdict.Backend
		all = append(all, came(now.Add(time.Duration(i-200)*time.Second), f))
	}
	dir := t.TempDir()
	keep(t, dir, all...)
	d := Count(dir, now, time.Minute)
	if d.Peers != 100 || d.Times != 100 || len(d.Harms) != MaxHarms || d.Harms[0].Peer.String() != "192.0.2.99" || d.Harms[19].Peer.String() != "192.0.2.80" {
		t.Errorf("%d peers, %d times, %+v", d.Peers, d.Times, d.Harms)
	}
}

func TestClassesAreBoundedAndOrdered(t *testing.T) {
	var all []journal.Record
	for i := range 2 * maxClasses {
		all = append(all, came(now, facts(whitelist.Class(fmt.Sprintf("made-up-%03d", i)), whitelist.Mail, "192.0.2.1")))
	}
	for _, c := range []whitelist.Class{whitelist.Stranger, whitelist.Own, whitelist.User} {
		all = append(all, came(now, facts(c, whitelist.Mail, "192.0.2.1")))
	}
	denied := facts("", whitelist.Mail, "192.0.2.1")
	denied.Standing.Deny = true
	dir := t.TempDir()
	keep(t, dir, append(slices.Clone(all[2*maxClasses:]), came(now, denied))...)
	var order []whitelist.Class
	for _, c := range Count(dir, now, time.Minute).Classes {
		order = append(order, c.Class)
	}
	if want := []whitelist.Class{"own", "user", "stranger", "denied"}; !slices.Equal(order, want) {
		t.Errorf("got %v", order)
	}
	keep(t, dir, all...)
	classes := Count(dir, now, time.Minute).Classes
	sum := 0
	for _, c := range classes {
		sum += c.Came
	}
	if len(classes) > maxClasses+1 || sum != len(all)+4 {
		t.Errorf("%d classes, %d connections", len(classes), sum)
	}
}

// What a peer says counts for nothing.
func TestHostileWords(t *testing.T) {
	f := facts(whitelist.Stranger, whitelist.Mail, "192.0.2.1")
	f.Stage = verdict.Recipient
	f.Helo = `x","harm":true,"event":"ended","class":"own","action":"carry","outcome":"carried`
	f.Sender = "{\"time\":\"2026-11-22T21:14:07\n{\"time\":\"2026-11-22T21:14:07.1Z\",\"event\":\"ended\",\"class\":\"own\"}\n@x.example"
	f.Recipient = `\","harm":true,\"`
	dir := t.TempDir()
	keep(t, dir, came(now, f), ended(now, f, journal.Left))
	d := Count(dir, now, time.Minute)
	if want := []Class{{Class: whitelist.Stranger, Deferred: 1}}; d.Times != 0 || d.Records != 2 || !reflect.DeepEqual(d.Classes, want) {
		t.Errorf("%+v", d)
	}
}

// Lines that are none, and lines that are not finished, are passed over.
func TestBrokenLines(t *testing.T) {
	dir := t.TempDir()
	keep(t, dir, came(now, facts(whitelist.User, whitelist.Mail, "192.0.2.1")))
	path := filepath.Join(dir, current)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":  string(good),
		"empty":    "\n\n" + string(good) + "\n",
		"noise":    "\x00\xff no record\n" + string(good) + "{}\n{\"time\":\"\n",
		"torn":     string(good) + string(good[:90]),
		"torn two": string(good[:90]) + "\n" + string(good),
		"long":     string(good) + strings.Repeat("x", 2*blockSize+7) + "\n",
		"long end": string(good) + strings.Repeat("x", blockSize),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d := Count(dir, now, time.Minute)
		if len(d.Classes) != 1 || d.Classes[0].Came != 1 || d.Fault != "" {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestReach(t *testing.T) {
	user := facts(whitelist.User, whitelist.Mail, "192.0.2.1")
	for _, c := range []struct {
		name     string
		ages     []time.Duration
		patience time.Duration
		from     time.Duration
		bound    Bound
	}{
		{"nothing", nil, time.Minute, Span, ""},
		{"whole", []time.Duration{30 * time.Hour, time.Hour}, time.Minute, Span, ""},
		{"young", []time.Duration{2 * time.Hour, time.Hour}, time.Minute, 2 * time.Hour, Begins},
		{"quiet", []time.Duration{90 * time.Hour}, time.Minute, Span, ""},
		{"no time", []time.Duration{30 * time.Hour, time.Hour}, -time.Minute, 0, Time},
	} {
		dir := t.TempDir()
		var all []journal.Record
		for _, age := range c.ages {
			all = append(all, came(now.Add(-age), user))
		}
		keep(t, dir, all...)
		d := Count(dir, now, c.patience)
		if !d.From.Equal(now.Add(-c.from)) || d.Bound != c.bound || d.Fault != "" {
			t.Errorf("%s: from %s, %q, %q", c.name, d.From, d.Bound, d.Fault)
		}
	}
}

func TestNoJournal(t *testing.T) {
	d := Count(filepath.Join(t.TempDir(), "gone"), now, time.Minute)
	if !strings.HasPrefix(d.Fault, "the journal cannot be read: ") || !d.From.Equal(now) {
		t.Errorf("%+v", d)
	}
}

// someone makes one of many kinds of records up.
func someone(r *rand.Rand, at time.Time) journal.Record {
	classes := []whitelist.Class{whitelist.Own, whitelist.User, whitelist.Stranger, whitelist.Listed, "staff"}
	services := []whitelist.Service{whitelist.Mail, whitelist.Client}
	f := facts(classes[r.IntN(len(classes))], services[r.IntN(2)], fmt.Sprintf("192.0.2.%d", r.IntN(5)))
	f.Stage = verdict.Stages()[r.IntN(len(verdict.Stages()))]
	f.Helo = strings.Repeat("h", r.IntN(200))
	if r.IntN(10) == 0 {
		f.Budget.Over = budget.OverRate
	}
	if r.IntN(2) == 0 {
		return came(at, f)
	}
	return ended(at, f, journal.Outcomes()[r.IntN(len(journal.Outcomes()))])
}

// scatter keeps many records of the last 30 hours, in three files.
func scatter(t *testing.T, dir string) {
	r := rand.New(rand.NewPCG(1, 2))
	at := now.Add(-30 * time.Hour)
	for _, stamp := range []string{"2026-01-01", "2026-01-02", ""} {
		var all []journal.Record
		for range 3000 {
			at = at.Add(10 * time.Second)
			all = append(all, someone(r, at.Add(time.Duration(r.IntN(50)-25)*time.Second)))
		}
		keep(t, dir, all...)
		if stamp != "" {
			rotate(t, dir, stamp)
		}
	}
}

// slowly counts by reading every record.
func slowly(t *testing.T, dir string) (classes map[whitelist.Class]Class, records, times int) {
	classes = make(map[whitelist.Class]Class)
	for r, err := range journal.Read(dir) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Time.Before(now.Add(-Span)) {
			continue
		}
		records++
		row := classes[r.Class]
		row.Class = r.Class
		switch {
		case r.Event == journal.EventEnded:
			*fate(&row, r.Action, r.Outcome)++
		case r.Stage == verdict.Connect:
			row.Came++
		}
		if r.Harm {
			row.Harmed++
			times++
		}
		classes[r.Class] = row
	}
	return classes, records, times
}

// The numbers are those that a reader of every record comes to, over several files
// and many blocks.
func TestAgainstAllRecords(t *testing.T) {
	dir := t.TempDir()
	scatter(t, dir)
	want, records, times := slowly(t, dir)
	d := Count(dir, now, time.Minute)
	got := make(map[whitelist.Class]Class)
	for _, c := range d.Classes {
		got[c.Class] = c
	}
	if d.Records != records || d.Times != times || times == 0 || !maps.Equal(got, want) {
		t.Errorf("%d of %d records, %d of %d times, %+v", d.Records, records, d.Times, times, d.Classes)
	}
}

func BenchmarkCount(b *testing.B) {
	r, dir := rand.New(rand.NewPCG(1, 2)), b.TempDir()
	var all []journal.Record
	for range 20_000 {
		all = append(all, someone(r, now))
	}
	keep(b, dir, all...)
	info, err := os.Stat(filepath.Join(dir, current))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	for b.Loop() {
		Count(dir, now, time.Minute)
	}
}
