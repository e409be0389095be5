package firewall

import (
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"moggy/whitelist"
)

// recents are the lists of the match "recent" of iptables, files of
// /proc/net/xt_recent such as
//
//	src=198.51.100.7 ttl: 64 last_seen: 4295123456 oldest_pkt: 2 4295123400, 4295123456
//
// Their times are in jiffies, and how many of those are in a second the kernel
// does not say. It starts to count 300 seconds before 2^32 (or before 0, where
// it counts in 32 bits).
type recents struct {
	m      Machine
	now    time.Time
	uptime float64 // seconds; 0: not known
	err    error   // the first list that could not be read
}

func newRecents(m Machine, now time.Time) *recents {
	r := &recents{m: m, now: now}
	text, _ := readFile(m.file("/proc/uptime"), 1<<10) // without it no time is known
	up, _, _ := strings.Cut(string(text), " ")
	r.uptime, _ = strconv.ParseFloat(up, 64)
	return r
}

// readFile reads at most limit bytes of a file.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// seen is one line of a list.
type seen struct {
	member
	last   uint64
	stamps []uint64
}

// find returns those of a list whom a rule with these options drops.
func (r *recents) find(name string, o recentOptions) *group {
	if !plainName(name) || strings.ContainsAny(name, "/") {
		return nil
	}
	file := "/proc/net/xt_recent/" + name
	return &group{by: "iptables", where: "recent list " + name, load: func() []member {
		text, err := readFile(r.m.file(file), 16<<20)
		if err != nil {
			r.err = err
			return nil
		}
		var all []seen
		for row := range strings.Lines(string(text)) {
			if s, ok := parseSeen(row); ok {
				s.lift = []string{"echo", "-" + s.net.Addr().String(), ">", file}
				all = append(all, s)
			}
		}
		return r.dropped(all, o)
	}}
}

// parseSeen reads one line of a list.
func parseSeen(row string) (s seen, ok bool) {
	words := strings.Fields(strings.ReplaceAll(row, ",", " "))
	for i, word := range words {
		if address, found := strings.CutPrefix(word, "src="); found {
			net, err := whitelist.ParseNet(address)
			if err != nil {
				return s, false
			}
			s.net, ok = net, true
		}
		if i+1 == len(words) {
			break
		}
		switch word {
		case "last_seen:":
			s.last, _ = strconv.ParseUint(words[i+1], 10, 64)
		case "oldest_pkt:":
			for _, stamp := range words[i+2:] {
				n, _ := strconv.ParseUint(stamp, 10, 64)
				s.stamps = append(s.stamps, n)
			}
		}
	}
	return s, ok
}

// dropped are those with as many visits within the time as the rule asks for.
func (r *recents) dropped(all []seen, o recentOptions) (members []member) {
	clock := r.clock(all)
	for _, s := range all {
		hits := 0
		for _, stamp := range s.stamps {
			if o.seconds == 0 || clock.age(stamp) <= float64(o.seconds) {
				hits++
			}
		}
		if hits < max(o.hitcount, 1) {
			continue
		}
		if o.seconds > 0 {
			left := time.Duration((float64(o.seconds) - clock.age(s.last)) * float64(time.Second))
			s.until = r.now.Add(left).Truncate(time.Second)
			s.hint = "each further try keeps it blocked"
		}
		members = append(members, s.member)
	}
	return members
}

// jiffies is the kernel's clock.
type jiffies struct {
	now uint64
	hz  float64
}

// clock finds the slowest clock by which no visit lies in the future. Where
// somebody came of late, as whoever is blocked did, that is the right one.
func (r *recents) clock(all []seen) jiffies {
	var last uint64
	for _, s := range all {
		last = max(last, s.last)
	}
	var c jiffies
	for _, hz := range [...]float64{100, 250, 300, 1000} {
		c = jiffies{now: uint64(float64(1<<32) + (r.uptime-300)*hz), hz: hz}
		if last <= c.now+uint64(hz) {
			break
		}
	}
	return c
}

// age is how many seconds ago a stamp was made.
func (c jiffies) age(stamp uint64) float64 {
	if stamp > c.now {
		return 0
	}
	return float64(c.now-stamp) / c.hz
}
