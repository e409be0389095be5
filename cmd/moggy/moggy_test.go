package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/desk"
	"moggy/cmd/internal/desk/zonetest"
	"moggy/cmd/internal/firewall"
	"moggy/greylist"
	"moggy/greylist/origin"
	"moggy/proxy"
	"moggy/verdict"
	"moggy/whitelist"
	"moggy/whitelist/budget"
	"moggy/whitelist/foreign"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"moggy": func() {
		t := system()
		t.machine = machineIn(os.Getenv("WORK"))
		os.Exit(run(os.Args, t))
	}})
}

// machineIn is a machine whose firewalls are programs in a directory of the session.
func machineIn(dir string) firewall.Machine {
	return firewall.Machine{Path: []string{filepath.Join(dir, "bin")}, Root: dir}
}

// TestSessions plays the sessions in testdata: what is typed, and what comes.
func TestSessions(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else each command takes a second longer under -race
			e.Setenv("TZ", "UTC")
			e.Setenv("COLUMNS", "")
			e.Setenv("SSH_CLIENT", "")
			e.Setenv("SSH_CONNECTION", "")
			e.Setenv("NOTE", "\x1b[31mred\u009b0m\u202e")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"daemon":   daemon,
			"noescape": noEscape,
			"waiting":  waiting,
			"learned":  learned,
			"listed":   listed,
			"passed":   passed,
			"dns":      nameServer,
		},
	})
}

// exits runs a program that has to end with a given status: exits 1 moggy …
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%q exits %d, want %d", args[1:], got, want)
	}
}

// noEscape fails if a file has bytes that a terminal acts upon.
func noEscape(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		for _, r := range ts.ReadFile(name) {
			if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == '\u202e' {
				ts.Fatalf("%s has %q", name, r)
			}
		}
	}
}

// open opens the desk over the store in the directory state.
func open(ts *testscript.TestScript) (desk.Desk, func()) {
	c, err := config.Load(ts.MkAbs("m.toml"))
	ts.Check(err)
	c.StateDir = ts.MkAbs("state")
	d, closer, _, err := desk.Open(context.Background(), c, true)
	ts.Check(err)
	return d, func() { ts.Check(closer.Close()) }
}

// waiting has a stranger deferred: waiting PEER FROM TO [AGO].
func waiting(ts *testscript.TestScript, _ bool, args []string) {
	d, closer := open(ts)
	defer closer()
	l := d.(*desk.Local)
	f := verdict.Facts{Peer: netip.AddrPortFrom(netip.MustParseAddr(args[0]), 25), Sender: unquoted(args[1]), Recipient: args[2]}
	p, at := l.Settings().Policy, time.Now()
	if len(args) > 3 {
		ago, err := time.ParseDuration(args[3])
		ts.Check(err)
		at = at.Add(-ago)
	}
	l.Judge.Recipient(context.Background(), &f, &p, l.Judge.Greylist.Try, at)
	if v := f.Grey.Outcome; v != greylist.FirstSeen && v != greylist.TooEarly {
		ts.Fatalf("%v was not deferred: %q", args, v)
	}
}

// listed has a peer name a trap, or come back: listed PEER, passed PEER.
func listed(ts *testscript.TestScript, neg bool, args []string) {
	d, closer := open(ts)
	defer closer()
	f := verdict.Facts{Peer: netip.AddrPortFrom(netip.MustParseAddr(args[0]), 25), Recipient: "trap@example.org"}
	ts.Check(d.(*desk.Local).Judge.List(&f, time.Hour, time.Now()))
}

func passed(ts *testscript.TestScript, neg bool, args []string) {
	d, closer := open(ts)
	defer closer()
	j := d.(*desk.Local).Judge
	f := verdict.Facts{Peer: netip.AddrPortFrom(netip.MustParseAddr(args[0]), 25)}
	f.Origin, _ = j.Finder.Find(context.Background(), origin.Question{Peer: f.Peer.Addr()})
	ts.Check(j.Remember(context.Background(), &f, time.Now()))
}

// learned puts into the list what was learned: learned ADDRESS CLASS SOURCE NOTE.
func learned(ts *testscript.TestScript, _ bool, args []string) {
	d, closer := open(ts)
	defer closer()
	now := time.Now()
	ts.Check(d.(*desk.Local).Judge.Book.Learn(whitelist.Entry{Net: whitelist.Net(netip.MustParseAddr(args[0])), Class: whitelist.Class(args[1]),
		Source: whitelist.Source(args[2]), Note: unquoted(args[3]), Added: now.Add(-2 * time.Minute), Expires: now.Add(30 * day)}, now))
}

// unquoted lets sessions write bytes that no text file should have.
func unquoted(s string) string {
	if text, err := strconv.Unquote(`"` + s + `"`); err == nil {
		return text
	}
	return s
}

// nameServer starts a name server that answers by a file, and puts its address
// where m.toml has DNS: dns FILE.
func nameServer(ts *testscript.TestScript, _ bool, args []string) {
	s, err := zonetest.Start(ts.ReadFile(args[0]))
	ts.Check(err)
	ts.Defer(func() { s.Close() })
	text := strings.ReplaceAll(ts.ReadFile("m.toml"), "DNS", s.Addr().String())
	ts.Check(os.WriteFile(ts.MkAbs("m.toml"), []byte(text), 0o600))
}

// daemon serves what moggyd would, with four connections, until the session ends.
// The DNS lists have been asked about the addresses that are named. What it says of
// its alarms and of its health is in alarms.json and health.json, how long ago the
// last login report came in login, what of budgets is used in the lines of the file
// used: ADDRESS CLASS N, what is wrong with the store in fault, and who shares it in nodes. Its firewalls are in the directory daemon: it may see
// others than the tool.
func daemon(ts *testscript.TestScript, _ bool, args []string) {
	d, closer := open(ts)
	if lists := d.(*desk.Local).Judge.Lists; lists != nil {
		lists.Probe(context.Background())
		for _, a := range args {
			lists.Check(context.Background(), netip.MustParseAddr(a))
		}
	}
	furnish(ts, d.(*desk.Local))
	d.(*desk.Local).Figures = func() desk.Figures {
		fault, _ := os.ReadFile(ts.MkAbs("fault"))  // of the store; most sessions have none
		shared, _ := os.ReadFile(ts.MkAbs("nodes")) // the names of machines; most sessions have none
		var nodes []desk.Node
		for name := range strings.FieldsSeq(string(shared)) {
			nodes = append(nodes, desk.Node{Name: name, Seen: time.Now()})
		}
		return desk.Figures{Since: time.Now().Add(-52 * time.Hour), Version: "v1.2.3", Held: 1, Slots: 750,
			StoreFault: strings.TrimSpace(string(fault)), Nodes: nodes}
	}
	l, err := desk.Listen(desk.SocketPath(ts.MkAbs("state")))
	ts.Check(err)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- desk.Serve(ctx, l, d) }()
	ts.Defer(func() {
		stop()
		<-served
		closer()
	})
}

// furnish gives a desk what a daemon has.
func furnish(ts *testscript.TestScript, l *desk.Local) {
	h := &house{now: time.Now()}
	var health desk.Health
	for name, v := range map[string]any{"alarms.json": &h.alarms, "health.json": &health} {
		if text, err := os.ReadFile(ts.MkAbs(name)); err == nil {
			ts.Check(json.Unmarshal(text, v))
		}
	}
	if text, err := os.ReadFile(ts.MkAbs("login")); err == nil {
		ago, err := time.ParseDuration(strings.TrimSpace(string(text)))
		ts.Check(err)
		health.Login = h.now.Add(-ago)
	}
	l.Daemon, l.Health = h, func() desk.Health { return health }
	l.Foreign = foreign.NewWatch(foreign.Options{Readers: machineIn(ts.MkAbs("daemon")).All(), List: l.Judge.Book.List})
	used, _ := os.ReadFile(ts.MkAbs("used")) // most sessions have none
	for line := range strings.Lines(string(used)) {
		f := strings.Fields(line)
		n, err := strconv.Atoi(f[2])
		ts.Check(err)
		c := whitelist.Class(f[1])
		for range n {
			l.Judge.Meter.Take(budget.KeyOf(c, netip.MustParseAddr(f[0])), budget.For(*l.Judge.Limits.Load(), c), time.Now())
		}
	}
}

// house is a daemon with two guests, one of them from the address that a hostile
// rule wrote.
type house struct {
	now    time.Time
	alarms []proxy.Alarm
}

func (h *house) Guests() []proxy.Guest {
	at := netip.MustParseAddrPort
	return []proxy.Guest{
		{Ref: "7KQ2ZD", Peer: at("192.0.2.7:1"), Listener: "smtp", Class: "stranger", State: "talk", Rule: "stranger", Since: h.now.Add(-9 * time.Second)},
		{Ref: "7KQ2ZE", Peer: at("192.0.2.8:1"), Listener: "smtp", Class: "listed", State: "hold", Rule: "listed", Since: h.now.Add(-372 * time.Second)},
		{Ref: "7KQ2ZF", Peer: at("192.0.2.9:1"), Listener: "smtp", Class: "peer", State: "carry", Rule: "known", Since: h.now},
		{Ref: "7KQ2ZG", Peer: at("192.0.2.10:1"), Listener: "smtp", Class: "listed", State: "hold", Rule: "listed\x1b[31m", Since: h.now},
	}
}

func (h *house) Ready() map[string]error                   { return nil }
func (h *house) Alarms() []proxy.Alarm                     { return h.alarms }
func (h *house) Recheck(context.Context)                   {}
func (h *house) Hides(netip.Addr, whitelist.Standing) bool { return false }

// TestManual has every verb and flag in the manual page.
func TestManual(t *testing.T) {
	page, err := os.ReadFile("moggy.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, missing := range missingIn(string(page), new(tool).app()) {
		t.Errorf("moggy.1 does not have %s", missing)
	}
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		t.Skip("no mandoc here")
	}
	if out, err := exec.Command(mandoc, "-T", "lint", "-W", "warning", "moggy.1").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("mandoc: %v\n%s", err, out)
	}
}

// missingIn names the verbs and flags below app that a page does not have.
func missingIn(page string, app *cli.App) (missing []string) {
	need := func(macro string) {
		if !regexp.MustCompile(regexp.QuoteMeta(macro) + `\b`).MatchString(page) {
			missing = append(missing, macro)
		}
	}
	flags := func(flags []cli.Flag) {
		for _, f := range flags {
			for _, name := range f.Names() {
				if len(name) > 1 {
					name = "-" + name
				}
				need("Fl " + name)
			}
		}
	}
	flags(app.Flags)
	for _, v := range app.Commands {
		flags(v.Flags)
		if len(v.Subcommands) == 0 {
			need("Cm " + v.Name)
		}
		for _, sub := range v.Subcommands {
			need("Cm " + v.Name + " " + sub.Name)
			flags(sub.Flags)
		}
	}
	return missing
}
