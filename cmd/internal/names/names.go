// Package names starts real name servers for tests: rbldnsd with DNS lists, and unbound as the recursive server that
// asks it and that has zones of its own. Each runs on a port of the loopback, in the foreground, with its own directory,
// and nothing of it outlives the test. Neither ever asks anybody outside.
//
// The package knows how these programs are configured, started and stopped. It knows nothing of moggy, and only tests
// import it. The programs come from Debian; cmd/internal/peers/install.sh fetches them. See [Need] for what happens
// where they are not.
//
// What [testing.TB] asks of Fatal holds for every function here: call them from the goroutine that runs the test.
package names

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"testing"

	"moggy/cmd/internal/peers"
)

// install is what a person types to get the programs.
const install = "sudo cmd/internal/peers/install.sh"

// paths are the programs.
var paths = map[string]string{"unbound": "/usr/sbin/unbound", "rbldnsd": "/usr/sbin/rbldnsd"}

// Need skips the test when one of the programs ("unbound", "rbldnsd") is not here, and says so. With MOGGY_E2E=1 in the
// environment, as in CI, the test fails instead. Need installs nothing. What starts a program calls Need by itself.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, name := range programs {
		peers.Demand(t, name, have(name))
	}
}

// have says why the named program cannot be run here.
func have(name string) error {
	path := paths[name]
	if path == "" {
		return fmt.Errorf("no program of this name is known to package names")
	}
	if _, err := exec.LookPath(path); err != nil {
		return fmt.Errorf("%w; try: %s", err, install)
	}
	return nil
}

// Ports are taken from below the range in which Linux chooses the near end of connections, so that a server that is
// stopped finds its port free when it is started again.
const (
	portFirst = 20000
	portLast  = 32767
)

// freeAddress returns an address of the loopback at whose port nobody listens, over UDP or TCP.
func freeAddress(t testing.TB) netip.AddrPort {
	t.Helper()
	for range 1000 {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(portFirst+rand.IntN(portLast-portFirst)))
		if free(addr) {
			return addr
		}
	}
	t.Fatal("no free port")
	return netip.AddrPort{}
}

// free tells whether one can listen at the address over both UDP and TCP.
func free(addr netip.AddrPort) bool {
	l, err := net.Listen("tcp", addr.String())
	if err != nil {
		return false
	}
	defer l.Close()
	p, err := net.ListenPacket("udp", addr.String())
	if err != nil {
		return false
	}
	p.Close()
	return true
}
