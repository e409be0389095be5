package whitelist

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// memory is the smallest store.
type memory struct {
	mu   sync.Mutex
	rows map[string]Entry
	err  error // of what persons do, and of reading
}

func key(net netip.Prefix, s Source) string {
	if s.Said() {
		return "said " + net.String()
	}
	return "learned " + net.String()
}

func store(entries ...Entry) *memory {
	m := &memory{rows: make(map[string]Entry)}
	m.LearnEntries(entries...)
	return m
}

func (m *memory) Entries(context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, e := range m.rows {
			if !yield(e, m.err) {
				return
			}
		}
	}
}

func (m *memory) PutEntry(_ context.Context, e Entry) error {
	if m.err == nil {
		m.LearnEntries(e)
	}
	return m.err
}

func (m *memory) DeleteEntry(_ context.Context, net netip.Prefix, s Source) error {
	if m.err == nil {
		delete(m.rows, key(net, s))
	}
	return m.err
}

func (m *memory) LearnEntries(entries ...Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		m.rows[key(e.Net, e.Source)] = e
	}
}

func (m *memory) ForgetEntries(nets ...netip.Prefix) {
	for _, n := range nets {
		delete(m.rows, key(n, Passed))
	}
}

// open is a book, and the networks it told of.
func open(t *testing.T, m *memory, local ...Entry) (*Book, *[]string) {
	t.Helper()
	told := new([]string)
	b, err := Open(t.Context(), Options{Store: m, Local: local, Now: epoch,
		Changed: func(n netip.Prefix) { *told = append(*told, n.String()) }})
	if err != nil {
		t.Fatal(err)
	}
	return b, told
}

func (b *Book) look(a string) string { return say(b.List().Look(addr(a), epoch)) }

func TestOpenBook(t *testing.T) {
	m := store(entry("192.0.2.0/24", Peer, Operator), entry("192.0.2.0/24", Listed, Trapped),
		until(entry("198.51.100.7/32", Peer, Passed), 0), until(deny("198.51.100.0/24"), -time.Hour))
	b, _ := open(t, m, entry("10.0.0.0/8", Own, Local), entry("172.16.0.0/12", Own, Local))
	for a, want := range map[string]string{
		"192.0.2.7":    "peer 192.0.2.0/24 by operator",
		"10.9.9.9":     "own 10.0.0.0/8 by local",
		"172.17.0.1":   "own 172.16.0.0/12 by local",
		"198.51.100.7": "stranger",
	} {
		if got := b.look(a); got != want {
			t.Errorf("%s: %s", a, got)
		}
	}
	if b.List().Len() != 4 || b.learned != 1 {
		t.Errorf("%d entries, %d learned", b.List().Len(), b.learned)
	}
	if _, there := m.rows["learned 198.51.100.7/32"]; there {
		t.Error("what expired while nobody was there stays in the store for ever")
	}
	m.err = errors.New("no such luck")
	if _, err := Open(t.Context(), Options{Store: m, Now: epoch}); !errors.Is(err, m.err) {
		t.Errorf("error %v", err)
	}
}

func TestPut(t *testing.T) {
	m := store()
	b, told := open(t, m)
	before := b.List()
	e := Entry{Net: net("::ffff:192.0.2.7/120"), Class: Peer, Source: Trapped, Note: "x"}
	if err := b.Put(t.Context(), e, epoch); err != nil {
		t.Fatal(err)
	}
	want := entry("192.0.2.0/24", Peer, Operator)
	want.Note = "x"
	if got := m.rows["said 192.0.2.0/24"]; got != want || b.look("192.0.2.9") != "peer 192.0.2.0/24 by operator" {
		t.Errorf("kept %+v, in force %s", got, b.look("192.0.2.9"))
	}
	if before.Len() != 0 {
		t.Error("an old list changed")
	}
	if !slices.Equal(*told, []string{"192.0.2.0/24"}) {
		t.Errorf("told of %v", *told)
	}
}

func TestErrorsChangeNothing(t *testing.T) {
	m := store(entry("192.0.2.0/24", Peer, Operator))
	b, told := open(t, m)
	before := b.List()
	if err := b.Put(t.Context(), Entry{Net: net("192.0.2.0/24")}, epoch); !errors.Is(err, ErrEntry) {
		t.Errorf("no class: %v", err)
	}
	m.err = errors.New("no such luck")
	if err := b.Put(t.Context(), deny("192.0.2.0/24"), epoch); !errors.Is(err, m.err) {
		t.Errorf("Put: %v", err)
	}
	if _, _, err := b.Remove(t.Context(), net("192.0.2.0/24")); !errors.Is(err, m.err) {
		t.Errorf("Remove: %v", err)
	}
	if b.List() != before || len(*told) != 0 || m.rows["said 192.0.2.0/24"].Deny {
		t.Error("something changed")
	}
}

func TestRemove(t *testing.T) {
	m := store(entry("192.0.2.0/24", Peer, Operator), entry("192.0.2.0/24", Listed, Trapped))
	b, told := open(t, m)
	e, there, err := b.Remove(t.Context(), net("192.0.2.9/24"))
	if err != nil || !there || e.Net != net("192.0.2.0/24") || b.look("192.0.2.7") != "listed 192.0.2.0/24 by trap" {
		t.Errorf("%+v, %v, %v; now %s", e, there, err, b.look("192.0.2.7"))
	}
	if _, there, err := b.Remove(t.Context(), net("192.0.2.0/24")); there || err != nil {
		t.Errorf("again: %v, %v", there, err)
	}
	if len(*told) != 1 || len(m.rows) != 1 {
		t.Errorf("told %v, kept %v", *told, m.rows)
	}
}

func TestLearn(t *testing.T) {
	m := store(entry("192.0.2.0/24", Peer, Operator))
	b, told := open(t, m)
	for _, c := range []struct {
		e       Entry
		learned int
		want    string
	}{
		{entry("198.51.100.7/32", Listed, Trapped), 1, "listed 198.51.100.7/32 by trap"},
		{entry("198.51.100.7/32", Peer, Passed), 1, "peer 198.51.100.7/32 by passed"},
		{entry("198.51.100.7/32", Listed, Trapped), 1, "peer 198.51.100.7/32 by passed"},
		{entry("::ffff:198.51.100.7/128", Pool, Passed), 1, "pool 198.51.100.7/32 by passed"},
		{entry("192.0.2.7/32", Listed, Trapped), 2, "pool 198.51.100.7/32 by passed"},
	} {
		if err := b.Learn(c.e, epoch); err != nil {
			t.Error(err)
		}
		if got := b.look("198.51.100.7"); got != c.want || b.learned != c.learned {
			t.Errorf("after %+v: %s, %d learned; want %s, %d", c.e, got, b.learned, c.want, c.learned)
		}
	}
	if err := b.Learn(Entry{Class: Peer, Source: Passed}, epoch); !errors.Is(err, ErrEntry) || b.learned != 2 {
		t.Errorf("no network: %v, %d learned", err, b.learned)
	}
	if b.look("192.0.2.7") != "peer 192.0.2.0/24 by operator" {
		t.Error("what was learned beats a person")
	}
	if len(*told) != 4 || m.rows["learned 198.51.100.7/32"].Class != Pool || len(m.rows) != 3 {
		t.Errorf("told %v, kept %+v", *told, m.rows)
	}
}

func TestMaxLearned(t *testing.T) {
	b, _ := open(t, store(entry("192.0.2.7/32", Peer, Passed)))
	b.learned = MaxLearned
	if err := b.Learn(entry("192.0.2.8/32", Peer, Passed), epoch); !errors.Is(err, ErrFull) || b.Refused() != 1 {
		t.Errorf("%v, %d refused", err, b.Refused())
	}
	if err := b.Learn(entry("192.0.2.7/32", Pool, Passed), epoch); err != nil || b.look("192.0.2.7") != "pool 192.0.2.7/32 by passed" {
		t.Errorf("one that is there: %v", err)
	}
	if err := b.Put(t.Context(), entry("192.0.2.9/32", Peer, Operator), epoch); err != nil {
		t.Errorf("a person's: %v", err)
	}
	b.Forget(net("192.0.2.7/32"))
	if err := b.Learn(entry("192.0.2.8/32", Peer, Passed), epoch); err != nil {
		t.Errorf("after there is room: %v", err)
	}
}

func TestForget(t *testing.T) {
	m := store(entry("192.0.2.0/24", Pool, Passed), entry("192.0.2.7/32", Peer, Passed), entry("192.0.2.8/32", Listed, Trapped),
		entry("192.0.3.0/24", Peer, Passed), entry("192.0.2.7/32", User, Operator))
	b, told := open(t, m)
	if gone := b.Forget(net("192.0.2.7/32")); len(gone) != 1 || gone[0].Class != Peer {
		t.Errorf("an address: %+v", gone)
	}
	if gone := b.Forget(net("192.0.2.9/32")); len(gone) != 1 || gone[0].Class != Pool {
		t.Errorf("an address of a network: %+v", gone)
	}
	if gone := b.Forget(net("::ffff:192.0.2.0/120")); len(gone) != 1 || gone[0].Class != Listed {
		t.Errorf("a network: %+v", gone)
	}
	if gone := b.Forget(net("192.0.2.0/24")); gone != nil || b.learned != 1 || len(*told) != 3 || len(m.rows) != 2 {
		t.Errorf("nothing left: %+v, %d learned, told %v, kept %v", gone, b.learned, *told, m.rows)
	}
	if b.look("192.0.2.7") != "user 192.0.2.7/32 by operator" || b.look("192.0.2.8") != "stranger" {
		t.Error(b.look("192.0.2.7"), b.look("192.0.2.8"))
	}
}

func TestFlush(t *testing.T) {
	expiring := until(entry("192.0.2.8/32", Peer, Passed), time.Hour)
	renewed := until(entry("192.0.2.9/32", Peer, Passed), time.Hour)
	renewed.Renew = 24 * time.Hour
	m := store(entry("192.0.2.0/24", Peer, Operator), expiring, renewed, until(deny("198.51.100.0/24"), time.Hour))
	b, told := open(t, m, entry("10.0.0.0/8", Own, Local))
	for _, a := range []string{"192.0.2.7", "192.0.2.9", "10.0.0.1"} {
		b.List().Classify(addr(a), epoch.Add(time.Minute))
	}
	if w, x := b.Flush(epoch.Add(time.Minute)); w != 1 || x != 0 {
		t.Errorf("wrote %d, forgot %d", w, x) // the person's /24 was used for .7 and .9
	}
	if w, x := b.Flush(epoch.Add(2 * time.Minute)); w != 0 || x != 0 {
		t.Errorf("again: wrote %d, forgot %d", w, x)
	}
	if used := m.rows["said 192.0.2.0/24"].Used; !used.Equal(epoch.Add(time.Minute)) {
		t.Errorf("used %v", used)
	}
	if w, x := b.Flush(epoch.Add(time.Hour)); w != 0 || x != 2 || b.learned != 0 || len(m.rows) != 2 || len(*told) != 2 {
		t.Errorf("wrote %d, forgot %d; %d learned, kept %v, told %v", w, x, b.learned, m.rows, *told)
	}
}

func TestSetLocal(t *testing.T) {
	m := store(entry("192.0.2.0/24", Peer, Operator), entry("10.1.0.0/16", Listed, Trapped))
	b, told := open(t, m, entry("10.0.0.0/8", Own, Local))
	before := b.List()
	b.SetLocal([]Entry{entry("172.16.0.0/12", Own, Local)})
	for a, want := range map[string]string{
		"10.1.1.1":   "listed 10.1.0.0/16 by trap",
		"172.16.1.1": "own 172.16.0.0/12 by local",
		"192.0.2.7":  "peer 192.0.2.0/24 by operator",
	} {
		if got := b.look(a); got != want {
			t.Errorf("%s: %s", a, got)
		}
	}
	if before.Look(addr("10.1.1.1"), epoch).Class != Own || !slices.Equal(*told, []string{"172.16.0.0/12"}) || len(m.rows) != 2 {
		t.Errorf("told %v, kept %v", *told, m.rows)
	}
	b.SetLocal(nil)
	if b.look("172.16.1.1") != "stranger" {
		t.Error("not taken away")
	}
}

// TestManyWritersAndReaders is for the race detector.
func TestManyWritersAndReaders(t *testing.T) {
	b, err := Open(t.Context(), Options{Store: store(), Now: epoch})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				e := entry("192.0.2.0/32", Peer, Passed)
				e.Net = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(w), byte(i)}), 32)
				b.Learn(e, epoch)
				b.List().Classify(e.Net.Addr(), epoch.Add(time.Duration(i)*time.Second))
				if i%50 == 0 {
					b.Flush(epoch)
				}
			}
		})
	}
	wg.Wait()
	if n := b.List().Len(); n != 800 || b.learned != 800 {
		t.Errorf("%d entries, %d learned", n, b.learned)
	}
}
