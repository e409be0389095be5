package peers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// Fail2banOptions say what fail2ban does with who fails.
type Fail2banOptions struct {
	Ignore  string // ignorecommand; default: none
	Retries int    // failures after which it bans
}

// A Fail2ban is a fail2ban server with one jail, [Jail], whose log the test writes and whose action writes a file.
type Fail2ban struct {
	*program
	sock string
}

// Jail is the jail of a Fail2ban.
const Jail = "peers"

// fail2banSettings are what the templates of fail2ban use.
type fail2banSettings struct {
	Fail2banOptions
	Dir  string
	Jail string
}

// StartFail2ban starts fail2ban in the place of the machine's own, inside (see [Inside]): it has the socket at which
// fail2ban-client looks for it.
func StartFail2ban(t testing.TB, o Fail2banOptions) *Fail2ban {
	t.Helper()
	if os.Getenv(insideEnv) == "" {
		t.Fatal("fail2ban has its socket below /run: call Inside first")
	}
	p := newProgram(t, "fail2ban")
	s := fail2banSettings{o, p.dir, Jail}
	for _, name := range []string{"fail2ban.conf", "jail.conf"} {
		p.fill("etc/"+name, name, s)
	}
	p.write("etc/filter.d/peers.conf", "[Definition]\nfailregex = ^\\s*failed login from <HOST>$\n")
	p.write("etc/action.d/peers.conf", "[Definition]\nactionban = echo ban <ip> >>"+p.path("log", "bans")+"\nactionunban = echo unban <ip> >>"+p.path("log", "bans")+"\n")
	p.write("log/logins", "")
	p.mkdir("/run/fail2ban", 0)
	f := &Fail2ban{program: p, sock: "/run/fail2ban/fail2ban.sock"}
	p.argv = []string{"fail2ban-server", "-f", "-c", p.path("etc"), "-s", f.sock, "-p", p.path("pid")}
	p.Start()
	f.WaitLog(t.Context(), regexp.MustCompile(`Jail '`+Jail+`' started`))
	return f
}

// Client runs fail2ban-client, which has to succeed, and returns what it printed.
func (f *Fail2ban) Client(args ...string) string {
	f.t.Helper()
	return f.run("fail2ban-client", append([]string{"-s", f.sock}, args...)...)
}

// Failed writes a failed login from the address to the log that the jail reads.
func (f *Fail2ban) Failed(addr string) {
	f.t.Helper()
	log, err := os.OpenFile(f.path("log", "logins"), os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		f.t.Fatal(err)
	}
	defer log.Close()
	if _, err := fmt.Fprintf(log, "%s failed login from %s\n", time.Now().Format(time.DateTime), addr); err != nil {
		f.t.Fatal(err)
	}
}

// Bans returns what the jail's action has done: "ban ADDRESS" or "unban ADDRESS" a line.
func (f *Fail2ban) Bans() string {
	text, err := os.ReadFile(filepath.Join(f.dir, "log", "bans"))
	if err != nil && !os.IsNotExist(err) {
		f.t.Fatal(err)
	}
	return string(text)
}

// WaitBans waits until Bans says this.
func (f *Fail2ban) WaitBans(ctx context.Context, want string) {
	f.t.Helper()
	if err := Poll(ctx, func() bool { return f.Bans() == want }); err != nil {
		f.t.Fatalf("the jail did %q, not %q: %v", f.Bans(), want, err)
	}
}
