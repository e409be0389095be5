package whitelist

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// What another node changes is in force here, and is not given to the store again.
func TestFollow(t *testing.T) {
	m := store()
	b, _ := open(t, m, entry("10.0.0.0/8", Own, Local))
	b.Follow(entry("192.0.2.0/24", Peer, Operator))
	b.Follow(entry("192.0.2.7/32", User, Login))
	b.Follow(entry("10.0.0.0/8", Peer, Local))
	if got := say(b.List().Look(addr("192.0.2.7"), Mail, epoch)); got != "peer 192.0.2.0/24 by operator" {
		t.Error(got)
	}
	b.Unfollow(EntryKey{net("192.0.2.0/24"), Operator})
	b.Unfollow(EntryKey{net("10.0.0.0/8"), Local})
	if got := say(b.List().Look(addr("192.0.2.7"), Mail, epoch)); got != "user 192.0.2.7/32 by login" {
		t.Error(got)
	}
	if got := say(b.List().Look(addr("10.1.1.1"), Mail, epoch)); got != "own 10.0.0.0/8 by local" {
		t.Error(got)
	}
	if len(m.rows) != 0 {
		t.Errorf("the store was given %v", m.rows)
	}
}

// A reload leaves what the store has, and the machine's own networks.
func TestReload(t *testing.T) {
	m := store()
	b, told := open(t, m, entry("10.0.0.0/8", Own, Local))
	b.Follow(entry("192.0.2.0/24", Peer, Operator)) // the store knows nothing of it
	m.LearnEntries(entry("198.51.100.0/24", Peer, Operator))
	if err := b.Reload(context.Background(), epoch.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]string{"192.0.2.7": "stranger", "198.51.100.7": "peer 198.51.100.0/24 by operator", "10.1.1.1": "own 10.0.0.0/8 by local"} {
		if got := say(b.List().Look(addr(a), Mail, epoch)); got != want {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
	if got := strings.Join(*told, " "); got != "192.0.2.0/24 0.0.0.0/0 ::/0" {
		t.Errorf("told of %s", got)
	}
	m.rows[""], m.err = Entry{}, errors.New("away")
	if err := b.Reload(context.Background(), epoch); err == nil || b.List().Len() != 2 {
		t.Errorf("%v; %d entries in force", err, b.List().Len())
	}
}

// A sweeper is a store that other books share.
type sweeper struct{ *memory }

func (sweeper) Sweeps() {}

// Another book may have renewed what has ended here: a store that sweeps keeps it,
// and what a person has forgotten is gone all the same.
func TestFlushLeavesSweepingToTheStore(t *testing.T) {
	m := store(until(entry("192.0.2.7/32", Peer, Passed), -time.Hour), until(entry("192.0.2.8/32", Peer, Passed), time.Hour), entry("192.0.2.9/32", Peer, Passed))
	b, err := Open(t.Context(), Options{Store: sweeper{m}, Now: epoch})
	if err != nil {
		t.Fatal(err)
	}
	if _, expired := b.Flush(epoch.Add(time.Hour)); expired != 1 || b.List().Len() != 1 {
		t.Errorf("forgot %d, %d in force", expired, b.List().Len())
	}
	if len(m.rows) != 3 {
		t.Errorf("kept %v", m.rows)
	}
	if b.Forget(net("192.0.2.9/32")); len(m.rows) != 2 {
		t.Errorf("kept %v", m.rows)
	}
}

// A slowReader is a store whose rows, as they were when it was asked, come late.
type slowReader struct {
	*memory
	asked, more chan struct{}
	fault       error
}

func (s slowReader) Entries(ctx context.Context) iter.Seq2[Entry, error] {
	rows := maps.Clone(s.rows)
	return func(yield func(Entry, error) bool) {
		s.asked <- struct{}{}
		<-s.more
		for _, e := range rows {
			if !yield(e, nil) {
				return
			}
		}
		if s.fault != nil {
			yield(Entry{}, s.fault)
		}
	}
}

// While the list is read again from a slow store nobody waits, and nothing is lost
// of what changes meanwhile, whether the store had it already or not.
func TestReloadKeepsNobodyWaiting(t *testing.T) {
	for _, fault := range []error{nil, errors.New("away")} {
		t.Run(fmt.Sprint(fault), func(t *testing.T) { reloadSlowly(t, fault) })
	}
}

func reloadSlowly(t *testing.T, fault error) {
	m := store(entry("192.0.2.1/32", Peer, Operator), entry("192.0.2.2/32", Peer, Passed), entry("192.0.2.3/32", Peer, Passed),
		until(entry("192.0.2.4/32", Peer, Passed), time.Hour), until(entry("192.0.2.5/32", Peer, Passed), time.Hour))
	b, _ := open(t, m, entry("10.0.0.0/8", Own, Local))
	s := slowReader{m, make(chan struct{}), make(chan struct{}), fault}
	b.store = s
	m.LearnEntries(entry("192.0.2.9/32", Peer, Operator)) // of another node, which was missed
	now := epoch.Add(2 * time.Hour)
	done := make(chan error)
	go func() { done <- b.Reload(t.Context(), now) }()
	<-s.asked
	changes := make(chan error)
	go func() { changes <- changeAll(t.Context(), b, now) }()
	select {
	case err := <-changes:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		close(s.more)
		t.Fatal("changes wait for the store to be read")
	}
	close(s.more)
	if err := <-done; !errors.Is(err, fault) {
		t.Error(err)
	}
	var got []string
	for e := range b.List().All() {
		got = append(got, key(e.Net, e.Source)+" "+string(e.Class))
	}
	want := []string{"operator 192.0.2.6/32 user", "local 172.16.0.0/12 own", "passed 192.0.2.4/32 peer", "passed 192.0.2.7/32 peer", "passed 192.0.2.8/32 peer"}
	if fault == nil {
		want = slices.Insert(want, 1, "operator 192.0.2.9/32 peer")
	}
	got = slices.DeleteFunc(got, func(row string) bool { return strings.HasPrefix(row, "passed 192.0.2.5/32") }) // which has ended
	if !slices.Equal(got, want) {
		t.Errorf("in force:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, kept := m.rows["passed 192.0.2.4/32"]; !kept {
		t.Error("what was learned again while the old was read is no longer kept")
	}
}

// changeAll does all that changes a list.
func changeAll(ctx context.Context, b *Book, now time.Time) error {
	_, _, err := b.Remove(ctx, net("192.0.2.1/32"))
	if err == nil {
		err = b.Put(ctx, entry("192.0.2.6/32", User, Operator), now)
	}
	b.Forget(net("192.0.2.2/32"))
	b.Unfollow(EntryKey{net("192.0.2.3/32"), Passed})
	b.Follow(entry("192.0.2.7/32", Peer, Passed))
	b.SetLocal([]Entry{entry("172.16.0.0/12", Own, Local)})
	for _, a := range []string{"192.0.2.4/32", "192.0.2.8/32"} {
		if err == nil {
			err = b.Learn(until(entry(a, Peer, Passed), 3*time.Hour), now)
		}
	}
	return err
}

// A reload does not undo uses that the store has not been told of.
func TestReloadKeepsUses(t *testing.T) {
	e := until(entry("192.0.2.7/32", Peer, Passed), time.Hour)
	e.Renew = 24 * time.Hour
	b, _ := open(t, store(e))
	b.List().Classify(addr("192.0.2.7"), Mail, epoch.Add(59*time.Minute))
	if err := b.Reload(t.Context(), epoch.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := say(b.List().Look(addr("192.0.2.7"), Mail, epoch.Add(2*time.Hour))); got != "peer 192.0.2.7/32 by passed" {
		t.Error(got)
	}
}

// What comes from the store while a use waits does not pass for word of that use.
func TestUsesAreNotLost(t *testing.T) {
	e := until(entry("192.0.2.7/32", Peer, Passed), time.Hour)
	e.Renew = time.Hour
	theirs := e
	theirs.Used = epoch.Add(21 * time.Minute)
	for name, news := range map[string]func(*Book, *memory) error{
		"follow": func(b *Book, _ *memory) error { b.Follow(theirs); return nil },
		"reload": func(b *Book, m *memory) error {
			m.LearnEntries(theirs)
			return b.Reload(t.Context(), epoch.Add(time.Minute))
		},
		"follow while reloading": func(b *Book, m *memory) error {
			s := slowReader{m, make(chan struct{}), make(chan struct{}), nil}
			b.store = s
			done := make(chan error)
			go func() { done <- b.Reload(t.Context(), epoch.Add(time.Minute)) }()
			<-s.asked
			b.Follow(theirs)
			b.Unfollow(EntryKey{e.Net, "later"})
			close(s.more)
			return <-done
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := store(e)
			b, _ := open(t, m)
			used := epoch.Add(30 * time.Minute)
			b.List().Classify(e.Net.Addr(), Mail, used)
			if err := news(b, m); err != nil {
				t.Fatal(err)
			}
			if got, _ := b.List().Get(e.Net, e.Source); !got.Used.Equal(used) {
				t.Errorf("used %v, want %v", got.Used, used)
			}
			if written, _ := b.Flush(epoch.Add(31 * time.Minute)); written != 1 {
				t.Errorf("%d uses were told", written)
			}
			if written, _ := b.Flush(epoch.Add(32 * time.Minute)); written != 0 {
				t.Errorf("%d were told again", written)
			}
		})
	}
}
