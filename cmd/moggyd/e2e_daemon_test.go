package main_test

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"
	"time"

	"moggy/cmd/internal/desk"
	"moggy/cmd/internal/peers"
	"moggy/verdict/journal"
)

// conf is what differs between the tests' configurations.
type conf struct {
	Backend string
	Forward string     // default proxy-v2
	Source  netip.Addr // towards the backend
	Mode    string     // default enforce
	Pass    string     // default 2s
	Gap     string     // default 100ms
	Own     string     // a network of class own, beside this machine
	DNS     string     // a [dnsbl] section; then origins are asked for as well

	Mail, Admin, State string // filled in by start
}

// moggyToml is the configuration of every daemon: strangers wait for seconds.
var moggyToml = template.Must(template.New("moggy.toml").Parse(`
hostname = "mx.moggy.test"
state_dir = "{{.State}}"
mode = "{{.Mode}}"
grace = "20s"
local_networks = ["auto"{{with .Own}}, "{{.}}"{{end}}]

[[listener]]
name = "smtp"
address = "{{.Mail}}"
backend = "{{.Backend}}"
forward = "{{.Forward}}"
{{if .Source.IsValid}}source = "{{.Source}}"{{end}}

[greylist]
origin = "{{if .DNS}}dns{{else}}network{{end}}"
pass = "{{.Pass}}"
pass_unnamed = "{{.Pass}}"

[tarpit]
stutter = "1s"
gap = "{{.Gap}}"

[trap]
addresses = ["trap@` + peers.Domain + `"]

[admin]
address = "{{.Admin}}"

{{.DNS}}
`))

// A daemon is a moggyd with a configuration and a state of its own.
type daemon struct {
	programs
	conf
	t     *testing.T
	dir   string
	cmd   *exec.Cmd
	ended chan struct{}
	seen  int // bytes of its log from before the last start

	sockets []*os.File // that it is given
}

// start starts moggyd and returns when it is ready.
func (p programs) start(t *testing.T, c conf) *daemon {
	t.Helper()
	d := p.make(t, c)
	d.run()
	d.waitLog(`moggyd is ready`)
	return d
}

// make makes a daemon that is not running yet.
func (p programs) make(t *testing.T, c conf) *daemon {
	t.Helper()
	c.Mail, c.Admin = peers.FreeAddress(t), peers.FreeAddress(t)
	d := &daemon{programs: p, t: t, dir: t.TempDir()}
	c.State = filepath.Join(d.dir, "state")
	t.Cleanup(d.clear)
	d.configure(c)
	return d
}

// configure writes another configuration. A daemon that runs is not told.
func (d *daemon) configure(c conf) {
	d.t.Helper()
	c.Forward, c.Mode = cmp.Or(c.Forward, "proxy-v2"), cmp.Or(c.Mode, "enforce")
	c.Pass, c.Gap = cmp.Or(c.Pass, "2s"), cmp.Or(c.Gap, "100ms")
	var text strings.Builder
	if err := moggyToml.Execute(&text, c); err != nil {
		d.t.Fatal(err)
	}
	d.conf = c
	d.write(text.String())
}

func (d *daemon) write(text string) {
	d.t.Helper()
	if err := os.WriteFile(d.file("moggy.toml"), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *daemon) file(name string) string { return filepath.Join(d.dir, name) }

// run starts the process. It may end by itself.
func (d *daemon) run() {
	d.t.Helper()
	d.seen = len(d.wholeLog())
	log, err := os.OpenFile(d.file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	d.cmd = givenTo([]string{d.moggyd, "-c", d.file("moggy.toml")}, d.sockets...)
	d.cmd.Stdout, d.cmd.Stderr, d.cmd.SysProcAttr = log, log, child()
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	ended := make(chan struct{})
	d.ended = ended
	go func(cmd *exec.Cmd) { // ends when the process does; wait waits for it
		defer close(ended)
		cmd.Wait() // how it ended is in cmd.ProcessState
	}(d.cmd)
}

// clear ends the daemon, and shows what it said if the test failed.
func (d *daemon) clear() {
	if d.cmd != nil && !d.gone() {
		d.cmd.Process.Kill()
		<-d.ended
	}
	if d.t.Failed() {
		d.t.Logf("what moggyd said:\n%s", d.wholeLog())
	}
}

func (d *daemon) gone() bool {
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

func (d *daemon) signal(s os.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// wait waits until the daemon has ended, and returns its exit status.
func (d *daemon) wait() int {
	d.t.Helper()
	d.until("moggyd ends", d.gone)
	return d.cmd.ProcessState.ExitCode()
}

// again ends the daemon with a signal and starts it anew.
func (d *daemon) again(s os.Signal) {
	d.t.Helper()
	d.signal(s)
	d.wait()
	d.run()
	d.waitLog(`moggyd is ready`)
}

// until waits for something to become true; what names it.
func (d *daemon) until(what string, done func() bool) {
	d.t.Helper()
	if err := peers.Poll(d.t.Context(), done); err != nil {
		d.t.Fatalf("waited in vain until %s: %v", what, err)
	}
}

// log returns what the daemon has said since it was started last.
func (d *daemon) log() string {
	all := d.wholeLog()
	return all[min(d.seen, len(all)):]
}

func (d *daemon) wholeLog() string {
	text, err := os.ReadFile(d.file("log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		d.t.Error(err)
	}
	return string(text)
}

// waitLog waits for a line that matches and returns it.
func (d *daemon) waitLog(pattern string) (line string) {
	d.t.Helper()
	want := regexp.MustCompile(`(?m)^.*(?:` + pattern + `).*$`)
	d.until("the log says "+pattern, func() bool {
		line = want.FindString(d.log())
		return line != "" || d.gone()
	})
	if line == "" {
		d.t.Fatalf("moggyd ended and never said %s", pattern)
	}
	return line
}

// records returns the journal.
func (d *daemon) records() (all []journal.Record) {
	d.t.Helper()
	for r, err := range journal.Read(desk.JournalDir(d.State)) {
		if err != nil {
			d.t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// record waits for a record that is wanted, and returns the first.
func (d *daemon) record(what string, want func(journal.Record) bool) (found journal.Record) {
	d.t.Helper()
	d.until("the journal says "+what, func() bool {
		for _, r := range d.records() {
			if want(r) {
				found = r
				return true
			}
		}
		return false
	})
	return found
}

// decided waits for a decision by the rule.
func (d *daemon) decided(rule string) journal.Record {
	d.t.Helper()
	return d.record("decided by "+rule, func(r journal.Record) bool { return r.Event == journal.EventDecided && r.Rule == rule })
}

// outcome waits for a connection that ended so.
func (d *daemon) outcome(o journal.Outcome) journal.Record {
	d.t.Helper()
	return d.record("ended "+string(o), func(r journal.Record) bool { return r.Outcome == o })
}

// mature waits until what was deferred up to now may pass.
func (d *daemon) mature() {
	d.t.Helper()
	pass, err := time.ParseDuration(d.Pass)
	if err != nil {
		d.t.Fatal(err)
	}
	due := time.Now().Add(pass)
	d.until("a retry may pass", func() bool { return time.Now().After(due) })
}

// metric returns the value of a series, as the admin page shows it.
func (d *daemon) metric(series string) string {
	d.t.Helper()
	r, err := http.Get("http://" + d.Admin + "/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	d.t.Fatalf("there is no series %s", series)
	return ""
}

// waitMetric waits for a value of a series.
func (d *daemon) waitMetric(series, value string) {
	d.t.Helper()
	d.until(series+" is "+value, func() bool { return d.metric(series) == value })
}

// tool runs moggy, which has to succeed, and returns what it printed.
func (d *daemon) tool(args ...string) string {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), d.moggy, append([]string{"-c", d.file("moggy.toml")}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("moggy %q: %v\n%s", args, err, out)
	}
	return string(out)
}
