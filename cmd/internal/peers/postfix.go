package peers

import (
	"bytes"
	"os/exec"
	"os/user"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// PostfixOptions say what kind of backend Postfix is.
type PostfixOptions struct {
	// OpenRelay makes it count 127.0.0.0/8 as its own network, whose mail it takes for any domain (and throws away, if it
	// is not for Domain): an open relay behind a proxy that hides the peer's address.
	OpenRelay bool
}

// postfixSettings are what the templates of Postfix use.
type postfixSettings struct {
	settings
	PostfixOptions
	UID     int
	GID     int
	Backend bool
	Ports   []int
	Screen  *PostscreenOptions // nil: no postscreen
}

// PostfixBackend starts Postfix as a backend with all three ways to learn the peer's address.
func PostfixBackend(t testing.TB, o PostfixOptions) *Backend {
	t.Helper()
	p := newProgram(t, "postfix")
	p.ports = freePorts(t, 3)
	s := postfixSettings{PostfixOptions: o, Backend: true, Ports: p.ports}
	s.Hello = "mx.test"
	p.startPostfix(s)
	return &Backend{program: p, Plain: local(p.ports[0]), Proxy: local(p.ports[1]), XClient: local(p.ports[2])}
}

// PostfixSender starts Postfix as a sender: it looks after its queue every second.
func PostfixSender(t testing.TB, o SenderOptions) *Sender {
	t.Helper()
	p := newProgram(t, "postfix")
	s := postfixSettings{settings: settle(t, p, o)}
	s.Ports = p.ports
	p.startPostfix(s)
	return &Sender{program: p, inject: local(s.Port), queue: postfixQueue, retry: postfixFlush}
}

// Submit puts a message into the queue as a user of this machine does, with sendmail(1). Postfix only.
func (s *Sender) Submit(from, to string, msg []byte) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "/usr/sbin/sendmail", "-C", s.path("etc"), "-f", from, to)
	cmd.Stdin = bytes.NewReader(msg)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("sendmail: %v: %s", err, out)
	}
}

// LogFile names the file that Postfix writes its log to. Postfix only.
func (s *Sender) LogFile() string { return s.path("log", "mail") }

// startPostfix writes the configuration and starts Postfix in the foreground.
func (p *program) startPostfix(s postfixSettings) {
	p.t.Helper()
	s.Dir = p.dir
	s.UID, s.GID = postfixUser(p.t)
	p.fill("etc/main.cf", "main.cf", s)
	p.fill("etc/master.cf", "master.cf", s)
	p.mkdir(p.path("data"), s.UID)
	p.mkdir(p.path("maildir"), s.UID)
	p.mkdir(p.path("queue"), 0)
	script := `postfix -c "$1" post-install create-missing; exec /usr/lib/postfix/sbin/master -c "$1" -s`
	if s.Screen != nil {
		script = p.lookUps(s.Screen) + script
	}
	p.argv = []string{"/bin/sh", "-ec", script, "sh", p.path("etc")}
	p.Start()
}

// postfixUser returns the numbers of Postfix's own user and group.
func postfixUser(t testing.TB) (uid, gid int) {
	t.Helper()
	u, err := user.Lookup("postfix")
	if err != nil {
		t.Fatalf("%v; try: %s", err, install)
	}
	uid, _ = strconv.Atoi(u.Uid) // always decimal on Linux
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid
}

// postfixQueue lists the queue of Postfix.
func postfixQueue(p *program) string {
	if list := p.run("postqueue", "-c", p.path("etc"), "-p"); !strings.Contains(list, "Mail queue is empty") {
		return list
	}
	return ""
}

// postfixActive matches, in a listing of the queue, the line of a message that is just being delivered.
var postfixActive = regexp.MustCompile(`(?m)^[0-9A-Za-z]+\*`)

// postfixFlush tries the whole queue now. What is just being delivered would not be tried again: this waits for it.
func postfixFlush(p *program) {
	p.t.Helper()
	p.rest(func() bool { return !postfixActive.MatchString(postfixQueue(p)) })
	p.run("postqueue", "-c", p.path("etc"), "-f")
}
