package desk

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/keep"
	"moggy/greylist"
	"moggy/proxy"
	"moggy/verdict"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// Settings are what of the configuration matters at the desk.
type Settings struct {
	Policy    verdict.Policy
	StateDir  string
	Store     string            // "embedded", or an address without its password
	Traps     []string          // that stand in the configuration
	Classes   []whitelist.Class // that it adds to the built-in ones
	Listeners []Listener
	Threshold int // from which sum of weights of DNS lists a peer is listed
	Hints     HintSources
	GoodSets  []string // nftables tables in which the sets of the good are kept in step
}

// HintSources are where it is learned who logged in.
type HintSources struct {
	Dovecot string   `json:"dovecot,omitempty"` // where Dovecot reports to; "": nowhere
	Key     bool     `json:"key,omitempty"`     // Dovecot has to send a key
	Logs    []string `json:"logs,omitempty"`    // that are followed
	SSH     bool     `json:"ssh,omitempty"`     // sessions of the operator
}

// Logins reports whether any of them tells of logins.
func (h HintSources) Logins() bool { return h.Dovecot != "" || len(h.Logs) > 0 }

// A Listener is an address that is accepted on, and where it leads.
type Listener struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Kind    string `json:"kind"`
	Backend string `json:"backend"`
	Forward string `json:"forward"`

	Service whitelist.Service `json:"service"`
}

// SettingsOf takes the settings out of a configuration.
func SettingsOf(c *config.Config) Settings {
	s := Settings{Policy: PolicyOf(c), StateDir: c.StateDir, Store: storeName(c.Store.URL), Traps: c.Trap.Addresses,
		Threshold: c.DNSBL.Threshold, GoodSets: c.Good.NFT,
		Hints: HintSources{Dovecot: c.Hints.Dovecot, Key: c.Hints.DovecotKey != "", Logs: c.Hints.Logs, SSH: c.Hints.SSH}}
	for name := range c.Classes {
		s.Classes = append(s.Classes, whitelist.Class(name))
	}
	slices.Sort(s.Classes)
	for _, l := range c.Listeners {
		s.Listeners = append(s.Listeners, Listener{l.Name, l.Address, l.Kind, l.Backend, l.Forward, ServiceOf(&l)})
	}
	return s
}

// PolicyOf is what a configuration tells the rules.
func PolicyOf(c *config.Config) verdict.Policy {
	return verdict.Policy{Hostname: c.Hostname, Observe: c.Observe(), GreyCode: c.Greylist.Code, TrapTTL: c.Trap.TTL}
}

// TimersOf is what a configuration tells the greylist.
func TimersOf(c *config.Config) greylist.Timers {
	g := c.Greylist
	return greylist.Timers{Pass: g.Pass, PassUnnamed: g.PassUnnamed, Window: g.Window, Remember: g.Remember}
}

// LimitsOf are the budgets of all classes: the built-in ones, as a configuration
// changes and adds to them.
func LimitsOf(c *config.Config) proxy.Limits {
	limits := proxy.Limits(budget.Defaults())
	for name, set := range c.Classes {
		class := whitelist.Class(name)
		l, ok := limits[class]
		if !ok {
			l = limits[whitelist.Peer] // a class of the operator's own is known
		}
		if set.Rate != (config.Rate{}) {
			l.Rate = set.Rate.PerMinute()
		}
		if set.Recipients != (config.Rate{}) {
			l.Recipients = set.Recipients.PerMinute()
		}
		l.Burst, l.Open = cmp.Or(set.Burst, l.Burst), cmp.Or(set.Open, l.Open)
		if set.Wait != nil {
			l.Wait = *set.Wait
		}
		limits[class] = l
	}
	return limits
}

// ServiceOf is what a listener serves.
func ServiceOf(l *config.Listener) whitelist.Service {
	switch {
	case l.Kind != config.KindStream:
		return whitelist.Mail
	case l.Crawlers:
		return whitelist.Web
	}
	return whitelist.Client
}

// storeName is a store's URL without user and password.
func storeName(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text
	}
	return scheme + "://" + rest[strings.LastIndexByte(rest, '@')+1:]
}

// The names of what lies in a state directory.

// StorePath is the file of the embedded store.
func StorePath(stateDir string) string { return keep.Path(stateDir) }

// SocketPath is the socket on which the daemon answers.
func SocketPath(stateDir string) string { return filepath.Join(stateDir, "control.sock") }

// JournalDir is where the journal lies.
func JournalDir(stateDir string) string { return filepath.Join(stateDir, "journal") }
