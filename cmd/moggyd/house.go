package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/desk"
	"moggy/cmd/internal/keep"
	"moggy/greylist"
	"moggy/metrics"
	"moggy/proxy"
	"moggy/proxy/relay"
	"moggy/proxy/tarpit"
	"moggy/verdict/journal"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// A house is the running daemon: everything that was opened, and how it is
// closed again.
type house struct {
	cfg     *config.Config
	log     *slog.Logger
	store   keep.Store
	book    *whitelist.Book
	traps   *greylist.Traps
	judge   *proxy.Judge
	journal *journal.Journal
	names   *desk.Names
	pit     *tarpit.Pit
	metrics *metrics.Metrics
	server  *proxy.Server
	family  atomic.Pointer[family] // nil: not opened yet
	fleet   *budget.Fleet          // nil: there is one door
	started time.Time
	asked   atomic.Pointer[desk.Settings] // as the operator's tool is told them
	loaded  atomic.Pointer[desk.Config]   // how the configuration in force compares with its file
	counted atomic.Pointer[count]         // the allow list, when it was last counted

	wait  sync.WaitGroup
	undo  []func() error // last opened, first closed
	given given          // sockets that were opened for us, and that nothing has taken yet
	admin net.Listener
	desk  net.Listener
}

// open builds the house, one straight line from the configuration to a server
// that is ready to serve. What was opened before an error is closed again.
func open(ctx context.Context, cfg *config.Config, log *slog.Logger) (_ *house, err error) {
	h := &house{cfg: cfg, log: log, started: time.Now()}
	h.loaded.Store(&desk.Config{Loaded: h.started})
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if h.given, err = takeGiven(); err != nil {
		return nil, err
	}
	h.later(func() error { h.given.close(); return nil })
	for _, part := range []func(context.Context) error{h.openStore, h.openRecords, h.openNames, h.openFamily, h.openServer, h.openDesk} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	return h, h.given.left()
}

// openStore opens what is kept, and makes the judge of it.
func (h *house) openStore(ctx context.Context) (err error) {
	if h.store, err = keep.Open(h.cfg, h.log); err != nil {
		return err
	}
	h.later(h.store.Close)
	h.book, err = whitelist.Open(ctx, whitelist.Options{
		Store: h.store, Local: desk.LocalEntries(h.cfg), Now: h.started, Changed: h.changed})
	if err != nil {
		return err
	}
	h.later(func() error { h.book.Flush(time.Now()); return nil })
	if h.traps, err = greylist.OpenTraps(ctx, h.store, h.cfg.Trap.Addresses, h.started); err != nil {
		return err
	}
	h.judge = proxy.NewJudge(h.book, h.store, h.traps, desk.TimersOf(h.cfg))
	h.judge.Degraded = h.store.Degraded
	if others, ok := h.store.(budget.Exchanger); ok {
		h.fleet = budget.NewFleet(others)
		h.judge.Meter = h.fleet
	}
	h.apply(h.cfg)
	return nil
}

// openRecords opens the journal, and makes the numbers.
func (h *house) openRecords(context.Context) (err error) {
	h.journal, err = journal.Open(journal.Options{
		Dir: desk.JournalDir(h.cfg.StateDir), Size: int64(h.cfg.Journal.Size), Log: h.log, Told: h.told()})
	if err != nil {
		return err
	}
	h.later(h.journal.Close)
	h.metrics = metrics.New(metrics.Options{Version: version(), Revision: revision(), Listeners: listenerNames(h.cfg),
		Lists: desk.ListNames(h.cfg), Blockers: blockers(), Gauges: h.gauges()})
	h.metrics.ConfigLoaded(h.started)
	return nil
}

// openNames opens what is asked of DNS.
func (h *house) openNames(context.Context) (err error) {
	h.names, err = desk.NewNames(h.cfg, desk.NamesOptions{Log: h.log, Asked: h.metrics.Asked, Found: h.metrics.OriginFound,
		Events: listEvents{h.metrics, h.journal}})
	if err != nil {
		return err
	}
	h.later(h.names.Close)
	h.judge.Lists, h.judge.Finder = h.names.Lists, h.names.Finder
	return nil
}

// openServer opens the doors.
func (h *house) openServer(context.Context) error {
	h.pit = tarpit.New(tarpit.Options{Slots: slots(h.cfg), Gap: h.cfg.Tarpit.Gap, Timeout: h.cfg.Talk.Timeout, Linger: linger})
	doors, err := h.doors()
	if err != nil {
		return err
	}
	h.server = proxy.New(proxy.Options{Judge: h.judge, Pit: h.pit, Journal: h.journal, Metrics: h.metrics, Log: h.log,
		Settings: settings(h.cfg), Doors: doors, Grace: h.cfg.Grace, Visitors: visitors(), Line: visitors(),
		Healthy: h.store.Healthy, Dropped: h.journal.Dropped})
	return nil
}

// openDesk opens what the operator's tool and browsers talk to.
func (h *house) openDesk(context.Context) (err error) {
	if h.desk, err = desk.Listen(desk.SocketPath(h.cfg.StateDir)); err != nil {
		return err
	}
	h.later(h.desk.Close)
	if h.admin, err = h.listen(h.cfg.Admin.Address, "[admin] address"); err != nil {
		return err
	}
	h.later(h.admin.Close)
	return nil
}

// linger is how long a peer that we hang up on may take to read our last word.
const linger = 2 * time.Second

// firstAsk is how long the start waits for backends that do not answer; they are
// asked again later.
const firstAsk = 3 * time.Second

// serve lives until ctx ends. The desk and the admin page outlive the server, so
// that an operator can watch it end.
func (h *house) serve(ctx context.Context) error {
	asked, cancel := context.WithTimeout(ctx, firstAsk)
	defer cancel()
	if err := h.server.Check(asked); err != nil {
		return fmt.Errorf("%w; set forward = \"proxy-v2\" and let the backend read the PROXY header, or take moggy's address out of its networks", err)
	}
	around, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.wait.Go(func() { desk.Serve(around, h.desk, h.local()) })
	h.wait.Go(func() { metrics.Serve(around, h.admin, h.metrics.Handler(h.health())) })
	h.wait.Go(func() { h.flushes(around) })
	h.wait.Go(func() { h.store.Follow(around, h.book, h.traps) })
	if h.fleet != nil {
		h.wait.Go(func() { h.fleet.Run(around) })
	}
	h.wait.Go(func() { h.family.Load().run(around) })
	if h.names.Lists != nil {
		h.wait.Go(func() { h.names.Lists.Watch(around) })
	}
	h.announce()
	err := h.server.Serve(ctx)
	stop()
	h.wait.Wait()
	h.log.Info("moggyd ends")
	return err
}

// announce says what is served, and what is missing for it to be of use.
func (h *house) announce() {
	for _, l := range h.cfg.Listeners {
		h.log.Info("listening", "listener", l.Name, "address", l.Address, "backend", l.Backend, "forward", l.Forward, "mode", h.cfg.Mode)
	}
	h.log.Info("moggyd is ready", "version", version(), "state", h.cfg.StateDir, "admin", h.admin.Addr(), "slots", h.pit.Slots())
	for name, err := range h.server.Ready() {
		h.log.Warn("no mail gets through yet: the backend cannot be used", "listener", name, "error", err,
			"do", "start the mail server behind it, or name the right one as backend; see README.md, \"In front of Postfix\"")
	}
}

// apply puts what can change while moggyd runs in force for the judge and the desk.
func (h *house) apply(cfg *config.Config) {
	timers, limits, asked := desk.TimersOf(cfg), desk.LimitsOf(cfg), desk.SettingsOf(cfg)
	h.judge.Timers.Store(&timers)
	h.judge.Limits.Store(&limits)
	h.asked.Store(&asked)
}

func (h *house) later(close func() error) { h.undo = append(h.undo, close) }

func (h *house) close() {
	for i := len(h.undo) - 1; i >= 0; i-- {
		if err := h.undo[i](); err != nil && !errors.Is(err, net.ErrClosed) {
			h.log.Error("while closing", "error", err)
		}
	}
}

// changed passes changes of the allow list on to open connections.
func (h *house) changed(net netip.Prefix) {
	h.familyChanged(net)
	if h.server != nil {
		h.server.Changed(net)
	}
}

// flushes gives times of use to the store now and then.
func (h *house) flushes(ctx context.Context) {
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			h.book.Flush(now)
		}
	}
}

// flushEvery is how much of "last used" a crash may lose.
const flushEvery = 10 * time.Minute

// doors opens every listener.
func (h *house) doors() (doors []proxy.DoorOptions, err error) {
	for _, l := range h.cfg.Listeners {
		var form relay.Form
		if err := form.UnmarshalText([]byte(l.Forward)); err != nil {
			return nil, err
		}
		ln, err := h.listen(l.Address, fmt.Sprintf("listener %q", l.Name))
		if err != nil {
			return nil, err
		}
		h.later(ln.Close)
		doors = append(doors, proxy.DoorOptions{Name: l.Name, Service: desk.ServiceOf(&l), Tongue: tongue(&l), Listen: ln, Idle: l.Idle, TrustProxy: l.TrustProxy,
			Backend: relay.Backend{Address: l.Backend, Form: form, Source: l.Source}})
	}
	return doors, nil
}

// tongue is what a refusal is said in, by the convention of the listener's port.
func tongue(l *config.Listener) proxy.Tongue {
	_, port, err := net.SplitHostPort(l.Address)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil {
		return proxy.Silent
	}
	return proxy.TongueOf(uint16(n))
}

// listen opens a TCP listener, unless one was given. An IPv4 address, 0.0.0.0 too,
// means IPv4 alone, so that [::] can have a listener of its own.
func (h *house) listen(address, what string) (net.Listener, error) {
	network := "tcp"
	if host, _, err := net.SplitHostPort(address); err == nil && strings.Contains(host, ":") {
		network = "tcp6"
	} else if net.ParseIP(host) != nil {
		network = "tcp4"
	}
	if l := h.given.take(network, address); l != nil {
		return l, nil
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; is another program there? name a free address", what, err)
	}
	return l, nil
}

func listenerNames(cfg *config.Config) (names []string) {
	for _, l := range cfg.Listeners {
		names = append(names, l.Name)
	}
	return names
}

func settings(cfg *config.Config) *proxy.Settings {
	return &proxy.Settings{
		Policy:  desk.PolicyOf(cfg),
		Stutter: cfg.Tarpit.Stutter, Recipients: cfg.Talk.Recipients, Errors: cfg.Talk.Errors,
	}
}
