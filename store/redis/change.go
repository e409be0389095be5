package redis

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"

	goredis "github.com/redis/go-redis/v9"

	"moggy/greylist"
	"moggy/whitelist"
)

// A change is one of the changes of entries and traps that the script makes.
type change struct {
	op, key, name, row string
	ends               string // of a learned entry, unix milliseconds; "": never
	at                 string // when it was found out or forgotten, the same; "": when it is written
}

// What a change does.
const (
	opPut   = "put"   // in the place of what is there
	opDel   = "del"   // takes it away, unless it was added later
	opAdd   = "add"   // where nothing is there, or what was added earlier; not what was taken away since
	opUse   = "use"   // a later time of use, only where it is there
	opLearn = "learn" // unless what is there was found out later, or it was taken away since
)

// What the followers' name of a row begins with.
const (
	nameEntry     = "e"
	nameTrap      = "t"
	nameForgotten = "f" // triplets or origins were forgotten: a name without a row
	nameCheck     = "x" // of Check
	nameBorn      = "born"
)

// logLength is how many messages the log holds, of up to writeRows changes each.
const (
	logLength = 1000
	writeRows = 100
)

// ErrUnknown is wrapped by the error of a person's change when Redis may have made
// it and may not.
var ErrUnknown = errors.New("it is not known whether it was kept; look before you try again")

// errLate: Redis found that nobody waits for the change any more.
var errLate = errors.New("it took too long, and was not kept; try again")

// now makes a person's change: soon, or not at all. Redis may be standing still
// with the change in its ear, and hear it when it goes on; so the change says
// until when it is wanted.
func (s *Store) now(ctx context.Context, c change) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.patience)
	defer cancel()
	clock, err := s.ping(ctx, "")
	if err != nil {
		return 0, fmt.Errorf("nothing was kept: %w", s.explain(err))
	}
	n, err := s.writeUntil(ctx, strconv.FormatInt(clock+s.o.patience.Milliseconds(), 10), []change{c})
	switch _, refused := errors.AsType[goredis.Error](err); {
	case err == nil:
		return n, nil
	case refused:
		return 0, fmt.Errorf("nothing was kept: %w", s.explain(err))
	case errors.Is(err, errLate):
		return 0, fmt.Errorf("%s: %w", s.at, err)
	}
	return 0, fmt.Errorf("%w: %w", s.explain(err), ErrUnknown)
}

// write makes changes, all or none, and returns how many there were to make.
func (s *Store) write(ctx context.Context, changes []change) (int, error) {
	return s.writeUntil(ctx, "", changes)
}

func (s *Store) writeUntil(ctx context.Context, until string, changes []change) (int, error) {
	keys, args := []string{s.key("log"), s.key("gone")}, []any{until, logLength}
	for _, c := range changes {
		i := slices.Index(keys, c.key)
		if i < 0 && c.key != "" {
			i, keys = len(keys), append(keys, c.key)
		}
		args = append(args, c.op, i+1, c.name, c.row, c.ends, c.at)
	}
	values, err := s.call(ctx, s.scripts.write, keys, args...)
	if err != nil {
		return 0, err
	}
	a := answer{values: values}
	if len(values) == 1 && values[0] == "late" {
		return 0, errLate
	}
	n, _ := a.number()
	return int(n), a.err()
}

// Restore puts back what Redis no longer has, and leaves alone what it has that was
// not added earlier: all that is in force on a node, for a [Follower] whose Redis
// was emptied. Entries of source Local are left out: each node has its own. An entry
// that a person took away shortly before Redis lost that comes back; what was taken
// away since does not. It returns how many came back. When it fails Redis has some of
// it, and no generation: whoever comes next gives it all.
func (s *Store) Restore(ctx context.Context, entries iter.Seq[whitelist.Entry], traps iter.Seq[greylist.Trap]) (n int, err error) {
	var changes []change
	for c := range s.additions(entries, traps) {
		if changes = append(changes, c); len(changes) < writeRows {
			continue
		}
		added, err := s.write(ctx, changes)
		if n += added; err != nil {
			return n, s.explain(err)
		}
		changes = changes[:0]
	}
	if len(changes) > 0 {
		added, err := s.write(ctx, changes)
		if n += added; err != nil {
			return n, s.explain(err)
		}
	}
	return n, s.explain(s.whole(ctx))
}

// additions are the changes that add what is not there.
func (s *Store) additions(entries iter.Seq[whitelist.Entry], traps iter.Seq[greylist.Trap]) iter.Seq[change] {
	return func(yield func(change) bool) {
		for e := range entries {
			if e.Source == whitelist.Local || e.Check() != nil {
				continue
			}
			k := e.Key()
			if !yield(change{op: opAdd, key: s.entryTable(k), name: nameEntry + entryField(k), row: encodeEntry(e), ends: ends(e)}) {
				return
			}
		}
		for t := range traps {
			if !t.Configured && !yield(change{op: opAdd, key: s.key("traps"), name: nameTrap + t.Address, row: encodeTrap(t)}) {
				return
			}
		}
	}
}

// said makes a person's change of an entry. No write of what was learned comes
// between.
func (s *Store) said(ctx context.Context, k whitelist.EntryKey, c change) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.patience)
	defer cancel()
	select {
	case s.learning <- struct{}{}:
		defer func() { <-s.learning }()
	case <-ctx.Done():
		return 0, fmt.Errorf("nothing was kept: %w", s.explain(ctx.Err()))
	}
	n, err := s.now(ctx, c)
	if err == nil {
		s.queue.drop(k)
	}
	return n, err
}
