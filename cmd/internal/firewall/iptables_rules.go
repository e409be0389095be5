package firewall

import (
	"slices"
	"strconv"
	"strings"

	"moggy/whitelist"
)

// option is one option of a rule as iptables-save prints it, such as "! -s 192.0.2.0/24".
type option struct {
	not  bool
	name string
	args []string
}

// xtParser makes a ruleset of what one of the four iptables-save prints.
type xtParser struct {
	set     ruleset
	program string                                    // that takes rules away: "iptables-nft"
	v6      bool                                      // ip6tables
	ipset   func(name string) *group                  // nil: there is none of that name
	recent  func(name string, o recentOptions) *group // the list of the match "recent"
	table   string
}

// recentOptions are those of the match "recent", see iptables-extensions(8).
type recentOptions struct {
	blocks   bool // --update or --rcheck, of the source
	seconds  int  // 0: for good
	hitcount int  // 0: any
}

// parse reads the rules of all tables.
func (p *xtParser) parse(out []byte) {
	for text := range strings.Lines(string(out)) {
		text = strings.TrimSpace(text)
		words := strings.Fields(text)
		switch {
		case strings.HasPrefix(text, "*"):
			p.table = text[1:]
		case strings.HasPrefix(text, ":") && len(words) >= 2:
			name := words[0][1:]
			if words[1] != "-" && slices.Contains([]string{"INPUT", "FORWARD", "PREROUTING"}, name) {
				p.set.base(p.table + " " + name)
			}
		case strings.HasPrefix(text, "-A ") && len(words) >= 2:
			p.rule(text)
		}
	}
}

// rule reads one line that adds a rule to a chain.
func (p *xtParser) rule(text string) {
	all := tokens(text)
	options := optionsOf(all[2:])
	x := &xtRule{parser: p, argv: all, chain: p.table + " " + all[1]}
	x.place = strings.TrimSuffix(p.program, "-nft") + " -t " + p.table
	x.text = line(text)
	x.plain, x.steady = true, true
	for _, o := range options {
		x.option(o)
	}
	x.recently()
	if x.counts != nil {
		x.counts.before = p.before(all[1], x.ports)
	}
	for _, g := range x.fills {
		g.filled = x.String()
		if x.counts != nil {
			g.before = x.counts.before
		}
	}
	p.set.add(x.chain, &x.rule)
}

// before is the rule that lets the known-good through before those of a chain.
func (p *xtParser) before(chain string, counted []port) string {
	set := Good4
	if p.v6 {
		set = Good6
	}
	return p.program + " -t " + p.table + " -I " + chain + " -p tcp -m multiport --dports " + strings.ReplaceAll(goodPorts(counted, ","), "-", ":") + " -m set --match-set " + set + " src -j ACCEPT"
}

// tokens splits a line as iptables-save quotes it: "…" with \" and \\ inside.
func tokens(text string) (all []string) {
	var word strings.Builder
	quoted, some := false, false
	end := func() {
		if some {
			all = append(all, word.String())
		}
		word.Reset()
		some = false
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted, some = !quoted, true
		case c == '\\' && quoted && i+1 < len(text):
			i++
			word.WriteByte(text[i])
		case c == ' ' && !quoted:
			end()
		default:
			word.WriteByte(c)
			some = true
		}
	}
	end()
	return all
}

// optionsOf groups tokens by option.
func optionsOf(all []string) (options []option) {
	not := false
	for _, word := range all {
		switch {
		case word == "!":
			not = true
		case strings.HasPrefix(word, "-"):
			options = append(options, option{not: not, name: word})
			not = false
		case len(options) > 0:
			last := &options[len(options)-1]
			last.args = append(last.args, word)
		}
	}
	return options
}

// arg is an argument of an option, or "".
func (o option) arg(i int) string {
	if i >= len(o.args) {
		return ""
	}
	return o.args[i]
}

func (o option) number() int {
	n, _ := strconv.Atoi(o.arg(0)) // 0 where there is none
	return n
}

// xtPorts reads 993, 25,465 or 1024:2048.
func xtPorts(text string) (known []port) {
	for part := range strings.SplitSeq(text, ",") {
		low, high, ranged := strings.Cut(part, ":")
		if !ranged {
			high = low
		}
		from, err := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err != nil || err2 != nil {
			return nil
		}
		known = append(known, port{from, to})
	}
	return known
}

// literal is the group of a rule that names its source.
func (p *xtParser) literal(x *xtRule, source string) *group {
	net, err := whitelist.ParseNet(source)
	if err != nil {
		return nil
	}
	m := member{net: net, hint: "a person or a program wrote this rule, and may write it again"}
	if narrow(net) {
		m.lift = append([]string{p.program, "-t", p.table, "-D"}, x.argv[1:]...)
	} else {
		m.hint = "it blocks more than one address; by hand: " + p.program + "-save"
	}
	return &group{by: "iptables", where: "chain " + x.chain, members: []member{m}, loaded: true}
}
