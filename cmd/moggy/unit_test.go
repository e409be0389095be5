package main

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"moggy/cmd/internal/desk"
	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
)

func TestReorder(t *testing.T) {
	app := new(tool).app()
	for typed, want := range map[string]string{
		"moggy":                    "moggy",
		"moggy why me --json":      "moggy --json why -- me",
		"moggy why --json me -c f": "moggy --json -c f why -- me",
		"moggy allow add 192.0.2.7 --class peer x": "moggy allow add --class peer -- 192.0.2.7 x",
		"moggy good 192.0.2.7 -q x":                "moggy good -q -- 192.0.2.7 x",
		"moggy --frob why":                         "moggy --frob why",
		"moggy why x --frob":                       "moggy why --frob -- x",
		"moggy why -- -x --json":                   "moggy why -- -x --json",
		"moggy why why":                            "moggy why -- why",
		"moggy allow ls allow":                     "moggy allow ls -- allow",
		"moggy allow add x --note":                 "moggy allow add --note -- x",
		"moggy who -":                              "moggy who -- -",
	} {
		got := strings.Join(reorder(app, strings.Fields(typed)), " ")
		if got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 300 * time.Millisecond: "0.3s", 2999 * time.Millisecond: "3s", 45 * time.Second: "45s",
		-45 * time.Second: "45s", 15*time.Minute + time.Second: "15m01s", 25 * time.Minute: "25m", 3*time.Hour + 5*time.Minute: "3h05m",
		48 * time.Hour: "2d", 52 * time.Hour: "2d4h", 90*day - time.Second: "90d", time.Hour - time.Millisecond: "1h", 10*time.Second - time.Millisecond: "10s"} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestLifetime(t *testing.T) {
	for text, want := range map[string]time.Duration{"90d": 90 * day, "1d12h": 36 * time.Hour, "30m": 30 * time.Minute, "never": 0} {
		if got, err := lifetime(text); got != want || err != nil {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "0d", "-1d", "1d-12h", "d", "90", "1w", "99999999999d", "soon"} {
		if got, err := lifetime(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestTableAlignsByWidth(t *testing.T) {
	var out bytes.Buffer
	tab := newTable("NAME", ">N", "", "NOTE")
	tab.row("用户@例え.jp", "5", "", "wide")
	tab.row("e\u0301le\u0300ve", "1234", "", "")
	tab.row(strings.Repeat("x", 70), "1", "", "cut")
	tab.write(&out)
	want := "NAME" + strings.Repeat(" ", 58) + "   N  NOTE\n" +
		"用户@例え.jp" + strings.Repeat(" ", 48) + "     5  wide\n" +
		"e\u0301le\u0300ve" + strings.Repeat(" ", 55) + "  1234\n" +
		strings.Repeat("x", 59) + "…     1  cut\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestEscapedJSON(t *testing.T) {
	in := "\"a\u009b\u202e\U000e0001é用\x7f\""
	if got, want := string(escaped([]byte(in))), `"a\u009b\u202e\udb40\udc01é用\u007f"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// testTool is a tool that writes to memory, over a configuration of its own.
func testTool(t *testing.T, env map[string]string) (*tool, *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "m.toml")
	text := "state_dir = \"" + dir + "\"\nlocal_networks = []\ngreylist.origin = \"network\"\n[[listener]]\nname = \"smtp\"\naddress = \"127.0.0.1:2525\"\nbackend = \"127.0.0.1:10025\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out := new(bytes.Buffer)
	return &tool{out: out, err: out, env: func(name string) string { return env[name] }, now: time.Now, file: file,
		resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
			switch host {
			case "mx.contoso.example":
				a := netip.MustParseAddr
				return []netip.Addr{a("192.0.2.7"), a("::ffff:192.0.2.7"), a("2001:db8::7")}, nil
			case "slow.example":
				return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
			}
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}}, out
}

func TestHostNames(t *testing.T) {
	x, out := testTool(t, nil)
	if code := run([]string{"moggy", "-c", x.file, "allow", "add", "mx.contoso.example"}, x); code != yes {
		t.Fatal(code, out)
	}
	if got := out.String(); !strings.Contains(got, "allowed 192.0.2.7 as peer, for good \"mx.contoso.example\"\n") ||
		!strings.Contains(got, "allowed 2001:db8::7 ") || strings.Count(got, "192.0.2.7") != 1 {
		t.Error(got)
	}
	for host, want := range map[string]string{
		"slow.example": "looking up slow.example: lookup slow.example: i/o timeout; give its address",
		"none.example": "there is no host none.example; give its address",
		"ABC123":       "neither a ref in the journal nor the name of a host",
	} {
		out.Reset()
		if code := run([]string{"moggy", "-c", x.file, "good", host}, x); code != cannotTell || !strings.Contains(out.String(), want) {
			t.Errorf("%s: exit %d, %s", host, code, out)
		}
	}
}

func TestColours(t *testing.T) {
	for _, c := range []struct {
		env      map[string]string
		terminal bool
		want     bool
	}{
		{nil, true, true},
		{nil, false, false},
		{map[string]string{"NO_COLOR": "1"}, true, false},
		{map[string]string{"TERM": "dumb"}, true, false},
	} {
		x, out := testTool(t, c.env)
		x.terminal = c.terminal
		run([]string{"moggy", "rules"}, x)
		if got := strings.Contains(out.String(), "\x1b["); got != c.want {
			t.Errorf("%+v: coloured: %v", c, got)
		}
	}
}

// heard is what a tool has written so far; it tells of each write.
type heard struct {
	mu    sync.Mutex
	text  strings.Builder
	wrote chan struct{}
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	h.text.Write(b)
	h.mu.Unlock()
	select {
	case h.wrote <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

func TestTail(t *testing.T) {
	for _, args := range [][]string{{"tail", "--class", "stranger"}, {"--json", "tail", "--addr", "192.0.2.7"}} {
		x, _ := testTool(t, nil)
		out := &heard{wrote: make(chan struct{}, 1)}
		x.out = out
		j, err := journal.Open(journal.Options{Dir: desk.JournalDir(filepath.Dir(x.file))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		app := x.app()
		go func() {
			ended <- app.RunContext(ctx, reorder(app, slices.Concat([]string{"moggy", "-c", x.file}, args)))
		}()
		until(t, out.wrote, func() {
			j.Append(decided("192.0.2.7", "stranger"))
			j.Append(decided("192.0.2.8", "peer"))
		})
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		j.Close()
		text := out.String()
		if !strings.Contains(text, "192.0.2.7") || strings.Contains(text, "192.0.2.8") {
			t.Errorf("%v: %s", args, text)
		}
	}
}

// until does f again and again until done: whoever follows a journal sees only
// what comes after it began.
func until(t *testing.T, done <-chan struct{}, f func()) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		f()
		select {
		case <-done:
			return
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("nothing came")
		}
	}
}

func decided(peer, class string) journal.Record {
	return journal.Record{Time: time.Now().UTC(), Ref: journal.NewRef(), Event: journal.EventDecided, Stage: verdict.Connect, Listener: "smtp",
		Peer: netip.AddrPortFrom(netip.MustParseAddr(peer), 25), Class: whitelist.Class(class), Action: "talk", Rule: "stranger"}
}
