package bolt

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"moggy/greylist"
	"moggy/whitelist"
)

func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openAt(t, Options{Path: filepath.Join(t.TempDir(), "moggy.db")})
		for i := range 100 {
			try(t, s, nth(i, epoch()))
		}
		<-time.After(999 * time.Millisecond)
		if st := s.Stats(); st.Commits != 0 || st.Pending != 100 {
			t.Errorf("within the second: %+v", st)
		}
		<-time.After(2 * time.Millisecond)
		synctest.Wait()
		if st := s.Stats(); st.Commits != 1 || st.Pending != 0 || st.Triplets != 100 {
			t.Errorf("after a second: %+v", st)
		}
		<-time.After(24 * time.Hour)
		if st := s.Stats(); st.Commits != 1 {
			t.Errorf("idle for a day: %+v", st)
		}
		try(t, s, nth(7, epoch()))
		<-time.After(2 * time.Second)
		if st := s.Stats(); st.Commits != 2 || st.Triplets != 100 {
			t.Errorf("after one more: %+v", st)
		}
	})
}

// broken makes every commit of s fail after it was written, as a sync does.
func broken(s *Store) (calls *int, repair func()) {
	calls = new(int)
	s.writing.Lock()
	defer s.writing.Unlock()
	s.fsync = func(*os.File) error { *calls++; return errors.New("no such luck") }
	return calls, func() {
		s.writing.Lock()
		defer s.writing.Unlock()
		s.fsync = syncFile
	}
}

func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := openAt(t, Options{Path: filepath.Join(t.TempDir(), "moggy.db"), Log: slog.New(slog.NewTextHandler(&log, nil))})
		calls, repair := broken(s)
		try(t, s, nth(1, epoch()))
		<-time.After(10*time.Minute + time.Second/2)
		synctest.Wait()
		if *calls < 10 || *calls > 16 {
			t.Errorf("%d tries to write in ten minutes", *calls)
		}
		if err := s.Healthy(); err == nil || !strings.Contains(err.Error(), "df -h") {
			t.Errorf("healthy: %v", err)
		}
		repair()
		<-time.After(longestPause + time.Second)
		synctest.Wait()
		if err := s.Healthy(); err != nil {
			t.Error(err)
		}
		if lines := strings.Count(log.String(), "\n"); lines != 2 {
			t.Errorf("%d lines of log, not one of failing and one of working:\n%s", lines, &log)
		}
	})
}

// A commit that fails in its last sync reads as if it were done. It is not.
func TestFailedSyncChangesNothing(t *testing.T) {
	ctx := context.Background()
	s := fresh(t, Options{})
	must(t, s.PutEntry(ctx, entry("192.0.2.0/24")))
	must(t, s.PutTrap(ctx, greylist.Trap{Address: "a@example.org"}))
	_, repair := broken(s)
	changed := entry("192.0.2.0/24")
	changed.Class = whitelist.User
	_, errTrap := s.DeleteTrap(ctx, "a@example.org")
	for i, err := range []error{s.PutEntry(ctx, entry("198.51.100.0/24")), s.PutEntry(ctx, changed),
		s.DeleteEntry(ctx, changed.Net, changed.Source), errTrap} {
		if err == nil {
			t.Errorf("call %d: no error", i)
		}
	}
	check := func(s *Store) {
		t.Helper()
		n := 0
		for e, err := range s.Entries(ctx) {
			must(t, err)
			if n++; e.Net != changed.Net || e.Class != whitelist.Peer {
				t.Errorf("%+v", e)
			}
		}
		for range s.Traps(ctx) {
			n++
		}
		if n != 2 {
			t.Errorf("%d rows", n)
		}
	}
	check(s)
	repair()
	must(t, s.Close())
	check(openAt(t, Options{Path: s.o.Path}))
}

// Counts stay right whatever fails.
func TestCountsAfterFailure(t *testing.T) {
	s := fresh(t, Options{})
	for i := range 100 {
		try(t, s, nth(i, epoch()))
	}
	_, repair := broken(s)
	if s.Sync() == nil {
		t.Error("no error")
	}
	try(t, s, nth(0, epoch()))
	repair()
	must(t, s.Sync())
	if st := s.Stats(); st.Triplets != 100 {
		t.Errorf("%+v", st)
	}
	if r := try(t, s, nth(0, epoch())); r.Tries != 3 {
		t.Errorf("%+v", r)
	}
}

// What happens during a commit that fails is newer than what it tried to write.
func TestNewsDuringAFailedCommit(t *testing.T) {
	s := fresh(t, Options{})
	e := entry("192.0.2.7/32")
	e.Source = whitelist.Passed
	try(t, s, nth(0, epoch()))
	s.LearnEntries(e)
	s.fsync = func(*os.File) error {
		if r := try(t, s, nth(0, epoch())); r.Tries != 2 {
			t.Errorf("during the commit: %+v", r)
		}
		s.ForgetEntries(e.Key())
		return errors.New("no such luck")
	}
	if s.Sync() == nil {
		t.Error("no error")
	}
	s.fsync = syncFile
	for range 2 {
		if r, _ := s.Peek(context.Background(), nth(0, epoch())); r.Tries != 3 {
			t.Errorf("afterwards: %+v", r)
		}
		if len(nets(t, s)) != 0 {
			t.Error("an entry came back")
		}
		must(t, s.Sync())
	}
}

func TestPendingIsBounded(t *testing.T) {
	ctx := context.Background()
	s := fresh(t, Options{Pending: 10})
	_, repair := broken(s)
	for range 2 {
		for i := range 30 {
			r, err := s.Try(ctx, nth(i, epoch()))
			must(t, err)
			if again := r.Tries > 1; again && i >= 10 {
				t.Errorf("%d was remembered: %+v", i, r)
			}
		}
		s.Sync()
	}
	must(t, s.Pass(ctx, greylist.Origin{Name: "example.org"}, epoch()))
	for i := range 30 {
		e := entry("192.0.2.0/32")
		e.Net = whitelist.Net(e.Net.Addr().Next())
		for range i {
			e.Net = whitelist.Net(e.Net.Addr().Next())
		}
		e.Source = whitelist.Passed
		s.LearnEntries(e)
	}
	if st := s.Stats(); st.Pending != 10+1+10 || st.Dropped != 20+20+20 {
		t.Errorf("%+v", st)
	}
	repair()
	must(t, s.Sync())
	if st := s.Stats(); st.Triplets != 10 || st.Origins != 1 || st.Pending != 0 {
		t.Errorf("%+v", st)
	}
	if r := try(t, s, nth(5, epoch())); r.Tries != 3 {
		t.Errorf("%+v", r)
	}
}

func TestSweep(t *testing.T) {
	s := fresh(t, Options{})
	const n = 3*sweepRows - 100
	for i := range n {
		try(t, s, nth(i, epoch()))
	}
	must(t, s.Pass(context.Background(), greylist.Origin{Name: "example.org"}, epoch()))
	must(t, s.Sync())
	at := epoch().Add(47 * time.Hour)
	try(t, s, nth(n, at)) // stays
	for range 5 {
		try(t, s, nth(n, at))
		must(t, s.Sync())
	}
	if st := s.Stats(); st.Triplets != n+1 || st.Origins != 1 {
		t.Errorf("before anything expired: %+v", st)
	}
	at = at.Add(2 * time.Hour)
	for i := range 3 {
		try(t, s, nth(n, at))
		must(t, s.Sync())
		if gone := n + 1 - s.Stats().Triplets; gone > int64(i+1)*sweepRows || gone < 1 {
			t.Errorf("%d gone after %d commits", gone, i+1)
		}
	}
	if st := s.Stats(); st.Triplets != 1 {
		t.Errorf("all swept but one: %+v", st)
	}
	at = at.Add(35 * 24 * time.Hour)
	for range 3 {
		try(t, s, nth(n+1, at))
		must(t, s.Sync())
	}
	if st := s.Stats(); st.Triplets != 1 || st.Origins != 0 {
		t.Errorf("origins: %+v", st)
	}
}

func TestLimit(t *testing.T) {
	s := fresh(t, Options{Limit: 10})
	for i := range 10 {
		try(t, s, nth(i, epoch()))
		if i == 5 {
			must(t, s.Sync())
		}
	}
	for range 3 {
		if r := try(t, s, nth(10, epoch())); r.Outcome != greylist.FirstSeen {
			t.Errorf("beyond the limit: %+v", r)
		}
		must(t, s.Sync())
	}
	if r := try(t, s, nth(3, epoch())); r.Outcome != greylist.TooEarly {
		t.Errorf("within the limit: %+v", r)
	}
	for i := range 12 {
		must(t, s.Pass(context.Background(), greylist.Origin{Name: nth(i, epoch()).Recipient}, epoch()))
	}
	must(t, s.Sync())
	if st := s.Stats(); st.Triplets != 10 || st.Origins != 10 || st.Dropped != 3+2 {
		t.Errorf("%+v", st)
	}
	late := epoch().Add(49 * time.Hour)
	try(t, s, nth(10, late)) // not remembered, but now there is a reason to sweep
	must(t, s.Sync())
	try(t, s, nth(10, late))
	if r := try(t, s, nth(10, late)); r.Outcome != greylist.TooEarly {
		t.Errorf("after the sweep: %+v", r)
	}
}

// Renewing an origin at each use would write it each time.
func TestRenewIsSeldom(t *testing.T) {
	ctx := context.Background()
	s := fresh(t, Options{})
	x := nth(1, epoch())
	must(t, s.Pass(ctx, x.Origin, epoch()))
	must(t, s.Sync())
	for i := range 3600 * 3 {
		x.Now = epoch().Add(time.Duration(i) * time.Second)
		try(t, s, x)
		must(t, s.Sync())
	}
	if st := s.Stats(); st.Commits != 1+2 {
		t.Errorf("%+v", st)
	}
}

func TestMemoryFollowsTheTools(t *testing.T) {
	s := fresh(t, Options{Remember: time.Hour})
	ctx, o := context.Background(), greylist.Origin{Kind: greylist.Name, Name: "example.org"}
	there := func(s *Store, at time.Time) (n int) {
		for _, err := range s.Origins(ctx, at) {
			must(t, err)
			n++
		}
		return n
	}
	must(t, s.Pass(ctx, o, epoch()))
	if there(s, epoch().Add(59*time.Minute)) != 1 || there(s, epoch().Add(time.Hour)) != 0 {
		t.Error("Options.Remember does not hold")
	}
	try(t, s, nth(1, epoch())) // says 36 days
	must(t, s.Close())
	s = openAt(t, Options{Path: s.o.Path, Remember: time.Hour})
	must(t, s.Pass(ctx, o, epoch()))
	if there(s, epoch().Add(35*24*time.Hour)) != 1 {
		t.Error("the last Try's Remember was not kept")
	}
}

// TestFileStaysSound lets bbolt look at its own work after much coming and going.
func TestFileStaysSound(t *testing.T) {
	s := fresh(t, Options{})
	for round := range 20 {
		at := epoch().Add(time.Duration(round) * 30 * time.Hour)
		for i := range 500 {
			try(t, s, nth(round*200+i, at))
		}
		must(t, s.Sync())
	}
	rows := 0
	for range s.allTriplets(context.Background()) {
		rows++
	}
	if st := s.Stats(); st.Triplets != int64(rows) || st.Damaged != 0 {
		t.Errorf("%d rows, %+v", rows, st)
	}
	must(t, s.view(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		return nil
	}))
}
