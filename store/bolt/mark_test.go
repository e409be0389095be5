package bolt

import (
	"strings"
	"testing"
)

// TestMark: the word stays, also where the file is opened anew; one that is too long
// changes nothing.
func TestMark(t *testing.T) {
	path := t.TempDir() + "/moggy.db"
	s := openAt(t, Options{Path: path})
	want := func(when, word string) {
		t.Helper()
		if got, err := s.Mark(); err != nil || got != word {
			t.Errorf("%s: %q, %v", when, got, err)
		}
	}
	want("new", "")
	s.SetMark("one")
	want("pending", "one")
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	want("written", "one")
	s.SetMark("two")
	s.SetMark(strings.Repeat("x", maxMark+1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, Options{Path: path})
	want("opened anew", "two")
}
