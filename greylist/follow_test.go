package greylist

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"testing"
	"time"
)

// What another node changes is in force here; what the configuration says stays.
func TestFollowTraps(t *testing.T) {
	m := &memory{traps: map[string]Trap{}}
	traps := openTraps(t, m, "conf@example.org")
	traps.Follow(Trap{Address: "There@example.org"})
	if got := names(traps); got != "conf@example.org there@example.org" {
		t.Errorf("in force: %s", got)
	}
	traps.Unfollow("There@example.org")
	traps.Unfollow("conf@example.org")
	m.traps["kept@example.org"] = Trap{Address: "kept@example.org"}
	if err := traps.Reload(t.Context()); err != nil || names(traps) != "conf@example.org kept@example.org" {
		t.Errorf("%v; in force: %s", err, names(traps))
	}
	if m.err = errors.New("away"); traps.Reload(t.Context()) == nil || names(traps) != "conf@example.org kept@example.org" {
		t.Errorf("in force: %s", names(traps))
	}
}

// A trap of the configuration that somebody types as well, at this door or at
// another, is the configuration's again when that is taken away, however this door
// hears of it.
func TestConfiguredTrapStays(t *testing.T) {
	const address = "conf@example.org"
	kept := map[string]Trap{address: {Address: address, Note: "typed"}}
	tests := map[string]func(*Traps, *memory) error{
		"another door, heard": func(traps *Traps, _ *memory) error { traps.Unfollow(address); return nil },
		"another door, missed": func(traps *Traps, m *memory) error {
			clear(m.traps)
			return traps.Reload(context.Background())
		},
		"this door": func(traps *Traps, _ *memory) error {
			_, err := traps.Remove(context.Background(), address)
			return err
		},
	}
	for name, takeAway := range tests {
		t.Run(name, func(t *testing.T) {
			m := &memory{traps: maps.Clone(kept)}
			traps := openTraps(t, m, "Conf@example.org")
			traps.Follow(kept[address])
			if trap := traps.All()[address]; trap.Configured || trap.Note != "typed" {
				t.Fatalf("a person's word goes first: %+v", trap)
			}
			if err := takeAway(traps, m); err != nil || !traps.All()[address].Configured {
				t.Errorf("%v; in force: %+v", err, traps.All())
			}
			if traps.Configure(nil, epoch); traps.Has(address) {
				t.Error("a trap that the configuration has no more is in force")
			}
		})
	}
}

// A slowReader is a store whose traps, as they were when it was asked, come late.
type slowReader struct {
	*memory
	asked, more chan struct{}
	fault       error
}

func (s slowReader) Traps(context.Context) iter.Seq2[Trap, error] {
	old := memory{traps: maps.Clone(s.traps), err: s.fault}
	s.asked <- struct{}{}
	<-s.more
	return old.Traps(context.Background())
}

// While the traps are read again from a slow store nobody waits, and nothing is lost
// of what changes meanwhile, whether the store had it already or not.
func TestReloadTrapsKeepsNobodyWaiting(t *testing.T) {
	for fault, want := range map[error]string{
		nil:                "both@x conf@x followed@x new@x stays@x typed@x",
		errors.New("away"): "both@x conf@x followed@x stays@x typed@x",
	} {
		t.Run(fmt.Sprint(fault), func(t *testing.T) { reloadTrapsSlowly(t, fault, want) })
	}
}

func reloadTrapsSlowly(t *testing.T, fault error, want string) {
	m := &memory{traps: make(map[string]Trap)}
	for _, a := range []string{"stays@x", "removed@x", "unfollowed@x", "both@x"} {
		m.traps[a] = Trap{Address: a}
	}
	traps := openTraps(t, m, "earlier@x", "both@x")
	m.traps["new@x"] = Trap{Address: "new@x"} // of another node, which was missed
	s := slowReader{m, make(chan struct{}), make(chan struct{}), fault}
	traps.store = s
	done, changes := make(chan error), make(chan error)
	go func() { done <- traps.Reload(t.Context()) }()
	<-s.asked
	go func() { changes <- changeTraps(t.Context(), traps) }()
	select {
	case err := <-changes:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("changes wait for the store to be read")
		go func() { <-changes }()
	}
	close(s.more)
	if err := <-done; !errors.Is(err, fault) {
		t.Error(err)
	}
	if got := names(traps); got != want || !traps.All()["both@x"].Configured {
		t.Errorf("in force:\n%s, want\n%s; %+v", got, want, traps.All()["both@x"])
	}
}

// changeTraps does all that changes traps.
func changeTraps(ctx context.Context, traps *Traps) error {
	traps.Configure([]string{"conf@x", "both@x"}, epoch)
	traps.Follow(Trap{Address: "followed@x"})
	traps.Unfollow("unfollowed@x")
	_, err := traps.Remove(ctx, "removed@x")
	if err == nil {
		_, err = traps.Remove(ctx, "both@x")
	}
	if err == nil {
		err = traps.Put(ctx, Trap{Address: "typed@x"})
	}
	return err
}
