package bolt

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"moggy/greylist"
)

// swap puts another file under the store's descriptor, and returns what puts the
// own one back.
func swap(t *testing.T, s *Store, path string, flag int) (back func()) {
	t.Helper()
	other, err := os.OpenFile(path, flag, 0)
	must(t, err)
	defer other.Close()
	own, err := syscall.Dup(int(s.file.Fd()))
	must(t, err)
	must(t, syscall.Dup3(int(other.Fd()), int(s.file.Fd()), syscall.O_CLOEXEC))
	return func() {
		must(t, syscall.Dup3(own, int(s.file.Fd()), syscall.O_CLOEXEC))
		must(t, syscall.Close(own))
	}
}

// TestDiskFailure: moggy goes on from memory, and persons are told.
func TestDiskFailure(t *testing.T) {
	for name, fail := range map[string]func(t *testing.T, s *Store) func(){
		"no space":  func(t *testing.T, s *Store) func() { return swap(t, s, "/dev/full", os.O_RDWR) },
		"read-only": func(t *testing.T, s *Store) func() { return swap(t, s, s.o.Path, os.O_RDONLY) },
	} {
		t.Run(name, func(t *testing.T) { diskFailure(t, fail) })
	}
}

func diskFailure(t *testing.T, fail func(*testing.T, *Store) func()) {
	ctx := context.Background()
	var log bytes.Buffer
	s := fresh(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	kept := entry("192.0.2.0/24")
	must(t, s.PutEntry(ctx, kept))
	must(t, s.PutTrap(ctx, greylist.Trap{Address: "a@example.org"}))
	for i := range 1000 {
		try(t, s, nth(i, epoch()))
	}
	must(t, s.Sync())

	back := fail(t, s)
	for round := range 3 {
		for i := range 2000 {
			r := try(t, s, nth(i, epoch().Add(time.Duration(round+1)*time.Second)))
			if first := round == 0 && i >= 1000; first != (r.Outcome == greylist.FirstSeen) {
				t.Fatalf("round %d, triplet %d: %+v", round, i, r)
			}
		}
		if s.Sync() == nil {
			t.Fatal("Sync: no error")
		}
	}
	persons(t, s)
	if err := s.Healthy(); err == nil || !strings.Contains(err.Error(), s.o.Path) || !strings.Contains(err.Error(), "df -h") {
		t.Errorf("healthy: %v", err)
	}
	check := func(s *Store) {
		t.Helper()
		if all := nets(t, s); len(all) != 1 || !all["192.0.2.0/24"] {
			t.Errorf("entries: %v", all)
		}
		for i := range 2000 {
			if r, err := s.Peek(ctx, nth(i, epoch())); err != nil || r.Outcome != greylist.TooEarly || r.Tries < 4 {
				t.Fatalf("triplet %d: %+v, %v", i, r, err)
			}
		}
	}
	check(s)
	back()
	must(t, s.Sync())
	must(t, s.Healthy())
	check(s)
	if lines := strings.Count(log.String(), "\n"); lines != 2 {
		t.Errorf("%d lines of log:\n%s", lines, &log)
	}
	must(t, s.Close())
	check(openAt(t, Options{Path: s.o.Path}))
}

// persons are told that what they want cannot be kept.
func persons(t *testing.T, s *Store) {
	t.Helper()
	ctx := context.Background()
	kept := entry("192.0.2.0/24")
	_, errTrap := s.DeleteTrap(ctx, "a@example.org")
	for i, err := range []error{s.PutEntry(ctx, entry("198.51.100.0/24")), s.DeleteEntry(ctx, kept.Net, kept.Source),
		s.PutTrap(ctx, greylist.Trap{Address: "b@example.org"}), errTrap} {
		if err == nil || !strings.Contains(err.Error(), "df -h") {
			t.Errorf("call %d: %v", i, err)
		}
	}
}
