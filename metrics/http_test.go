package metrics

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func ask(h http.Handler, method, host, path string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHandler(t *testing.T) {
	h := New(Options{Listeners: []string{"smtp"}}).Handler(Health{})
	for _, c := range []struct {
		method, path string
		code         int
		says         string
	}{
		{"GET", "/", 200, "/metrics"},
		{"GET", "/metrics", 200, `moggy_harm_total{class="user"} 0`},
		{"GET", "/metrics", 200, "process_open_fds"},
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/readyz", 200, "ok\n"},
		{"HEAD", "/metrics", 200, ""},
		{"HEAD", "/healthz", 200, ""},
		{"POST", "/metrics", 405, ""},
		{"DELETE", "/", 405, ""},
		{"GET", "/debug/pprof/", 404, ""},
		{"GET", "/metrics/x", 404, ""},
		{"GET", "/index.html", 404, ""},
	} {
		r := ask(h, c.method, "localhost:9925", c.path)
		if text := body(t, r); r.StatusCode != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%s %s: %d %.80q", c.method, c.path, r.StatusCode, text)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: headers %v", c.method, c.path, r.Header)
		}
	}
}

// The page for people stands behind the same guard, and in nobody's way.
func TestPage(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "all good") })
	h := New(Options{}).Handler(Health{Page: page})
	for _, c := range []struct {
		method, host, path string
		code               int
		says               string
	}{
		{"GET", "localhost", "/", 200, "all good"},
		{"HEAD", "localhost", "/", 200, ""},
		{"POST", "localhost", "/", 405, ""},
		{"GET", "evil.example", "/", 421, "not a name of this page"},
		{"GET", "localhost", "/favicon.ico", 404, ""},
		{"GET", "localhost", "/healthz", 200, "ok\n"},
	} {
		r := ask(h, c.method, c.host, c.path)
		if text := body(t, r); r.StatusCode != c.code || !strings.Contains(text, c.says) || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s at %s: %d %.80q", c.method, c.path, c.host, r.StatusCode, text)
		}
	}
}

func TestForeignNamesAreTurnedAway(t *testing.T) {
	name := "mx0.example.org"
	h := New(Options{}).Handler(Health{Hostname: func() string { return name }})
	name = "mx.example.org" // by a new configuration
	for host, ours := range map[string]bool{
		"localhost": true, "LocalHost:9925": true, "127.0.0.1": true, "127.0.0.1:9925": true, "[::1]": true, "[::1]:9925": true,
		"192.0.2.7:80": true, "mx.example.org": true, "MX.Example.Org.:9925": true, "": true,
		"evil.example": false, "evil.example:9925": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"mx0.example.org": false, "mx.example.org.evil.example": false, "xlocalhost": false, "2130706433": false, "0x7f.1": false, ":9925": true,
	} {
		for _, path := range []string{"/", "/metrics", "/healthz", "/readyz"} {
			want := http.StatusMisdirectedRequest
			if ours {
				want = http.StatusOK
			}
			if r := ask(h, "GET", host, path); r.StatusCode != want {
				t.Errorf("%s at %q: %d", path, host, r.StatusCode)
			}
		}
	}
}

func TestReady(t *testing.T) {
	var store error
	var faults map[string]error
	h := New(Options{}).Handler(Health{Ready: func() map[string]error { return faults },
		Degraded: func() map[string]error { return map[string]error{"store": store} }})
	for _, c := range []struct {
		faults map[string]error
		store  error
		code   int
		says   string
	}{
		{nil, nil, 200, "ok\n"},
		{map[string]error{"smtp": nil}, nil, 200, "ok\n"},
		{nil, errors.New("no answer"), 200, "ok\nstore: no answer\n"},
		{map[string]error{"imaps": nil, "smtp": errors.New("421 \x1b[2J\nfalse line")}, errors.New("no answer"), 503,
			"smtp: 421 \\x1b[2J\\x0afalse line\nstore: no answer\n"},
	} {
		faults, store = c.faults, c.store
		r := ask(h, "GET", "localhost", "/readyz")
		if text := body(t, r); r.StatusCode != c.code || text != c.says {
			t.Errorf("%v, %v: %d %q", c.faults, c.store, r.StatusCode, text)
		}
	}
}

// serve runs Serve on a port of its own.
func serve(t *testing.T, h http.Handler) (addr string, stop context.CancelFunc, ended chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended = make(chan error, 1)
	go func() { ended <- Serve(ctx, l, h) }()
	return l.Addr().String(), cancel, ended
}

func TestServe(t *testing.T) {
	addr, stop, ended := serve(t, New(Options{}).Handler(Health{}))
	r, err := http.Get("http://" + addr + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	if text := body(t, r); text != "ok\n" {
		t.Errorf("got %q", text)
	}
	r.Body.Close()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("still listening")
	}
}

func TestServeLetsARequestEnd(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	addr, stop, ended := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		_, _ = io.WriteString(w, "late")
	}))
	got := make(chan string)
	go func() {
		r, err := http.Get("http://" + addr)
		if err != nil {
			got <- err.Error()
			return
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	}()
	<-asked
	stop()
	close(answer)
	if text := <-got; text != "late" {
		t.Errorf("got %q", text)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServeSaysWhyItEnded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Serve(t.Context(), l, http.NotFoundHandler()); !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "admin page on 127.0.0.1:") {
		t.Errorf("got %v", err)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	addr, stop, ended := serve(t, New(Options{}).Handler(Health{}))
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", 16<<10))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if !strings.Contains(line, "431") {
		t.Errorf("got %q, %v", line, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
