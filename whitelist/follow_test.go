package whitelist

import (
	"context"
	"errors"
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
