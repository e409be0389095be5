package peers

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// imapLogin logs in, with a PROXY header first if it is not empty, and returns what the server said to it.
func imapLogin(t *testing.T, addr, header, user, password string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(c, header)
	r := bufio.NewReader(c)
	if greeting, err := r.ReadString('\n'); !strings.HasPrefix(greeting, "* OK") {
		t.Fatalf("%q, %v", greeting, err)
	}
	fmt.Fprintf(c, "a login %s %s\r\n", user, password)
	for {
		line, err := r.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "a ") {
			return strings.TrimSpace(line)
		}
	}
}

func TestDovecot(t *testing.T) {
	slow(t)
	d := Dovecot(t, DovecotOptions{})
	header := "PROXY TCP4 192.0.2.7 127.0.0.1 4444 143\r\n"
	if got := imapLogin(t, d.Plain, "", "me", Password); !strings.HasPrefix(got, "a OK") {
		t.Errorf("the right password: %q", got)
	}
	if got := imapLogin(t, d.Proxy, header, "me@maildir.test", Password); !strings.HasPrefix(got, "a OK") {
		t.Errorf("by a proxy: %q", got)
	}
	d.WaitLog(t.Context(), regexp.MustCompile(`imap-login: Info: Login: user=<me@maildir\.test>, .*rip=192\.0\.2\.7,`))
	if got := imapLogin(t, d.Proxy, header, "me", "wrong"); !strings.HasPrefix(got, "a NO [AUTHENTICATIONFAILED]") {
		t.Errorf("a wrong password: %q", got)
	}
	d.WaitLog(t.Context(), regexp.MustCompile(`auth failed, 1 attempts.*rip=192\.0\.2\.7,`))
	d.Rotate()
	if got := imapLogin(t, d.Plain, "", "rotated", Password); !strings.HasPrefix(got, "a OK") {
		t.Errorf("after its log was rotated: %q", got)
	}
	d.WaitLog(t.Context(), regexp.MustCompile(`Login: user=<rotated>`))
	if old, err := os.ReadFile(d.LogFile() + ".1"); err != nil || strings.Contains(string(old), "<rotated>") {
		t.Errorf("it went on in the old log: %v", err)
	}
}
