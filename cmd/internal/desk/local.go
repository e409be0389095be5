package desk

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"moggy/cmd/internal/keep"
	"moggy/proxy"
	"moggy/whitelist"
	"moggy/whitelist/foreign"
)

// A Daemon is the running proxy, as far as an operator asks for it.
// *proxy.Server is one.
type Daemon interface {
	Guests() []proxy.Guest
	Ready() map[string]error // what keeps a listener from working, by its name
	Alarms() []proxy.Alarm   // that stand
	Recheck(context.Context) // asks backends again
	Hides(netip.Addr, whitelist.Standing) bool
}

// A Watch looks for what blocks addresses outside moggy. *foreign.Watch is one.
type Watch interface {
	Look(context.Context) foreign.Report
	About(context.Context, netip.Addr) ([]foreign.Block, foreign.Report)
	Last() foreign.Report
}

// Options are what a Local is made of.
type Options struct {
	Judge    *proxy.Judge    // with its book, greylist, traps, finder, lists and timers
	Settings func() Settings // those in force
	Daemon   Daemon          // nil: the daemon is down
	Figures  func() Figures  // nil: none
	Foreign  Watch           // nil: nobody looks
	Health   func() Health   // nil: nothing is known of it
	Store    keep.Store      // for what other doors have decided; nil: there are none
}

// Local is the Desk over the things themselves. Its methods may be called from
// many goroutines.
type Local struct {
	Options
	now func() time.Time

	// Without a daemon:
	names    *Names    // that the Judge asks
	nameless error     // why DNS cannot be asked; nil: it can
	probed   sync.Once // the lists, which nobody watches
}

// NewLocal makes a Local.
func NewLocal(o Options) *Local { return &Local{Options: o, now: time.Now} }

var _ Desk = (*Local)(nil)

// look is what the list knows of the first address of net, without a trace.
func (l *Local) look(net netip.Prefix) Standing {
	return standingOf(l.Judge.Book.List().Look(net.Addr(), whitelist.Anywhere, l.now()))
}

// guests are the open connections from net.
func (l *Local) guests(net netip.Prefix) (in []proxy.Guest) {
	if l.Daemon == nil {
		return nil
	}
	for _, g := range l.Daemon.Guests() {
		if net.Contains(whitelist.CanonicalAddr(g.Peer.Addr())) {
			in = append(in, g)
		}
	}
	return in
}
