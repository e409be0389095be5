package firewall

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// ruleset is what the rules of nft and of iptables have in common: chains of
// rules, some of which packets enter from outside.
type ruleset struct {
	chains map[string]*chain
	order  []string // the names of base chains, as they were read
}

type chain struct {
	base  bool // packets that come in enter here
	rules []*rule
}

// verdict is what a rule does with what matches.
type verdict int

const (
	goOn verdict = iota // nothing that decides
	accept
	drop // or reject
	back // return to the chain that jumped here
	jump // or goto
)

// rule is one rule, as far as it can keep an address out.
type rule struct {
	place   string // "inet guard in handle 7", "-A INPUT"
	text    string // in the firewall's own words
	note    string // what people should know of it
	from    *group // the sources it asks for; nil: any
	plain   bool   // sources are all it asks for
	steady  bool   // it meets the next connection of the same source again
	verdict verdict
	to      string   // the chain to jump to
	ports   []port   // destinations it asks for; nil: any, or not known
	fills   []*group // sets it puts sources into
	counts  *count   // nil: it counts nothing
}

// group is a set, or what a rule says literally.
type group struct {
	by, where string // as in foreign.Block
	ours      bool   // kept by moggy
	load      func() []member
	filled    string // the rule that puts addresses in; "": none does
	before    string // the rule to put before that one so that no known-good is
	loaded    bool
	members   []member
	told      []bool // which members are blocks already
	dropped   bool   // a rule drops what is in it
	holder    *cover
}

// member is a network of a group.
type member struct {
	net          netip.Prefix
	since, until time.Time
	lift         []string
	hint         string
}

// all loads the members when they are needed first.
func (g *group) all() []member {
	if !g.loaded && g.load != nil {
		g.members = g.load()
	}
	g.loaded = true
	return g.members
}

func (g *group) cover() *cover {
	if g.holder == nil {
		g.holder = newCover()
		for _, m := range g.all() {
			g.holder.add(m.net)
		}
	}
	return g.holder
}

// add puts a rule at the end of a chain.
func (s *ruleset) add(chainName string, r *rule) {
	c := s.chain(chainName)
	c.rules = append(c.rules, r)
}

func (s *ruleset) chain(name string) *chain {
	if s.chains == nil {
		s.chains = make(map[string]*chain)
	}
	c := s.chains[name]
	if c == nil {
		c = new(chain)
		s.chains[name] = c
	}
	return c
}

// base makes a chain one that packets enter.
func (s *ruleset) base(name string) {
	if c := s.chain(name); !c.base {
		c.base = true
		s.order = append(s.order, name)
	}
}

// goodPorts are the ports at which the known-good are to be let through before a rule:
// those that it counts, and never more, because the same chain may guard others. Of a
// rule that names none they are those of mail and the web.
func goodPorts(counted []port, between string) string {
	if len(counted) == 0 {
		for _, n := range [...]int{25, 80, 110, 143, 443, 465, 587, 993, 995} {
			counted = append(counted, port{n, n})
		}
	}
	var words []string
	for _, p := range counted {
		word := strconv.Itoa(p.from)
		if p.to != p.from {
			word += "-" + strconv.Itoa(p.to)
		}
		words = append(words, word)
	}
	return strings.Join(words, between)
}

// port is a range of ports that a rule asks for, both ends included.
type port struct{ from, to int }
