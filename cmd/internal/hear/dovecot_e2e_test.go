package hear

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
)

// An imap is a client of a real Dovecot.
type imap struct {
	t    *testing.T
	addr string
	from string // the client, in a PROXY header; "": none is sent
}

// login logs in, and returns how long the answer took.
func (c imap) login(user, password, answer string) time.Duration {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if family := "TCP4"; c.from != "" {
		if strings.Contains(c.from, ":") {
			family = "TCP6"
		}
		fmt.Fprintf(conn, "PROXY %s %s %s 4444 143\r\n", family, c.from, c.from)
	}
	r := bufio.NewReader(conn)
	if _, err := r.ReadString('\n'); err != nil {
		c.t.Fatal(err)
	}
	began := time.Now()
	fmt.Fprintf(conn, "a login %s %s\r\n", user, password)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if strings.HasPrefix(line, "a ") {
			if !strings.HasPrefix(line, answer) {
				c.t.Errorf("%s is answered %q, not %q", user, line, answer)
			}
			return time.Since(began)
		}
	}
}

// hearing runs ears until the test ends.
func hearing(t *testing.T, o Options) *Ears {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return e
}

// slow skips what starts programs when the tests are to be short.
func slow(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real mail program")
	}
	t.Parallel()
}

func TestDovecotReports(t *testing.T) {
	slow(t)
	h, l := &heard{}, listen(t)
	e := hearing(t, Options{Hints: h, Dovecot: l, Key: "secret"})
	d := peers.Dovecot(t, peers.DovecotOptions{Policy: "http://" + l.Addr().String() + "/dovecot", PolicyKey: "secret", PolicyTimeout: 200 * time.Millisecond})

	imap{t, d.Proxy, "198.51.100.7"}.login("me", peers.Password, "a OK")
	imap{t, d.Proxy, "2001:db8:7::1"}.login("me@maildir.test", peers.Password, "a OK")
	imap{t, d.Plain, ""}.login("me", peers.Password, "a OK")
	stale, guesser := imap{t, d.Proxy, "198.51.100.8"}, imap{t, d.Proxy, "198.51.100.66"}
	for range 3 {
		stale.login("me", "last-year", "a NO")
	}
	for i := range 6 {
		guesser.login("me", fmt.Sprint("guess", i), "a NO")
	}
	guesser.login("you", "guess0", "a NO")
	eventually(t, "13 reports", func() bool { return e.Counts().Reports == 13 })

	want := []string{`dovecot ok "me" imap 198.51.100.7`, `dovecot ok "me@maildir.test" imap 2001:db8:7::1`, `dovecot ok "me" imap 127.0.0.1`}
	want = append(want, slices.Repeat([]string{`dovecot failed "me" imap 198.51.100.8`}, 3)...)
	want = append(want, slices.Repeat([]string{`dovecot failed "me" imap 198.51.100.66`}, 6)...)
	want = append(want, `dovecot failed "you" imap 198.51.100.66`)
	if got := h.list(); !slices.Equal(got, want) {
		t.Errorf("heard\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	hashes := h.hash
	if slices.Contains(hashes, "") || hashes[0] != hashes[1] || hashes[0] != hashes[2] {
		t.Errorf("the same wrong password has the hashes %q", hashes[:3])
	}
	// the hash has 12 bits: that two of the guesses share one is not to be wondered at, that all do is
	if n := len(slices.Compact(slices.Sorted(slices.Values(hashes[3:])))); n < 5 {
		t.Errorf("seven guesses have %d hashes: %q", n, hashes[3:])
	}
	if c := e.Counts(); c.Malformed+c.Refused != 0 {
		t.Errorf("%+v", c)
	}
}

// TestDovecotWithoutEars compares logins while something at the ears' address is silent: as the package comment wants
// it, with the checks that it wants switched off, and with these and Dovecot's own timeout.
func TestDovecotWithoutEars(t *testing.T) {
	slow(t)
	silent := "http://" + listen(t).Addr().String() + "/dovecot" // nobody accepts
	took := func(o peers.DovecotOptions) time.Duration {
		d := peers.Dovecot(t, o)
		defer d.Stop()
		c := imap{t, d.Plain, ""}
		c.login("me", peers.Password, "a OK") // its processes have started by then
		return c.login("me", peers.Password, "a OK")
	}
	none := took(peers.DovecotOptions{})
	wanted := took(peers.DovecotOptions{Policy: silent, PolicyTimeout: 200 * time.Millisecond})
	asked := took(peers.DovecotOptions{Policy: silent, PolicyTimeout: 200 * time.Millisecond, PolicyAsked: true})
	asItComes := took(peers.DovecotOptions{Policy: silent, PolicyAsked: true})
	t.Logf("a login takes %v without a policy server; with a silent one %v, %v if it is asked, %v if it is asked and the timeout is Dovecot's own",
		none, wanted, asked, asItComes)
	if wanted > asItComes/8 || asked > asItComes/2 {
		t.Error("the settings of the package comment do not help")
	}
}

func TestDovecotLog(t *testing.T) {
	slow(t)
	d := peers.Dovecot(t, peers.DovecotOptions{})
	log := d.LogFile()
	h := &heard{}
	e := hearing(t, Options{Hints: h, Logs: []string{log}})
	imap{t, d.Proxy, "198.51.100.6"}.login("early", peers.Password, "a OK")
	eventually(t, "the log is followed", func() bool { return len(e.Faults()) == 0 && len(h.list()) > 0 || retry(t, d) })
	h.list()
	imap{t, d.Proxy, "198.51.100.7"}.login("me", peers.Password, "a OK")
	imap{t, d.Proxy, "198.51.100.8"}.login("me", "wrong", "a NO")
	var got []string
	eventually(t, "two reports", func() bool {
		for _, r := range h.list() {
			if !strings.Contains(r, "198.51.100.6") {
				got = append(got, r)
			}
		}
		return len(got) >= 2
	})
	if want := []string{`dovecot ok "me" imap 198.51.100.7`, `dovecot failed "me" imap 198.51.100.8`}; !slices.Equal(got, want) {
		t.Errorf("heard %q, not %q", got, want)
	}
}

// retry logs in once more: whether the ears have found the end of the log before or after the last login is open.
func retry(t *testing.T, d *peers.IMAP) bool {
	imap{t, d.Proxy, "198.51.100.6"}.login("early", peers.Password, "a OK")
	return false
}
