package main_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A box is what a container is to the program in it: a network of its own, and a name server at 127.0.0.11 that knows
// whom it shares a network with. Files are those of the test, unless the program is given a root.
type box struct {
	t    *testing.T
	name string
	dir  string // what the program says is in its file log
	jobs chan func()
	tid  int // of the thread that is inside
}

// box makes one, with its links to the networks that docker-compose.yml gives it.
func (f *composed) box(name string) *box {
	f.t.Helper()
	b := &box{t: f.t, name: name, dir: filepath.Join(composeDir, name), jobs: make(chan func())}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	made := make(chan error)
	go func() { // ends with the test
		// The thread is never given back: it goes when this ends, and its network with it.
		runtime.LockOSThread()
		b.tid = syscall.Gettid()
		made <- syscall.Unshare(syscall.CLONE_NEWNET)
		for job := range b.jobs {
			job()
		}
	}()
	f.t.Cleanup(func() { close(b.jobs) })
	if err := <-made; err != nil {
		f.t.Fatal(err)
	}
	// The user of an image may take any port (sysctls in docker-compose.yml).
	b.do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0) })
	b.connect(f.plan)
	b.names(f.plan)
	return b
}

// do does a job inside. What is opened or started there stays there.
func (b *box) do(job func() error) {
	b.t.Helper()
	if err := b.try(job); err != nil {
		b.t.Fatalf("in %s: %v", b.name, err)
	}
}

// try does a job that may fail.
func (b *box) try(job func() error) error {
	done := make(chan error)
	b.jobs <- func() { done <- job() }
	return <-done
}

// ipBatch has ip(8) do these things, one a line.
func ipBatch(batch string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s\n%s", err, out, batch)
	}
	return nil
}

// link is the name of the far end of a box's wire. The kernel takes 15 bytes.
func (b *box) link(network string) string {
	return network + strconv.Itoa(slices.Index(composeServices, b.name))
}

// connect wires the box to its networks, each of which is a bridge in the world outside.
func (b *box) connect(p plan) {
	b.t.Helper()
	inside, outside := "link set lo up\n", ""
	for _, network := range p.in[b.name] {
		net := p.nets[network]
		outside += fmt.Sprintf("link add %s type veth peer name %s netns %d\n", b.link(network), network, b.tid)
		outside += fmt.Sprintf("link set %s master %s up\n", b.link(network), network)
		inside += fmt.Sprintf("addr add %s/%d dev %s\nlink set %[3]s up\n", p.addr(b.name, network), net.Bits(), network)
		if network == "front" {
			inside += "route add default via " + net.Addr().Next().String() + "\n"
		}
	}
	if err := ipBatch(outside); err != nil {
		b.t.Fatal(err)
	}
	b.do(func() error { return ipBatch(inside) })
}

// vanish takes the box from its networks, as an engine does with a container that has ended: who calls hears nothing,
// and nobody knows the name.
func (b *box) vanish(p plan) {
	b.t.Helper()
	var gone strings.Builder
	for _, network := range p.in[b.name] {
		fmt.Fprintf(&gone, "link del %s\n", b.link(network))
	}
	if err := ipBatch(gone.String()); err != nil {
		b.t.Fatal(err)
	}
	p.gone.Store(b.name, true)
}

// names answers as Docker does, at 127.0.0.11: the addresses of whom the box shares a network with, and else that there
// is no such name.
func (b *box) names(p plan) {
	b.t.Helper()
	var conn net.PacketConn
	b.do(func() (err error) {
		conn, err = net.ListenPacket("udp", "127.0.0.11:53")
		return err
	})
	reply := func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(p.answer(b.name, q)) }
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(reply)}
	go server.ActivateAndServe() // ends with the test
	b.t.Cleanup(func() { server.Shutdown() })
}

// answer is what Docker says to a question that comes from a service.
func (p plan) answer(asker string, q *dns.Msg) *dns.Msg {
	a := new(dns.Msg).SetReply(q)
	a.Rcode = dns.RcodeNameError
	name := strings.TrimSuffix(q.Question[0].Name, ".")
	for _, network := range p.in[asker] {
		if _, gone := p.gone.Load(name); gone || !p.shares(name, network) {
			continue
		}
		a.Rcode = dns.RcodeSuccess
		if q.Question[0].Qtype == dns.TypeA {
			head := dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 600}
			a.Answer = append(a.Answer, &dns.A{Hdr: head, A: p.addr(name, network).AsSlice()})
		}
	}
	return a
}

// A runAs is who a program runs as, and where; "" is the root of the test.
type runAs struct {
	uid, gid uint32
	groups   []uint32
	root     string
}

// nobody is the user of an image where it does not matter who.
var nobody = runAs{uid: 65534, gid: 65534}

// command makes a command that runs in the box, as what it starts with: the first process of its own.
func (b *box) command(as runAs, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(b.t.Context(), argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
		Chroot:     as.root,
		Credential: &syscall.Credential{Uid: as.uid, Gid: as.gid, Groups: as.groups},
	}
	cmd.Dir = "/"
	return cmd
}

// A service is a program that runs in a box.
type service struct {
	*box
	cmd   *exec.Cmd
	ended chan struct{}
}

// start starts a program, which ends with the test.
func (b *box) start(cmd *exec.Cmd) *service {
	b.t.Helper()
	log, err := os.OpenFile(filepath.Join(b.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	b.do(cmd.Start)
	s := &service{b, cmd, make(chan struct{})}
	go func() { // ends when the program does; kill waits for it
		defer close(s.ended)
		cmd.Wait() // how it ended is in its log
	}()
	b.t.Cleanup(s.end)
	return s
}

// kill ends the program, and all that it started.
func (s *service) kill() {
	s.cmd.Process.Kill()
	<-s.ended
}

// end ends the program, and shows what it said last if the test failed.
func (s *service) end() {
	s.kill()
	if s.t.Failed() {
		said := s.said()
		s.t.Logf("the last words of %s:\n%s", s.name, said[max(0, len(said)-4000):])
	}
}

// said is all that the program has said.
func (b *box) said() string {
	text, err := os.ReadFile(filepath.Join(b.dir, "log"))
	if err != nil {
		b.t.Error(err)
	}
	return string(text)
}

// client asks over HTTP from inside the box.
func (b *box) client() *http.Client {
	dial := func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = b.try(func() error {
			var d net.Dialer
			conn, err = d.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: 5 * time.Second}
}

// bridges makes the networks in the world outside, where the strangers are, and wires none of them to another.
func (p plan) bridges(t *testing.T) {
	t.Helper()
	var batch strings.Builder
	for name, net := range p.nets {
		fmt.Fprintf(&batch, "link add %s type bridge\nlink set %[1]s up\n", name)
		if name == "front" {
			fmt.Fprintf(&batch, "addr add %s dev %s\n", netip.PrefixFrom(net.Addr().Next(), net.Bits()), name)
		}
	}
	if err := ipBatch(batch.String()); err != nil {
		t.Fatal(err)
	}
}
