package status

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"moggy/metrics/status/tally"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

var now = time.Date(2026, 11, 22, 21, 17, 3, 0, time.FixedZone("CET", 3600))

func before(d time.Duration) time.Time { return now.Add(-d) }

var me = netip.MustParseAddr("198.51.100.7")

// well is a page on which all is good.
func well() Page {
	return Page{
		Now: now, Hostname: "mx.example.org", Version: "1.4.0", Started: before(52 * time.Hour),
		Visitor: Visitor{Addr: me, Class: whitelist.User, Evidence: whitelist.Login},
		Doors: []Door{
			{Name: "smtp", Address: "0.0.0.0:25", Backend: "127.0.0.1:10025", Forward: "proxy-v2"},
			{Name: "imaps", Address: "0.0.0.0:993", Backend: "127.0.0.1:10993", Forward: "proxy-v2"},
		},
		Outside: Outside{Looked: before(20 * time.Second), Every: true, Read: []string{"nft", "fail2ban"}},
		Day: tally.Day{Time: before(31 * time.Second), Took: 42 * time.Millisecond, From: before(24 * time.Hour), Records: 4618,
			Classes: []tally.Class{
				{Class: whitelist.Own, Came: 211, LetIn: 211},
				{Class: whitelist.User, Came: 829, LetIn: 826, Left: 1},
				{Class: whitelist.Crawler, Came: 330, LetIn: 330},
				{Class: whitelist.Peer, Came: 74, LetIn: 74},
				{Class: whitelist.Stranger, Came: 155, LetIn: 3, Deferred: 140, Left: 12},
				{Class: whitelist.Listed, Came: 41, Held: 38, Refused: 3},
			}},
		Here: []Group{
			{"hold", whitelist.Listed, 2, before(6 * time.Minute), "185.222.57.8", "7KQ2ZD", "listed"},
			{"talk", whitelist.Stranger, 1, before(9 * time.Second), "203.0.113.70", "7KR0AA", "stranger"},
			{"carry", whitelist.User, 18, before(3 * time.Hour), "198.51.100.7", "7K00BB", "known"},
		},
		Top: []Use{
			{"198.51.100.7", whitelist.User, whitelist.Login, budget.Usage{Limit: budget.For(nil, whitelist.User), Used: 18, Open: 15}},
			{"contoso.example (spf)", whitelist.Pool, whitelist.Passed, budget.Usage{Limit: budget.For(nil, whitelist.Pool), Used: 2, Open: 1}},
		},
		Slots:   Slots{3, 768},
		Store:   Store{Name: "embedded, /var/lib/moggy/moggy.db", Triplets: 140, Origins: 512},
		Lists:   []List{{Name: "zen.spamhaus.org", Weight: 3, State: "working", Works: true, Asked: 155, Hits: 41}},
		Hints:   Hints{From: []string{"dovecot at 127.0.0.1:9143", "ssh sessions"}, Logins: true, Last: before(2 * time.Minute)},
		Good:    Good{Sets: []string{"inet guard"}},
		Journal: Journal{Dir: "/var/lib/moggy/journal", Bytes: 31 << 20, Files: 2},
		Config:  Config{File: "/etc/moggy/moggy.toml", Loaded: before(52 * time.Hour)},
	}
}

// story is the page of the administrator whose own mail program was cut off.
func story() Page {
	p := well()
	block := Block{Addr: me, Class: whitelist.User, Evidence: whitelist.Login, By: "nft", Where: "set inet guard abusers",
		Rule:  "inet guard in: tcp dport { 25, 465, 587, 993 } ct state new limit rate over 15/second burst 5 add @abusers",
		Since: before(3 * time.Minute), First: before(150 * time.Second), Lift: true}
	p.Outside.Hits, p.Visitor.Blocks = []Block{block}, []Block{block}
	p.Outside.Unread = []string{"pf: pfctl: permission denied"}
	p.Alarms = []Alarm{{Name: "known-good-blocked-elsewhere", Why: "198.51.100.7/32 (user by login) is in nft set inet guard abusers", Since: before(150 * time.Second), Do: "moggy doctor"}}
	return p
}

// down is a page with no backend and much else that is wrong.
func down() Page {
	p := well()
	p.Visitor, p.Observe = Visitor{}, true
	p.Doors[0].Fault = "dial tcp 127.0.0.1:10025: connect: connection refused"
	p.Alarms = []Alarm{
		{"harm", "peer 192.0.2.40 met rule backend-down on smtp", before(50 * time.Second), "moggy hurt"},
		{"internal-error", "7KQ2ZD: index out of range", before(26 * time.Hour), "restart moggyd, and report what its log says"},
	}
	p.Day.Harms = []tally.Harm{
		{Peer: netip.MustParseAddr("192.0.2.40"), Class: whitelist.Peer, Evidence: whitelist.Passed, Rule: "backend-down", Listener: "smtp",
			Ref: "7KZZ01", Times: 12, First: before(time.Hour), Last: before(50 * time.Second), Do: "moggy status"},
		{Peer: netip.MustParseAddr("2001:db8:1:2::7"), Class: whitelist.User, Evidence: whitelist.Login, Rule: "over-budget", Listener: "imaps",
			Ref: "7KZZ00", Why: "301 of 300 burst, 600/min: 1 over, would wait 10.1 s of at most 10 s, free in 0.1 s; 12 of 500 open",
			Times: 2, First: before(22 * time.Hour), Last: before(21 * time.Hour), Do: "moggy allow add 2001:db8:1:2::7 --class own --note WHY"},
	}
	p.Day.Peers, p.Day.Times = 2, 14
	p.Day.Classes[3].Harmed, p.Day.Classes[1].Harmed = 12, 2
	p.Day.Bound, p.Day.From = tally.Begins, before(22*time.Hour)
	p.Outside = Outside{Looked: before(20 * time.Second), Every: true, Read: []string{"nft"}, Hits: []Block{
		{Addr: netip.MustParseAddr("192.0.2.40"), Class: whitelist.Peer, Evidence: whitelist.Passed, By: "hosts.deny", Where: "/etc/hosts.deny line 3",
			First: before(30 * time.Hour), Hint: "take line 3 out of /etc/hosts.deny"}}}
	p.Lists = append(p.Lists, List{Name: "bl.example.net", Weight: 2, State: "suspended", Why: "it lists 127.0.0.1"})
	p.Store.Fault = "write /var/lib/moggy/moggy.db: no space left on device"
	p.Store.Do = "make room on the disk of /var/lib/moggy, and see that moggyd may write there"
	p.Hints.Last, p.Hints.Faults = time.Time{}, []string{"/var/log/mail.log: permission denied"}
	p.Journal.Dropped = 1412
	p.Config.Refused, p.Config.Restart = "/etc/moggy/moggy.toml:7: unknown key \"gap\" in [greylist]", nil
	p.Slots.Held = 768
	return p
}

// evil is what somebody hostile would say, if he could say it everywhere.
const evil = "</td></table></style><script>alert(1)</script><img src=//evil.example onerror=alert(1)>\"'><a href=javascript:alert(1)>&lt; " +
	"{{.}} \x1b[2J\x00\u202e\u2028\xff\nSet-Cookie: a=b"

// hostile is a page in which every string is evil.
func hostile() Page { return filled(evil, 1) }

// full is one in which all is longer and more than fits.
func full() Page { return filled(evil+strings.Repeat("x<&\"", 300), 100) }

// filled is a page of n things of each kind, all of which say s.
func filled(s string, n int) Page {
	class := whitelist.Class(s)
	p := Page{Now: now, Hostname: s, Version: s, Started: now,
		Visitor: Visitor{Addr: me, Class: class, Listed: true, Evidence: whitelist.Trapped},
		Outside: Outside{Looked: now, More: 77, Read: many(s, n), Unread: many(s, n)},
		Store:   Store{Name: s, Fault: s, Do: s, Dropped: 1}, Hints: Hints{From: many(s, n), Faults: many(s, n), Logins: true},
		Good: Good{Sets: many(s, n), Faults: many(s, n)}, Journal: Journal{Dir: s, Dropped: 1},
		Config: Config{File: s, Loaded: now, Refused: s, Restart: many(s, n)}}
	p.Day = tally.Day{Time: now, From: before(time.Hour), Bound: tally.Time, Peers: 1 << 40, Times: 1 << 40}
	for i := range n {
		name := fmt.Sprint(i, s)
		block := Block{Addr: me, Class: class, Evidence: whitelist.Source(s), By: s, Where: name, Rule: s, First: now, Hint: s}
		p.Doors = append(p.Doors, Door{name, s, s, s, s})
		p.Outside.Hits = append(p.Outside.Hits, block)
		p.Visitor.Blocks = append(p.Visitor.Blocks, block)
		p.Here = append(p.Here, Group{name, class, 1 << 40, now, s, s, s})
		p.Top = append(p.Top, Use{name, class, whitelist.Source(s), budget.Usage{Used: 1 << 40}})
		p.Lists = append(p.Lists, List{name, -5, s, false, 1 << 40, 1 << 40, s})
	}
	for i := range min(n, 8) {
		p.Alarms = append(p.Alarms, Alarm{fmt.Sprint(i, s), s, now, s})
	}
	for range min(n, tally.MaxHarms) {
		p.Day.Harms = append(p.Day.Harms, tally.Harm{Peer: me, Class: class, Rule: s, Listener: s, Ref: s, Why: s, Times: 1 << 40, Last: now, Do: "moggy " + s})
		p.Day.Classes = append(p.Day.Classes, tally.Class{Class: class, Came: 1 << 40})
	}
	return p
}

func many(s string, n int) (all []string) {
	for range n {
		all = append(all, s)
	}
	return all
}
