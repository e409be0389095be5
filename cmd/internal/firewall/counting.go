package firewall

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"moggy/whitelist/foreign"
)

// count is how a rule counts connections of one source.
type count struct {
	words   string // "max-src-conn-rate 15/5"
	allowed int    // as many connections at once as do not trip it
	cuts    bool   // it keeps out what exceeds it by itself
	before  string // the rule to put before it so that the known-good never meet it
}

// A Finding is a rule that counts the connections of one source and cuts it off:
// a trap for mail programs, which open several for each account at once.
type Finding struct {
	By       string // "pf", "nft", "iptables"
	Rule     string // where it is, and what it says
	Counts   string // "max-src-conn-rate 15/5"
	Allowed  int    // as many connections at once do not trip it
	Accounts int    // as many accounts in one mail program do trip it
	Bans     string // the set or table that who trips it is put in; "" only those connections are lost
	Guarded  bool   // the known-good are let through before it
	Before   string // the rule to put before it so that they are
}

// connectionsPerAccount is what a mail program opens at once for one account: two
// to read and one to send (CLASSES.md, section 2).
const connectionsPerAccount = 3

// accounts is the number of accounts whose connections trip a rule when they all
// come at once. max-src-conn-rate 15/5 lets 5 accounts pass and trips at 6.
func accounts(allowed int) int { return allowed/connectionsPerAccount + 1 }

// String is the finding in one sentence.
func (f Finding) String() string {
	return fmt.Sprintf("%s counts client ports: %s trips at %d accounts x %d connections", f.Rule, f.Counts, f.Accounts, connectionsPerAccount)
}

// Counting returns the rules that count client ports, of all firewalls. With an
// error they are those that could be read; a firewall that is not there is none.
func (m Machine) Counting(ctx context.Context) (found []Finding, err error) {
	var faults []error
	for _, read := range []func(context.Context) ([]Finding, error){
		(&pf{m: m}).counting, (&nft{m: m}).counting, (&iptables{m: m}).counting,
	} {
		more, err := read(ctx)
		if err != nil && !errors.Is(err, foreign.ErrAbsent) {
			faults = append(faults, err)
		}
		found = append(found, more...)
	}
	return found, oneLine(faults)
}

// trap is a rule that counts, until it is known what becomes of its sets.
type trap struct {
	*rule
	guarded bool
}

// count notes a rule that counts connections that mail programs or browsers make.
func (w *walk) count(r *rule, s scene) {
	ports := r.ports
	if ports == nil {
		ports = s.ports
	}
	if r.counts == nil || !clientPorts(ports) {
		return
	}
	if slices.ContainsFunc(w.traps, func(t trap) bool { return t.rule == r }) {
		return
	}
	guarded := slices.ContainsFunc(s.passed, func(g *group) bool { return g.ours }) || covered(ports, w.let)
	w.traps = append(w.traps, trap{r, guarded})
}

// covered reports whether all ports of a rule are among others; a rule that names
// none asks for all there are.
func covered(ports, among []port) bool {
	return len(ports) > 0 && !slices.ContainsFunc(ports, func(p port) bool {
		return !slices.ContainsFunc(among, func(o port) bool { return o.from <= p.from && p.to <= o.to })
	})
}

// findings are the traps that cut somebody off.
func (w *walk) findings(by string) (found []Finding) {
	for _, t := range w.traps {
		bans := ""
		for _, g := range t.fills {
			if g.dropped {
				bans = g.where
			}
		}
		cuts := t.counts.cuts || t.verdict == drop || t.verdict == jump && w.set.drops(t.to)
		if bans == "" && !cuts {
			continue
		}
		found = append(found, Finding{By: by, Rule: t.String(), Counts: t.counts.words, Allowed: t.counts.allowed,
			Accounts: accounts(t.counts.allowed), Bans: bans, Guarded: t.guarded, Before: t.counts.before})
	}
	return found
}

// drops reports whether a chain drops anything by itself.
func (s *ruleset) drops(name string) bool {
	c := s.chains[name]
	return c != nil && slices.ContainsFunc(c.rules, func(r *rule) bool { return r.verdict == drop })
}

// clientPorts reports whether mail programs, browsers or mail servers connect to
// one of the ports; none named are all.
func clientPorts(ports []port) bool {
	for _, p := range ports {
		for _, client := range [...]int{25, 80, 110, 143, 443, 465, 587, 993, 995, 4190} {
			if p.from <= client && client <= p.to {
				return true
			}
		}
	}
	return len(ports) == 0
}
