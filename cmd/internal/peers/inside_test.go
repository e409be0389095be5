package peers

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestInside finds addresses of everybody, and nobody's firewall.
func TestInside(t *testing.T) {
	slow(t)
	t.Run("a part of it", func(t *testing.T) {
		if !Inside(t, "MOGGY_HANDED=on") {
			return
		}
		for _, x := range [][2]string{{"198.51.100.250:25", "198.51.100.7"}, {"[2001:db8::25]:25", "2001:db8::7"}, {"203.0.113.1:993", "10.9.9.9"}} {
			l, err := net.Listen("tcp", x[0])
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(x[1]), 0))}
			conn, err := d.DialContext(t.Context(), "tcp", x[0])
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}
	})
}

func TestPattern(t *testing.T) {
	if got := pattern("TestStory/a_(b)"); got != `^TestStory$/^a_\(b\)$` {
		t.Error(got)
	}
}

// get asks a web server for its page, as 192.0.2.7 by a PROXY header, and returns what it says.
func get(t *testing.T, addr string, wrap func(net.Conn) net.Conn) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(conn, "PROXY TCP4 192.0.2.7 127.0.0.1 4444 443\r\n")
	conn = wrap(conn)
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestNginx(t *testing.T) {
	slow(t)
	w := Nginx(t)
	plain := func(c net.Conn) net.Conn { return c }
	secure := func(c net.Conn) net.Conn { return tls.Client(c, &tls.Config{ServerName: CertName, RootCAs: w.Trust}) }
	for _, got := range []string{get(t, w.Proxy, plain), get(t, w.ProxyTLS, secure)} {
		if !strings.Contains(got, " 200 OK\r\n") || !strings.HasSuffix(got, "\r\n\r\n"+WebSays) {
			t.Errorf("it says %q", got)
		}
	}
	w.WaitLog(t.Context(), regexp.MustCompile(`^proxy_protocol_addr=192\.0\.2\.7 remote_addr=192\.0\.2\.7 "GET`))
}

func TestFail2ban(t *testing.T) {
	slow(t)
	if !Inside(t) {
		return
	}
	f := StartFail2ban(t, Fail2banOptions{Ignore: "test <ip> = 198.51.100.7", Retries: 2})
	for range 2 {
		f.Failed("198.51.100.7")
		f.Failed("198.51.100.8")
	}
	f.WaitBans(t.Context(), "ban 198.51.100.8\n")
	f.WaitLog(t.Context(), regexp.MustCompile(`Ignore 198\.51\.100\.7 by command`))
	f.Client("set", Jail, "unbanip", "198.51.100.8")
	f.WaitBans(t.Context(), "ban 198.51.100.8\nunban 198.51.100.8\n")
}
