package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"moggy/cmd/internal/desk"
	"moggy/cmd/internal/firewall"
)

// maxNamed bounds the addresses that one line names.
const maxNamed = 5

// foreign looks for known-good addresses that are blocked elsewhere, and says what
// could not be looked at.
func (x *examination) foreign() {
	s := x.sight(x.ctx, netip.Addr{})
	for _, hits := range byPlace(s.Hits) {
		x.hit(hits)
	}
	if s.More > 0 {
		x.add(fail, "blocked elsewhere", fmt.Sprintf("%d more known-good addresses are blocked elsewhere", s.More))
	}
	x.unseen(s)
	if len(s.Hits) > 0 {
		return
	}
	switch {
	case x.status == nil:
		x.add(warn, "blocked elsewhere", "who is known to be good is not known, so whether somebody is blocked elsewhere is not")
	case len(s.Read) > 0:
		x.add(fine, "blocked elsewhere", "nobody known-good is blocked by "+printable(strings.Join(s.Read, ", ")))
	case len(s.Unread) == 0:
		x.add(fine, "blocked elsewhere", "there is no firewall, fail2ban or crowdsec here that could block anybody")
	}
}

// byPlace groups hits by what blocks, in their order.
func byPlace(hits []desk.Hit) (groups [][]desk.Hit) {
	place := make(map[[2]string]int)
	for _, h := range hits {
		k := [2]string{h.By, h.Where}
		i, had := place[k]
		if !had {
			i = len(groups)
			place[k] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], h)
	}
	return groups
}

// hit tells of the known-good addresses that one thing blocks.
func (x *examination) hit(hits []desk.Hit) {
	var named, do []string
	for _, h := range hits[:min(len(hits), maxNamed)] {
		addr := blockedAddr(h)
		named = append(named, addr+x.mine(addr)+" ("+printable(string(h.Standing.Class))+" "+evidenceText[string(h.Standing.Evidence)]+")")
		if h.Lift != nil {
			do = append(do, "moggy unblock "+addr)
		} else {
			do = append(do, printable(h.Hint))
		}
	}
	if more := len(hits) - len(named); more > 0 {
		named = append(named, fmt.Sprintf("and %d more", more))
	}
	text := fmt.Sprintf("%s blocks %s: %s", whereText(hits[0].Block), count(len(hits), "known-good address"), strings.Join(named, ", "))
	if since := hits[0].Since; !since.IsZero() {
		text += ", since " + x.clock(since)
	}
	if hits[0].Rule != "" {
		text += "; rule " + printable(hits[0].Rule)
	}
	x.add(fail, "blocked elsewhere", text, slices.Compact(do)...)
}

// blockedAddr is the address to unblock: what is blocked and good.
func blockedAddr(h desk.Hit) string {
	if h.Net.IsSingleIP() || h.Net.Bits() >= h.Addr.Bits() {
		return h.Net.Addr().String()
	}
	return h.Addr.Addr().String()
}

// mine marks the address that the operator comes from.
func (x *examination) mine(addr string) string {
	at, err := x.me()
	if err == nil && desk.Text(at.nets[0]) == addr {
		return " (you)"
	}
	return ""
}

// unseen says what could not be looked at: by moggyd, which looks again and again,
// and by this process.
func (x *examination) unseen(s desk.Sight) {
	for _, name := range slices.Sorted(maps.Keys(s.Unread)) {
		x.add(warn, "blocked elsewhere", printable(name)+" could not be read: "+printable(s.Unread[name]))
	}
	if x.status == nil || x.status.Foreign == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(x.status.Foreign.Unread)) {
		if _, said := s.Unread[name]; !said {
			x.add(warn, "blocked elsewhere", "moggyd may not read "+printable(name)+" itself, and sees no block there until doctor is asked: "+printable(x.status.Foreign.Unread[name]))
		}
	}
}

// counting tells of rules that count connections and cut off who has many: a mail
// program with some accounts does.
func (x *examination) counting() {
	found, err := x.machine.Counting(x.ctx)
	if err != nil {
		x.add(warn, "counting rules", "rules that count connections could not be looked for: "+printable(err.Error()))
	}
	for _, f := range found {
		if f.Guarded {
			x.add(fine, "counting rules", printable(f.String())+", but the known-good are let through before it")
			continue
		}
		x.add(warn, "counting rules", countingText(f), x.before(f)...)
	}
}

func countingText(f firewall.Finding) string {
	text := printable(f.String())
	if f.Bans != "" {
		text += ", and who trips it stays in " + printable(f.Bans)
	}
	return text
}

// before is what to put before a rule that counts.
func (x *examination) before(f firewall.Finding) (do []string) {
	table := tableOf(f)
	if f.By == "nft" && (x.status == nil || !slices.Contains(x.status.GoodSets, table)) {
		do = append(do, fmt.Sprintf("in moggy.toml:     [good] nft = [%q]    then restart moggyd", table))
	}
	if f.Before != "" {
		do = append(do, "before that rule:  "+printable(f.Before))
	}
	return do
}

// tableOf is the table of a rule of nft, whose place begins with it: inet guard.
func tableOf(f firewall.Finding) string {
	words := strings.Fields(f.Rule)
	return printable(strings.Join(words[:min(len(words), 2)], " "))
}
