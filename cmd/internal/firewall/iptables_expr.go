package firewall

import (
	"fmt"
	"slices"
	"strings"
)

// xtRule reads the options of one rule.
type xtRule struct {
	rule
	parser *xtParser
	argv   []string // the line, from -A on
	chain  string
	lately recentOptions
	list   string // of "recent"
}

// option reads one option: a condition, what is done, or a word about either.
func (x *xtRule) option(o option) {
	switch o.name {
	case "-j", "-g":
		x.target(o.arg(0))
	case "-s":
		x.source(o)
	case "--match-set":
		x.matchSet(o)
	case "-m", "--comment", "--mask", "--rsource", "--return-nomatch",
		"--hashlimit-mode", "--hashlimit-name", "--connlimit-mask", "--connlimit-saddr":
	case "--reject-with", "--timeout", "--exist", "--log-prefix", "--log-level": // of the target
	case "--dport", "--dports":
		x.condition(!o.not)
		x.ports = xtPorts(o.arg(0))
	case "--hashlimit-above", "--hashlimit-burst", "--connlimit-above":
		x.condition(false)
		x.counting(o)
	case "--set", "--update", "--rcheck", "--remove", "--seconds", "--hitcount", "--name":
		x.condition(true)
		x.recentOption(o)
	case "-p":
		x.condition(!o.not && o.arg(0) == "tcp")
	case "-i", "-d":
		x.condition(true)
	case "--ctstate", "--state":
		x.condition(!o.not && slices.Contains(strings.Split(o.arg(0), ","), "NEW"))
	case "--add-set":
		if g := x.parser.ipset(o.arg(0)); g != nil && strings.HasPrefix(o.arg(1), "src") {
			x.fills = append(x.fills, g)
		}
	default:
		x.condition(false)
	}
}

// condition notes one that is not on the source; meets says whether the next
// connection of the same source meets it as this one did.
func (x *xtRule) condition(meets bool) {
	x.plain = false
	x.steady = x.steady && meets
}

func (x *xtRule) target(name string) {
	switch name {
	case "ACCEPT":
		x.verdict = accept
	case "DROP", "REJECT", "TARPIT":
		x.verdict = drop
	case "RETURN":
		x.verdict = back
	case "LOG", "NFLOG", "SET", "MARK", "CONNMARK", "CT", "TRACE", "NOTRACK", "AUDIT":
	default:
		x.verdict, x.to = jump, x.parser.table+" "+name
	}
}

func (x *xtRule) source(o option) {
	if o.not || x.from != nil {
		x.condition(!o.not)
		return
	}
	if x.from = x.parser.literal(x, o.arg(0)); x.from == nil {
		x.condition(false)
	}
}

// matchSet reads a set that the source is looked for in. With more words than
// src, such as src,dst, it is not all of the source's connections.
func (x *xtRule) matchSet(o option) {
	g := x.parser.ipset(o.arg(0))
	if o.not || g == nil || x.from != nil || !strings.HasPrefix(o.arg(1), "src") {
		x.condition(false)
		return
	}
	x.from = g
	if o.arg(1) != "src" {
		x.condition(true)
	}
}

// counting reads the options of matches that count. Without a burst hashlimit takes 5.
func (x *xtRule) counting(o option) {
	switch o.name {
	case "--hashlimit-above":
		x.counts = &count{words: "hashlimit-above " + line(o.arg(0)), allowed: 5}
	case "--hashlimit-burst":
		if x.counts != nil {
			x.counts.allowed = o.number()
			x.counts.words += " burst " + line(o.arg(0))
		}
	case "--connlimit-above":
		x.counts = &count{words: "connlimit-above " + line(o.arg(0)), allowed: o.number()}
	}
}

// recentOption reads an option of the match "recent".
func (x *xtRule) recentOption(o option) {
	switch o.name {
	case "--name":
		x.list = o.arg(0)
	case "--update", "--rcheck":
		x.lately.blocks = !o.not
	case "--seconds":
		x.lately.seconds = o.number()
	case "--hitcount":
		x.lately.hitcount = o.number()
	}
}

// recently makes of a rule with the match "recent" one of the sources that it has
// seen often, and one that counts.
func (x *xtRule) recently() {
	if x.list == "" {
		return
	}
	var seen *group
	if x.lately.blocks && x.from == nil {
		seen = x.parser.recent(x.list, x.lately)
	}
	if x.lately.blocks && x.lately.hitcount > 1 {
		x.counts = &count{allowed: x.lately.hitcount - 1,
			words: fmt.Sprintf("recent %s hitcount %d in %d s", line(x.list), x.lately.hitcount, x.lately.seconds)}
	}
	if seen == nil {
		x.steady = false
		return
	}
	x.from = seen
}
