package firewall

import (
	"slices"
	"strings"

	"moggy/whitelist/foreign"
)

// walk goes the way of packets that come in, through all base chains, and notes
// who is dropped on it and who is not.
type walk struct {
	set    *ruleset
	steps  int // rules that may still be looked at: a bound on chains that jump to and fro
	blocks []foreign.Block
	full   bool // there are more than maxBlocks
	traps  []trap
	let    []port // at which the known-good were let through so far
}

// The bounds of a walk.
const (
	maxDepth = 16 // chains that jumped into another
	maxSteps = 100_000
)

// scene says who comes to a rule.
type scene struct {
	from   *group   // only sources of this group; nil: any
	passed []*group // sources that do not come this far
	steady bool     // the next connection of the same source comes here too
	ports  []port   // only to these; nil: any
	depth  int
}

// walkAll goes through the base chains.
func (s *ruleset) walkAll() *walk {
	w := &walk{set: s, steps: maxSteps}
	for _, name := range s.order {
		w.chain(name, scene{steady: true, depth: maxDepth})
	}
	return w
}

// chain goes through one chain, and returns the groups that are accepted in it.
func (w *walk) chain(name string, s scene) (accepted []*group) {
	c := w.set.chains[name]
	if c == nil || s.depth == 0 {
		return nil
	}
	s.passed = slices.Clip(s.passed)
	for _, r := range c.rules {
		if w.steps--; w.steps < 0 {
			return accepted
		}
		met := w.rule(r, s)
		s.passed = append(s.passed, met...)
		if r.verdict != back {
			accepted = append(accepted, met...)
		}
	}
	return accepted
}

// rule meets one rule, and returns the groups that never come to the next one.
func (w *walk) rule(r *rule, s scene) (passed []*group) {
	w.count(r, s)
	here := r.from
	if here == nil {
		here = s.from
	}
	switch r.verdict {
	case jump:
		in := scene{from: here, passed: s.passed, steady: s.steady && r.steady, ports: s.ports, depth: s.depth - 1}
		if r.ports != nil {
			in.ports = r.ports
		}
		passed = w.chain(r.to, in)
		if !r.plain {
			passed = nil // they are accepted there, but not all of theirs comes there
		}
	case drop:
		if here != nil && r.steady && s.steady {
			w.block(r, here, s)
		}
	case accept, back:
		if here != nil && r.plain {
			passed = []*group{here}
		} else if here != nil && here.ours && r.steady {
			w.let = append(w.let, r.ports...)
		}
	}
	return passed
}

// block makes blocks of the members of a group that come to the rule r.
func (w *walk) block(r *rule, g *group, s scene) {
	if g.ours {
		return
	}
	g.dropped = true
	members := g.all()
	if g.told == nil {
		g.told = make([]bool, len(members))
		w.blocks = slices.Grow(w.blocks, min(len(members), maxBlocks-len(w.blocks)))
	}
	text := ruleText(r, g)
	for i, m := range members {
		if g.told[i] || !s.meets(g, m) {
			continue
		}
		if len(w.blocks) == maxBlocks {
			w.full = true
			return
		}
		g.told[i] = true
		w.blocks = append(w.blocks, foreign.Block{Net: m.net, By: g.by, Where: g.where, Rule: text,
			Since: m.since, Until: m.until, Lift: m.lift, Hint: hint(m, r, g)})
	}
}

// meets reports whether a member of g comes this far.
func (s scene) meets(g *group, m member) bool {
	if s.from != nil && s.from != g && !s.from.cover().holds(m.net) {
		return false
	}
	return !slices.ContainsFunc(s.passed, func(p *group) bool { return p.cover().holds(m.net) })
}

// hint says what there is to know and to do beside lifting the block.
func hint(m member, r *rule, g *group) string {
	var parts []string
	for _, part := range []string{m.hint, r.note} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if g.before != "" {
		parts = append(parts, "so that it does not come again, moggy doctor says what to put before that rule")
	}
	return strings.Join(parts, "; ")
}

// ruleText says what counted, if something did, and what drops.
func ruleText(r *rule, g *group) string {
	if g.filled != "" && g.filled != r.String() {
		return g.filled + "; dropped by " + r.place
	}
	return r.String()
}

// String is the rule with its place.
func (r *rule) String() string {
	if r.text == "" {
		return r.place
	}
	return line(r.place + ": " + r.text)
}
