package peers

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"os"
	"testing"
	"time"
)

// Password is the password of every user of [Dovecot].
const Password = "pass"

// The users that Dovecot insists on, in its own /etc only.
const (
	dovecotUser  = 5805
	dovenullUser = 5806
)

// DovecotOptions say what kind of IMAP server Dovecot is.
type DovecotOptions struct {
	// Policy is the URL of an auth-policy server, to which each login is reported. Default: none.
	Policy string
	// PolicyAsked has that server asked as well, before and after a password is looked at, as Dovecot does by itself.
	PolicyAsked bool
	// PolicyKey goes to that server as X-API-Key.
	PolicyKey string
	// PolicyTimeout is how long a login may wait for that server. Default: Dovecot's own, 2 s.
	PolicyTimeout time.Duration
	// PerUser is how many connections a user may have from one address. Default: Dovecot's own, 10.
	PerUser int
}

// dovecotSettings are what the template of Dovecot uses.
type dovecotSettings struct {
	DovecotOptions
	Dir      string
	Ports    []int
	Password string
}

// An IMAP is an IMAP server that lets every user in who knows Password.
type IMAP struct {
	*program
	Plain    string         // address where it speaks plain IMAP, and takes STARTTLS
	Proxy    string         // address where it wants the PROXY header first, of version 1 or 2
	ProxyTLS string         // the same with TLS behind the header
	Trust    *x509.CertPool // who believes its certificate, which is for CertName
}

// Dovecot starts Dovecot as an IMAP server.
func Dovecot(t testing.TB, o DovecotOptions) *IMAP {
	t.Helper()
	p := newUnpacked(t, "dovecot")
	p.addUsers()
	p.ports = freePorts(t, 3)
	pool := p.certify()
	o.PerUser = cmp.Or(o.PerUser, 10)
	p.fill("dovecot.conf", "dovecot.conf", dovecotSettings{o, p.dir, p.ports, Password})
	p.mkdir(p.path("mail"), keeperUser)
	p.argv = []string{"/usr/sbin/dovecot", "-F", "-c", p.path("dovecot.conf")}
	p.Start()
	return &IMAP{program: p, Plain: local(p.ports[0]), Proxy: local(p.ports[1]), ProxyTLS: local(p.ports[2]), Trust: pool}
}

// addUsers adds Dovecot's own users to the program's /etc.
func (p *program) addUsers() {
	p.t.Helper()
	for name, lines := range map[string]string{
		"passwd": "dovecot:x:%d:%[1]d::/:/usr/sbin/nologin\ndovenull:x:%d:%[2]d::/:/usr/sbin/nologin\n",
		"group":  "dovecot:x:%d:\ndovenull:x:%d:\n",
	} {
		text, err := os.ReadFile(p.path("ns/etc", name))
		if err != nil {
			p.t.Fatal(err)
		}
		p.write("ns/etc/"+name, string(text)+fmt.Sprintf(lines, dovecotUser, dovenullUser))
	}
}

// LogFile names the file that Dovecot writes its log to.
func (d *IMAP) LogFile() string { return d.path("log", "dovecot") }

// Rotate gives the log another name, ends it, and has Dovecot begin a new one, as logrotate(8) does.
func (d *IMAP) Rotate() {
	d.t.Helper()
	if err := os.Rename(d.LogFile(), d.LogFile()+".1"); err != nil {
		d.t.Fatal(err)
	}
	ns := "/proc/" + pid(d.cmd) + "/ns/"
	d.run("nsenter", "--mount="+ns+"mnt", "--pid="+ns+"pid", "--", "/usr/bin/doveadm", "-c", d.path("dovecot.conf"), "log", "reopen")
}
