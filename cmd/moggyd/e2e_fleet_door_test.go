package main_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"moggy/cmd/internal/desk"
	"moggy/cmd/internal/peers"
	"moggy/verdict/journal"
)

// fleetToml takes the state directory, the addresses of the listener and of the
// backend, the store and the address of the admin page.
const fleetToml = `
hostname = "mx.moggy.test"
state_dir = %q
grace = "1s"
[store]
url = %q
[[listener]]
name = "smtp"
address = %q
backend = %q
[greylist]
origin = "network"
pass = "2s"
pass_unnamed = "2s"
[tarpit]
stutter = "1s"
gap = "50ms"
[admin]
address = %q
`

// A fleetDoor is one moggyd of the fleet, which is killed now and then.
type fleetDoor struct {
	*fleet
	name        string
	dir         string
	mail, admin string

	mu    sync.Mutex
	lives []*life // the last may go on
}

// A life of a door, from its start to its end.
type life struct {
	begun time.Time
	ready time.Time // when it was first seen to serve
	ended time.Time // when it was told to; zero: not yet
	gone  time.Time // when it had
	cmd   *exec.Cmd
	done  chan struct{}
	told  []time.Time // when it was asked, and Redis had all that it knew
	harm  string      // series that say so
	alone bool        // it could not read Redis when it began, and says so
}

func (f *fleet) openDoor(i int) *fleetDoor {
	f.t.Helper()
	d := &fleetDoor{fleet: f, name: fmt.Sprint("door", i), dir: f.t.TempDir(), mail: peers.FreeAddress(f.t), admin: peers.FreeAddress(f.t)}
	text := fmt.Sprintf(fleetToml, d.state(), f.redis.URL("fleet"), d.mail, f.sink.address, d.admin) +
		classToml("hasty", hasty) + classToml("sticky", sticky) + classToml("steady", steady)
	if err := os.WriteFile(d.config(), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(d.clear)
	if err := d.start(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	return d
}

func (d *fleetDoor) state() string  { return filepath.Join(d.dir, "state") }
func (d *fleetDoor) config() string { return filepath.Join(d.dir, "moggy.toml") }

// start starts the door and returns when it serves.
func (d *fleetDoor) start(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	said, err := log.Stat()
	if err != nil {
		return err
	}
	l := &life{begun: time.Now(), cmd: exec.Command(d.moggyd, "-c", d.config()), done: make(chan struct{})}
	l.cmd.Stdout, l.cmd.Stderr, l.cmd.SysProcAttr = log, log, child()
	if err := l.cmd.Start(); err != nil {
		return err
	}
	go func() { // ends when the process does; kill waits for it
		defer close(l.done)
		l.cmd.Wait() // how it ended is in its log
	}()
	ready := func() bool { _, err := d.page("/metrics"); return err == nil || l.over() }
	if err := peers.Poll(ctx, ready); err != nil || l.over() {
		l.cmd.Process.Kill()
		return fmt.Errorf("%s did not start: %v; it said %s", d.name, err, d.lastWords())
	}
	l.ready = time.Now()
	l.alone = strings.Contains(d.words(said.Size()), "this machine's copy")
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lives = append(d.lives, l)
	return nil
}

func (l *life) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// words is what the door said, from some byte on.
func (d *fleetDoor) words(from int64) string {
	log, _ := os.ReadFile(filepath.Join(d.dir, "log")) // it cannot be lost
	return string(log[min(from, int64(len(log))):])
}

func (d *fleetDoor) lastWords() string {
	log := d.words(0)
	return log[max(0, len(log)-4000):]
}

// kill ends the door with a signal.
func (d *fleetDoor) kill(s os.Signal) {
	d.look()
	l := d.life()
	d.mu.Lock()
	l.ended = time.Now()
	d.mu.Unlock()
	defer func() { l.gone = time.Now() }()
	l.cmd.Process.Signal(s)
	select {
	case <-l.done:
	case <-time.After(20 * time.Second):
		l.cmd.Process.Kill()
		<-l.done
		d.t.Errorf("%s did not end when it was asked to", d.name)
	}
}

// clear ends the door after the test.
func (d *fleetDoor) clear() {
	if l := d.life(); l != nil && !l.over() {
		d.kill(syscall.SIGKILL)
	}
	if d.t.Failed() {
		d.t.Logf("the last words of %s:\n%s", d.name, d.lastWords())
	}
}

// life is the door's last one; nil: it had none.
func (d *fleetDoor) life() *life {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.lives) == 0 {
		return nil
	}
	return d.lives[len(d.lives)-1]
}

func (d *fleetDoor) page(path string) (string, error) {
	client := http.Client{Timeout: 5 * time.Second}
	r, err := client.Get("http://" + d.admin + path)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = errors.New(r.Status)
	}
	return string(text), err
}

// look notes what the door says of itself: whether it did harm, and whether Redis
// has all that it knows.
func (d *fleetDoor) look() {
	l := d.life()
	asked := time.Now()
	text, err := d.page("/metrics")
	if err != nil || l.over() {
		return
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case strings.HasPrefix(name, `moggy_harm_total{class="other"}`): // knockers, who are refused for a reason
		case strings.HasPrefix(name, "moggy_harm_total") && value != "0":
			l.harm += line
		case name == "moggy_store_up" && value == "1":
			d.mu.Lock()
			l.told = append(l.told, asked)
			d.mu.Unlock()
		}
	}
}

// looks looks at the door again and again.
func (d *fleetDoor) looks(ctx context.Context) {
	for rest(ctx, time.Now().Add(500*time.Millisecond)) {
		d.look()
	}
}

// records is the door's journal, of all its lives.
func (d *fleetDoor) records() (all []journal.Record) {
	d.t.Helper()
	for r, err := range journal.Read(desk.JournalDir(d.state())) {
		if errors.Is(err, journal.ErrCorrupt) { // half a line of a door that was killed
			continue
		}
		if err != nil {
			d.t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// tool runs moggy for the door.
func (d *fleetDoor) tool(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, d.moggy, append([]string{"-c", d.config()}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// history is the lives of the door, for people.
func (d *fleetDoor) history() string {
	var all []string
	for _, l := range d.lives {
		text := fmt.Sprintf("%.3fs to ", l.ready.Sub(d.seen.began).Seconds())
		if !l.ended.IsZero() {
			text += fmt.Sprintf("%.3fs", l.ended.Sub(d.seen.began).Seconds())
		}
		all = append(all, text)
	}
	return "the door served from " + strings.Join(all, ", ")
}
