package main

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"moggy/cmd/internal/desk"
	"moggy/dnsbl"
	"moggy/metrics"
	"moggy/metrics/status"
	"moggy/metrics/status/tally"
	"moggy/proxy"
	"moggy/whitelist"
)

// How old what the status page shows may be, and how long the journal is read for
// it. However often it is asked for, it takes the house no more work than that; as
// long as nobody asks, none at all.
const (
	lookEvery    = time.Second
	countEvery   = time.Minute
	readPatience = 700 * time.Millisecond
)

// maxUses is how many of those who use most are shown.
const maxUses = 10

// A front fills the status page.
type front struct {
	*house
	desk *desk.Local

	mu   sync.Mutex
	page status.Page // for nobody in particular; its Now is when it was filled
}

// page is the status page of the house.
func (h *house) page() http.Handler {
	f := &front{house: h, desk: h.local()}
	return status.Handler(f.fill)
}

// fill makes the page for a visitor.
func (f *front) fill(visitor netip.Addr) status.Page {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if now.Sub(f.page.Now) >= lookEvery {
		f.page = f.look(now)
	}
	p := f.page
	if visitor.IsValid() {
		p.Visitor = f.visitor(visitor, now)
	}
	return p
}

// look asks all parts of the house how they do.
func (f *front) look(now time.Time) status.Page {
	s, _ := f.desk.Status(context.Background(), desk.StatusFilter{}) // the house itself has an answer
	p := status.Page{
		Now: now, Hostname: s.Hostname, Version: s.Figures.Version, Started: s.Figures.Since, Observe: s.Mode == "observe",
		Outside: f.outside(s.Foreign), Day: f.day(now, s.Journal.Dir), Here: groups(f.server.Guests()), Top: f.top(),
		Slots:   status.Slots{Held: s.Figures.Held, All: s.Figures.Slots},
		Store:   storeOf(&s),
		Hints:   status.Hints{From: hearsFrom(s.Hints), Logins: s.Hints.Logins(), Last: s.Health.Login, Faults: s.Health.HintFaults},
		Good:    status.Good{Sets: s.GoodSets, Faults: s.Health.GoodFaults},
		Journal: status.Journal{Dir: s.Journal.Dir, Bytes: s.Journal.Bytes, Files: s.Journal.Files, Dropped: s.Figures.JournalDropped},
		Config:  status.Config(s.Health.Config),
	}
	for _, l := range s.Listeners {
		p.Doors = append(p.Doors, status.Door{Name: l.Name, Address: l.Address, Backend: l.Backend, Forward: l.Forward, Fault: l.Fault})
	}
	for _, a := range s.Alarms {
		p.Alarms = append(p.Alarms, status.Alarm{Name: a.Name, Why: a.Why, Since: a.Since, Do: alarmRemedies[a.Name]})
	}
	for _, l := range f.lists() {
		p.Lists = append(p.Lists, listOf(l))
	}
	return p
}

// day counts the journal again where the last count is too old.
func (f *front) day(now time.Time, dir string) tally.Day {
	if now.Sub(f.page.Day.Time) < countEvery {
		return f.page.Day
	}
	return tally.Count(dir, now, readPatience)
}

// alarmRemedies are what to do about alarms. Where there is none, their reason ends
// with it.
var alarmRemedies = map[string]string{
	proxy.AlarmName(metrics.Harm):           "moggy hurt --since 24h",
	proxy.AlarmName(metrics.BlockedElse):    "moggy doctor",
	proxy.AlarmName(metrics.StoreDown):      "moggy doctor",
	proxy.AlarmName(metrics.JournalFailing): "moggy doctor",
	proxy.AlarmName(metrics.ListSuspended):  "moggy lists",
	proxy.AlarmName(metrics.OpenRelay):      `set forward = "proxy-v2" in moggy.toml, and let the backend read it; or take moggy's address out of its networks`,
	proxy.AlarmName(metrics.InternalError):  "restart moggyd, and report what its log says",
}

func storeOf(s *desk.Status) status.Store {
	f, name := s.Figures, s.Store
	do := "see that Redis runs there, has room, and lets moggyd's user write"
	if by := f.SharedBy(time.Now()); by != "" && f.StoreFault == "" {
		name += ", " + by
	}
	if s.Store == "embedded" {
		name += ", " + desk.StorePath(s.StateDir)
		do = "make room on the disk of " + s.StateDir + ", and see that moggyd may write there"
	}
	return status.Store{Name: name, Fault: f.StoreFault, Do: do, Triplets: f.Triplets, Origins: f.Origins, Dropped: f.StoreDropped, Damaged: f.StoreDamaged}
}

func listOf(s dnsbl.Status) status.List {
	l := status.List{Name: s.Name, Weight: s.Weight, State: string(s.State), Asked: s.Asked, Hits: s.Hits, Why: s.Why,
		Works: s.State == dnsbl.Working || s.State == dnsbl.Suspected}
	if !l.Works && l.Why == "" {
		l.Why = "its test points were not answered yet"
	}
	return l
}

func hearsFrom(h desk.HintSources) (from []string) {
	if h.Dovecot != "" {
		from = append(from, "dovecot at "+h.Dovecot)
	}
	from = append(from, h.Logs...)
	if h.SSH {
		from = append(from, "ssh sessions")
	}
	return from
}

// outside is what was seen when somebody last looked; the page itself does not look.
func (f *front) outside(s *desk.Sight) status.Outside {
	o := status.Outside{Every: f.cfg.Foreign.Every > 0}
	if s == nil {
		return o
	}
	o.Looked, o.More, o.Read, o.Unread = s.Time, s.More, s.Read, faultTexts(s.Unread)
	for _, h := range s.Hits {
		o.Hits = append(o.Hits, blockOf(h))
	}
	return o
}

func blockOf(h desk.Hit) status.Block {
	addr := h.Addr.Addr()
	if h.Net.IsSingleIP() || h.Net.Bits() >= h.Addr.Bits() {
		addr = h.Net.Addr() // the block is the narrower of the two
	}
	return status.Block{Addr: addr, Class: h.Standing.Class, Evidence: h.Standing.Evidence, By: h.By, Where: h.Where, Rule: h.Rule,
		Since: h.Since, First: h.First, Lift: h.Lift != nil, Hint: h.Hint}
}

// visitor is what the house knows of who looks, and what else keeps him out.
func (f *front) visitor(addr netip.Addr, now time.Time) status.Visitor {
	s := f.book.List().Look(addr, whitelist.Anywhere, now)
	v := status.Visitor{Addr: addr, Class: s.Class, Evidence: s.Evidence, Deny: s.Deny, Listed: s.Listed()}
	for _, h := range desk.SightOf(nil, f.family.Load().watch.Last()).Hits {
		b := blockOf(h)
		same := func(o status.Block) bool { return o.By == b.By && o.Where == b.Where }
		if !h.Net.Contains(addr) || slices.ContainsFunc(v.Blocks, same) {
			continue
		}
		b.Addr = addr
		v.Blocks = append(v.Blocks, b)
	}
	return v
}

// groups counts open connections, the oldest of which come first, by what is done
// with them and by class. Who waits comes first: that must not be.
func groups(guests []proxy.Guest) (all []status.Group) {
	type key struct {
		state string
		class whitelist.Class
	}
	at := make(map[key]int)
	for _, g := range guests {
		k := key{g.State, g.Class}
		i, had := at[k]
		if !had {
			i = len(all)
			at[k] = i
			all = append(all, status.Group{State: g.State, Class: g.Class, Oldest: g.Since, Example: g.Peer.Addr().String(), Ref: g.Ref, Rule: g.Rule})
		}
		all[i].N++
	}
	order := []string{metrics.Waiting, metrics.Holding, metrics.Talking, metrics.Carrying}
	slices.SortStableFunc(all, func(a, b status.Group) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.State), slices.Index(order, b.State)), cmp.Compare(b.N, a.N),
			strings.Compare(string(a.Class), string(b.Class)))
	})
	return all
}

// top is who uses most of his budget; nobody where budgets are not counted here.
func (f *front) top() (all []status.Use) {
	list, _ := f.desk.Top(context.Background(), desk.TopFilter{Limit: maxUses}) // none where that cannot be told
	for _, r := range list.Rows {
		who := r.Origin
		if who == "" {
			who = desk.Text(r.Net)
		}
		all = append(all, status.Use{Who: who, Class: r.Class, Evidence: r.Evidence, Usage: r.Usage})
	}
	return all
}
