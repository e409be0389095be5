package firewall

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What `nft -j list ruleset` prints, see libnftables-json(5).
type (
	nftObject struct {
		Set   *nftSet   `json:"set"`
		Map   *nftSet   `json:"map"`
		Chain *nftChain `json:"chain"`
		Rule  *nftRule  `json:"rule"`
	}
	nftSet struct {
		Family  string            `json:"family"`
		Table   string            `json:"table"`
		Name    string            `json:"name"`
		Type    json.RawMessage   `json:"type"`
		Flags   json.RawMessage   `json:"flags"`
		Timeout int64             `json:"timeout"` // seconds
		Elem    []json.RawMessage `json:"elem"`
	}
	nftChain struct {
		Family string `json:"family"`
		Table  string `json:"table"`
		Name   string `json:"name"`
		Hook   string `json:"hook"`
	}
	nftRule struct {
		Family string                       `json:"family"`
		Table  string                       `json:"table"`
		Chain  string                       `json:"chain"`
		Handle int                          `json:"handle"`
		Expr   []map[string]json.RawMessage `json:"expr"`
	}
)

// nftObjects reads the objects of a ruleset one by one: only one of them is in
// memory twice.
func nftObjects(out []byte, each func(nftObject)) error {
	d := json.NewDecoder(bytes.NewReader(out))
	for { // to the list
		t, err := d.Token()
		if err != nil {
			return fmt.Errorf("not the JSON that is documented: %w", err)
		}
		if t == json.Delim('[') {
			break
		}
	}
	for d.More() {
		var o nftObject
		if err := d.Decode(&o); err != nil {
			return fmt.Errorf("not the JSON that is documented: %w", err)
		}
		each(o)
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("the JSON ends too early: %w", err)
	}
	return nil
}

// nftParser makes a ruleset of the objects.
type nftParser struct {
	set      ruleset
	now      time.Time
	texts    map[string]string
	iptables bool // what iptables can say of its tables it says itself
	sets     map[string]*nftSet
	groups   map[string]*group // by set, and by which part of its elements is the source
}

// parseNFT reads a ruleset. The texts are those of its rules by place.
func parseNFT(out []byte, texts map[string]string, iptables bool, now time.Time) (*ruleset, error) {
	p := &nftParser{now: now, texts: texts, iptables: iptables, sets: make(map[string]*nftSet), groups: make(map[string]*group)}
	var rules []*nftRule
	err := nftObjects(out, func(o nftObject) {
		switch {
		case o.Set != nil:
			p.sets[key(o.Set.Family, o.Set.Table, o.Set.Name)] = o.Set
		case o.Map != nil:
			p.sets[key(o.Map.Family, o.Map.Table, o.Map.Name)] = o.Map
		case o.Chain != nil && slices.Contains([]string{"prerouting", "input", "forward", "ingress"}, o.Chain.Hook):
			p.set.base(key(o.Chain.Family, o.Chain.Table, o.Chain.Name))
		case o.Rule != nil:
			rules = append(rules, o.Rule)
		}
	})
	for _, r := range rules {
		p.addRule(r)
	}
	return &p.set, err
}

// key names a thing of a table.
func key(family, table, name string) string { return family + " " + table + " " + name }

// group is a set of the table of a rule, nil if there is none of that name.
func (p *nftParser) group(n *nftRule, name string, at int) *group {
	name = key(n.Family, n.Table, name)
	s := p.sets[name]
	if s == nil {
		return nil
	}
	id := fmt.Sprint(name, " ", at)
	if p.groups[id] == nil {
		p.groups[id] = &group{by: "nft", where: "set " + name, ours: ours(s.Name),
			load: func() []member { return s.members(p.now, at, s.Elem) }}
	}
	return p.groups[id]
}

// addRule puts a rule into its chain: as one rule, or where a map says what to do
// with whom, as one for each thing to do.
func (p *nftParser) addRule(n *nftRule) {
	e := &nftExpr{parser: p, json: n}
	e.rule.place = fmt.Sprintf("%s handle %d", key(n.Family, n.Table, n.Chain), n.Handle)
	e.rule.text = p.texts[e.rule.place]
	e.rule.plain, e.rule.steady = true, true
	for _, expr := range n.Expr {
		for name, body := range expr {
			e.statement(name, body)
		}
	}
	if e.rule.counts != nil {
		e.rule.counts.before = p.before(n, e.rule.ports)
	}
	for _, g := range e.rule.fills {
		g.filled = e.rule.String()
		if e.rule.counts != nil {
			g.before = e.rule.counts.before
		}
	}
	chain := key(n.Family, n.Table, n.Chain)
	p.set.add(chain, &e.rule)
	for _, more := range e.mapped {
		p.set.add(chain, more)
	}
}

// before is the rule that lets the known-good through before those of a chain.
func (p *nftParser) before(n *nftRule, counted []port) string {
	insert := "nft insert rule " + key(n.Family, n.Table, n.Chain) + " tcp dport { " + goodPorts(counted, ", ") + " }"
	v4, v6 := insert+" ip saddr @"+Good4+" accept", insert+" ip6 saddr @"+Good6+" accept"
	switch n.Family {
	case "ip":
		return v4
	case "ip6":
		return v6
	}
	return v4 + "; " + v6
}

// theirs reports whether iptables speaks for the rules of a table that name an
// address literally. It knows nothing of the sets of nft.
func (p *nftParser) theirs(n *nftRule) bool {
	family := n.Family == "ip" || n.Family == "ip6"
	return p.iptables && family && slices.Contains([]string{"filter", "mangle", "raw", "nat", "security"}, n.Table)
}

// text is a JSON string, or "".
func text(raw json.RawMessage) (s string) {
	switch n := len(raw); {
	case n < 2 || raw[0] != '"':
	case !bytes.ContainsRune(raw, '\\'):
		return string(raw[1 : n-1]) // as most are
	default:
		json.Unmarshal(raw, &s) // what is none is ""
	}
	return s
}

// named is the name of a set in a JSON string, such as "@abusers".
func named(raw json.RawMessage) (string, bool) { return strings.CutPrefix(text(raw), "@") }
