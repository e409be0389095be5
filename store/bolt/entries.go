package bolt

import (
	"bytes"
	"context"
	"iter"
	"net/netip"
	"time"

	"moggy/whitelist"
)

// Entries yields every entry, in the order of networks but for what is not on
// disk yet, which comes last. It holds no lock while it yields, and sees what
// was kept when it began; of what changes meanwhile it may see either.
func (s *Store) Entries(ctx context.Context) iter.Seq2[whitelist.Entry, error] {
	return func(yield func(whitelist.Entry, error) bool) {
		uses, words := s.pendingUses(), make(map[string]string)
		decode := func(key, row []byte) (e whitelist.Entry, ok bool) {
			e, ok = decodeKeyed(key, row, func(b []byte) string { return intern(words, b) })
			if used, there := uses[string(key)]; there {
				e.Used = later(e.Used, used)
			}
			return e, ok
		}
		walk(ctx, s, entries, decode)(yield)
	}
}

// decodeKeyed reads a row under its key; false where they do not agree.
func decodeKeyed(key, row []byte, same func([]byte) string) (e whitelist.Entry, ok bool) {
	net, ok := decodeEntryKey(key)
	if !ok {
		return e, false
	}
	if e, ok = decodeEntry(row, same); !ok {
		return e, false
	}
	e.Net = net
	var again [64]byte
	return e, bytes.Equal(appendEntryKey(again[:0], e.Key()), key)
}

func (s *Store) pendingUses() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	uses := make(map[string]int64, len(s.flushing.uses)+len(s.pending.uses))
	for _, from := range []batch{s.flushing, s.pending} {
		for key, used := range from.uses {
			uses[key] = max(uses[key], used)
		}
	}
	return uses
}

// intern makes one string of equal words, as long as there are few of them.
func intern(words map[string]string, b []byte) string {
	if w, ok := words[string(b)]; ok {
		return w
	}
	w := string(b)
	if len(words) < 1000 {
		words[w] = w
	}
	return w
}

func later(t time.Time, ms int64) time.Time {
	if u := atMilli(ms); u.After(t) {
		return u
	}
	return t
}

// PutEntry keeps an entry; it is on the disk when PutEntry returns nil, and
// nothing has changed when it returns an error. What was pending for that entry
// is given up.
func (s *Store) PutEntry(ctx context.Context, e whitelist.Entry) error {
	if err := e.Check(); err != nil {
		return err
	}
	_, err := s.commitRow(ctx, entries, entryKey(e.Key()), encodeEntry(e))
	return err
}

// DeleteEntry forgets an entry, as durably; no entry is no error.
func (s *Store) DeleteEntry(ctx context.Context, net netip.Prefix, source whitelist.Source) error {
	if !net.IsValid() {
		return nil
	}
	_, err := s.commitRow(ctx, entries, entryKey(whitelist.EntryKey{Net: whitelist.Canonical(net), Source: source}), nil)
	return err
}

// LearnEntries keeps entries until the next group commit, in memory. Of an entry
// that a person made only the time of use is taken, and only if it is still
// there when it is written. An entry that does not pass Entry.Check is dropped
// and counted.
func (s *Store) LearnEntries(list ...whitelist.Entry) {
	for _, e := range list {
		switch {
		case e.Check() != nil:
			s.dropped.Add(1)
		case e.Source.Said():
			s.use(entryKey(e.Key()), e.Used)
		default:
			s.keep(entries, entryKey(e.Key()), encodeEntry(e), false)
		}
	}
}

// use notes the time of use of a person's entry.
func (s *Store) use(key string, at time.Time) {
	if at.IsZero() {
		return
	}
	s.mu.Lock()
	old, there := s.pending.uses[key]
	room := there || len(s.pending.uses)+len(s.flushing.uses) < s.o.Pending
	if room {
		s.pending.uses[key] = max(old, at.UnixMilli())
	}
	s.mu.Unlock()
	if !room {
		s.dropped.Add(1)
	}
	s.arm()
}

// withUse is a person's entry with a later time of use; false if there is none,
// or it is not later.
func withUse(row []byte, used int64) ([]byte, bool) {
	e, ok := decodeEntry(row, func(b []byte) string { return string(b) })
	if !ok || e.Used.UnixMilli() >= used {
		return nil, false
	}
	e.Used = atMilli(used)
	return encodeEntry(e), true
}

// ForgetEntries takes learned entries away, in memory until the next commit.
// Keys of persons' entries change nothing.
func (s *Store) ForgetEntries(keys ...whitelist.EntryKey) {
	for _, k := range keys {
		if k.Net.IsValid() && !k.Source.Said() {
			s.erase(entries, entryKey(whitelist.EntryKey{Net: whitelist.Canonical(k.Net), Source: k.Source}))
		}
	}
}
