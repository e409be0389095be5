package firewall

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// pfParser makes a ruleset of what `pfctl -s rules` prints. Of rules with "quick"
// the first that matches decides, as in other firewalls; without it the last one
// does, so that a block without it may come to nothing.
type pfParser struct {
	set    ruleset
	show   func(table string) []member
	tables map[string]*group
}

func parsePF(out []byte, show func(table string) []member) *ruleset {
	p := &pfParser{show: show, tables: make(map[string]*group)}
	p.set.base("pf")
	number := 0
	for text := range strings.Lines(string(out)) {
		switch {
		case strings.HasPrefix(text, " "), strings.HasPrefix(text, "\t"), strings.HasPrefix(text, "}"):
			continue // of an anchor, or numbers about the rule before
		case strings.TrimSpace(text) == "":
			continue
		}
		if r := p.rule(strings.Fields(text)); r != nil {
			r.place, r.text = fmt.Sprintf("rule %d", number), line(text)
			for _, g := range r.fills {
				g.filled, g.before = r.String(), pfBefore(r.ports)
			}
			p.set.add("pf", r)
		}
		number++
	}
	return &p.set
}

// pfBefore is the rule that lets the known-good through before those that count.
func pfBefore(counted []port) string {
	return "pass in quick proto tcp from <" + Good4 + "> to any port { " + strings.ReplaceAll(goodPorts(counted, " "), "-", ":") + " }"
}

// rule reads one rule that packets meet on their way in; nil if it is none.
func (p *pfParser) rule(words []string) *rule {
	head := words[:max(slices.Index(words, "from"), 0)]
	if len(head) == 0 {
		head = words
	}
	if words[0] != "block" && words[0] != "pass" || slices.Contains(head, "out") {
		return nil
	}
	r := &rule{plain: true, steady: true}
	quick := slices.Contains(head, "quick")
	switch {
	case words[0] == "block":
		r.verdict = drop
	case quick:
		r.verdict = accept
	}
	p.conditions(r, words)
	p.counts(r, words)
	if r.verdict == drop && !quick {
		r.note = "the rule has no quick: a later pass may undo it"
	}
	return r
}

// conditions reads who and what a rule is for.
func (p *pfParser) conditions(r *rule, words []string) {
	for i, word := range words {
		next := func(n int) string {
			if i+n < len(words) {
				return words[i+n]
			}
			return ""
		}
		switch word {
		case "on", "user", "group", "os", "tos", "probability", "received-on", "fragment", "icmp-type", "icmp6-type":
			r.plain = false
			r.steady = r.steady && word == "on"
		case "proto":
			r.plain = r.plain && next(1) == "tcp"
			r.steady = r.steady && next(1) == "tcp"
		case "from":
			p.source(r, next(1))
		case "to":
			r.plain = r.plain && next(1) == "any"
		case "port":
			r.plain = false
			r.ports = pfPorts(next(1), next(2))
		}
	}
}

// source reads what stands behind "from".
func (p *pfParser) source(r *rule, word string) {
	if table, ok := strings.CutPrefix(word, "<"); ok {
		r.from = p.table(strings.TrimSuffix(table, ">"))
		return
	}
	if word == "any" {
		return
	}
	m, ok := pfMember(word, "")
	if !ok { // "!", an interface: not these but others
		r.plain, r.steady = false, false
		return
	}
	m.hint = "a person wrote this rule into pf.conf"
	r.from = &group{by: "pf", where: "rules", members: []member{m}, loaded: true}
}

func (p *pfParser) table(name string) *group {
	if p.tables[name] == nil {
		p.tables[name] = &group{by: "pf", where: "table " + name, ours: ours(name), load: func() []member { return p.show(name) }}
	}
	return p.tables[name]
}

// counts reads the limits for one source, and the table that who exceeds one is
// put in.
func (p *pfParser) counts(r *rule, words []string) {
	var said []string
	allowed := 0
	for i, word := range words[:len(words)-1] {
		word, value := strings.TrimLeft(word, "("), strings.TrimRight(words[i+1], ",)")
		switch word {
		case "max-src-conn", "max-src-conn-rate":
			number, _, _ := strings.Cut(value, "/")
			n, err := strconv.Atoi(number)
			if err != nil {
				continue
			}
			if said == nil || n < allowed {
				allowed = n
			}
			said = append(said, word+" "+value)
		case "overload":
			r.fills = append(r.fills, p.table(strings.Trim(value, "<>")))
		}
	}
	if said != nil {
		r.counts = &count{words: line(strings.Join(said, ", ")), allowed: allowed, cuts: true, before: pfBefore(r.ports)}
	}
}

// pfPorts reads "= imaps", "6000:6010" or ">= 1024"; nil where it is not known.
func pfPorts(word, next string) []port {
	low, high, ranged := strings.Cut(word, ":")
	if word == "=" {
		low, high = next, next
	} else if !ranged {
		return nil
	}
	from, ok := pfPort(low)
	to, ok2 := pfPort(high)
	if !ok || !ok2 {
		return nil
	}
	return []port{{from, to}}
}

// pfPort reads a port, which pfctl may print by its name in services(5).
func pfPort(word string) (int, bool) {
	named := map[string]int{"ssh": 22, "smtp": 25, "http": 80, "www": 80, "pop3": 110, "imap": 143, "https": 443,
		"smtps": 465, "submissions": 465, "urd": 465, "submission": 587, "imaps": 993, "pop3s": 995, "sieve": 4190}
	if n, ok := named[word]; ok {
		return n, true
	}
	n, err := strconv.Atoi(word)
	return n, err == nil
}
