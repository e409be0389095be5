package status

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// Accept headers as programs send them.
const (
	firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	lynx    = "text/html, text/plain, text/sgml, text/css, */*;q=0.01"
)

func TestWantsHTML(t *testing.T) {
	for accept, want := range map[string]bool{
		firefox: true, lynx: true, "text/html": true, "TEXT/HTML ; Q=0.5": true, "text/plain;q=0.9, text/html": true,
		"": false, "*/*": false, "text/*": false, "text/plain": false, "application/json": false, "text/html;q=0": false,
		"text/html;q=0.5, text/plain": false, "text/html;q=nonsense": false, "text/html;q=7": false, "text/htmlx": false, ";;,,;q=": false,
	} {
		if got := wantsHTML([]string{accept}); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
	if !wantsHTML([]string{"text/plain;q=0.1", "text/html"}) {
		t.Error("two headers are not one")
	}
}

func TestHandler(t *testing.T) {
	var seen netip.Addr
	h := Handler(func(visitor netip.Addr) Page {
		seen = visitor
		return story()
	})
	for _, c := range []struct {
		accept, from, kind, begins string
		visitor                    netip.Addr
	}{
		{firefox, "198.51.100.7:4711", "text/html; charset=utf-8", "<!doctype html>", me},
		{firefox, "127.0.0.1:4711", "text/html; charset=utf-8", "<!doctype html>", netip.Addr{}},
		{"*/*", "[::ffff:198.51.100.7]:4711", "text/plain; charset=utf-8", "mx.example.org  moggyd", me},
		{"", "[::1]:4711", "text/plain; charset=utf-8", "mx.example.org  moggyd", netip.Addr{}},
		{"", "[fe80::7%eth0]:4711", "text/plain; charset=utf-8", "mx.example.org  moggyd", netip.MustParseAddr("fe80::7")},
		{"", "@", "text/plain; charset=utf-8", "mx.example.org  moggyd", netip.Addr{}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.from
		r.Header.Set("Accept", c.accept)
		r.Header.Set("X-Forwarded-For", "192.0.2.66") // anybody can say so
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		body, err := io.ReadAll(w.Result().Body)
		if err != nil || w.Code != http.StatusOK || w.Header().Get("Content-Type") != c.kind || !strings.HasPrefix(string(body), c.begins) || seen != c.visitor {
			t.Errorf("%q from %s: %d %v %.60q, visitor %s", c.accept, c.from, w.Code, w.Header(), body, seen)
		}
		if w.Header().Get("Content-Security-Policy") != policy || w.Header().Get("Vary") != "Accept" || w.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("headers %v", w.Header())
		}
	}
}
