package bolt

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"moggy/whitelist"
)

func key(net string, source whitelist.Source) whitelist.EntryKey {
	return whitelist.EntryKey{Net: netip.MustParsePrefix(net), Source: source}
}

func TestEntryKeysDiffer(t *testing.T) {
	seen := map[string]whitelist.EntryKey{}
	for _, net := range []string{"0.0.0.0/0", "0.0.0.0/32", "::/0", "::/32", "::/128", "0.0.0.1/32", "::1/128", "192.0.2.0/24", "192.0.2.0/25"} {
		for _, source := range append(whitelist.Sources(), "of a later version") {
			k := entryKey(key(net, source))
			if other, twice := seen[k]; twice {
				t.Errorf("%s %s and %s", net, source, other)
			}
			seen[k] = key(net, source)
			if got, ok := decodeEntryKey([]byte(k)); !ok || got.String() != net {
				t.Errorf("%s is %s", net, got)
			}
		}
	}
}

// before is a store as it was written when a learned entry's key had no source.
func before(t *testing.T, list ...whitelist.Entry) *Store {
	t.Helper()
	s := fresh(t, Options{})
	s.writing.Lock()
	defer s.writing.Unlock()
	must(t, s.update(func(tx *bbolt.Tx) error {
		for _, e := range list {
			k := entryKey(e.Key())
			must(t, tx.Bucket(entries.name()).Put([]byte(k)[:netLen(k)], encodeEntry(e)))
		}
		return nil
	}))
	return s
}

func from(net string, source whitelist.Source) whitelist.Entry {
	e := entry(net)
	e.Source = source
	return e
}

// has compares what a store yields with what it should.
func has(t *testing.T, s *Store, want ...whitelist.Entry) {
	t.Helper()
	got := make(map[whitelist.EntryKey]whitelist.Entry)
	for e, err := range s.Entries(context.Background()) {
		must(t, err)
		e.Expires, e.Used = time.Time{}, time.Time{}
		if _, twice := got[e.Key()]; twice {
			t.Errorf("%v twice", e.Key())
		}
		got[e.Key()] = e
	}
	for _, e := range want {
		if got[e.Key()] != e {
			t.Errorf("%v: got %+v, want %+v", e.Key(), got[e.Key()], e)
		}
		delete(got, e.Key())
	}
	for k := range got {
		t.Errorf("%v should not be there", k)
	}
}

// rows counts the rows of the file, and those under a key without a source.
func rows(t *testing.T, s *Store) (all, old int) {
	t.Helper()
	must(t, s.view(func(tx *bbolt.Tx) error {
		return tx.Bucket(entries.name()).ForEach(func(k, _ []byte) error {
			all++
			if k[0] == 'l' && netLen(k) == len(k) {
				old++
			}
			return nil
		})
	}))
	return all, old
}

// TestStoreOfBefore does to rows of before all that can be done to a row.
func TestStoreOfBefore(t *testing.T) {
	ctx := context.Background()
	said, pass, trap := from("192.0.2.7/32", whitelist.Operator), from("192.0.2.7/32", whitelist.Passed), from("2001:db8::/64", whitelist.Trapped)
	login, changed := from("192.0.2.7/32", whitelist.Login), pass
	changed.Class = whitelist.Pool
	for name, c := range map[string]struct {
		do        func(*Store)
		want      []whitelist.Entry
		rows, old int
	}{
		"read":           {func(*Store) {}, []whitelist.Entry{said, pass, trap}, 3, 2},
		"learned again":  {func(s *Store) { s.LearnEntries(changed) }, []whitelist.Entry{said, changed, trap}, 3, 1},
		"another source": {func(s *Store) { s.LearnEntries(login) }, []whitelist.Entry{said, pass, login, trap}, 4, 2},
		"forgotten":      {func(s *Store) { s.ForgetEntries(pass.Key(), trap.Key()) }, []whitelist.Entry{said}, 1, 0},
		"another forgotten": {func(s *Store) { s.ForgetEntries(login.Key(), key("2001:db8::/64", whitelist.Passed)) },
			[]whitelist.Entry{said, pass, trap}, 3, 2},
		"forgotten and back": {func(s *Store) { s.ForgetEntries(trap.Key()); s.LearnEntries(trap) }, []whitelist.Entry{said, pass, trap}, 3, 1},
		"deleted":            {func(s *Store) { must(t, s.DeleteEntry(ctx, pass.Net, pass.Source)) }, []whitelist.Entry{said, trap}, 2, 1},
		"put":                {func(s *Store) { must(t, s.PutEntry(ctx, changed)) }, []whitelist.Entry{said, changed, trap}, 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := before(t, said, pass, trap)
			c.do(s)
			has(t, s, c.want...)
			must(t, s.Close())
			s = openAt(t, Options{Path: s.o.Path})
			has(t, s, c.want...)
			if all, old := rows(t, s); all != c.rows || old != c.old || s.Stats().Damaged != 0 {
				t.Errorf("%d rows, %d of before; %+v", all, old, s.Stats())
			}
		})
	}
}

// TestStoreOfBeforeAndABadDisk: a row of before outlives a commit that fails.
func TestStoreOfBeforeAndABadDisk(t *testing.T) {
	ctx := context.Background()
	pass := from("192.0.2.7/32", whitelist.Passed)
	changed := pass
	changed.Class = whitelist.Pool
	s := before(t, pass)
	_, repair := broken(s)
	if s.DeleteEntry(ctx, pass.Net, pass.Source) == nil || s.PutEntry(ctx, changed) == nil {
		t.Error("no error")
	}
	has(t, s, pass)
	s.LearnEntries(changed)
	if s.Sync() == nil {
		t.Error("no error")
	}
	has(t, s, changed)
	repair()
	must(t, s.Close())
	has(t, openAt(t, Options{Path: s.o.Path}), changed)
}

// TestUnreadableRowOfBefore gives way to any that is written for its network.
func TestUnreadableRowOfBefore(t *testing.T) {
	pass := from("192.0.2.7/32", whitelist.Passed)
	s := before(t, pass)
	s.writing.Lock()
	must(t, s.update(func(tx *bbolt.Tx) error {
		k := entryKey(pass.Key())
		return tx.Bucket(entries.name()).Put([]byte(k)[:netLen(k)], []byte{rowVersion + 1})
	}))
	s.writing.Unlock()
	has(t, s)
	login := from("192.0.2.7/32", whitelist.Login)
	s.LearnEntries(login)
	must(t, s.Sync())
	has(t, s, login)
	if all, old := rows(t, s); all != 1 || old != 0 {
		t.Errorf("%d rows, %d of before", all, old)
	}
}

// TestKeysAndRowsAgree: a row under a key of something else is none.
func TestKeysAndRowsAgree(t *testing.T) {
	s := openAt(t, Options{Path: filepath.Join(t.TempDir(), "moggy.db"), Flush: time.Hour})
	s.writing.Lock()
	must(t, s.update(func(tx *bbolt.Tx) error {
		for _, k := range []string{entryKey(key("192.0.2.7/32", whitelist.Login)), entryKey(key("192.0.2.7/32", whitelist.Operator)), "x4\x01\x02\x03\x04\x20passed"} {
			must(t, tx.Bucket(entries.name()).Put([]byte(k), encodeEntry(from("192.0.2.7/32", whitelist.Passed))))
		}
		return nil
	}))
	s.writing.Unlock()
	has(t, s)
	if n := s.Stats().Damaged; n != 3 {
		t.Errorf("%d counted", n)
	}
}
