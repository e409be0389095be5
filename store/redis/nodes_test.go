package redis

import (
	"slices"
	"testing"
	"time"
)

// TestNodes: who has a name is seen by the others until it is closed, or a day has passed.
func TestNodes(t *testing.T) {
	server := start(t)
	wrong := func() time.Time { return time.Now().Add(-time.Hour) }
	open := func(name string, clock func() time.Time) *Store {
		s := openAt(t, Options{URL: server.url("w"), Name: name, Clock: clock, patience: calm})
		must(t, s.Sync())
		return s
	}
	one, two := open("mx1", nil), open("mx2", wrong)
	open("", nil)
	day := time.Now().Add(-25 * time.Hour).UnixMilli()
	server.do("HSET", "w:{e}:nodes", "old", day)
	sees := func(s *Store, want ...string) {
		t.Helper()
		must(t, s.Sync())
		var got []string
		for _, n := range s.Nodes() {
			got = append(got, n.Name)
			if ago := s.o.Clock().Sub(n.Seen); ago < -time.Second || ago > time.Minute {
				t.Errorf("%s was seen %v ago", n.Name, ago)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("here: %q, want %q", got, want)
		}
	}
	sees(one, "mx1", "mx2")
	sees(two, "mx1", "mx2")
	must(t, two.Close())
	sees(one, "mx1")
	if n := server.do("HLEN", "w:{e}:nodes"); n != int64(1) {
		t.Errorf("%v names are kept", n)
	}
}
