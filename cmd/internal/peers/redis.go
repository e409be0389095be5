package peers

import (
	"bufio"
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
)

// Redis is a redis-server of a test's own, on a port of its own of the loopback. Unlike the mail programs it needs no
// root. It ends with the test, and its data goes.
type Redis struct {
	t     testing.TB
	dir   string
	port  int
	lines []string // of its configuration
	cmd   *exec.Cmd
	ended chan struct{}
}

// StartRedis starts a redis-server and returns when it answers. Each of lines is one of its configuration
// ("appendonly yes"); without any it keeps nothing on the disk. See [Need] for what happens where it is not installed.
func StartRedis(t testing.TB, lines ...string) *Redis {
	t.Helper()
	Demand(t, "redis-server", haveCommand("redis-server"))
	r := &Redis{t: t, dir: t.TempDir(), port: freePorts(t, 1)[0], lines: lines}
	t.Cleanup(r.end)
	r.Start()
	return r
}

// Start starts the server again after Kill, with the data that it has kept.
func (r *Redis) Start() {
	r.t.Helper()
	if r.cmd != nil {
		r.t.Fatal("redis-server is already running")
	}
	conf := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\nsave \"\"\n%s\n", r.port, r.dir, strings.Join(r.lines, "\n"))
	if err := os.WriteFile(r.file("redis.conf"), []byte(conf), 0o600); err != nil {
		r.t.Fatal(err)
	}
	out, err := os.OpenFile(r.file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("redis-server", r.file("redis.conf"))
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, untilOurEnd()
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan struct{})
	r.cmd, r.ended = cmd, ended
	go func() { // ends when the server does; Kill waits for it
		defer close(ended)
		cmd.Wait() // how it ended is in its log
	}()
	if err := Poll(r.t.Context(), func() bool { return r.gone() || r.Ask("PING") == "+PONG" }); err != nil || r.gone() {
		r.t.Fatalf("redis-server did not start: %v", err)
	}
}

func (r *Redis) file(name string) string { return filepath.Join(r.dir, name) }

func (r *Redis) gone() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// Kill ends the server as kill -9 does, paused or not.
func (r *Redis) Kill() {
	if r.cmd == nil {
		return
	}
	r.cmd.Process.Kill()
	<-r.ended
	r.cmd = nil
}

// Pause has the server hang (SIGSTOP): connections stay, and nothing answers.
func (r *Redis) Pause() { r.signal(syscall.SIGSTOP) }

// Resume ends Pause: all that was asked meanwhile is done and answered.
func (r *Redis) Resume() { r.signal(syscall.SIGCONT) }

func (r *Redis) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// Forget removes the data of a server that was killed: it will start empty.
func (r *Redis) Forget() {
	r.t.Helper()
	kept, err := filepath.Glob(r.file("appendonlydir"))
	if err != nil || r.cmd != nil {
		r.t.Fatalf("cannot take the data from redis-server, which has to be killed first: %v", err)
	}
	for _, path := range append(kept, r.file("dump.rdb")) {
		if err := os.RemoveAll(path); err != nil {
			r.t.Fatal(err)
		}
	}
}

// URL is what moggy.toml calls this server; all keys begin with the prefix.
func (r *Redis) URL(prefix string) string {
	return "redis://" + local(r.port) + "/0?prefix=" + prefix
}

// Ask asks one question, words with spaces between, and returns the first line of the answer as the protocol has it
// ("+OK", ":3"); "" where the server does not answer.
func (r *Redis) Ask(question string) string {
	conn, err := net.DialTimeout("tcp", local(r.port), time.Second)
	if err != nil {
		return ""
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(question + "\r\n")); err != nil {
		return ""
	}
	answer, _ := bufio.NewReader(conn).ReadString('\n') // half an answer is none
	return strings.TrimSuffix(answer, "\r\n")
}

// Count asks a question to which the answer is a number.
func (r *Redis) Count(question string) int {
	r.t.Helper()
	answer := r.Ask(question)
	n, err := strconv.Atoi(strings.TrimPrefix(answer, ":"))
	if err != nil {
		r.t.Fatalf("redis-server answers %q to %q", answer, question)
	}
	return n
}

// end ends the server, and shows what it said last if the test failed.
func (r *Redis) end() {
	r.Kill()
	if !r.t.Failed() {
		return
	}
	log, _ := os.ReadFile(r.file("log")) // it is only for people
	lines := strings.SplitAfter(string(log), "\n")
	r.t.Logf("the last words of redis-server:\n%s", strings.Join(lines[max(0, len(lines)-20):], ""))
}
