package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/desk"
	"moggy/dnsbl"
	"moggy/metrics/status"
	"moggy/proxy"
	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
	"moggy/whitelist/foreign"
)

// openHouse opens a house that has no backend and asks nobody.
func openHouse(t *testing.T) *house {
	t.Helper()
	cfg := config.Default()
	cfg.Hostname, cfg.StateDir, cfg.Admin.Address = "mx.example.org", t.TempDir(), "127.0.0.1:0"
	cfg.Listeners[0].Address, cfg.Listeners[0].Backend = "127.0.0.1:0", "127.0.0.1:1"
	cfg.Greylist.Origin, cfg.Crawlers.Names, cfg.LocalNetworks = config.OriginNetwork, nil, nil
	h, err := open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h
}

// visit asks for the page from an address.
func visit(page http.Handler, from, accept string) string {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = from + ":4711"
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	page.ServeHTTP(w, r)
	return w.Body.String()
}

// contains reports the first of the words that text lacks.
func contains(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in\n%s", word, text)
		}
	}
}

func TestPageOfAHouse(t *testing.T) {
	h := openHouse(t)
	text := visit(h.page(), "127.0.0.1", "*/*")
	contains(t, text, "mx.example.org  moggyd ", "FAULT  moggyd cannot reach its backend 127.0.0.1:1 (listener smtp)",
		"connection refused", "Nobody known was refused or slowed in the last 24 hours", "/metrics")
	html := visit(h.page(), "127.0.0.1", "text/html")
	contains(t, html, "<!doctype html>", "Nobody is connected.", "embedded, ", "none are asked", "the built-in defaults", "nobody has looked yet")
}

// guard is a firewall that blocks.
type guard []foreign.Block

func (guard) Name() string                                    { return "nft" }
func (g guard) Read(context.Context) ([]foreign.Block, error) { return g, nil }

// The visitor that something else blocks reads so, and what to type; another does not.
func TestPageOfWhoIsBlocked(t *testing.T) {
	h := openHouse(t)
	me := netip.MustParsePrefix("198.51.100.7/32")
	if err := h.book.Learn(whitelist.Entry{Net: me, Class: whitelist.User, Source: whitelist.Login, Note: "me by imap (dovecot)",
		Added: time.Now(), Expires: time.Now().Add(time.Hour)}, time.Now()); err != nil {
		t.Fatal(err)
	}
	watch := foreign.NewWatch(foreign.Options{List: h.book.List, Readers: []foreign.Reader{guard{
		{Net: me, By: "nft", Where: "set inet guard abusers", Rule: "limit rate over 15/second", Lift: []string{"nft", "delete"}},
		{Net: netip.MustParsePrefix("203.0.113.0/24"), By: "nft", Where: "set inet guard others"}}}})
	watch.Look(t.Context())
	h.family.Load().watch = watch
	page := h.page()
	contains(t, visit(page, "198.51.100.7", ""), "You are 198.51.100.7: user, by a login.",
		"FAULT  YOU (198.51.100.7) ARE BLOCKED BY nft set inet guard abusers seen since ", "limit rate over 15/second", "-> moggy unblock 198.51.100.7")
	contains(t, visit(page, "192.0.2.1", ""), "You are 192.0.2.1: stranger.",
		"FAULT  1 known-good address is blocked by something else on this machine\n       198.51.100.7 (user, by a login) by nft set inet guard abusers\n       -> moggy unblock 198.51.100.7")
}

// The journal is not counted again for everybody who looks.
func TestPageCountsRarely(t *testing.T) {
	h := openHouse(t)
	f := &front{house: h, desk: h.local()}
	now := time.Now()
	f.page = f.look(now)
	h.journal.Append(harmRecord(now))
	if err := h.journal.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		times int
	}{{time.Second, 0}, {countEvery - 1, 0}, {countEvery, 1}} {
		if p := f.look(now.Add(c.after)); p.Day.Times != c.times {
			t.Errorf("after %s: %d times", c.after, p.Day.Times)
		}
	}
}

func harmRecord(at time.Time) journal.Record {
	facts := &verdict.Facts{Stage: verdict.Backend, Ref: "7KQ2ZD", Listener: "smtp", Peer: netip.MustParseAddrPort("192.0.2.7:4711"),
		Standing: whitelist.Standing{Class: whitelist.Peer, Evidence: whitelist.Passed}}
	v := verdict.Decide(facts, &verdict.Policy{})
	return journal.Decided(at, facts, &v)
}

func TestGroups(t *testing.T) {
	start := time.Date(2026, 11, 22, 21, 0, 0, 0, time.UTC)
	guest := func(state, class string, n int) proxy.Guest {
		return proxy.Guest{Ref: state, State: state, Class: whitelist.Class(class), Rule: "r", Since: start.Add(time.Duration(n) * time.Second),
			Peer: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 25)}
	}
	got := groups([]proxy.Guest{guest("carry", "user", 1), guest("hold", "listed", 2), guest("carry", "peer", 3), guest("carry", "peer", 4),
		guest("wait", "user", 5), guest("carry", "own", 6)})
	want := []status.Group{
		{State: "wait", Class: "user", N: 1, Oldest: start.Add(5 * time.Second), Example: "192.0.2.5", Ref: "wait", Rule: "r"},
		{State: "hold", Class: "listed", N: 1, Oldest: start.Add(2 * time.Second), Example: "192.0.2.2", Ref: "hold", Rule: "r"},
		{State: "carry", Class: "peer", N: 2, Oldest: start.Add(3 * time.Second), Example: "192.0.2.3", Ref: "carry", Rule: "r"},
		{State: "carry", Class: "own", N: 1, Oldest: start.Add(6 * time.Second), Example: "192.0.2.6", Ref: "carry", Rule: "r"},
		{State: "carry", Class: "user", N: 1, Oldest: start.Add(time.Second), Example: "192.0.2.1", Ref: "carry", Rule: "r"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestListOf(t *testing.T) {
	for state, want := range map[dnsbl.State]status.List{
		dnsbl.Working:   {State: "working", Works: true},
		dnsbl.Suspected: {State: "suspected", Works: true},
		dnsbl.Untested:  {State: "untested", Why: "its test points were not answered yet"},
	} {
		if got := listOf(dnsbl.Status{State: state}); got != want {
			t.Errorf("%s: %+v", state, got)
		}
	}
	if from := hearsFrom(desk.HintSources{Dovecot: "127.0.0.1:9143", Logs: []string{"journal"}, SSH: true}); strings.Join(from, ", ") != "dovecot at 127.0.0.1:9143, journal, ssh sessions" {
		t.Errorf("%q", from)
	}
}
