// Package storetest is what every store must pass: the promises of
// whitelist.Store and greylist.Store, with the pure functions of package
// greylist as the oracle.
//
// It does not know where a store keeps things. What a store may do its own way,
// it takes either way: forget an expired triplet at once or later, and renew a
// known origin to within [RenewSlack].
package storetest

import (
	"context"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/whitelist"
)

// A Subject is a store under test, empty when the test begins. It may also have
// a method Reopen(*testing.T), which closes the store and opens it again, and a
// method Sync() error, which ends what the store does in the background.
type Subject interface {
	whitelist.Store
	greylist.Store
}

// RenewSlack is how much older than the latest use of an origin the one kept may
// be.
const RenewSlack = time.Hour

// Run runs the suite; open is called for each test, and closes the store by
// t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	tests := map[string]func(*testing.T, Subject){
		"entries":             entries,
		"entries refused":     entriesRefused,
		"many entries":        manyEntries,
		"learned entries":     learnedEntries,
		"many sources":        manySources,
		"times of use":        timesOfUse,
		"entries stay":        entriesStay,
		"a triplet's life":    tripletLife,
		"peek changes none":   peekChangesNothing,
		"origins":             originLife,
		"fractions":           fractions,
		"forget":              forget,
		"rows":                rows,
		"letter case":         letterCase,
		"hostile strings":     hostile,
		"one first seen":      oneFirstSeen,
		"many at once":        manyAtOnce,
		"iteration ends":      iterationEnds,
		"iteration may write": iterationMayWrite,
		"traps":               traps,
		"model":               model,
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) { tests[name](t, open(t)) })
	}
}

// settle waits for what the store does in the background, if it says how.
func settle(t *testing.T, s Subject) {
	t.Helper()
	if s, ok := s.(interface{ Sync() error }); ok {
		must(t, s.Sync())
	}
}

// reopen reports false for a store that cannot be opened again.
func reopen(t *testing.T, s Subject) bool {
	t.Helper()
	r, ok := s.(interface{ Reopen(*testing.T) })
	if ok {
		r.Reopen(t)
	}
	return ok
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) (all []T) {
	t.Helper()
	for v, err := range seq {
		must(t, err)
		all = append(all, v)
	}
	return all
}

func try(t *testing.T, s Subject, x greylist.Try) greylist.Result {
	t.Helper()
	r, err := s.Try(context.Background(), x)
	must(t, err)
	return r
}

func peek(t *testing.T, s Subject, x greylist.Try) greylist.Result {
	t.Helper()
	r, err := s.Peek(context.Background(), x)
	must(t, err)
	return r
}

// same compares results, whatever the time zones.
func same(a, b greylist.Result) bool {
	return a.Outcome == b.Outcome && a.First.Equal(b.First) && a.Tries == b.Tries && a.Wait == b.Wait
}

// epoch is where the tests' clock begins.
func epoch() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func timers() greylist.Timers {
	return greylist.Timers{Pass: 4 * time.Minute, PassUnnamed: 25 * time.Minute,
		Window: 48 * time.Hour, Remember: 36 * 24 * time.Hour}
}

// example is a try of a stranger with a name.
func example(now time.Time) greylist.Try {
	return greylist.Try{Now: now, Timers: timers(), Triplet: greylist.Triplet{
		Origin: greylist.Origin{Kind: greylist.Domain, Name: "example.org"},
		Sender: "alice@example.org", Recipient: "bob@example.net"}}
}
