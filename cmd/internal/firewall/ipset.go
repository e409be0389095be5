package firewall

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"moggy/whitelist"
)

// ipsets are the sets that `ipset save` prints.
type ipsets struct {
	now  time.Time
	sets map[string]*ipset
}

type ipset struct {
	name    string
	timeout int // seconds, of members that say nothing else; 0: for good
	lists   []string
	lines   []string // of members, from their address on
	group   *group
}

// parseIPSets reads the sets and leaves their members for when they are needed.
func parseIPSets(out []byte, now time.Time) *ipsets {
	s := &ipsets{now: now, sets: make(map[string]*ipset)}
	for text := range strings.Lines(string(out)) {
		command, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
		name, rest, _ := strings.Cut(rest, " ")
		switch set := s.sets[name]; {
		case command == "create":
			s.sets[name] = &ipset{name: name, timeout: ipsetNumber(rest, "timeout")}
		case command != "add" || set == nil:
		case s.sets[rest] != nil: // of a list of sets
			set.lists = append(set.lists, rest)
		default:
			set.lines = append(set.lines, rest)
		}
	}
	return s
}

// ipsetNumber finds a number behind its word.
func ipsetNumber(text, word string) int {
	_, rest, _ := strings.Cut(" "+text, " "+word+" ")
	number, _, _ := strings.Cut(rest, " ")
	n, _ := strconv.Atoi(number) // 0 where there is none
	return n
}

// find returns a set as a group, nil if there is none of that name.
func (s *ipsets) find(name string) *group {
	set := s.sets[name]
	if set == nil {
		return nil
	}
	if set.group == nil {
		set.group = &group{by: "ipset", where: "set " + name, ours: ours(name), load: func() []member { return s.members(set) }}
	}
	return set.group
}

// members are the addresses of a set; those of a list of sets are those of the sets.
func (s *ipsets) members(set *ipset) (members []member) {
	for _, name := range set.lists {
		if in := s.sets[name]; in != nil && len(in.lists) == 0 {
			members = append(members, s.members(in)...)
		}
	}
	var holes []netip.Prefix
	for _, text := range set.lines {
		m, ok := set.member(text, s.now)
		switch {
		case !ok:
		case strings.Contains(text, " nomatch"):
			holes = append(holes, m.net)
		default:
			members = append(members, m)
		}
	}
	return without(members, holes)
}

// member reads what stands behind "add SET": 198.51.100.9,tcp:25 timeout 3599
func (set *ipset) member(text string, now time.Time) (m member, ok bool) {
	entry, _, _ := strings.Cut(text, " ")
	address, _, _ := strings.Cut(entry, ",")
	net, err := whitelist.ParseNet(address)
	if err != nil {
		return m, false
	}
	m.net = net
	if left := ipsetNumber(text, "timeout"); left > 0 {
		m.until = now.Add(time.Duration(left) * time.Second).Truncate(time.Second)
		if set.timeout >= left {
			m.since = m.until.Add(-time.Duration(set.timeout) * time.Second)
		}
	}
	switch {
	case !plainName(set.name) || !plainName(strings.ReplaceAll(entry, ",", "-")):
		m.hint = "by hand: ipset list"
	case !narrow(net):
		m.hint = "it blocks more than one address; by hand: ipset del " + set.name + " " + entry
	default:
		m.lift = []string{"ipset", "del", set.name, entry}
	}
	return m, true
}
