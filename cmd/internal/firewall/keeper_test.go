package firewall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"moggy/whitelist"
)

// kernel is an nft with one table, which takes a while for each run.
type kernel struct {
	took time.Duration

	mu      sync.Mutex
	table   string
	sets    map[string][]string // elements; nil: there is no set
	scripts []string
	broken  error
}

func newKernel(table string) *kernel { return &kernel{table: table, sets: make(map[string][]string)} }

func (k *kernel) run(_ context.Context, in io.Reader, args ...string) ([]byte, error) {
	time.Sleep(k.took)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken != nil {
		return nil, k.broken
	}
	if in != nil {
		text, _ := io.ReadAll(in)
		k.scripts = append(k.scripts, string(text))
		return nil, k.apply(string(text))
	}
	family, name, _ := strings.Cut(k.table, " ")
	var objects []string
	for set, elements := range k.sets {
		if elements == nil || slices.Contains(args, "set") && args[len(args)-1] != set {
			continue
		}
		kind := map[string]string{Good4: "ipv4_addr", Good6: "ipv6_addr"}[set]
		var quoted []string
		for _, e := range elements {
			if from, to, ranged := strings.Cut(e, "-"); ranged {
				e = fmt.Sprintf(`{"range":[%q,%q]}`, from, to)
			} else {
				e = fmt.Sprintf("%q", e)
			}
			quoted = append(quoted, e)
		}
		objects = append(objects, fmt.Sprintf(`{"set":{"family":%q,"table":%q,"name":%q,"type":%q,"flags":["interval"],"elem":[%s]}}`, family, name, set, kind, strings.Join(quoted, ",")))
	}
	if !strings.Contains(strings.Join(args, " "), k.table) {
		return nil, errors.New("nft: Error: No such file or directory")
	}
	return fmt.Appendf(nil, `{"nftables":[%s]}`, strings.Join(objects, ",")), nil
}

// apply does what the lines of a script say.
func (k *kernel) apply(text string) error {
	for line := range strings.Lines(text) {
		words := strings.Fields(strings.NewReplacer(",", "", "{", "", "}", "").Replace(line))
		set := words[4]
		switch words[0] + " " + words[1] {
		case "add set":
			if k.sets[set] == nil {
				k.sets[set] = []string{}
			}
		case "flush set":
			k.sets[set] = []string{}
		case "add element":
			k.sets[set] = append(k.sets[set], words[5:]...)
		case "delete element":
			for _, e := range words[5:] {
				i := slices.Index(k.sets[set], e)
				if i < 0 {
					return fmt.Errorf("nft: no such element %s", e)
				}
				k.sets[set] = slices.Delete(k.sets[set], i, i+1)
			}
		}
	}
	return nil
}

// holds are the elements of both sets.
func (k *kernel) holds() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := slices.Concat(k.sets[Good4], k.sets[Good6])
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (k *kernel) runs() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.scripts)
}

func (k *kernel) set(do func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	do()
}

// keeping runs a Keeper on the kernel with a list that can be changed.
func keeping(t *testing.T, k *kernel, tables ...string) (keeper *Keeper, list *atomic.Pointer[whitelist.List]) {
	list = new(atomic.Pointer[whitelist.List])
	list.Store(listOf(entry("198.51.100.7/32", whitelist.User, whitelist.Login), entry("2001:db8::/64", whitelist.User, whitelist.Login)))
	keeper = NewKeeper(tables, list.Load, slog.New(slog.DiscardHandler))
	keeper.run = k.run
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { keeper.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return keeper, list
}

func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := newKernel("inet guard")
		k, list := keeping(t, kernel, "inet guard")
		settle := func(d time.Duration, want string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := kernel.holds(); got != want {
				t.Errorf("holds %q, want %q", got, want)
			}
		}
		const six = "2001:db8::-2001:db8::ffff:ffff:ffff:ffff"
		settle(0, "198.51.100.7 "+six)
		time.Sleep(2 * time.Second) // since the fill
		learn := func(net string) {
			list.Store(list.Load().With(entry(net, whitelist.User, whitelist.Login)))
			k.Changed(netip.MustParsePrefix(net))
		}
		learn("198.51.100.9/32")
		settle(0, "198.51.100.7 198.51.100.9 "+six) // at once
		for i := range 50 {
			learn(fmt.Sprintf("203.0.113.%d/32", i))
		}
		learn("198.51.100.8/32")
		settle(0, "198.51.100.7 198.51.100.9 "+six)
		settle(time.Second, "198.51.100.7-198.51.100.9 "+six+" 203.0.113.0-203.0.113.49")
		if n := kernel.runs(); n != 3 {
			t.Errorf("%d runs", n)
		}
		if got := kernel.scripts[2]; !strings.HasPrefix(got, "delete element inet guard moggy_good { 198.51.100.7, 198.51.100.9 }\nadd element inet guard moggy_good { 198.51.100.7-198.51.100.9, ") {
			t.Errorf("script %q", got)
		}
		kernel.set(func() { kernel.sets[Good4] = []string{} }) // somebody flushed it
		settle(10*time.Second, "198.51.100.7-198.51.100.9 "+six+" 203.0.113.0-203.0.113.49")
		kernel.set(func() { clear(kernel.sets) }) // or the whole ruleset
		settle(10*time.Second, "198.51.100.7-198.51.100.9 "+six+" 203.0.113.0-203.0.113.49")
		list.Store(listOf(entry("198.51.100.0/24", whitelist.Peer, whitelist.Operator), deny("198.51.100.0/25")))
		k.Changed(netip.MustParsePrefix("198.51.100.0/25"))
		settle(2*time.Second, "198.51.100.128-198.51.100.255")
		n := kernel.runs()
		k.Changed(netip.MustParsePrefix("203.0.113.77/32")) // a trap: nothing that matters
		settle(time.Minute, "198.51.100.128-198.51.100.255")
		if kernel.runs() != n || len(k.Faults()) != 0 {
			t.Errorf("%d runs for nothing, faults %v", kernel.runs()-n, k.Faults())
		}
	})
}

// TestKeeperRests: where nft takes long it does not run all the time.
func TestKeeperRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := newKernel("inet guard")
		kernel.took = 2 * time.Second
		k, list := keeping(t, kernel, "inet guard")
		time.Sleep(time.Minute)
		n := kernel.runs()
		for i := range 200 {
			net := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32)
			list.Store(list.Load().With(whitelist.Entry{Net: net, Class: whitelist.User, Source: whitelist.Login}))
			k.Changed(net)
			time.Sleep(time.Second)
		}
		if runs := kernel.runs() - n; runs < 10 || runs > 22 {
			t.Errorf("%d runs of 2 s in 200 s", runs)
		}
	})
}

func TestKeeperFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := newKernel("inet other")
		k, _ := keeping(t, kernel, "inet guard")
		expect := func(d time.Duration, want string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := k.Faults()["inet guard"]; !strings.Contains(got, want) || (want == "") != (got == "") {
				t.Errorf("fault %q, want %q", got, want)
			}
		}
		expect(0, "table inet guard is not there; make it, or take it out of [good] nft in moggy.toml")
		kernel.set(func() { kernel.table = "inet guard" })
		expect(12*time.Second, "")
		kernel.set(func() { kernel.broken = errors.New("nft: Operation not permitted") })
		expect(12*time.Second, "nft: Operation not permitted")
		kernel.set(func() { kernel.broken = nil })
		expect(12*time.Second, "")
	})
}

func TestKeeperOfOneFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := newKernel("ip guard")
		keeping(t, kernel, "ip guard")
		synctest.Wait()
		if got := kernel.holds(); got != "198.51.100.7" || kernel.sets[Good6] != nil {
			t.Errorf("holds %q", got)
		}
	})
}

func TestKeeperOverflow(t *testing.T) {
	k := NewKeeper([]string{"inet guard"}, nil, nil)
	for range 2 * maxPending {
		k.Changed(netip.MustParsePrefix("192.0.2.0/24"))
	}
	if len(k.pending) != maxPending || !k.dirty {
		t.Errorf("%d pending, dirty %v", len(k.pending), k.dirty)
	}
	NewKeeper(nil, nil, nil).Run(t.Context()) // returns
}

func TestGoodSpansBounded(t *testing.T) {
	spans, whole := goodSpans(manyGood(maxGood+1), now)
	if len(spans) != maxGood || whole {
		t.Errorf("%d spans, all of them: %v", len(spans), whole)
	}
}
