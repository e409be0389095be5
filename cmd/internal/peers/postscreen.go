package peers

import (
	"cmp"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// PostscreenOptions say whom postscreen asks about strangers, and how many it can have at once.
type PostscreenOptions struct {
	Zones     []string      // of DNS lists, each with the weight 1
	Server    netip.Addr    // the name server that knows them, at port 53, the only one that Postfix asks
	Threshold int           // on how many of them a stranger is listed; default 1
	Wait      time.Duration // before the greeting ends, whole seconds; default 1s
	Strangers int           // at once; default 100, as with Postfix
}

// Seconds are Wait as Postfix reads it.
func (o *PostscreenOptions) Seconds() int { return int(o.Wait / time.Second) }

// Postscreen is a Postfix with postscreen in front. Everybody who calls is a stranger to it.
type Postscreen struct {
	*program
	Addr string // where strangers call
}

// StartPostscreen starts Postfix with postscreen.
func StartPostscreen(t testing.TB, o PostscreenOptions) *Postscreen {
	t.Helper()
	o.Threshold, o.Wait, o.Strangers = cmp.Or(o.Threshold, 1), max(o.Wait, time.Second), cmp.Or(o.Strangers, 100)
	p := newProgram(t, "postfix")
	p.ports = freePorts(t, 4) // the first three are those of any backend
	s := postfixSettings{Backend: true, Ports: p.ports, Screen: &o}
	s.Hello = "mx.test"
	p.startPostfix(s)
	return &Postscreen{program: p, Addr: local(p.ports[3])}
}

// lookUps writes a resolv.conf and returns the command that lets nobody but this Postfix see it.
func (p *program) lookUps(o *PostscreenOptions) string {
	p.t.Helper()
	p.write("etc/resolv.conf", fmt.Sprintf("nameserver %s\n", o.Server))
	return `mount --bind "$1/resolv.conf" /etc/resolv.conf; `
}

// PID is the process of which all others of this Postfix descend.
func (p *Postscreen) PID() int { return p.cmd.Process.Pid }
