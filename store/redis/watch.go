package redis

import (
	"context"
	"strings"
	"time"

	"moggy/greylist"
	"moggy/whitelist"
)

// A Follower holds what Redis has of entries and traps, for decisions from
// memory, and is kept in step by [Store.Watch]. Its methods are called one at a
// time.
type Follower interface {
	// Apply takes in what changed, here or elsewhere, in its order. It may be told
	// of a change twice, and of one that it made itself.
	Apply([]Change)

	// Reload reads Entries and Traps again, because changes may have been missed.
	Reload(ctx context.Context) error

	// Restore calls [Store.Restore] with what is in force: Redis has lost what it
	// had. It was emptied, or an older copy of it took over.
	Restore(ctx context.Context) error

	// At says that all is in force by now that Redis had when its log stood at a
	// place. Who keeps a copy keeps the place with it, for [Store.Lost].
	At(place string)
}

// A Change is what became of one entry, or of one trap.
type Change struct {
	Key   whitelist.EntryKey // of an entry; zero: this is about a trap
	Entry whitelist.Entry    // as it is now; zero: it was taken away

	Address string        // of a trap
	Trap    greylist.Trap // as it is now; zero: it was taken away
}

// How Watch looks for changes. A look costs Redis some 10 µs.
const (
	watchEvery = 250 * time.Millisecond
	watchPause = time.Second // after an error
	watchMost  = 100         // messages of one look
)

// Watch keeps a follower in step with Redis until ctx ends: what changes on any
// node is applied within half a second. Where the log has gone on without this
// node, because Redis was away for it or a change came between two connections,
// it finds its place again, and everything since; where the log no longer goes
// back that far, it has the follower reload. There is nothing that could be
// missed and not be noticed at the next look.
//
// What was learned here and is not written yet is not undone by what Redis still
// has.
func (s *Store) Watch(ctx context.Context, f Follower) {
	w := watcher{s: s, f: f}
	if read := s.read.Load(); read != nil {
		w.at(read.message)
	}
	for wait := time.Duration(0); sleep(ctx, wait); {
		switch more, err := w.look(ctx); {
		case err != nil:
			wait = watchPause
			s.o.Log.Debug("cannot follow what other nodes change", "error", s.explain(err))
		case more:
			wait = 0
		default:
			wait = watchEvery
		}
	}
}

type watcher struct {
	s       *Store
	f       Follower
	message string // of the log, the last that was taken in; "": all is to be read
	lost    bool   // Redis has lost what it had, and has not been given all of it
}

// at notes how far the log was taken in.
func (w *watcher) at(message string) {
	if message != w.message {
		w.message = message
		w.f.At(place{w.s.known(), message}.String())
	}
}

// look takes in what is new; more says that there may be more.
func (w *watcher) look(ctx context.Context) (more bool, err error) {
	l, err := w.s.follow(ctx, w.message)
	if err != nil {
		return false, err
	}
	known := w.s.generation.Load()
	switch {
	case known != nil && (w.lost || l.lost(place{*known, w.message})):
		return true, w.restore(ctx)
	case l.gone || w.message == "":
		return true, w.reload(ctx)
	}
	w.apply(l.messages)
	return len(l.messages) >= watchMost, nil
}

func (w *watcher) reload(ctx context.Context) error {
	p, err := w.s.place(ctx)
	if err != nil {
		return err
	}
	if err := w.f.Reload(ctx); err != nil {
		return err
	}
	w.at(p.message)
	return nil
}

func (w *watcher) restore(ctx context.Context) error {
	if !w.lost {
		w.s.o.Log.Error("Redis has lost what it had: giving it what this node knows", "redis", w.s.at.String())
		w.s.memory.restore()
		w.s.arm()
	}
	w.lost = true
	if err := w.f.Restore(ctx); err != nil {
		return err
	}
	w.lost, w.message = false, ""
	return nil
}

// apply takes in messages, of which the first is the last of before.
func (w *watcher) apply(messages []message) {
	var all []Change
	for _, m := range messages[1:] {
		for i := 0; i+1 < len(m.fields); i += 2 {
			if c, ok := w.change(m.fields[i], m.fields[i+1]); ok {
				all = append(all, c)
			}
		}
	}
	if len(all) > 0 {
		w.f.Apply(all)
	}
	w.at(messages[len(messages)-1].id)
}

// change is what one row of a message says; false if that is nothing for the
// follower.
func (w *watcher) change(name, row string) (c Change, ok bool) {
	switch {
	case name == nameForgotten:
		w.s.memory.clear()
		return c, false
	case strings.HasPrefix(name, nameTrap):
		c, ok = trapChange(name[1:], row)
	case strings.HasPrefix(name, nameEntry):
		c, ok = entryChange(name[1:], row)
	default: // born, a check, or of a later version of moggy
		return c, false
	}
	if !ok {
		w.s.damaged.Add(1)
	}
	return c, ok && !w.s.queue.knowsBetter(c)
}

func entryChange(field, row string) (c Change, ok bool) {
	if c.Key, ok = entryKeyOf(field); !ok || row == "" {
		return c, ok
	}
	c.Entry, ok = decodeEntry(field, row)
	return c, ok
}

func trapChange(address, row string) (c Change, ok bool) {
	if c.Address = address; row == "" {
		return c, true
	}
	c.Trap, ok = decodeTrap(address, row)
	return c, ok
}

// A message is one of the log: names and rows in turn.
type message struct {
	id     string
	fields []string
}

// An excerpt is what of the log was found from a place on: the message there and
// those behind it, or, when that one is gone, the first that is left.
type excerpt struct {
	generation string // of Redis
	gone       bool
	messages   []message
}

// lost reports whether Redis no longer has what it had at a place. Else, if the
// message is gone, the log was cut, because it grew.
func (l *excerpt) lost(p place) bool {
	switch {
	case l.generation != p.generation:
		return true
	case !l.gone:
		return false
	case len(l.messages) == 0 || len(l.messages[0].fields) == 0:
		return true
	}
	first := l.messages[0]
	return first.fields[0] == nameBorn || !earlier(p.message, first.id)
}

// follow reads the log from a message on.
func (s *Store) follow(ctx context.Context, from string) (l excerpt, err error) {
	a := answer{}
	if a.values, err = s.call(ctx, s.scripts.follow, []string{s.key("log"), s.key("whole")}, from, watchMost); err != nil {
		return l, err
	}
	l.generation = a.text()
	l.gone = a.text() == "gone"
	messages := answer{values: a.list()}
	for len(messages.values) > 0 {
		parts := answer{values: messages.list()}
		m := message{id: parts.text()}
		fields := answer{values: parts.list()}
		for len(fields.values) > 0 {
			m.fields = append(m.fields, fields.text())
		}
		l.messages = append(l.messages, m)
		a.bad = a.bad || messages.bad || parts.bad || fields.bad
	}
	if !l.gone && len(l.messages) == 0 {
		return l, errMixed
	}
	return l, a.err()
}
