package main_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
)

// Who and where everybody is in the tests of a household and its server. Both addresses are public, see peers.Inside.
const (
	household = "198.51.100.7"
	visitor   = "198.51.100.9"   // nothing is known of it
	server    = "198.51.100.250" // where moggyd listens
	home6     = "2001:db8::7"    // the household's
	server6   = "2001:db8::25"
)

// A part of a test is tried in a world of its own.
type part struct {
	name string
	try  func(*testing.T, programs)
}

// builtEnv tells a test inside where the programs are that were built outside.
const builtEnv = "MOGGY_BUILT"

// apart tries all parts, each inside.
func apart(t *testing.T, parts []part) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real mail programs in namespaces")
	}
	peers.Need(t, "namespace")
	p := built(t)
	for _, c := range parts {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if peers.Inside(t, builtEnv+"="+filepath.Dir(p.moggyd)) {
				c.try(t, p)
			}
		})
	}
}

// built are our programs; they are built once.
func built(t *testing.T) programs {
	t.Helper()
	if dir := os.Getenv(builtEnv); dir != "" {
		return programs{filepath.Join(dir, "moggyd"), filepath.Join(dir, "moggy")}
	}
	return build(t)
}

// stream is a listener for what is not ours to speak.
func stream(name, address, backend string) string {
	return fmt.Sprintf("[[listener]]\nname = %q\naddress = %q\nkind = \"stream\"\nbackend = %q\n", name, address, backend)
}

// smtp is the listener that talks to strangers, see daemon.send.
func smtp(backend string) string {
	return fmt.Sprintf("[[listener]]\nname = \"smtp\"\naddress = %q\nbackend = %q\n", at("25"), backend)
}

// at is a port of the server.
func at(port string) string { return net.JoinHostPort(server, port) }

// home starts moggyd with these listeners and sections, and returns when it is ready.
func (p programs) home(t *testing.T, sections ...string) *daemon {
	t.Helper()
	d := p.make(t, conf{Pass: "2s"})
	d.Mail = at("25")
	head := fmt.Sprintf("hostname = \"mx.moggy.test\"\nstate_dir = %q\ngrace = \"20s\"\n", d.State)
	tail := fmt.Sprintf("[tarpit]\nstutter = \"1s\"\ngap = \"100ms\"\n[admin]\naddress = %q\n", d.Admin)
	d.write(head + strings.Join(sections, "") + tail)
	d.run()
	d.waitLog(`moggyd is ready`)
	return d
}

// ask runs moggy as the operator at the household does, over ssh, and returns what it printed and its exit status.
func (d *daemon) ask(args ...string) (string, int) {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), d.moggy, append([]string{"-c", d.file("moggy.toml")}, args...)...)
	cmd.Env = append(os.Environ(), "SSH_CLIENT="+household+" 50022 22")
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		d.t.Fatalf("moggy %q: %v", args, err)
	}
	return string(out), 0
}

// told wants moggy to say all of these.
func (d *daemon) told(args []string, want ...string) {
	d.t.Helper()
	said, _ := d.ask(args...)
	for _, words := range want {
		if !strings.Contains(strings.Join(strings.Fields(said), " "), words) {
			d.t.Errorf("moggy %s does not say %q:\n%s", strings.Join(args, " "), words, said)
		}
	}
}

// good wants the address to become known to be good soon: a second is what is promised, the rest is for a busy machine.
func (d *daemon) good(addr string) {
	d.t.Helper()
	began := time.Now()
	d.until(addr+" is good", func() bool { _, exit := d.ask("good", "-q", addr); return exit == 0 })
	if took := time.Since(began); took > 5*time.Second {
		d.t.Errorf("it took %v until %s was good", took, addr)
	}
}

// reach connects to a server from an address. An error is what a client sees: nothing for two seconds, or a refusal.
func reach(t *testing.T, source, addr string) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(source), 0))}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err == nil {
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(time.Minute))
	}
	return conn, err
}

// mustReach is reach, where there is no reason to fail.
func mustReach(t *testing.T, source, addr string) net.Conn {
	t.Helper()
	conn, err := reach(t, source, addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// serve has something done with each connection that comes to an address, which it closes. It ends with the test.
func serve(t *testing.T, addr string, with func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // its connections end with those who called
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); with(conn) }()
		}
	}()
}

// A mailer is a connection of a mail program, over IMAP.
type mailer struct {
	net.Conn
	t    *testing.T
	r    *bufio.Reader
	tags int
}

// mail begins a connection over IMAP: it wants the server's greeting.
func mail(t *testing.T, conn net.Conn) *mailer {
	t.Helper()
	m := &mailer{Conn: conn, t: t, r: bufio.NewReader(conn)}
	if said := m.line(); !strings.HasPrefix(said, "* OK ") {
		t.Fatalf("greeted with %q", said)
	}
	return m
}

// line is what the server says next, "" when it says no more.
func (m *mailer) line() string {
	said, _ := m.r.ReadString('\n')
	return strings.TrimRight(said, "\r\n")
}

// says sends a command and returns how the server ends its answer, without the tag.
func (m *mailer) says(command string) string {
	m.t.Helper()
	m.tags++
	tag := fmt.Sprintf("t%d ", m.tags)
	if _, err := fmt.Fprintf(m, "%s%s\r\n", tag, command); err != nil {
		return err.Error()
	}
	for {
		said := m.line()
		if end, ok := strings.CutPrefix(said, tag); ok || said == "" {
			return end
		}
	}
}

// wants sends a command and wants the server's answer to begin so.
func (m *mailer) wants(command, answer string) {
	m.t.Helper()
	if said := m.says(command); !strings.HasPrefix(said, answer) {
		m.t.Fatalf("%s: %q, not %q", command, said, answer)
	}
}

// login logs in with the right password, as everybody's is.
func (m *mailer) login(user string) {
	m.t.Helper()
	m.wants("LOGIN "+user+" "+peers.Password, "OK ")
}

// tries a password that is wrong.
func (m *mailer) tries(user, password string) {
	m.t.Helper()
	m.wants("LOGIN "+user+" "+password, "NO [AUTHENTICATIONFAILED]")
}

// closed wants the server to close without another word.
func (m *mailer) closed() {
	m.t.Helper()
	if said := m.line(); said != "" {
		m.t.Errorf("it says %q and does not close", said)
	}
}

// secure begins TLS, and believes nobody but the owner of the certificate.
func secure(conn net.Conn, config *tls.Config) net.Conn {
	config = config.Clone()
	config.ServerName = peers.CertName
	return tls.Client(conn, config)
}
