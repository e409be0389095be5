package redis

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"
)

// owing is a store that remembers strangers of whom its Redis, which is stopped, has
// not been told. Its mender waits until the test ends.
func owing(t *testing.T, server *server, strangers int) *Store {
	t.Helper()
	s := openAt(t, Options{URL: server.url("m"), Flush: time.Hour})
	eventually(t, 10*time.Second, "not healthy at first", func() bool { return s.Sync() == nil && s.Healthy() == nil })
	s.mending.Lock()
	t.Cleanup(s.mending.Unlock)
	server.signal(syscall.SIGSTOP)
	for i := range strangers {
		try(t, s, wide(i, time.Now()))
	}
	if s.memory.dirty() != strangers {
		t.Fatalf("the test is wrong: %d triplets are owed, not %d", s.memory.dirty(), strangers)
	}
	return s
}

// A row that Redis refuses holds back no other row, and nothing else.
func TestRefusedRowHoldsNothingBack(t *testing.T) {
	server := start(t)
	s := owing(t, server, 50)
	s.LearnEntries(learned(1, time.Now()))
	s.Append([]byte("line"))
	server.signal(syscall.SIGCONT)
	bad := s.question(wide(7, time.Now())).tripletName
	server.do("DEL", bad)
	server.do("RPUSH", bad, "a list of somebody else's")
	if err := s.give(t.Context(), s.tell, s.flush, s.appendAll); err == nil {
		t.Error("a refused row is no error")
	}
	if s.memory.dirty() != 1 || s.queue.len()+s.records.len() != 0 {
		t.Errorf("%d triplets, %d entries and %d lines are held back", s.memory.dirty(), s.queue.len(), s.records.len())
	}
	server.do("DEL", bad)
	if err := s.tell(t.Context()); err != nil || s.memory.dirty() != 0 {
		t.Errorf("afterwards: %v, %d triplets are held back", err, s.memory.dirty())
	}
}

// A Redis that is away is not waited for again and again.
func TestTellGivesUp(t *testing.T) {
	server := start(t)
	s := owing(t, server, 200)
	before := s.count.Load()
	if s.tell(t.Context()) == nil {
		t.Error("it was told")
	}
	if calls := s.count.Load() - before; calls > tellWorkers {
		t.Errorf("%d calls waited for it", calls)
	}
	fault := errors.New("first")
	err := s.give(t.Context(), func(context.Context) error { return fault }, func(context.Context) error {
		t.Error("it goes on without Redis")
		return nil
	})
	if !errors.Is(err, fault) {
		t.Error(err)
	}
}

// TestPartOfACluster: where a part of a Cluster is away, and the rest is told to go on,
// the others keep what is theirs.
func TestPartOfACluster(t *testing.T) {
	slow(t)
	masters, replicas := startCluster(t)
	for _, s := range masters {
		s.do("CONFIG", "SET", "cluster-require-full-coverage", "no")
	}
	for _, r := range replicas {
		r.kill()
	}
	at := func(key string) int { return int(masters[0].do("CLUSTER", "KEYSLOT", key).(int64)) / 5462 }
	s := openAt(t, Options{URL: "redis+cluster://" + hosts(masters) + "?prefix=c", Flush: 50 * time.Millisecond})
	well(t, s)
	dead := 0
	for dead == at("{e}") || dead == at("{r}") {
		dead++
	}
	now, lost := time.Now(), 0
	for i := range 120 {
		if at(s.question(wide(i, now)).tripletName) == dead {
			lost++
		}
	}
	masters[dead].signal(syscall.SIGSTOP) // which costs a caller more time than if it were refused
	for i := range 120 {
		try(t, s, wide(i, now))
	}
	s.LearnEntries(learned(1, now))
	s.Append([]byte("line"))
	eventually(t, 20*time.Second, "what the others could keep waits for the one that is away", func() bool {
		return s.queue.len()+s.records.len() == 0 && s.memory.dirty() <= lost
	})
	if s.memory.dirty() != lost || lost == 0 || s.Healthy() == nil {
		t.Errorf("%d triplets are owed, not %d; health %v", s.memory.dirty(), lost, s.Healthy())
	}
	masters[dead].signal(syscall.SIGCONT)
	well(t, s)
}
