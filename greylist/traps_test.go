package greylist

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
)

// memory keeps traps, and nothing else of a store.
type memory struct {
	Store
	traps map[string]Trap
	err   error
}

func (m *memory) Traps(context.Context) iter.Seq2[Trap, error] {
	return func(yield func(Trap, error) bool) {
		for _, t := range m.traps {
			if !yield(t, m.err) {
				return
			}
		}
	}
}

func (m *memory) PutTrap(_ context.Context, t Trap) error {
	if m.err == nil {
		m.traps[t.Address] = t
	}
	return m.err
}

func (m *memory) DeleteTrap(_ context.Context, a string) (bool, error) {
	_, had := m.traps[a]
	if m.err == nil {
		delete(m.traps, a)
	}
	return had, m.err
}

func openTraps(t *testing.T, m *memory, configured ...string) *Traps {
	t.Helper()
	traps, err := OpenTraps(t.Context(), m, configured, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return traps
}

// names are the traps in force.
func names(t *Traps) string { return strings.Join(slices.Sorted(maps.Keys(t.All())), " ") }

func TestOpenTraps(t *testing.T) {
	m := &memory{traps: map[string]Trap{"a@example.org": {Address: "a@example.org", Note: "said"}}}
	traps := openTraps(t, m, "B@Example.org", "A@example.org")
	if names(traps) != "a@example.org b@example.org" {
		t.Errorf("traps %s", names(traps))
	}
	if a, b := traps.All()["a@example.org"], traps.All()["b@example.org"]; a.Configured || a.Note != "said" || !b.Configured {
		t.Errorf("a person's word goes first: %+v, %+v", a, b)
	}
	for r, want := range map[string]bool{"b@example.org": true, "B@EXAMPLE.ORG": true, "c@example.org": false, "": false} {
		if traps.Has(r) != want {
			t.Errorf("%q: %v", r, !want)
		}
	}
	m.err = errors.New("no such luck")
	if _, err := OpenTraps(t.Context(), m, nil, epoch); !errors.Is(err, m.err) {
		t.Errorf("error %v", err)
	}
}

func TestConfigure(t *testing.T) {
	m := &memory{traps: map[string]Trap{}}
	traps := openTraps(t, m, "a@example.org", "b@example.org")
	before := traps.All()
	if err := traps.Put(t.Context(), Trap{Address: "c@example.org"}); err != nil {
		t.Fatal(err)
	}
	traps.Configure([]string{"B@example.org", "d@example.org"}, epoch)
	if names(traps) != "b@example.org c@example.org d@example.org" {
		t.Errorf("traps %s", names(traps))
	}
	if len(before) != 2 || len(m.traps) != 1 {
		t.Errorf("a set in use changed: %v; or the store: %v", before, m.traps)
	}
}

func TestPutTrap(t *testing.T) {
	m := &memory{traps: map[string]Trap{}}
	traps := openTraps(t, m)
	if err := traps.Put(t.Context(), Trap{Address: "Trap@Example.org", Note: "x"}); err != nil {
		t.Fatal(err)
	}
	if !traps.Has("tRAP@example.org") || m.traps["trap@example.org"].Note != "x" {
		t.Errorf("in force %s, kept %v", names(traps), m.traps)
	}
	for _, bad := range []string{"", "trap", "@example.org", "trap@", strings.Repeat("x", 250) + "@x.org"} {
		if err := traps.Put(t.Context(), Trap{Address: bad}); err == nil || !strings.Contains(err.Error(), "give ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	m.err = errors.New("no such luck")
	if err := traps.Put(t.Context(), Trap{Address: "other@example.org"}); !errors.Is(err, m.err) {
		t.Errorf("error %v", err)
	}
	if names(traps) != "trap@example.org" || len(m.traps) != 1 {
		t.Errorf("in force %s, kept %v", names(traps), m.traps)
	}
}

func TestRemoveTrap(t *testing.T) {
	m := &memory{traps: map[string]Trap{"a@example.org": {Address: "a@example.org"}}}
	traps := openTraps(t, m, "b@example.org")
	m.err = errors.New("no such luck")
	if _, err := traps.Remove(t.Context(), "a@example.org"); !errors.Is(err, m.err) || !traps.Has("a@example.org") {
		t.Errorf("error %v, in force %s", err, names(traps))
	}
	m.err = nil
	for _, c := range []struct {
		address string
		had     bool
	}{{"A@Example.org", true}, {"a@example.org", false}, {"b@example.org", true}, {"c@example.org", false}} {
		if had, err := traps.Remove(t.Context(), c.address); err != nil || had != c.had {
			t.Errorf("%s: %v, %v", c.address, had, err)
		}
	}
	if names(traps) != "b@example.org" || len(m.traps) != 0 {
		t.Errorf("in force %s, kept %v", names(traps), m.traps)
	}
}
