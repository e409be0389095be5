package handover

import (
	"context"
	"fmt"
	"slices"
	"time"

	"moggy/proxy/relay"
)

// farewell is how long a backend may take to answer QUIT. We would rather not be a
// lost connection in its log, but nothing hangs on it.
const farewell = 2 * time.Second

// Offer is what a backend says of itself.
type Offer struct {
	Greeting   string   // on one line: "220 mx.example.org ESMTP"
	Extensions []string // of its reply to EHLO: "SIZE 10240000", "PIPELINING"
}

// Ask asks the backend in our own name what it offers, which also shows that it is
// well. A *Refused says that it is there and does not want to speak with us; an error that
// wraps ErrMisread, that it takes the PROXY header for commands; any other, that it could
// not be reached or understood in time.
func Ask(ctx context.Context, b relay.Backend, o Options) (Offer, error) {
	s, err := dialLocal(ctx, b, o)
	if err != nil {
		return Offer{}, err
	}
	defer s.abandon()
	greeting, err := s.expect(Greeting, "")
	if err != nil {
		return Offer{}, fmt.Errorf("ask backend %s: %w; %s", b.Address, err, ungreeted(b.Form))
	}
	hello, err := s.hello(b.Form, "EHLO "+s.o.Hostname)
	if err != nil {
		return Offer{}, fmt.Errorf("ask backend %s: %w", b.Address, err)
	}
	s.quit()
	return Offer{Greeting: greeting.String(), Extensions: extensions(hello)}, nil
}

// quit takes leave, and waits a little for the answer.
func (s *session) quit() {
	s.o.Timeout = min(s.o.Timeout, farewell)
	s.ask("QUIT") // whatever comes of it
}

// extensions returns the lines of a reply to EHLO but the first (RFC 5321 §4.1.1.1).
func extensions(hello Reply) []string {
	return slices.Collect(hello.lines())[1:]
}
