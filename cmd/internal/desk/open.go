package desk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/keep"
	"moggy/greylist"
	"moggy/greylist/origin"
	"moggy/proxy"
	"moggy/store/bolt"
	"moggy/whitelist"
)

// Open returns the desk of the running daemon, or, when it is down, one over the
// store itself; then daemon is false. Changes are kept for sure when the closer
// has returned nil. A store that is not there is made only where create is true:
// a question should leave nothing behind.
func Open(ctx context.Context, c *config.Config, create bool) (d Desk, closer io.Closer, daemon bool, err error) {
	path := SocketPath(c.StateDir)
	if err := answers(ctx, path); err == nil {
		return NewClient(path), nothing{}, true, nil
	} else if !errors.Is(err, ErrDown) {
		return nil, nil, false, err
	}
	d, closer, err = openStore(ctx, c, create)
	if !errors.Is(err, bolt.ErrLocked) {
		return d, closer, false, err
	}
	if answers(ctx, path) == nil { // it has just been started
		return NewClient(path), nothing{}, true, nil
	}
	return nil, nil, false, fmt.Errorf("a moggyd has %s open, and nobody answers on %s: it is starting or stopping; try again in a moment",
		StorePath(c.StateDir), path)
}

// answers reports, by a nil error, that somebody listens on a socket.
func answers(ctx context.Context, path string) error {
	conn, err := Dial(ctx, path)
	if err == nil {
		conn.Close()
	}
	return err
}

type nothing struct{}

func (nothing) Close() error { return nil }

// openStore makes a Local over the store, without a daemon.
func openStore(ctx context.Context, c *config.Config, create bool) (Desk, io.Closer, error) {
	path := StorePath(c.StateDir)
	_, err := os.Stat(path)
	fresh := keep.Embedded(c) && errors.Is(err, os.ErrNotExist)
	if fresh && !create {
		return nil, nil, fmt.Errorf("there is no %s: moggyd has never run with this configuration; start it, or name its file with -c", path)
	}
	store, err := keep.OpenAlone(c)
	if err != nil {
		return nil, nil, err
	}
	if fresh {
		giveAway(path)
	}
	l, err := localOver(ctx, c, store)
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return l, over{l.names, store}, nil
}

// over is what a Local stands on.
type over struct {
	names *Names
	store keep.Store
}

// Close implements io.Closer.
func (o over) Close() error { return errors.Join(o.names.Close(), o.store.Close()) }

// localOver makes a Local that no daemon stands behind. That DNS cannot be asked
// is no error: few questions need it.
func localOver(ctx context.Context, c *config.Config, store keep.Store) (*Local, error) {
	now := time.Now()
	book, err := whitelist.Open(ctx, whitelist.Options{Store: store, Local: LocalEntries(c), Now: now})
	if err != nil {
		return nil, err
	}
	traps, err := greylist.OpenTraps(ctx, store, c.Trap.Addresses, now)
	if err != nil {
		return nil, err
	}
	names, fault := NewNames(c, NamesOptions{})
	if fault != nil {
		names = &Names{Finder: origin.Networks{}}
	}
	j := proxy.NewJudge(book, store, traps, TimersOf(c))
	j.Lists, j.Finder = names.Lists, names.Finder
	j.Crawlers = &proxy.Crawlers{Names: c.Crawlers.Names, Confirmed: names.Confirmed, Book: book}
	limits := LimitsOf(c)
	j.Limits.Store(&limits)
	set := SettingsOf(c)
	l := NewLocal(Options{Judge: j, Settings: func() Settings { return set },
		Figures: func() Figures { return StoreFigures(store) }, Store: store})
	l.names, l.nameless = names, fault
	return l, nil
}

// StoreFigures are the figures of a store.
func StoreFigures(store keep.Store) Figures {
	s := store.Figures()
	f := Figures{Triplets: s.Triplets, Origins: s.Origins, StorePending: s.Pending, StoreDropped: s.Dropped, StoreDamaged: s.Damaged}
	for _, n := range store.Nodes() {
		f.Nodes = append(f.Nodes, Node(n))
	}
	if err := store.Healthy(); err != nil {
		f.StoreFault = err.Error()
	}
	return f
}

// giveAway gives a store that root has just made to the owner of its directory:
// moggyd may run as somebody else, and has to be able to open it.
func giveAway(path string) {
	info, err := os.Stat(filepath.Dir(path))
	if err != nil || os.Geteuid() != 0 {
		return
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = os.Lchown(path, int(owner.Uid), int(owner.Gid)) // moggyd will say so if it cannot open it
	}
}
