// Package keep opens the store that the configuration names.
//
// It knows the stores there are and how they are put together: where several doors
// share one memory in Redis, a copy of the entries stays on this machine, so that a
// door that opens while Redis is away knows the family all the same. It does not
// know what is kept.
package keep

import (
	"context"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"moggy/cmd/internal/config"
	"moggy/greylist"
	"moggy/store/bolt"
	"moggy/store/redis"
	"moggy/whitelist"
)

// A Store keeps entries, triplets, origins and traps.
type Store interface {
	whitelist.Store
	greylist.Store

	// Healthy says what keeps the store from keeping what it is given; nil: nothing.
	// It waits for nothing.
	Healthy() error

	// Degraded reports whether it answers from its own memory for now.
	Degraded() bool

	// Follow keeps book and traps in step with what other doors change, until ctx ends.
	Follow(ctx context.Context, book *whitelist.Book, traps *greylist.Traps)

	// Tell gives a line of the journal to the other doors. It never waits.
	Tell(line []byte)

	// Told yields the lines of all doors since a time that hold a text, the newest first.
	Told(ctx context.Context, since time.Time, holds string) iter.Seq2[[]byte, error]

	Figures() Figures

	// Nodes are the machines that share it, this one among them; nil: there are no others.
	Nodes() []Node

	Close() error
}

// A Node is one of the machines that share a store.
type Node = redis.Node

// NodeName is what the others call this machine.
func NodeName(c *config.Config) string {
	name, err := os.Hostname()
	if err != nil {
		return c.Hostname
	}
	return name
}

// Figures are what a store counts.
type Figures struct {
	Triplets int64
	Origins  int64
	Pending  int   // rows not yet where they are kept
	Dropped  int64 // rows there was no room for
	Damaged  int64 // rows that made no sense
}

// Path is the file of the embedded store, and of the copy of a shared one.
func Path(stateDir string) string { return filepath.Join(stateDir, "moggy.db") }

// Embedded reports whether the store is a file of this machine's.
func Embedded(c *config.Config) bool { return c.Store.URL == config.StoreEmbedded }

// Open opens the store of a daemon.
func Open(c *config.Config, log *slog.Logger) (Store, error) {
	file, err := bolt.Open(bolt.Options{Path: Path(c.StateDir), Remember: c.Greylist.Remember, Log: log})
	if err != nil || Embedded(c) {
		return embedded{file}, err
	}
	r, err := redis.Open(redis.Options{URL: c.Store.URL, Name: NodeName(c), Remember: c.Greylist.Remember, Log: log})
	if err != nil {
		file.Close()
		return nil, err
	}
	return &shared{Store: r, copy: file, log: log}, nil
}

// OpenAlone opens the store for a tool whose daemon is down.
func OpenAlone(c *config.Config) (Store, error) {
	if Embedded(c) {
		file, err := bolt.Open(bolt.Options{Path: Path(c.StateDir), Remember: c.Greylist.Remember})
		return embedded{file}, err
	}
	r, err := redis.Open(redis.Options{URL: c.Store.URL, Remember: c.Greylist.Remember})
	if err != nil {
		return nil, err
	}
	return &shared{Store: r, log: slog.New(slog.DiscardHandler)}, nil
}

// embedded is the store of one machine. Nobody else changes it.
type embedded struct{ *bolt.Store }

func (embedded) Degraded() bool { return false }

func (embedded) Follow(context.Context, *whitelist.Book, *greylist.Traps) {}

func (embedded) Tell([]byte) {}

func (embedded) Nodes() []Node { return nil }

func (embedded) Told(context.Context, time.Time, string) iter.Seq2[[]byte, error] {
	return func(func([]byte, error) bool) {}
}

func (e embedded) Figures() Figures {
	s := e.Stats()
	return Figures{Triplets: s.Triplets, Origins: s.Origins, Pending: s.Pending, Dropped: s.Dropped, Damaged: s.Damaged}
}
