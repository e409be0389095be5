package redis

import (
	"fmt"
	"testing"
	"time"

	"moggy/store/storetest"
)

// calm is the patience of tests that are not about time.
const calm = 10 * time.Second

// subject is a store that writes when it is told to, and can be opened again.
type subject struct{ *Store }

func (s *subject) Reopen(t *testing.T) {
	t.Helper()
	must(t, s.Close())
	s.Store = openAt(t, s.o)
}

func TestConformance(t *testing.T) {
	server := start(t)
	n := 0
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		n++
		return &subject{openAt(t, Options{URL: server.url(fmt.Sprint("t", n)), Flush: time.Hour, patience: calm})}
	})
}

// With writes all the time, what a reader sees comes from Redis and from memory.
func TestConformanceWhileWriting(t *testing.T) {
	server := start(t)
	n := 0
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		n++
		return openAt(t, Options{URL: server.url(fmt.Sprint("t", n)), Flush: time.Millisecond, patience: calm})
	})
}
