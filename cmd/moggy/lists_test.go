package main

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"moggy/cmd/internal/desk"
	"moggy/dnsbl"
)

// TestTellLists shows lists in every state, and compares with what stands in
// testdata/lists.golden.
func TestTellLists(t *testing.T) {
	now := time.Date(2026, 11, 22, 21, 17, 19, 0, time.Local)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	doubtful := func(n int) (all []dnsbl.Decision) {
		for i := range n {
			all = append(all, dnsbl.Decision{Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(7 + i)}), Time: ago(6*time.Minute - time.Duration(i)*time.Second)})
		}
		return all
	}
	out := new(bytes.Buffer)
	x := &tool{out: out, err: out, env: func(string) string { return "" }, now: func() time.Time { return now }}
	x.tellLists(desk.ListsAnswer{Threshold: 3, Watched: true, Lists: []dnsbl.Status{
		{Name: "zen.spamhaus.org", Weight: 3, State: dnsbl.Working, Since: ago(72 * time.Hour), Asked: 4120, Hits: 2210, Alone: 811,
			Mean: 8200 * time.Microsecond, P95: 20 * time.Millisecond, Answers: map[dnsbl.Answer]uint64{dnsbl.Late: 3, dnsbl.Other: 100}},
		{Name: "bl.example.net", Weight: 2, State: dnsbl.Suspended, Since: ago(3*time.Minute + 12*time.Second), Next: now.Add(28 * time.Second),
			Reason: dnsbl.ListsEverybody, Why: "it lists 127.0.0.1 (127.0.0.2), which no list may: it lists everybody",
			Asked: 4120, Hits: 990, Alone: 4, Passed: 12, Mean: 38 * time.Millisecond, P95: 100 * time.Millisecond, Doubtful: doubtful(7)},
		{Name: "gone.example.net", Weight: 1, State: dnsbl.Silent, Since: ago(time.Hour), Next: ago(time.Second),
			Reason: dnsbl.NoAnswer, Why: "it does not answer; see that the resolver reaches it", Asked: 9, Mean: 1200 * time.Millisecond, P95: 2 * time.Second},
		{Name: "list.dnswl.org", Weight: -3, State: dnsbl.Working, Since: ago(time.Hour), Doubtful: doubtful(1)},
		{Name: "old.example.net", Weight: 1, State: dnsbl.Working, Since: ago(48 * time.Hour), Doubtful: doubtful(1)},
		{Name: "doubted.example.net", Weight: 1, State: dnsbl.Suspected, Since: now},
		{Name: "new\x1b[31m.example.net", Weight: 1, State: dnsbl.Untested, Since: now},
	}})
	want, err := os.ReadFile("testdata/lists.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLatency(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "-", 10 * time.Microsecond: "0ms", 140 * time.Microsecond: "0.1ms", time.Millisecond: "1ms",
		8240 * time.Microsecond: "8.2ms", 38 * time.Millisecond: "38ms", 1200 * time.Millisecond: "1.2s"} {
		if got := latency(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestScoreText(t *testing.T) {
	s := &dnsbl.Score{Total: 1, Threshold: 3, Silent: []string{"a", "b"}, Hits: []dnsbl.Hit{
		{List: "zen", Weight: 3, Code: netip.MustParseAddr("127.0.0.4")}, {List: "wl", Weight: -2, Code: netip.MustParseAddr("127.0.5.1")}}}
	if got, want := scoreText(s), "1 of 3: zen 127.0.0.4 (+3), wl 127.0.5.1 (-2)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := scoreText(&dnsbl.Score{Threshold: 3}); !strings.HasPrefix(got, "0 of 3: no list") {
		t.Error(got)
	}
	if got := silentText(s); got != "no answer from a, b" {
		t.Error(got)
	}
}
