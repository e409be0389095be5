package keep

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/peers"
	"moggy/greylist"
	"moggy/whitelist"
)

var timers = greylist.Timers{Pass: 4 * time.Minute, PassUnnamed: 25 * time.Minute, Window: 48 * time.Hour, Remember: 36 * 24 * time.Hour}

// openIn opens the store of a URL, the embedded one in a directory of its own.
func openIn(t *testing.T, dir, url string) Store {
	t.Helper()
	c := config.Default()
	c.StateDir = dir
	s, err := OpenURL(c, url)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// mailOf is a mail's triplet, the i-th of many.
func mailOf(i int) greylist.Triplet {
	return greylist.Triplet{Origin: greylist.Origin{Kind: greylist.Domain, Name: fmt.Sprintf("d%d.example", i)},
		Sender: "a@x.example", Recipient: "b@example.net"}
}

// furnish gives a store some of everything.
func furnish(t *testing.T, s Store, now time.Time) {
	t.Helper()
	ctx := context.Background()
	for i := range 30 {
		net := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32)
		e := whitelist.Entry{Net: net, Class: whitelist.Peer, Source: whitelist.Passed, Note: "came back", Added: now, Expires: now.Add(time.Hour)}
		if i < 3 {
			e.Source = whitelist.Operator
			must(t, s.PutEntry(ctx, e))
		} else {
			s.LearnEntries(e)
		}
	}
	must(t, s.PutTrap(ctx, greylist.Trap{Address: "trap@example.org", Note: "old", Added: now}))
	must(t, s.Pass(ctx, greylist.Origin{Kind: greylist.Name, Name: "known.example"}, now))
	for i := range 20 {
		_, err := s.Try(ctx, greylist.Try{Triplet: mailOf(i), Now: now, Timers: timers})
		must(t, err)
	}
}

// All that a store keeps goes from the file to Redis and back to another file, and a
// mail that waited goes on waiting from its first try.
func TestCopy(t *testing.T) {
	r := peers.StartRedis(t)
	now := time.Now()
	dir := t.TempDir()
	first, shared, last := openIn(t, filepath.Join(dir, "1"), "embedded"), openIn(t, dir, r.URL("copy")), openIn(t, filepath.Join(dir, "2"), "embedded")
	furnish(t, first, now)
	want := Copied{Said: 3, Learned: 27, Traps: 1, Origins: 1, Triplets: 20}
	for i, step := range [][2]Store{{first, shared}, {shared, last}, {shared, last}} {
		got, err := Copy(t.Context(), step[0], step[1], timers, now)
		if err != nil || got != want {
			t.Fatalf("copy %d: %+v, %v; want %+v", i+1, got, err, want)
		}
	}
	got, err := last.Try(t.Context(), greylist.Try{Triplet: mailOf(7), Now: now.Add(5 * time.Minute), Timers: timers})
	if err != nil || got.Outcome != greylist.Returned {
		t.Errorf("a mail that waited: %+v, %v", got, err)
	}
}

// What is not there afterwards is counted.
func TestCopyCountsWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	from, to := openIn(t, filepath.Join(dir, "1"), "embedded"), openIn(t, filepath.Join(dir, "2"), "embedded")
	furnish(t, from, time.Now())
	n := Copied{}
	c := copying{from: from, to: to.(mover), timers: timers, now: time.Now(), n: &n}
	must(t, c.entries(t.Context()))
	must(t, c.to.Sync())
	must(t, c.verify(t.Context()))
	if n.Missing != 22 {
		t.Errorf("%d rows are missing, want the trap, the origin and 20 mails", n.Missing)
	}
}
