package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/keep"
	"moggy/verdict/journal"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// After a SIGHUP the page answers to the hostname of the new configuration.
func TestPageAnswersToTheNewName(t *testing.T) {
	h := openHouse(t)
	page := h.metrics.Handler(h.health())
	cfg := *h.cfg
	cfg.Hostname = "mx2.example.org"
	h.apply(&cfg)
	for host, want := range map[string]int{"mx2.example.org": http.StatusOK, "mx.example.org": http.StatusMisdirectedRequest} {
		r := httptest.NewRequest(http.MethodGet, "/healthz", nil)
		r.Host = host
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", host, w.Code, want)
		}
	}
}

// forgetful tells of the first budget alone, and nothing of others.
type forgetful struct{}

func (forgetful) Exchange(_ context.Context, uses []budget.Use, _ time.Duration) ([]budget.Others, error) {
	return []budget.Others{{Key: uses[0].Key}}, errors.New("the rest got lost")
}

// What doors tell each other of budgets is counted, and 0 where there is one door.
func TestFleetGauges(t *testing.T) {
	h := openHouse(t)
	if g := h.gauges(); g.Exchanged != nil || g.Unshared != nil {
		t.Error("a door that is alone tells somebody")
	}
	h.fleet = budget.NewFleet(forgetful{})
	for _, addr := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		h.fleet.Take(budget.KeyOf(whitelist.Peer, netip.MustParseAddr(addr)), budget.For(nil, whitelist.Peer), time.Now())
	}
	ctx, end := context.WithCancel(t.Context())
	end() // all is told when a door closes
	h.fleet.Run(ctx)
	if g := h.gauges(); g.Exchanged() != 1 || g.Unshared() != 2 {
		t.Errorf("%v exchanged, %v unshared", g.Exchanged(), g.Unshared())
	}
}

// A heard store keeps what the other doors are told.
type heard struct {
	keep.Store
	lines [][]byte
}

func (h *heard) Tell(line []byte) { h.lines = append(h.lines, line) }

// What goes into the journal goes to the other doors, with the name of this one;
// nowhere where there are none.
func TestToldToOtherDoors(t *testing.T) {
	node, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string][]string{config.Default().Store.URL: nil, "redis://127.0.0.1": {node + " 7KQ2ZD"}} {
		store, cfg := &heard{}, config.Default()
		cfg.StateDir, cfg.Store.URL = t.TempDir(), url
		h := &house{cfg: cfg, store: store}
		if err := h.openRecords(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.journal.Append(harmRecord(time.Now()))
		h.close()
		var got []string
		for _, line := range store.lines {
			r, err := journal.ParseLine(line)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Node+" "+r.Ref)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: told of %q, want %q", url, got, want)
		}
	}
}
