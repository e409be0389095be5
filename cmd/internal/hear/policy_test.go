package hear

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
)

// Reports as Dovecot sends them: 2.3.19.1 with the attributes of the package comment, 2.4.1 with those it comes with.
const (
	good23   = `{"login":"me","protocol":"imap","pwhash":"0d6c","remote":"198.51.100.7","success":true,"policy_reject":false,"tls":false}`
	good24   = `{"device_id":"","fail_type":"","login":"me@example.org","protocol":"imap","pwhash":"0f53","remote":"2001:db8:7::1","session_id":"pBg89uZgXBEgAQ24AAcAAAAAAAAAAAAB","success":true,"policy_reject":false,"tls":false}`
	failed24 = `{"device_id":"","fail_type":"credentials","login":"me","protocol":"pop3","pwhash":"08aa","remote":"198.51.100.8","session_id":"YH7n9uZgXBHGM2QI","success":false,"policy_reject":false,"tls":false}`
)

func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		name, method, query, key, body string
		code                           int
		answer                         string
		heard                          string
	}{
		{"2.3", "POST", "command=report", "secret", good23, 200, `{"status":0}`, `dovecot ok "me" imap 198.51.100.7`},
		{"2.4", "POST", "command=report", "secret", good24, 200, `{"status":0}`, `dovecot ok "me@example.org" imap 2001:db8:7::1`},
		{"2.4, failed", "POST", "command=report", "secret", failed24, 200, `{"status":0}`, `dovecot failed "me" pop3 198.51.100.8`},
		{"other parameters", "POST", "x=y&command=report", "secret", good23, 200, `{"status":0}`, `dovecot ok "me" imap 198.51.100.7`},
		{"asked", "POST", "command=allow", "secret", good23, 200, `{"status":0,"msg":""}`, ""},
		{"asked in its own way", "POST", "command=allow", "secret", "x", 200, `{"status":0,"msg":""}`, ""},
		{"a database is down", "POST", "command=report", "secret", strings.Replace(failed24, "credentials", "internal", 1), 200, `{"status":0}`, ""},
		{"an account is closed", "POST", "command=report", "secret", strings.Replace(failed24, "credentials", "disabled", 1), 200, `{"status":0}`, ""},
		{"nobody of that name", "POST", "command=report", "secret", strings.Replace(failed24, "credentials", "account", 1), 200, `{"status":0}`, `dovecot failed "me" pop3 198.51.100.8`},
		{"another policy", "POST", "command=report", "secret", strings.Replace(failed24, `ject":false`, `ject":true`, 1), 200, `{"status":0}`, ""},
		{"by a socket", "POST", "command=report", "secret", `{"login":"me","remote":"","success":true}`, 200, `{"status":0}`, `dovecot ok "me"  invalid IP`},
		{"no key", "POST", "command=report", "", good23, 403, "", ""},
		{"wrong key", "POST", "command=report", "Secret", good23, 403, "", ""},
		{"looks around", "GET", "command=report", "secret", "", 405, "", ""},
		{"no command", "POST", "", "secret", good23, 400, "", ""},
		{"other command", "POST", "command=reset", "secret", good23, 400, "", ""},
		{"no JSON", "POST", "command=report", "secret", "\x1b[2J", 400, "", ""},
		{"cut", "POST", "command=report", "secret", good23[:50], 400, "", ""},
		{"more than one", "POST", "command=report", "secret", good23 + good23, 400, "", ""},
		{"no object", "POST", "command=report", "secret", `["me"]`, 400, "", ""},
		{"wrong type", "POST", "command=report", "secret", `{"login":5,"remote":"192.0.2.7","success":true}`, 400, "", ""},
		{"no outcome", "POST", "command=report", "secret", `{"login":"me","remote":"192.0.2.7"}`, 400, "", ""},
		{"no address", "POST", "command=report", "secret", `{"login":"me","remote":"%{rip}","success":true}`, 400, "", ""},
		{"too long", "POST", "command=report", "secret", `{"login":"` + strings.Repeat("x", maxReport) + `"}`, 400, "", ""},
		{"too long to be asked", "POST", "command=allow", "secret", strings.Repeat("x", maxReport+1), 400, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, said, count := &heard{}, &strings.Builder{}, &counts{}
			p := newPolicy(h, "secret", count, slog.New(slog.NewTextHandler(said, nil)))
			r := httptest.NewRequest(c.method, "/dovecot?"+c.query, strings.NewReader(c.body))
			r.RemoteAddr = "127.0.0.1:4444"
			if c.key != "" {
				r.Header.Set("X-API-Key", c.key)
			}
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			if w.Code != c.code || c.answer != "" && w.Body.String() != c.answer {
				t.Errorf("answers %d %q", w.Code, w.Body)
			}
			if got := strings.Join(h.list(), " & "); got != c.heard {
				t.Errorf("heard %q, not %q", got, c.heard)
			}
			if refused, malformed := count.refused.Load(), count.malformed.Load(); refused != b2i(c.code == 403) || malformed != b2i(c.code == 400) {
				t.Errorf("%d refused, %d malformed", refused, malformed)
			}
			if strings.Contains(said.String(), "\x1b") || said.Len() > 500 {
				t.Errorf("logged %q", said)
			}
		})
	}
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func TestPolicyIsForThisMachine(t *testing.T) {
	h, count := &heard{}, &counts{}
	p := newPolicy(h, "", count, slog.New(slog.DiscardHandler))
	for addr, code := range map[string]int{"127.0.0.1:1": 200, "[::1]:1": 200, "[::ffff:127.0.0.1]:1": 200,
		"192.0.2.7:1": 403, "[2001:db8::1]:1": 403, "": 403} {
		r := httptest.NewRequest("POST", "/?command=report", strings.NewReader(good23))
		r.RemoteAddr = addr
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != code {
			t.Errorf("%q is answered %d", addr, w.Code)
		}
	}
	if n := len(h.list()); n != 3 || count.reports.Load() != 3 || count.refused.Load() != 3 {
		t.Errorf("%d reports heard", n)
	}
}

func FuzzReport(f *testing.F) {
	for _, s := range []string{good23, good24, failed24, `{"success":true}`, `{"SUCCESS":true,"remote":"::1%eth0"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		l, telling, err := parseReport(body)
		if err != nil && (telling || l.OK || l.Addr.IsValid()) || len(fmt.Sprint(err)) > 1000 {
			t.Errorf("%q: %+v, %v", body, l, err)
		}
		if l.OK && !telling {
			t.Errorf("%q: a login is kept quiet", body)
		}
	})
}

// listen listens on a port of the loopback.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestServe(t *testing.T) {
	h, l := &heard{}, listen(t)
	e, err := New(Options{Hints: h, Dovecot: l, Key: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	for range 3 { // in one connection, as Dovecot does
		r, _ := http.NewRequest("POST", "http://"+l.Addr().String()+"/dovecot?command=report", strings.NewReader(good23))
		r.Header.Set("X-API-Key", "secret")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(answer.Body); string(text) != `{"status":0}` {
			t.Errorf("answers %q", text)
		}
		answer.Body.Close()
	}
	cancel()
	<-done
	if got := h.list(); len(got) != 3 || e.Counts() != (Counts{Reports: 3}) || len(e.Faults()) != 0 {
		t.Errorf("heard %q, counted %+v, faults %v", got, e.Counts(), e.Faults())
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}

func TestServeEndsEarly(t *testing.T) {
	l := listen(t)
	e, err := New(Options{Hints: &heard{}, Dovecot: l})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	e.Run(t.Context())
	if fault := e.Faults()["dovecot"]; !strings.Contains(fault, "use of closed network connection") {
		t.Errorf("faults: %q", fault)
	}
}

func TestListenerIsLoopback(t *testing.T) {
	for addr, fine := range map[string]bool{"127.0.0.1:9143": true, "[::1]:9143": true, "127.9.9.9:1": true,
		"0.0.0.0:9143": false, "[::]:9143": false, "192.0.2.1:9143": false, "/run/x": false} {
		_, err := New(Options{Dovecot: named(addr)})
		if (err == nil) != fine {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// named is a listener of which nothing but the address is wanted.
type named string

func (n named) Addr() net.Addr          { return n }
func (n named) String() string          { return string(n) }
func (named) Network() string           { return "tcp" }
func (named) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (named) Close() error              { return nil }

func TestFaults(t *testing.T) {
	said := &strings.Builder{}
	e, err := New(Options{Log: slog.New(slog.NewTextHandler(said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{nil, io.EOF, io.EOF, os.ErrPermission, nil, nil} {
		e.fault("ear", advised(err))
	}
	if !strings.Contains(said.String(), "SupplementaryGroups") {
		t.Errorf("no advice in %q", said)
	}
	var levels []string
	for line := range strings.Lines(said.String()) {
		levels = append(levels, strings.Fields(line)[1])
	}
	if want := []string{"level=WARN", "level=WARN", "level=INFO"}; !slices.Equal(levels, want) || len(e.Faults()) != 0 {
		t.Errorf("logged %q, faults %v", said, e.Faults())
	}
}
