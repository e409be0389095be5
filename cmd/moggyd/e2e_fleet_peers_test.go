package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"moggy/cmd/internal/peers"
)

// A visit is one connection of a peer, as the peer saw it.
type visit struct {
	door   *fleetDoor
	source netip.Addr
	to     string // the recipient, which no two mails share

	began    time.Time
	greeted  time.Time // the banner was there
	sent     time.Time // RCPT was said; zero: it came to that never
	answered time.Time // the last answer was there, or the connection broke

	carried bool // the banner was the backend's
	code    int  // to RCPT, or to what came before if that was no success; 0: the connection broke
	text    string
	taken   bool // the message was
}

// call plays one visit: one mail, as far as it gets.
func (d *fleetDoor) call(ctx context.Context, source netip.Addr, to string) *visit {
	v := &visit{door: d, source: source, to: to, began: time.Now()}
	defer func() { v.answered = time.Now() }()
	dialer := net.Dialer{Timeout: 15 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))}
	conn, err := dialer.DialContext(ctx, "tcp", d.mail)
	if err != nil {
		return v
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	c := textproto.NewConn(conn)
	if !v.hear(c, 2) {
		return v
	}
	v.greeted, v.carried = time.Now(), strings.Contains(v.text, sinkName)
	if v.say(c, "EHLO peer.test", 2) && v.say(c, "MAIL FROM:<"+from+">", 2) {
		v.sent = time.Now()
		if v.say(c, "RCPT TO:<"+to+">", 2) {
			v.message(c)
		}
	}
	return v
}

// say says a command and reports whether the answer is of the class that goes on.
func (v *visit) say(c *textproto.Conn, command string, class int) bool {
	if c.PrintfLine("%s", command) != nil {
		v.code = 0
		return false
	}
	return v.hear(c, class)
}

func (v *visit) hear(c *textproto.Conn, class int) bool {
	var err error
	v.code, v.text, err = c.ReadResponse(0)
	if err != nil {
		v.code = 0
	}
	return err == nil && v.code/100 == class
}

// message gives the message; what counts is the answer to RCPT.
func (v *visit) message(c *textproto.Conn) {
	code, text := v.code, v.text
	v.taken = v.say(c, "DATA", 3) && v.say(c, "Subject: fleet\r\n\r\n.", 2)
	if v.taken {
		v.say(c, "QUIT", 2)
	}
	v.code, v.text = code, text
}

// atOnce is how many peers are there at a time, at most.
const atOnce = 400

// strangers plays them all.
func (f *fleet) strangers(ctx context.Context) {
	room := make(chan struct{}, atOnce)
	var playing sync.WaitGroup
	defer playing.Wait()
	for i := range fleetStrangers {
		playing.Go(func() {
			s := wanderer{fleet: f, id: i, r: f.chance(1000 + i), room: room}
			s.play(ctx)
		})
	}
}

// A wanderer is a stranger that has a network of its own, from any host of which it comes.
type wanderer struct {
	*fleet
	id   int
	r    *rand.Rand
	room chan struct{}
}

// play sends a mail, and now and then another one when that has got through.
func (s *wanderer) play(ctx context.Context) {
	if !rest(ctx, s.until(between(s.r, 0, fleetTrouble-5*time.Second))) {
		return
	}
	if s.mail(ctx, 0) && s.r.IntN(4) == 0 && rest(ctx, time.Now().Add(between(s.r, 0, 6*time.Second))) {
		s.mail(ctx, 1)
	}
}

// mail tries until the mail has got through; now and then too early.
func (s *wanderer) mail(ctx context.Context, n int) bool {
	m := s.seen.letter(s.id, fmt.Sprintf("s%d.%d@%s", s.id, n, peers.Domain))
	for {
		s.room <- struct{}{}
		v := s.doors[s.r.IntN(len(s.doors))].call(ctx, s.host(), m.to)
		<-s.room
		m.note(v)
		wait := between(s.r, fleetPass, 2*fleetPass)
		switch {
		case v.taken:
			return true
		case v.code == 0, v.code == 250:
			wait = between(s.r, 200*time.Millisecond, time.Second)
		case s.r.IntN(3) == 0:
			wait = between(s.r, 100*time.Millisecond, fleetPass)
		}
		if !rest(ctx, time.Now().Add(wait)) {
			return false
		}
	}
}

func (s *wanderer) host() netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(16 + s.id/250), byte(s.id % 250), byte(1 + s.r.IntN(250))})
}

// friends plays those who are let in by a person.
func (f *fleet) friends(ctx context.Context) {
	var playing sync.WaitGroup
	defer playing.Wait()
	for i := range fleetFriends {
		playing.Go(func() { f.friend(ctx, i) })
	}
}

// friend waits until a person has let it in, and comes again and again from a
// second after that on.
func (f *fleet) friend(ctx context.Context, i int) {
	r, net := f.chance(100_000+i), netip.AddrFrom4([4]byte{127, 100, byte(i), 0})
	if !rest(ctx, f.until(between(r, time.Second, fleetTrouble*2/3))) {
		return
	}
	for f.letIn(ctx, r, net) != nil {
		if !rest(ctx, time.Now().Add(500*time.Millisecond)) {
			return
		}
	}
	m := f.seen.friend(time.Now())
	for n := 0; time.Now().Before(f.until(fleetTrouble + 3*time.Second)); n++ {
		if !rest(ctx, time.Now().Add(seenBy+between(r, 0, time.Second))) {
			return
		}
		source := netip.AddrFrom4([4]byte{127, 100, byte(i), byte(1 + r.IntN(250))})
		m.note(f.doors[r.IntN(len(f.doors))].call(ctx, source, fmt.Sprintf("f%d.%d@%s", i, n, peers.Domain)))
	}
}

// letIn makes an entry, at any door, whether its daemon runs or not.
func (f *fleet) letIn(ctx context.Context, r *rand.Rand, net netip.Addr) error {
	f.making.RLock()
	defer f.making.RUnlock()
	return f.doors[r.IntN(len(f.doors))].tool(ctx, "allow", "add", net.String()+"/24", "--class", "peer", "--note", "fleet")
}
