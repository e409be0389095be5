package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A place is how far somebody knows what Redis has: the generation that it is of,
// and the last message of its log.
//
// A Redis that has been given all there was to give has a generation, a word of
// chance. One without is new, or was emptied; one with another was emptied too, and
// somebody else has given it what he had. What a door knows of another generation it
// gives to Redis before it reads from there.
type place struct{ generation, message string }

func (p place) String() string { return p.generation + " " + p.message }

func placeOf(word string) place {
	generation, message, _ := strings.Cut(word, " ")
	return place{generation, message}
}

// Where names the memory that is shared: hosts, database and prefix, without user and
// password.
func (s *Store) Where() string { return fmt.Sprintf("%s/%d %s", s.at, s.at.database, s.at.prefix) }

// Lost reports whether Redis has lost what it had when somebody was [Follower.At] a
// place: it was emptied since, or an older copy of it took over. With "" for the
// place it reports whether Redis has been given nothing yet.
func (s *Store) Lost(ctx context.Context, word string) (bool, error) {
	p := placeOf(word)
	l, err := s.follow(ctx, p.message)
	if err != nil {
		return false, s.explain(err)
	}
	if word == "" {
		return l.generation == "", nil
	}
	return l.lost(p), nil
}

// whole says that Redis has been given all there was to give, and notes the
// generation.
func (s *Store) whole(ctx context.Context) error {
	a := answer{}
	var err error
	if a.values, err = s.call(ctx, s.scripts.whole, []string{s.key("whole")}, rand.Text()); err != nil {
		return err
	}
	generation := a.text()
	if a.bad {
		return a.err()
	}
	s.generation.Store(&generation)
	return nil
}

// known is the generation of what this node has; "" as long as it has nothing.
func (s *Store) known() string {
	if g := s.generation.Load(); g != nil {
		return *g
	}
	return ""
}

// place is where Redis stands.
func (s *Store) place(ctx context.Context) (place, error) {
	l, err := s.follow(ctx, "")
	if err != nil {
		return place{}, err
	}
	return place{l.generation, l.messages[0].id}, nil
}

// errEmptied: what was read is of two generations.
var errEmptied = errors.New("Redis was emptied while it was read")

// haveRead ends a reading that began at a place. Nothing that was read may be
// believed where Redis was emptied meanwhile, or before: what is in force here has to
// be given to it first. A node that knew no generation has nothing in force that a new
// Redis lacks, which others may be filling.
func (s *Store) haveRead(ctx context.Context, begun place) error {
	ended, err := s.place(ctx)
	if err != nil {
		return err
	}
	s.generation.CompareAndSwap(nil, &begun.generation)
	if known := s.known(); known != "" && (begun.generation != known || ended.generation != known) {
		return errEmptied
	}
	s.read.CompareAndSwap(nil, &begun)
	return nil
}

// earlier compares the places of two messages: milliseconds, a dash, and a number.
func earlier(a, b string) bool {
	ams, an := split(a)
	bms, bn := split(b)
	return ams < bms || ams == bms && an < bn
}

func split(id string) (ms, n uint64) {
	left, right, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(left, 10, 64)
	n, _ = strconv.ParseUint(right, 10, 64)
	return ms, n
}
