package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// need skips the test when redis-server is not installed; with MOGGY_E2E=1 in the
// environment, as in CI, the test fails instead.
func need(t testing.TB) {
	t.Helper()
	_, err := exec.LookPath("redis-server")
	switch {
	case err == nil:
	case os.Getenv("MOGGY_E2E") == "1":
		t.Fatalf("redis-server is needed because MOGGY_E2E=1: %v; try: sudo cmd/internal/peers/install.sh", err)
	default:
		t.Skipf("redis-server cannot be run here: %v; try: sudo cmd/internal/peers/install.sh", err)
	}
}

// slow skips tests that take many seconds, unless MOGGY_E2E=1.
func slow(t testing.TB) {
	t.Helper()
	if os.Getenv("MOGGY_E2E") != "1" {
		t.Skip("takes long; try: MOGGY_E2E=1")
	}
	need(t)
}

// A server is a redis-server of the test's own, on the loopback.
type server struct {
	t    testing.TB
	port int
	dir  string
	args []string
	pass string // of the administrator
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan struct{}
}

// start starts a redis-server with further lines of configuration, each one
// argument, as in "--maxmemory 10mb".
func start(t testing.TB, lines ...string) *server {
	t.Helper()
	need(t)
	s := &server{t: t, port: freePort(t), dir: t.TempDir(), args: lines}
	s.run()
	t.Cleanup(s.kill)
	return s
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *server) run() {
	s.t.Helper()
	s.launch("redis-server", "--port", strconv.Itoa(s.port))
	s.ready()
}

// launch starts the program; what it says is shown when the test fails.
func (s *server) launch(args ...string) {
	s.t.Helper()
	args = append(args, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--daemonize", "no")
	for _, line := range s.args {
		args = append(args, strings.Fields(line)...)
	}
	s.exec(args...)
}

func (s *server) exec(args ...string) {
	s.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &s.out, &s.out
	must(s.t, cmd.Start())
	done := make(chan struct{})
	s.cmd, s.done = cmd, done
	go func() { // ends when the program does; kill waits for it
		defer close(done)
		cmd.Wait()
	}()
}

// ready waits until the server answers.
func (s *server) ready() {
	s.t.Helper()
	eventually(s.t, 20*time.Second, "redis-server did not start", func() bool {
		word := s.ping()
		return word != "" && !strings.Contains(word, "LOADING")
	})
}

// listens waits until the server says anything.
func (s *server) listens() {
	s.t.Helper()
	eventually(s.t, 20*time.Second, "redis-server did not start", func() bool { return s.ping() != "" })
}

func (s *server) ping() string {
	c, err := net.DialTimeout("tcp", s.addr(), time.Second)
	if err != nil {
		return ""
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	c.Write([]byte("PING\r\n"))
	var b [64]byte
	n, _ := c.Read(b[:])
	return string(b[:n])
}

func (s *server) addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// kill ends the server at once, as kill -9 does.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGCONT)
	s.cmd.Process.Kill()
	<-s.done
	s.cmd = nil
	if s.t.Failed() {
		s.t.Logf("the last words of redis-server:\n%s", lastLines(s.out.String(), 15))
	}
}

func lastLines(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	must(s.t, s.cmd.Process.Signal(sig))
}

// do asks the server as an administrator would, with a client that waits.
func (s *server) do(args ...any) any {
	s.t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: s.addr(), Password: s.pass, Protocol: 2, DisableIdentity: true})
	defer c.Close()
	v, err := c.Do(context.Background(), args...).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		s.t.Fatalf("%v: %v", args, err)
	}
	return v
}

// info is a figure of INFO.
func (s *server) info(name string) int64 {
	s.t.Helper()
	for line := range strings.Lines(s.do("INFO").(string)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	s.t.Fatalf("no %s in INFO", name)
	return 0
}

// eventually waits for something that another program does.
func eventually(t testing.TB, bound time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.After(bound)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("%s within %v", what, bound)
		case <-tick.C:
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// url is the server's, with a prefix of the test's own, so that tests can share
// a server.
func (s *server) url(prefix string) string {
	return fmt.Sprintf("redis://%s/0?prefix=%s", s.addr(), prefix)
}

// openAt opens a store that the test closes.
func openAt(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func file(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, content, 0o600))
	return path
}
