package whitelist

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"strings"
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

// key names an entry in short.
func key(net netip.Prefix, s Source) string { return string(s) + " " + net.String() }

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

func (m *memory) ForgetEntries(keys ...EntryKey) {
	for _, k := range keys {
		delete(m.rows, key(k.Net, k.Source))
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

func (b *Book) look(a string) string { return say(b.List().Look(addr(a), Mail, epoch)) }

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
	if b.List().Len() != 4 || b.List().size(Trapped) != 1 {
		t.Errorf("%d entries, %d of traps", b.List().Len(), b.List().size(Trapped))
	}
	if _, there := m.rows["passed 198.51.100.7/32"]; there {
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
	if got := m.rows["operator 192.0.2.0/24"]; got != want || b.look("192.0.2.9") != "peer 192.0.2.0/24 by operator" {
		t.Errorf("kept %+v, in force %s", got, b.look("192.0.2.9"))
	}
	if before.Len() != 0 {
		t.Error("an old list changed")
	}
	if !slices.Equal(*told, []string{"192.0.2.0/24"}) {
		t.Errorf("told of %v", *told)
	}
}

// TestPersonsBeatWhatWasLearned, good and bad, before and after.
func TestPersonsBeatWhatWasLearned(t *testing.T) {
	b, _ := open(t, store(), entry("192.0.2.64/26", Own, Local))
	learn := func(source Source, c Class) {
		if err := b.Learn(entry("192.0.2.7/32", c, source), epoch); err != nil {
			t.Error(err)
		}
	}
	check := func(want string, addresses ...string) {
		t.Helper()
		for _, a := range addresses {
			if got := b.look(a); got != want {
				t.Errorf("%s: %s, want %s", a, got, want)
			}
		}
	}
	learn(Session, Own)
	learn(Login, User)
	if err := b.Put(t.Context(), deny("192.0.2.0/24"), epoch); err != nil {
		t.Error(err)
	}
	learn(Crawling, Crawler)
	learn(Passed, Peer)
	check("deny 192.0.2.0/24 by operator", "192.0.2.7", "192.0.2.65", "192.0.2.200")
	if err := b.Put(t.Context(), until(entry("192.0.2.0/25", Peer, Operator), time.Hour), epoch); err != nil {
		t.Error(err)
	}
	learn(Guessing, Guesser)
	learn(Trapped, Listed)
	check("peer 192.0.2.0/25 by operator", "192.0.2.7", "192.0.2.65")
	for _, n := range []string{"192.0.2.0/24", "192.0.2.0/25"} {
		if _, there, err := b.Remove(t.Context(), net(n)); !there || err != nil {
			t.Error(n, there, err)
		}
	}
	check("own 192.0.2.7/32 by ssh", "192.0.2.7")
	check("own 192.0.2.64/26 by local", "192.0.2.65")
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
	if b.List() != before || len(*told) != 0 || m.rows["operator 192.0.2.0/24"].Deny {
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
		e      Entry
		passed int
		want   string
	}{
		{entry("198.51.100.7/32", Listed, Trapped), 0, "listed 198.51.100.7/32 by trap"},
		{entry("198.51.100.7/32", Peer, Passed), 1, "peer 198.51.100.7/32 by passed"},
		{entry("198.51.100.7/32", Listed, Trapped), 1, "peer 198.51.100.7/32 by passed"},
		{entry("::ffff:198.51.100.7/128", Pool, Passed), 1, "pool 198.51.100.7/32 by passed"},
		{entry("192.0.2.7/32", Listed, Trapped), 1, "pool 198.51.100.7/32 by passed"},
		{Entry{Net: net("198.51.100.7/32"), Class: User, Source: Login}, 1, "user 198.51.100.7/32 by login"},
	} {
		if err := b.Learn(c.e, epoch); err != nil {
			t.Error(err)
		}
		if got := b.look("198.51.100.7"); got != c.want || b.List().size(Passed) != c.passed {
			t.Errorf("after %+v: %s, %d passed; want %s, %d", c.e, got, b.List().size(Passed), c.want, c.passed)
		}
	}
	if b.look("192.0.2.7") != "peer 192.0.2.0/24 by operator" {
		t.Error("what was learned beats a person")
	}
	if got := m.rows["login 198.51.100.7/32"].Added; !got.Equal(epoch) {
		t.Errorf("added %v", got)
	}
	if len(*told) != 6 || m.rows["passed 198.51.100.7/32"].Class != Pool || len(m.rows) != 5 {
		t.Errorf("told %v, kept %+v", *told, m.rows)
	}
}

func TestLearnRefuses(t *testing.T) {
	m := store()
	b, told := open(t, m)
	for name, e := range map[string]Entry{
		"no network": {Class: Peer, Source: Passed},
		"a person's": entry("192.0.2.7/32", Peer, Operator),
		"local":      entry("192.0.2.7/32", Own, Local),
		"nothing":    entry("192.0.2.7/32", Peer, Nothing),
		"no source":  entry("192.0.2.7/32", Peer, ""),
	} {
		if err := b.Learn(e, epoch); !errors.Is(err, ErrEntry) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b.List().Len() != 0 || len(*told) != 0 || len(m.rows) != 0 {
		t.Errorf("%d entries, told %v, kept %v", b.List().Len(), *told, m.rows)
	}
}

// TestMaxLearned: a flood of one kind crowds out no other kind.
func TestMaxLearned(t *testing.T) {
	b, _ := open(t, store())
	flood := func(yield func(Entry) bool) {
		for i := range MaxLearned(Guessing) {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
			if !yield(Entry{Net: p, Class: Guesser, Source: Guessing}) {
				return
			}
		}
	}
	b.list.Store(NewList(flood))
	if err := b.Learn(entry("192.0.2.8/32", Guesser, Guessing), epoch); !errors.Is(err, ErrFull) || b.Refused() != 1 {
		t.Errorf("%v, %d refused", err, b.Refused())
	}
	again := until(entry("10.0.0.7/32", Guesser, Guessing), time.Hour)
	for _, e := range []Entry{again, entry("192.0.2.7/32", Peer, Passed), entry("192.0.2.7/32", User, Login)} {
		if err := b.Learn(e, epoch); err != nil {
			t.Errorf("%v: %v", e.Key(), err)
		}
	}
	if err := b.Put(t.Context(), entry("192.0.2.9/32", Peer, Operator), epoch); err != nil {
		t.Errorf("a person's: %v", err)
	}
	b.Forget(net("10.0.0.8/32"))
	if err := b.Learn(entry("192.0.2.8/32", Guesser, Guessing), epoch); err != nil || b.Refused() != 1 {
		t.Errorf("after there is room: %v", err)
	}
}

func TestForget(t *testing.T) {
	m := store(entry("192.0.2.0/24", Pool, Passed), entry("192.0.2.7/32", Peer, Passed), entry("192.0.2.8/32", Listed, Trapped),
		entry("192.0.3.0/24", Peer, Passed), entry("192.0.2.7/32", User, Operator), entry("192.0.2.7/32", User, Login))
	b, told := open(t, m, entry("192.0.2.8/32", Own, Local))
	for _, c := range []struct {
		net  string
		from []Source
		want string
	}{
		{"192.0.2.7/32", []Source{Guessing, Operator, "x"}, ""},
		{"192.0.2.8/32", []Source{Local}, ""},
		{"192.0.2.7/32", []Source{Passed}, "passed 192.0.2.7/32"},
		{"192.0.2.7/32", nil, "login 192.0.2.7/32, passed 192.0.2.0/24"},
		{"::ffff:192.0.2.0/120", []Source{Passed, Trapped}, "trap 192.0.2.8/32"},
		{"192.0.2.0/24", nil, ""},
	} {
		var gone []string
		for _, e := range b.Forget(net(c.net), c.from...) {
			gone = append(gone, key(e.Net, e.Source))
		}
		if got := strings.Join(gone, ", "); got != c.want {
			t.Errorf("%s %v: forgot %q, want %q", c.net, c.from, got, c.want)
		}
	}
	if b.List().Len() != 3 || len(*told) != 4 || len(m.rows) != 2 {
		t.Errorf("%d left, told %v, kept %v", b.List().Len(), *told, m.rows)
	}
	if b.look("192.0.2.7") != "user 192.0.2.7/32 by operator" || b.look("192.0.2.8") != "own 192.0.2.8/32 by local" {
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
		b.List().Classify(addr(a), Anywhere, epoch.Add(time.Minute))
	}
	if w, x := b.Flush(epoch.Add(time.Minute)); w != 1 || x != 0 {
		t.Errorf("wrote %d, forgot %d", w, x) // the person's /24 was used for .7 and .9
	}
	if w, x := b.Flush(epoch.Add(2 * time.Minute)); w != 0 || x != 0 {
		t.Errorf("again: wrote %d, forgot %d", w, x)
	}
	if used := m.rows["operator 192.0.2.0/24"].Used; !used.Equal(epoch.Add(time.Minute)) {
		t.Errorf("used %v", used)
	}
	if w, x := b.Flush(epoch.Add(time.Hour)); w != 0 || x != 2 || b.List().size(Passed) != 0 || len(m.rows) != 2 || len(*told) != 2 {
		t.Errorf("wrote %d, forgot %d; kept %v, told %v", w, x, m.rows, *told)
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
	if before.Look(addr("10.1.1.1"), Anywhere, epoch).Class != Own || !slices.Equal(*told, []string{"10.0.0.0/8", "172.16.0.0/12"}) || len(m.rows) != 2 {
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
				b.List().Classify(e.Net.Addr(), Anywhere, epoch.Add(time.Duration(i)*time.Second))
				if i%50 == 0 {
					b.Flush(epoch)
				}
			}
		})
	}
	wg.Wait()
	if n := b.List().Len(); n != 800 {
		t.Errorf("%d entries", n)
	}
}
