package main

import (
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"moggy/cmd/internal/desk"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// TestTopOnATerminal shows it, and clears the screen before, until the operator ends
// it.
func TestTopOnATerminal(t *testing.T) {
	x, _ := testTool(t, map[string]string{"TERM": "dumb"})
	out := &heard{wrote: make(chan struct{}, 1)}
	x.out, x.terminal = out, true
	if code := run([]string{"moggy", "-c", x.file, "top"}, x); code != cannotTell || strings.Contains(out.String(), clearScreen) {
		t.Errorf("without a daemon: exit %d, %q", code, out)
	}
	serveDesk(t, x)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	app := x.app()
	go func() { ended <- app.RunContext(ctx, reorder(app, []string{"moggy", "-c", x.file, "top", "-n", "1"})) }()
	for !strings.Contains(out.String(), "198.51.100.7  guesser   2/3") {
		select {
		case <-out.wrote:
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(20 * time.Second):
			t.Fatalf("not shown: %q", out)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if text := out.String(); !strings.HasPrefix(text[strings.Index(text, clearScreen):], clearScreen) || strings.Contains(text, "192.0.2.1") {
		t.Errorf("%q", text)
	}
}

// serveDesk serves the desk of a tool's configuration until the test ends.
func serveDesk(t *testing.T, x *tool) {
	t.Helper()
	cfg, err := x.load()
	if err != nil {
		t.Fatal(err)
	}
	d, closer, _, err := desk.Open(t.Context(), cfg, true)
	if err != nil {
		t.Fatal(err)
	}
	local := d.(*desk.Local)
	local.Daemon = &house{now: time.Now()}
	for _, peer := range []string{"198.51.100.7", "198.51.100.7", "192.0.2.1"} {
		c := whitelist.Guesser // who pays back slowly
		local.Judge.Meter.Take(budget.KeyOf(c, netip.MustParseAddr(peer)), budget.Defaults()[c], time.Now())
	}
	l, err := desk.Listen(desk.SocketPath(filepath.Dir(x.file)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- desk.Serve(ctx, l, d) }()
	t.Cleanup(func() {
		stop()
		<-served
		closer.Close()
	})
}
