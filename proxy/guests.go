package proxy

import (
	"net/netip"
	"sort"
	"sync"
	"time"

	"moggy/whitelist"
)

// A guestState is what is being done with a connection.
type guestState string

// The states of a connection.
const (
	talked  guestState = "talk"
	held    guestState = "hold"
	carried guestState = "carry"
	waiting guestState = "wait"
)

// A guest is one open connection, for the operator's eyes and for changes of the
// allow list that concern it.
type guest struct {
	door  *door
	ref   string
	peer  netip.AddrPort
	local netip.AddrPort
	since time.Time
	class whitelist.Class
	rule  string

	state   guestState // guarded by guests.mu
	session *session   // nil if carried from the start
	have    holdings
	turn    chan struct{} // to be told while waiting that its turn has come; nil: it does not wait
	said    []byte        // while it waited, for the backend
}

// guests are all open connections. Descriptors bound them.
type guests struct {
	mu   sync.Mutex
	all  map[*guest]struct{}
	net  map[netip.Prefix]map[*guest]struct{} // by whitelist.Net
	open func(state string, delta int)        // told of each change of the counts
}

func newGuests(open func(string, int)) *guests {
	return &guests{all: make(map[*guest]struct{}), net: make(map[netip.Prefix]map[*guest]struct{}), open: open}
}

func (gs *guests) enter(g *guest, state guestState) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g.state = state
	gs.open(string(state), 1)
	gs.all[g] = struct{}{}
	net := whitelist.Net(g.peer.Addr())
	if gs.net[net] == nil {
		gs.net[net] = make(map[*guest]struct{})
	}
	gs.net[net][g] = struct{}{}
}

// become notes another state of a guest that is here. Who is carried stays so.
func (gs *guests) become(g *guest, state guestState) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if _, here := gs.all[g]; !here || g.state == carried {
		return
	}
	gs.open(string(g.state), -1)
	gs.open(string(state), 1)
	g.state = state
}

// carryOn notes that a guest we talked to is carried from now on, and by which rule.
func (gs *guests) carryOn(g *guest, rule string) {
	gs.become(g, carried)
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g.rule = rule
}

func (gs *guests) leave(g *guest) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.open(string(g.state), -1)
	net := whitelist.Net(g.peer.Addr())
	delete(gs.all, g)
	delete(gs.net[net], g)
	if len(gs.net[net]) == 0 {
		delete(gs.net, net)
	}
}

func (gs *guests) count(state guestState) (n int) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	for g := range gs.all {
		if g.state == state {
			n++
		}
	}
	return n
}

// within returns the guests whose addresses are in net.
func (gs *guests) within(net netip.Prefix) (in []*guest) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	from := gs.all
	if whitelist.Net(net.Addr()).Bits() <= net.Bits() {
		from = gs.net[whitelist.Net(net.Addr())]
	}
	for g := range from {
		if net.Contains(g.peer.Addr()) {
			in = append(in, g)
		}
	}
	return in
}

// Changed is told of each change of the allow list: it acts on connections that
// are open.
func (s *Server) Changed(net netip.Prefix) {
	for _, g := range s.guests.within(net) {
		switch {
		case g.session != nil:
			g.session.reconsider()
		case g.turn != nil:
			s.hurry(g)
		}
	}
}

// A Guest is an open connection as persons see it.
type Guest struct {
	Ref      string          `json:"ref"`
	Peer     netip.AddrPort  `json:"peer"`
	Listener string          `json:"listener"`
	Class    whitelist.Class `json:"class"`
	State    string          `json:"state"` // talk, hold, wait, carry
	Rule     string          `json:"rule"`
	Since    time.Time       `json:"since"`
}

// Guests returns the open connections, the oldest first.
func (s *Server) Guests() []Guest {
	s.guests.mu.Lock()
	defer s.guests.mu.Unlock()
	list := make([]Guest, 0, len(s.guests.all))
	for g := range s.guests.all {
		list = append(list, Guest{g.ref, g.peer, g.door.Name, g.class, string(g.state), g.rule, g.since})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Since.Before(list[j].Since) })
	return list
}
