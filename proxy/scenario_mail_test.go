package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A delivery is a message on its way to its recipients.
type delivery struct {
	*message
	open   []string // recipients that are not decided
	failed int      // recipients that were refused for good
}

// An outcome is what came of one attempt.
type attempted struct {
	waited  time.Duration // for the banner, where that was the backend's
	refused bool          // by 421, or no answer
	rcpts   int
	harsh   []string
}

// stutter is how long the banner of a stranger takes in the lab.
const stutter = 10 * time.Second

// A sender is the peer's end of one session.
type sender struct {
	net.Conn
	r *bufio.Reader
}

// attempt is one session of the message's sender. It takes what a stranger's
// banner takes, and the message's session.
func (p *play) attempt(d *delivery, src netip.Addr) (o attempted) {
	conn, ok := p.dial(d.Client, src, 25)
	if !ok {
		o.refused = true
		return o
	}
	defer conn.Close()
	came := time.Now()
	conn.SetDeadline(came.Add(stutter + seconds(d.Session) + time.Second))
	s := &sender{conn, bufio.NewReader(conn)}
	s.r.Peek(1)
	waited := time.Since(came)
	banner := s.reply()
	switch {
	case banner+"\r\n" == backendBanner:
		o.waited = waited
	case !strings.HasPrefix(banner, "2"):
		o.refused = banner == "" || strings.HasPrefix(banner, "421")
		o.mind(banner)
		return o
	}
	o.refused = !s.tell(d, &o)
	if p.sc.World.denied(src) {
		o.harsh = nil // a person said no
	}
	return o
}

// tell goes through a session after its banner; false if it was cut off.
func (s *sender) tell(d *delivery, o *attempted) bool {
	helo := d.Helo
	if helo == "" {
		helo = "[192.0.2.1]"
	}
	for _, command := range []string{"EHLO " + helo, "MAIL FROM:<" + d.From + ">"} {
		if got := s.ask(command); !strings.HasPrefix(got, "2") {
			return s.part(got)
		}
	}
	var taken []string
	for _, to := range slices.Clone(d.open) {
		got := s.ask("RCPT TO:<" + to + ">")
		if got == "" || strings.HasPrefix(got, "421") {
			return false
		}
		o.rcpts++
		o.mind(got)
		switch got[0] {
		case '2':
			taken = append(taken, to)
		case '5':
			d.failed++
			d.settle(to)
		}
	}
	if len(taken) == 0 {
		return s.part("")
	}
	got := s.data(d)
	o.mind(got)
	if strings.HasPrefix(got, "2") {
		d.settle(taken...)
	}
	return s.part(got)
}

// settle notes recipients that are decided.
func (d *delivery) settle(decided ...string) {
	d.open = slices.DeleteFunc(d.open, func(to string) bool { return slices.Contains(decided, to) })
}

// mind notes a reply that says no for good and is not the backend's.
func (o *attempted) mind(reply string) {
	if strings.HasPrefix(reply, "5") && !strings.HasPrefix(reply, noSuchUser) {
		o.harsh = append(o.harsh, reply)
	}
}

// part takes leave after the reply got; false if that was the proxy's own leave.
func (s *sender) part(got string) bool {
	if strings.HasPrefix(got, "421") {
		return false
	}
	s.ask("QUIT")
	return true
}

// data sends the message.
func (s *sender) data(d *delivery) string {
	if got := s.ask("DATA"); !strings.HasPrefix(got, "354") {
		return got
	}
	const line = "It is all about nothing, but it has to have some length to be a message.\r\n"
	w := bufio.NewWriterSize(s, 16<<10)
	fmt.Fprintf(w, "From: <%s>\r\nSubject: %s\r\n\r\n", d.From, d.ID)
	for n := 0; n < d.Bytes; n += len(line) {
		io.WriteString(w, line)
	}
	io.WriteString(w, ".\r\n")
	w.Flush()
	return s.reply()
}

// ask says a line and returns the reply; "" if there is none.
func (s *sender) ask(line string) string {
	if _, err := io.WriteString(s, line+"\r\n"); err != nil {
		return ""
	}
	return s.reply()
}

// reply returns the last line of a reply; "" if there is none.
func (s *sender) reply() string {
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return ""
		}
		if line = strings.TrimRight(line, "\r\n"); len(line) < 4 || line[3] != '-' {
			return line
		}
	}
}
