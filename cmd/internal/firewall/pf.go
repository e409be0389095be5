package firewall

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"moggy/whitelist"
	"moggy/whitelist/foreign"
)

// pf reads the packet filter of OpenBSD and FreeBSD, as pfctl(8) and pf.conf(5)
// say that pfctl prints it: it was never run here. The rules and tables of
// anchors are not read.
type pf struct{ m Machine }

func (p *pf) Name() string { return "pf" }

// Read returns the addresses that rules with block name, and those in the tables
// that such rules name.
func (p *pf) Read(ctx context.Context) ([]foreign.Block, error) {
	w, err := p.walk(ctx, true)
	if w == nil {
		return nil, err
	}
	blocks, full := w.found()
	return blocks, oneLine(present([]error{err, full}))
}

// counting returns the rules that count.
func (p *pf) counting(ctx context.Context) ([]Finding, error) {
	w, err := p.walk(ctx, false)
	if w == nil {
		return nil, err
	}
	return w.findings("pf"), err
}

// walk reads the rules, and where it is asked to the tables.
func (p *pf) walk(ctx context.Context, full bool) (*walk, error) {
	info, err := p.m.run(ctx, "pfctl", "-s", "info")
	if err != nil {
		return nil, err
	}
	if bytes.Contains(info, []byte("Status: Disabled")) {
		return nil, fmt.Errorf("pf is not enabled: %w", foreign.ErrAbsent)
	}
	rules, err := p.m.run(ctx, "pfctl", "-s", "rules")
	if err != nil {
		return nil, err
	}
	tables, err := p.m.run(ctx, "pfctl", "-s", "Tables")
	if err != nil {
		return nil, err
	}
	var fault error
	show := func(table string) []member {
		if !full || !slices.Contains(strings.Fields(string(tables)), table) {
			return nil
		}
		out, err := p.m.run(ctx, "pfctl", "-t", table, "-v", "-T", "show")
		if err != nil {
			fault = err
		}
		return pfTable(out, table)
	}
	w := parsePF(rules, show).walkAll()
	return w, fault
}

// pfTable reads what `pfctl -t TABLE -v -T show` prints of a table: addresses, and
// below each since when it is counted, which is when it was put in.
func pfTable(out []byte, table string) (members []member) {
	var excepted []member
	for text := range strings.Lines(string(out)) {
		text = strings.TrimSpace(text)
		if at, ok := strings.CutPrefix(text, "Cleared:"); ok && len(members) > 0 {
			since, err := time.ParseInLocation("Mon Jan 2 15:04:05 2006", line(at), time.Local)
			if err == nil {
				members[len(members)-1].since = since
			}
			continue
		}
		address, not := strings.CutPrefix(text, "!")
		if strings.Contains(address, ": ") {
			continue
		}
		if m, ok := pfMember(strings.TrimSpace(address), table); ok && not {
			excepted = append(excepted, m)
		} else if ok {
			members = append(members, m)
		}
	}
	return without(members, netsOf(excepted))
}

func pfMember(address, table string) (m member, ok bool) {
	net, err := whitelist.ParseNet(address)
	if err != nil {
		return m, false
	}
	m.net = net
	switch {
	case !plainName(table):
		m.hint = "by hand: pfctl -s Tables"
	case !narrow(net):
		m.hint = fmt.Sprintf("it blocks more than one address; by hand: pfctl -t %s -T delete %s", table, net)
	default:
		m.lift = []string{"pfctl", "-t", table, "-T", "delete", address}
	}
	return m, true
}
