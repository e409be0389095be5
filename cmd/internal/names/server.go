package names

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
)

// patience is how long a server may take to end by itself before it is killed.
const patience = 3 * time.Second

// A Server is a name server of the test, on the loopback.
type Server struct {
	Addr netip.AddrPort // of UDP, and with unbound of TCP

	t     testing.TB
	name  string
	dir   string
	zone  string // a name that it answers for when it is ready
	argv  []string
	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
}

// newServer makes the directory of a server and sees to it that server and directory go away after the test.
func newServer(t testing.TB, name, zone string) *Server {
	t.Helper()
	Need(t, name)
	dir, err := os.MkdirTemp("", "moggy-names-")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: freeAddress(t), t: t, name: name, dir: dir, zone: zone}
	t.Cleanup(s.remove)
	if err := os.Chmod(dir, 0o755); err != nil { // rbldnsd is another user
		t.Fatal(err)
	}
	return s
}

// remove stops the server and deletes its directory; after a failed test it first shows what it said.
func (s *Server) remove() {
	s.Stop()
	if s.t.Failed() {
		s.t.Logf("the words of %s:\n%s", s.name, s.Log())
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.t.Errorf("removing what %s left: %v", s.name, err)
	}
}

// path names a file in the server's directory.
func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// write makes a file in the server's directory that everybody may read.
func (s *Server) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// Start starts the server and returns when it answers. Its port and its data are those it had before a Stop; what it
// had in its cache is gone.
func (s *Server) Start() {
	s.t.Helper()
	if s.cmd != nil {
		s.t.Fatalf("%s is already running", s.name)
	}
	out, err := os.OpenFile(s.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	s.cmd = exec.Command(s.argv[0], s.argv[1:]...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr, s.cmd.SysProcAttr = s.dir, out, out, bound()
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		s.t.Fatalf("starting %s: %v", s.name, err)
	}
	ended := make(chan struct{})
	s.ended = ended
	go func(cmd *exec.Cmd) { // ends when the server does; Stop waits for it
		defer close(ended)
		cmd.Wait() // how it ended is in its log
	}(s.cmd)
	s.ready()
}

// ready waits until the server answers.
func (s *Server) ready() {
	s.t.Helper()
	err := peers.Poll(s.t.Context(), func() bool { return s.gone() || answers(s.Addr, s.zone) })
	if err != nil || s.gone() {
		s.t.Fatalf("%s did not start to answer at %s (%v)", s.name, s.Addr, err)
	}
}

// gone tells whether the server, once started, has ended.
func (s *Server) gone() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// Stop ends the server and returns when it is gone: who asks it then is told that nobody is there.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	s.Resume()
	s.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.cmd.Process.Kill()
		<-s.ended
	}
	s.cmd = nil
}

// Pause makes the server silent: who asks it waits. What is asked meanwhile it answers after Resume.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// signal sends a signal to the server.
func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if s.cmd == nil {
		s.t.Fatalf("%s is stopped", s.name)
	}
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("%v to %s: %v", sig, s.name, err)
	}
}

// Log returns everything the server has said since the test began.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.path("log"))
	if err != nil && !os.IsNotExist(err) {
		s.t.Errorf("what %s said: %v", s.name, err)
	}
	return string(text)
}

// answers tells whether a server answers a question about a zone, and not that it is unable to. (An rbldnsd whose lists
// have no SOA refuses to say it.)
func answers(addr netip.AddrPort, zone string) bool {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write(question(zone)); err != nil {
		return false
	}
	reply := make([]byte, 4096)
	n, err := conn.Read(reply)
	if err != nil || n < 12 {
		return false
	}
	const failure = 2
	return reply[3]&15 != failure
}

// question is a message that asks for the SOA of a zone.
func question(zone string) []byte {
	message := []byte{7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := range strings.SplitSeq(zone, ".") {
		message = append(append(message, byte(len(label))), label...)
	}
	return append(message, 0, 0, 6, 0, 1)
}
