package firewall

import (
	"encoding/json"
	"fmt"
	"slices"
)

// nftExpr reads the statements of one rule.
type nftExpr struct {
	parser *nftParser
	json   *nftRule
	rule   rule
	mapped []*rule // of a verdict map: one rule for each verdict
}

// statement reads one statement: a match, a verdict, or something on the way.
func (e *nftExpr) statement(name string, body json.RawMessage) {
	r := &e.rule
	switch name {
	case "match":
		e.match(body)
	case "vmap":
		e.vmap(body)
	case "set":
		e.fill(body)
	case "meter":
		var m struct {
			Key  json.RawMessage `json:"key"`
			Stmt json.RawMessage `json:"stmt"`
		}
		json.Unmarshal(body, &m) // what is odd is no meter of sources
		e.counted(m.Key, m.Stmt)
		r.plain, r.steady = false, false
	case "counter", "log", "comment", "mangle", "notrack":
	default:
		if v, to := e.verdict(name, body); v != goOn {
			r.verdict, r.to = v, to
			return
		}
		r.plain, r.steady = false, false // a limit, a quota, something of iptables: not for every connection
	}
}

// verdict reads a verdict, as a statement or as what a map leads to.
func (e *nftExpr) verdict(name string, body json.RawMessage) (v verdict, chain string) {
	switch name {
	case "accept":
		return accept, ""
	case "drop", "reject":
		return drop, ""
	case "return":
		return back, ""
	case "jump", "goto":
		var to struct {
			Target string `json:"target"`
		}
		json.Unmarshal(body, &to) // a chain that is not there has no rules
		return jump, key(e.json.Family, e.json.Table, to.Target)
	}
	return goOn, ""
}

// match reads a condition. Those on the source say who is meant; some others
// leave the rule one for every connection to some port.
func (e *nftExpr) match(body json.RawMessage) {
	var m struct {
		Op    string          `json:"op"`
		Left  json.RawMessage `json:"left"`
		Right json.RawMessage `json:"right"`
	}
	json.Unmarshal(body, &m) // what is odd is an odd condition
	equal := m.Op == "==" || m.Op == "in"
	if at, ok := sourceAt(m.Left); ok && equal && e.rule.from == nil {
		e.rule.from = e.group(m.Right, at)
		e.rule.plain = e.rule.plain && !isConcat(m.Left)
		if e.rule.from != nil {
			return
		}
	}
	e.rule.plain = false
	if !equal || !e.steady(m.Left, m.Right) {
		e.rule.steady = false
	}
}

// group is the set, or the literal addresses, on the right of a match.
func (e *nftExpr) group(right json.RawMessage, at int) *group {
	if name, ok := named(right); ok {
		return e.parser.group(e.json, name, at)
	}
	var set struct {
		Set []json.RawMessage `json:"set"`
	}
	if json.Unmarshal(right, &set) == nil && set.Set != nil {
		return e.literal(set.Set, at)
	}
	if e.parser.theirs(e.json) {
		return nil
	}
	return e.literal([]json.RawMessage{right}, at)
}

// literal are the addresses that a rule names itself. Who is the only one may be
// lifted by taking the rule away.
func (e *nftExpr) literal(elements []json.RawMessage, at int) *group {
	n := e.json
	chain := key(n.Family, n.Table, n.Chain)
	load := func() []member {
		members := (&nftSet{}).members(e.parser.now, at, elements)
		for i := range members {
			members[i].lift, members[i].hint = nil, "the rule names more than one address; by hand: nft -a list chain "+chain
		}
		if len(members) == 1 && narrow(members[0].net) && plainName(n.Table) && plainName(n.Chain) {
			members[0].lift = []string{"nft", "delete", "rule", n.Family, n.Table, n.Chain, "handle", fmt.Sprint(n.Handle)}
			members[0].hint = "a person or a program wrote this rule, and may write it again"
		}
		return members
	}
	return &group{by: "nft", where: "rule " + e.rule.place, load: load}
}

// steady reports whether a condition leaves a rule one that meets each connection
// of a source: on ports, interfaces, TCP, new connections.
func (e *nftExpr) steady(left, right json.RawMessage) bool {
	var l struct {
		Payload *struct{ Protocol, Field string } `json:"payload"`
		Meta    *struct{ Key string }             `json:"meta"`
		Ct      *struct{ Key string }             `json:"ct"`
	}
	json.Unmarshal(left, &l) // what is odd is not steady
	switch {
	case l.Payload != nil && l.Payload.Field == "dport":
		e.rule.ports = ports(right)
		return l.Payload.Protocol == "tcp" || l.Payload.Protocol == "th"
	case l.Payload != nil:
		return slices.Contains([]string{"daddr", "nexthdr", "version"}, l.Payload.Field) ||
			l.Payload.Field == "protocol" && text(right) == "tcp"
	case l.Meta != nil && l.Meta.Key == "l4proto":
		return text(right) == "tcp"
	case l.Meta != nil:
		return slices.Contains([]string{"iif", "iifname", "iifgroup", "nfproto", "protocol"}, l.Meta.Key)
	case l.Ct != nil && l.Ct.Key == "state":
		return slices.Contains(words(right), "new")
	}
	return false
}

// vmap makes a rule for each verdict of a map of sources.
func (e *nftExpr) vmap(body json.RawMessage) {
	var m struct {
		Key  json.RawMessage `json:"key"`
		Data json.RawMessage `json:"data"`
	}
	json.Unmarshal(body, &m) // what is odd maps nothing
	at, ok := sourceAt(m.Key)
	if !ok {
		return
	}
	where, elements := "rule "+e.rule.place, m.Data
	s := &nftSet{}
	if name, ok := named(m.Data); ok {
		where = "map " + key(e.json.Family, e.json.Table, name)
		if s = e.parser.sets[key(e.json.Family, e.json.Table, name)]; s == nil {
			return
		}
		elements = nil
	}
	for way, keys := range e.ways(s, elements) {
		r := e.rule
		r.from = &group{by: "nft", where: where, load: func() []member { return s.members(e.parser.now, at, keys) }}
		r.verdict, r.to, r.counts = way.verdict, way.to, nil
		r.plain = r.plain && !isConcat(m.Key)
		e.mapped = append(e.mapped, &r)
	}
}

// way is what a map says to do with an element.
type way struct {
	verdict verdict
	to      string
}

// ways sorts the elements of a verdict map, named or literal, by what is done with them.
func (e *nftExpr) ways(s *nftSet, literal json.RawMessage) map[way][]json.RawMessage {
	elements := s.Elem
	if literal != nil {
		var set struct {
			Set []json.RawMessage `json:"set"`
		}
		json.Unmarshal(literal, &set) // what is odd has no elements
		elements = set.Set
	}
	ways := make(map[way][]json.RawMessage)
	for _, raw := range elements {
		var pair [2]json.RawMessage
		var to map[string]json.RawMessage
		if json.Unmarshal(raw, &pair) != nil || json.Unmarshal(pair[1], &to) != nil {
			continue
		}
		for name, body := range to {
			v, target := e.verdict(name, body)
			ways[way{v, target}] = append(ways[way{v, target}], pair[0])
		}
	}
	return ways
}

// fill reads a statement that puts the source into a set, and may count as well.
func (e *nftExpr) fill(body json.RawMessage) {
	var f struct {
		Op   string            `json:"op"`
		Elem json.RawMessage   `json:"elem"`
		Set  json.RawMessage   `json:"set"`
		Stmt []json.RawMessage `json:"stmt"`
	}
	json.Unmarshal(body, &f) // what is odd fills nothing
	e.rule.plain = false
	for _, stmt := range f.Stmt {
		e.counted(f.Elem, stmt)
		e.rule.steady = false
	}
	name, _ := named(f.Set)
	if _, source := sourceAt(f.Elem); !source || f.Op == "delete" || len(f.Stmt) > 0 {
		return
	}
	if g := e.parser.group(e.json, name, 0); g != nil {
		e.rule.fills = append(e.rule.fills, g)
	}
}

// counted reads what is counted for each key of a dynamic set. Without a burst nft takes 5.
func (e *nftExpr) counted(by, stmt json.RawMessage) {
	var s struct {
		Limit *struct {
			Rate, Burst int
			Per         string
			Inv         bool
		} `json:"limit"`
		Count *struct {
			Val int
			Inv bool
		} `json:"ct count"`
	}
	json.Unmarshal(stmt, &s) // what is odd counts nothing
	if _, source := sourceAt(by); !source {
		return
	}
	switch {
	case s.Limit != nil && s.Limit.Inv:
		e.rule.counts = &count{allowed: s.Limit.Burst, words: fmt.Sprintf("limit rate over %d/%s burst %d", s.Limit.Rate, line(s.Limit.Per), s.Limit.Burst)}
	case s.Count != nil && s.Count.Inv:
		e.rule.counts = &count{allowed: s.Count.Val, words: fmt.Sprintf("ct count over %d", s.Count.Val)}
	}
}
