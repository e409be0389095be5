package bolt

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"moggy/greylist"
	"moggy/store/storetest"
	"moggy/whitelist"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		child(path)
	}
	code := m.Run()
	os.RemoveAll(benchDir)
	os.Exit(code)
}

// subject is a store that commits when it is told to, and can be opened again.
type subject struct {
	*Store
	path string
}

func (s *subject) Reopen(t *testing.T) {
	t.Helper()
	must(t, s.Close())
	s.Store = openAt(t, Options{Path: s.path, Flush: time.Hour})
}

// openAt opens a store that the test closes.
func openAt(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// fresh is an empty store that commits when it is told to.
func fresh(t testing.TB, o Options) *Store {
	t.Helper()
	o.Path, o.Flush = filepath.Join(t.TempDir(), "moggy.db"), time.Hour
	return openAt(t, o)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		path := filepath.Join(t.TempDir(), "moggy.db")
		return &subject{Store: openAt(t, Options{Path: path, Flush: time.Hour}), path: path}
	})
}

// With commits all the time, what a reader sees comes from all three places.
func TestConformanceWhileCommitting(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		return openAt(t, Options{Path: filepath.Join(t.TempDir(), "moggy.db"), Flush: time.Millisecond})
	})
}

func epoch() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func timers() greylist.Timers {
	return greylist.Timers{Pass: 4 * time.Minute, PassUnnamed: 25 * time.Minute,
		Window: 48 * time.Hour, Remember: 36 * 24 * time.Hour}
}

// nth is a try that differs from every other nth one.
func nth(n int, now time.Time) greylist.Try {
	b := []byte{'r', byte('a' + n%26), byte('a' + n/26%26), byte('a' + n/26/26%26), byte('a' + n/26/26/26%26)}
	return greylist.Try{Now: now, Timers: timers(), Peer: netip.MustParseAddr("192.0.2.7"), Triplet: greylist.Triplet{
		Origin: greylist.Origin{Kind: greylist.Network, Name: "192.0.2.0/24"},
		Sender: "alice@example.org", Recipient: string(b) + "@example.net"}}
}

func try(t testing.TB, s *Store, x greylist.Try) greylist.Result {
	t.Helper()
	r, err := s.Try(context.Background(), x)
	must(t, err)
	return r
}

func entry(net string) whitelist.Entry {
	return whitelist.Entry{Net: netip.MustParsePrefix(net), Class: whitelist.Peer, Source: whitelist.Operator, Added: epoch()}
}

// nets are the networks of what is kept.
func nets(t testing.TB, s *Store) map[string]bool {
	t.Helper()
	all := make(map[string]bool)
	for e, err := range s.Entries(context.Background()) {
		must(t, err)
		all[e.Net.String()] = true
	}
	return all
}

func TestOpenMakesPrivateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "state")
	openAt(t, Options{Path: filepath.Join(dir, "moggy.db")})
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "moggy.db"): 0o600} {
		info, err := os.Stat(path)
		must(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o", path, got)
		}
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "moggy.db")
	first := openAt(t, Options{Path: path})
	begun := time.Now()
	_, err := Open(Options{Path: path})
	if !errors.Is(err, ErrLocked) || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.HasSuffix(err.Error(), "moggy status") {
		t.Errorf("error %v", err)
	}
	if d := time.Since(begun); d > 5*time.Second {
		t.Errorf("refused after %v", d)
	}
	must(t, first.Close())
	openAt(t, Options{Path: path})
}

func TestOpenErrors(t *testing.T) {
	for name, c := range map[string]struct {
		content []byte
		is      error
		says    string
	}{
		"text":      {[]byte(strings.Repeat("not a database\n", 10_000)), ErrDamaged, "mv "},
		"one byte":  {[]byte("x"), ErrDamaged, "mv "},
		"zeros":     {make([]byte, 1<<16), ErrDamaged, "mv "},
		"cut":       {whole(t)[:3*os.Getpagesize()], ErrDamaged, "mv "},
		"cut later": {whole(t)[:len(whole(t))/2], ErrDamaged, "mv "},
	} {
		path := filepath.Join(t.TempDir(), "moggy.db")
		must(t, os.WriteFile(path, c.content, 0o600))
		s, err := Open(Options{Path: path})
		if err == nil {
			t.Errorf("%s: opened", name)
			s.Close()
			continue
		}
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{"", t.TempDir(), "/dev/null/moggy.db"} {
		if _, err := Open(Options{Path: path}); err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// whole is the content of a file with some hundred triplets.
func whole(t *testing.T) []byte {
	s := fresh(t, Options{})
	for i := range 500 {
		try(t, s, nth(i, epoch()))
	}
	must(t, s.Close())
	content, err := os.ReadFile(s.o.Path)
	must(t, err)
	return content
}

// TestCutFiles: wherever a copy ended early, it is noticed before it is read.
func TestCutFiles(t *testing.T) {
	content, page := whole(t), os.Getpagesize()
	path := filepath.Join(t.TempDir(), "moggy.db")
	must(t, os.WriteFile(path, content, 0o600))
	s := openAt(t, Options{Path: path})
	var used int64
	must(t, s.view(func(tx *bbolt.Tx) error { used = tx.Size(); return nil }))
	must(t, s.Close())
	for n := page; n < int(used); n += page {
		must(t, os.WriteFile(path, content[:n], 0o600))
		if s, err := Open(Options{Path: path}); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d of %d pages: %v, %v", n/page, int(used)/page, s, err)
		}
		path = filepath.Join(t.TempDir(), "moggy.db")
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	s := fresh(t, Options{})
	s.writing.Lock()
	must(t, s.update(func(tx *bbolt.Tx) error { return putNumber(tx, "format", format+1) }))
	s.writing.Unlock()
	must(t, s.Close())
	if _, err := Open(Options{Path: s.o.Path}); !errors.Is(err, ErrNewer) || errors.Is(err, ErrDamaged) {
		t.Errorf("error %v", err)
	}
}

// A page that went bad under a running daemon is an error, and never a panic.
func TestDamagedPages(t *testing.T) {
	s := fresh(t, Options{})
	for i := range 5000 {
		try(t, s, nth(i, epoch()))
	}
	must(t, s.Sync())
	info, err := s.file.Stat()
	must(t, err)
	page := int64(os.Getpagesize())
	_, err = s.file.WriteAt(make([]byte, info.Size()-2*page), 2*page)
	must(t, err)

	failed := 0
	for i := range 5000 {
		if _, err := s.Try(context.Background(), nth(i, epoch())); errors.Is(err, ErrDamaged) {
			failed++
		}
	}
	if failed == 0 {
		t.Error("no Try noticed")
	}
	if err := s.PutEntry(context.Background(), entry("192.0.2.0/24")); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "mv ") {
		t.Errorf("PutEntry: %v", err)
	}
	if err := s.Healthy(); !errors.Is(err, ErrDamaged) {
		t.Errorf("healthy: %v", err)
	}
	s.Close() // comes back
}

func TestClosed(t *testing.T) {
	s := fresh(t, Options{})
	try(t, s, nth(1, epoch()))
	must(t, s.Close())
	must(t, s.Close())
	ctx := context.Background()
	if _, err := s.Try(ctx, nth(2, epoch())); err == nil {
		t.Error("Try: no error")
	}
	if err := s.PutEntry(ctx, entry("192.0.2.0/24")); err == nil {
		t.Error("PutEntry: no error")
	}
	s.LearnEntries(entry("192.0.2.0/24"))
	again := openAt(t, Options{Path: s.o.Path})
	if r := try(t, again, nth(1, epoch())); r.Outcome != greylist.TooEarly {
		t.Errorf("what was pending: %+v", r)
	}
}
