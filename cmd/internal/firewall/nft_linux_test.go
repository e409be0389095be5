package firewall

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
	"moggy/whitelist"
	"moggy/whitelist/foreign"
)

// TestStory is what this project exists for, on a real nft: the sixth account of a
// mail program trips a rule, and everything from that address is dead. It is found
// and lifted. With the known-good in front of the rule it does not happen.
func TestStory(t *testing.T) {
	if !insideNamespace(t, "nft") {
		return
	}
	serve(t, 22, 587, 993)
	shell(t, "nft -f testdata/guide.nft")
	if err := connect(t, me, 22); err != nil {
		t.Fatal(err)
	}
	if n := outlook(t, me); n < 15 || n == many {
		t.Fatalf("%d connections before the rule cut in", n)
	}
	if connect(t, me, 22) == nil || connect(t, other, 993) != nil {
		t.Fatal("it is not as the story goes")
	}
	h := hit(t, watch(family()).Look(t.Context()))
	if h.Where != "set inet guard abusers" || !strings.Contains(h.Rule, "limit rate over 3/second burst 15 packets } add @abusers { ip saddr } counter drop; dropped by inet guard in handle 4") {
		t.Errorf("%+v", h)
	}
	if ago := time.Since(h.Since); ago < 0 || ago > time.Minute {
		t.Errorf("since %s ago", ago)
	}
	if left := time.Until(h.Until); left < 23*time.Hour || left > 24*time.Hour {
		t.Errorf("for %s", left)
	}
	lift(t, h.Block)
	if err := connect(t, me, 22); err != nil {
		t.Errorf("after it was lifted: %v", err)
	}
	if err := (Machine{}).Lift(t.Context(), h.Block); err != nil {
		t.Errorf("lifted again: %v", err)
	}
	guarded(t)
}

// lift lifts a block, and sees to it that it is gone.
func lift(t *testing.T, b foreign.Block) {
	t.Helper()
	if err := (Machine{}).Lift(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if about, _ := watch(family()).About(t.Context(), b.Net.Addr()); slices.ContainsFunc(about, func(a foreign.Block) bool { return a.Where == b.Where }) {
		t.Errorf("still there: %+v", about)
	}
}

// guarded does what the finding says, and tries again.
func guarded(t *testing.T) {
	before := findings(t)
	if len(before) != 1 || before[0].Guarded || before[0].Accounts != 6 || before[0].Bans != "set inet guard abusers" {
		t.Fatalf("%+v", before)
	}
	keep(t, "inet guard", family)
	fills(t, "inet guard", Good4, spansIn(me+"/32"))
	shell(t, before[0].Before)
	if found := findings(t); len(found) != 1 || !found[0].Guarded {
		t.Errorf("%+v", found)
	}
	if n := outlook(t, me); n != many {
		t.Errorf("%d connections with the known-good in front", n)
	}
	if r := watch(family()).Look(t.Context()); len(r.Hits) != 0 || !slices.Contains(r.Read, "nft") {
		t.Errorf("%+v", r)
	}
	if n := outlook(t, other); n == many {
		t.Errorf("%d connections of a stranger", n)
	}
}

func findings(t *testing.T) []Finding {
	t.Helper()
	found, err := (Machine{}).Counting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// keep runs a Keeper until the test ends.
func keep(t *testing.T, table string, list func() *whitelist.List) *Keeper {
	k := NewKeeper([]string{table}, list, slog.New(slog.DiscardHandler))
	k.pace, k.rare = 20*time.Millisecond, 100*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { k.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return k
}

// TestManyWays: what the parser says of testdata/many.nft nft says today.
func TestManyWays(t *testing.T) {
	if !insideNamespace(t, "nft") {
		return
	}
	shell(t, "nft -f testdata/many.nft")
	n := &nft{}
	blocks, err := n.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := walked(t, "nft-1.0.6/many.json", true); len(blocks) != len(want.blocks) {
		t.Errorf("%q", said(blocks))
	}
	for _, b := range blocks {
		if b.Lift != nil {
			lift(t, b)
		}
	}
	if left, err := n.Read(t.Context()); err != nil || slices.ContainsFunc(left, func(b foreign.Block) bool { return b.Lift != nil }) {
		t.Errorf("%q, %v", said(left), err)
	}
}

func TestKeeperOnNFT(t *testing.T) {
	if !insideNamespace(t, "nft") {
		return
	}
	shell(t, `nft 'add table inet guard; add set inet guard abusers { type ipv4_addr; }; add element inet guard abusers { 192.0.2.1 }'`)
	var list atomic.Pointer[whitelist.List]
	list.Store(listOf(entry("198.51.100.0/24", whitelist.Peer, whitelist.Operator), deny("198.51.100.128/25"), entry("2001:db8:1:2::/64", whitelist.User, whitelist.Login)))
	k := keep(t, "inet guard", list.Load)
	fills(t, "inet guard", Good4, spansIn("198.51.100.0/25"))
	fills(t, "inet guard", Good6, spansIn("2001:db8:1:2::/64"))
	for _, net := range []string{"192.0.2.7/32", "192.0.2.6/32", "198.51.100.128/32", "192.0.2.0/29"} {
		list.Store(list.Load().With(entry(net, whitelist.User, whitelist.Login)))
		k.Changed(netip.MustParsePrefix(net))
	}
	fills(t, "inet guard", Good4, spansIn("198.51.100.0/25 192.0.2.0/29"))
	list.Store(list.Load().Without(netip.MustParsePrefix("192.0.2.0/29"), whitelist.Login))
	k.Changed(netip.MustParsePrefix("192.0.2.0/29"))
	fills(t, "inet guard", Good4, spansIn("198.51.100.0/25 192.0.2.6/31"))
	shell(t, "nft flush set inet guard moggy_good")
	fills(t, "inet guard", Good4, spansIn("198.51.100.0/25 192.0.2.6/31"))
	if got, _ := inSet(t, "inet guard", "abusers"); !slices.Equal(got, spansIn("192.0.2.1/32")) {
		t.Errorf("the other set holds %v", got)
	}
	shell(t, "nft delete table inet guard")
	if err := peers.Poll(t.Context(), func() bool { return strings.Contains(k.Faults()["inet guard"], "is not there") }); err != nil {
		t.Errorf("faults %v", k.Faults())
	}
	shell(t, "nft add table inet guard; nft add set inet guard moggy_good '{ type ipv4_addr; }'")
	if err := peers.Poll(t.Context(), func() bool { return strings.Contains(k.Faults()["inet guard"], "cannot hold networks") }); err != nil {
		t.Errorf("faults %v", k.Faults())
	}
}

// TestKeeperMany measures many networks: 100,000 where all end-to-end tests run.
func TestKeeperMany(t *testing.T) {
	if !insideNamespace(t, "nft") {
		return
	}
	n := 10_000
	if os.Getenv("MOGGY_E2E") == "1" {
		n = 100_000
	}
	shell(t, "nft add table inet guard")
	list := manyGood(n)
	k := NewKeeper([]string{"inet guard"}, func() *whitelist.List { return list }, slog.New(slog.DiscardHandler))
	t.Logf("%d networks, first fill: %s", n, k.timed(func() { k.check(t.Context()) }))
	t.Logf("look and compare: %s", k.timed(func() { k.check(t.Context()) }))
	net := netip.MustParsePrefix("203.0.113.7/32")
	list = list.With(entry(net.String(), whitelist.User, whitelist.Login))
	k.Changed(net)
	t.Logf("one more: %s", k.timed(func() { k.follow(t.Context()) }))
	k.Changed(net)
	t.Logf("a change that changes nothing: %s", k.timed(func() { k.follow(t.Context()) }))
	if got, _ := inSet(t, "inet guard", Good4); len(got) != n+1 || len(k.Faults()) != 0 {
		t.Errorf("%d networks, faults %v", len(got), k.Faults())
	}
	shell(t, `nft 'add chain inet guard in { type filter hook input priority 0; }; add set inet guard abusers { type ipv4_addr; flags timeout; timeout 1d; }; add rule inet guard in ip saddr @abusers drop'`)
	script, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	spans, _ := goodSpans(list, time.Now())
	if err := writeElements(script, "inet guard", "abusers", spans); err != nil {
		t.Fatal(err)
	}
	shell(t, "nft -f "+script.Name())
	start := time.Now()
	w := watch(list)
	r := w.Look(t.Context())
	t.Logf("a look at as many that are blocked: %s; %d hits and %d more", time.Since(start), len(r.Hits), r.More)
	if len(r.Hits)+r.More != n+1 {
		t.Errorf("unread %v", r.Unread)
	}
}

// TestUnprivileged: who may not read says how it could be read.
func TestUnprivileged(t *testing.T) {
	if !insideNamespace(t, "nft", "iptables-nft-save", "iptables-legacy-save", "ipset") {
		return
	}
	shell(t, "ipset create banned hash:ip; iptables-legacy -A INPUT -m set --match-set banned src -j DROP; iptables-nft -A INPUT -m set --match-set banned src -j DROP")
	if err := syscall.Setuid(65534); err != nil { // for good: this process runs this test alone
		t.Fatal(err)
	}
	r := watch(family()).Look(t.Context())
	for name, want := range map[string][]string{
		"nft":      {"CAP_NET_ADMIN", "sudo moggy doctor"},
		"iptables": {"iptables-nft-save:", "iptables-legacy-save:", "CAP_NET_ADMIN and CAP_NET_RAW"},
	} {
		for _, word := range want {
			if !strings.Contains(r.Unread[name], word) {
				t.Errorf("%s: %s", name, r.Unread[name])
			}
		}
	}
}
