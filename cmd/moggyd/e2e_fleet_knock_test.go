package main_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"sync"
	"syscall"
	"time"

	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// fleetKnocking is how long knockers knock: until doors and Redis have been left in
// peace for ten seconds and more.
const fleetKnocking = fleetTrouble + 16*time.Second

// A knockerKind is one way to use a budget at all doors at once.
type knockerKind struct {
	name  string
	class whitelist.Class
	limit budget.Limit
	known bool // by an entry of a person
	count int
	play  func(*knocker, context.Context)

	patient bool // it never uses more than it may
}

// Classes of the configuration. With a small burst and a high rate it shows within
// seconds whether doors count together; with a low rate and long visits it is the open
// connections that are too many; and who is never refused needs some room.
var (
	hasty  = budget.Limit{Rate: 240, Burst: 6, Open: 50, Wait: time.Second}
	sticky = budget.Limit{Rate: 60, Burst: 2, Open: 10, Wait: time.Millisecond} // 0 would be that of class peer
	steady = budget.Limit{Rate: 120, Burst: 20, Open: 50, Wait: time.Second}
)

func knockerKinds() []knockerKind {
	stranger := budget.For(nil, whitelist.Stranger)
	return []knockerKind{
		{name: "pushy strangers", class: whitelist.Stranger, limit: stranger, count: 6, play: (*knocker).push},
		{name: "pushy clients", class: "hasty", limit: hasty, known: true, count: 6, play: (*knocker).push},
		{name: "clients that stay", class: "sticky", limit: sticky, known: true, count: 4, play: (*knocker).stay},
		{name: "patient strangers", class: whitelist.Stranger, limit: stranger, count: 4, play: (*knocker).bide, patient: true},
		{name: "patient clients", class: "steady", limit: steady, known: true, count: 4, play: (*knocker).bide, patient: true},
	}
}

// classToml is a class as the configuration has it.
func classToml(c whitelist.Class, l budget.Limit) string {
	return fmt.Sprintf("[class.%s]\nrate = \"%d/min\"\nburst = %d\nopen = %d\nwait = %q\n", c, l.Rate, l.Burst, l.Open, l.Wait)
}

// A knocker is a client with an address of its own.
type knocker struct {
	*fleet
	kind   *knockerKind
	id     int
	source netip.Addr
	since  time.Time // when its entry was made

	mu     sync.Mutex
	knocks []*knock
}

// A knock is one connection of a knocker: a visit that ends with the banner. Its code
// is 220 when it was taken in, and 421 when it was refused.
type knock struct {
	visit
	shut bool      // nobody listened
	left time.Time // when the knocker hung up; zero: it had no need to
}

// introduce has all doors know the knockers that are to be known.
func (f *fleet) introduce() {
	f.t.Helper()
	kinds := knockerKinds()
	for i := range kinds {
		net := netip.AddrFrom4([4]byte{127, 110, byte(i), 0})
		if kinds[i].known {
			f.permit(net.String()+"/24", kinds[i].class)
		}
		for n := range kinds[i].count {
			source := netip.AddrFrom4([4]byte{127, 110, byte(i), byte(1 + n)})
			f.knockers = append(f.knockers, &knocker{fleet: f, kind: &kinds[i], id: n, source: source, since: time.Now()})
		}
	}
	rest(f.t.Context(), time.Now().Add(2*seenBy))
}

// permit makes an entry before all begins.
func (f *fleet) permit(net string, c whitelist.Class) {
	f.t.Helper()
	if err := f.doors[0].tool(f.t.Context(), "allow", "add", net, "--class", string(c), "--note", "fleet"); err != nil {
		f.t.Fatal(err)
	}
	f.seen.entries++
}

// knocking plays all knockers.
func (f *fleet) knocking(ctx context.Context) {
	var playing sync.WaitGroup
	defer playing.Wait()
	for _, k := range f.knockers {
		playing.Go(func() { k.kind.play(k, ctx) })
	}
}

func (k *knocker) chance(worker int) *rand.Rand {
	return k.fleet.chance(200_000 + int(k.source.As4()[2])*10_000 + k.id*100 + worker)
}

// on waits for a while and reports whether the knocker is to go on.
func (k *knocker) on(ctx context.Context, pause time.Duration) bool {
	end := k.until(fleetKnocking)
	return rest(ctx, earlier(time.Now().Add(pause), end)) && time.Now().Before(end)
}

// pushers is how many connections a pushy client makes at a door at a time.
const pushers = 2

// push knocks at all doors for as long as one lets it. Every other knocker stops for
// a while now and then, for all doors to forget it.
func (k *knocker) push(ctx context.Context) {
	var pushing sync.WaitGroup
	defer pushing.Wait()
	for i := range pushers * fleetDoors {
		pushing.Go(func() {
			for r := k.chance(i); k.on(ctx, between(r, 100*time.Millisecond, 300*time.Millisecond)); {
				if k.id%2 == 0 || int(time.Since(k.seen.began)/(5*time.Second))%2 == 0 {
					k.touch(ctx, k.doors[i%fleetDoors])
				}
			}
		})
	}
}

// stay comes to all doors as soon as one lets it in, and stays there for a while.
func (k *knocker) stay(ctx context.Context) {
	var staying sync.WaitGroup
	defer staying.Wait()
	for i, d := range k.doors {
		staying.Go(func() {
			for r := k.chance(i); k.on(ctx, between(r, 100*time.Millisecond, 300*time.Millisecond)); {
				n, conn := k.knock(ctx, d)
				stay := between(r, 10*time.Second, 25*time.Second)
				if conn == nil {
					continue
				}
				staying.Go(func() {
					rest(ctx, earlier(time.Now().Add(stay), k.until(fleetKnocking)))
					n.hangUp(conn)
				})
			}
		})
	}
}

// bide comes to all doors at once, with as much as it may owe and not be refused, and
// goes on at three quarters of its rate: one knock after the other, so that however late one is
// seen they are never closer to each other.
func (k *knocker) bide(ctx context.Context) {
	r := k.chance(0)
	if !k.on(ctx, between(r, 0, 2*time.Second)) {
		return
	}
	for _, d := range k.doors {
		for range int(mostPatient(k.kind.limit)) / fleetDoors {
			k.touch(ctx, d)
		}
	}
	for k.on(ctx, 4*time.Minute/3/time.Duration(k.kind.limit.Rate)) {
		k.touch(ctx, k.doors[r.IntN(len(k.doors))])
	}
}

// touch knocks and hangs up.
func (k *knocker) touch(ctx context.Context, d *fleetDoor) {
	if n, conn := k.knock(ctx, d); conn != nil {
		n.hangUp(conn)
	}
}

func (n *knock) hangUp(conn net.Conn) {
	n.left = time.Now()
	conn.Close()
}

// knock connects and waits for the banner. The connection is nil unless it was taken
// in; else it is the caller's.
func (k *knocker) knock(ctx context.Context, d *fleetDoor) (*knock, net.Conn) {
	n := &knock{visit: visit{door: d, source: k.source, began: time.Now()}}
	defer k.note(n)
	dialer := net.Dialer{Timeout: 10 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(k.source, 0))}
	conn, err := dialer.DialContext(ctx, "tcp", d.mail)
	n.answered = time.Now()
	if err != nil {
		n.shut = errors.Is(err, syscall.ECONNREFUSED)
		return n, nil
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	n.listen(conn, k.kind.known)
	n.answered = time.Now()
	if n.code != 220 {
		conn.Close()
		return n, nil
	}
	return n, conn
}

// listen hears whether the client is taken in. A stranger's banner takes seconds; its
// first byte says it.
func (n *knock) listen(conn net.Conn, known bool) {
	r := bufio.NewReader(conn)
	if first, err := r.Peek(1); err == nil && first[0] == '2' && !known {
		n.code = 220
		return
	}
	n.hear(&textproto.Conn{Reader: textproto.Reader{R: r}}, 2)
	n.carried = strings.Contains(n.text, sinkName)
}

func (k *knocker) note(n *knock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.knocks = append(k.knocks, n)
}
