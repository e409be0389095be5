// Command moggy asks the mail proxy moggyd what it does and why, and tells it
// whom to let in. moggy(1) describes it.
//
// It knows what operators type and how answers look. It does not know how they
// are found: package desk does, by the daemon or by itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/desk"
	"moggy/cmd/internal/firewall"
)

func main() { os.Exit(run(os.Args, system())) }

// The exit statuses.
const (
	yes        = 0 // yes, done
	no         = 1
	cannotTell = 2 // or wrong usage
)

// A tool is one run of moggy: what it may look at, and where it writes.
type tool struct {
	out, err io.Writer
	env      func(string) string
	now      func() time.Time
	resolve  func(context.Context, string) ([]netip.Addr, error)
	terminal bool // out is one

	machine firewall.Machine // whose firewalls are looked at
	keys    *os.File         // what the operator types; nil: nothing is read

	json bool
	file string         // of the configuration; "": the default
	cfg  *config.Config // once it was read
}

// system is the tool as it runs on a machine.
func system() *tool {
	return &tool{out: os.Stdout, err: os.Stderr, env: os.Getenv, now: time.Now, terminal: isTerminal(os.Stdout), keys: os.Stdin,
		resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// run does what args say, and returns the exit status.
func run(args []string, t *tool) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app := t.app()
	return t.exit(app.RunContext(ctx, reorder(app, args)))
}

// What has been said already, and is only a status any more.
var (
	errNo   = errors.New("no")
	errSaid = errors.New("cannot tell")
)

// exit tells err and returns the exit status.
func (t *tool) exit(err error) int {
	if err == nil {
		return yes
	}
	switch {
	case errors.Is(err, errNo):
		return no
	case errors.Is(err, errSaid):
		return cannotTell
	}
	if t.tellFaults(err) {
		return cannotTell
	}
	fmt.Fprintf(t.err, "moggy: %s\n", sentences(err.Error()))
	if desk.KindOf(err) == desk.No {
		return no
	}
	return cannotTell
}

// An order is what is done at a desk.
type order func(context.Context, desk.Desk) error

// ask does f at the desk, and leaves nothing behind where there is no store.
func (t *tool) ask(ctx context.Context, f order) error { return t.atDesk(ctx, false, f) }

// change does f at the desk. Where moggyd is down it says so: what was changed
// is kept all the same.
func (t *tool) change(ctx context.Context, f order) error { return t.atDesk(ctx, true, f) }

func (t *tool) atDesk(ctx context.Context, changes bool, f order) error {
	cfg, err := t.config(ctx)
	if err != nil {
		return err
	}
	d, closer, daemon, err := desk.Open(ctx, cfg, changes)
	if err != nil {
		return err
	}
	if err := errors.Join(f(ctx, d), closer.Close()); err != nil {
		return err
	}
	if changes && !daemon && !t.json {
		fmt.Fprintln(t.err, "moggyd is not running: this counts from its next start")
	}
	return nil
}
