package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func lines(t *testing.T, s *Store, since time.Time, holds string) (all []string) {
	t.Helper()
	for line, err := range s.Records(t.Context(), since, holds) {
		must(t, err)
		all = append(all, string(line))
	}
	return all
}

func TestRecords(t *testing.T) {
	server := start(t)
	one := openAt(t, Options{URL: server.url("r"), patience: calm})
	two := openAt(t, Options{URL: server.url("r"), patience: calm, Clock: func() time.Time { return time.Now().Add(time.Hour) }})
	if got := lines(t, one, time.Time{}, ""); len(got) != 0 {
		t.Errorf("%q", got)
	}
	for i := range 2500 {
		one.Append(fmt.Appendf(nil, `{"node":"one","ref":"A%d.","odd":"%%[(\x00"}`, i))
	}
	must(t, one.Sync())
	two.Append([]byte(`{"node":"two","ref":"A7."}`))
	must(t, two.Sync())
	for _, s := range []*Store{one, two} {
		if got := lines(t, s, time.Time{}, `"ref":"A7."`); len(got) != 2 || !strings.Contains(got[0], "two") || !strings.Contains(got[1], "one") {
			t.Errorf("%q", got)
		}
		if got := lines(t, s, s.o.Clock().Add(-time.Minute), ""); len(got) != 2501 {
			t.Errorf("%d in the last minute", len(got))
		}
		if got := lines(t, s, s.o.Clock().Add(time.Minute), ""); len(got) != 0 {
			t.Errorf("%q from the future", got)
		}
	}
	if got := lines(t, one, time.Time{}, `%[(\x00`); len(got) != 2500 {
		t.Errorf("%d hold the odd text", len(got))
	}
	if ttl := server.do("PTTL", "r:{r}:records").(int64); ttl <= 0 {
		t.Errorf("expires in %d ms", ttl)
	}
}

func TestRecordsAreBounded(t *testing.T) {
	server := start(t)
	s := openAt(t, Options{URL: server.url("r"), Records: 500, patience: calm})
	if s.Append(make([]byte, recordLine+1)) || !s.Append(make([]byte, recordLine)) {
		t.Error("a long line")
	}
	for range 30 {
		for range 100 {
			s.Append([]byte("line"))
		}
		must(t, s.Sync())
	}
	if n := server.do("XLEN", "r:{r}:records").(int64); n < 500 || n > 700 {
		t.Errorf("%d lines", n)
	}
	gone := away(t, Options{})
	begun := time.Now()
	for range recordsHeld + 5 {
		gone.Append([]byte("line"))
	}
	if st := gone.Stats(); st.RecordsDropped != 5 || st.Pending != recordsHeld {
		t.Errorf("%+v", st)
	}
	if d := time.Since(begun); d > bound {
		t.Errorf("took %v", d)
	}
}
