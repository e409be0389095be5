package firewall

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
	"moggy/whitelist"
	"moggy/whitelist/foreign"
)

// insideNamespace runs a test in network and mount namespaces of its own, where firewalls
// may be changed at will: it runs this test program again, for that one test. It
// reports whether this is that run.
func insideNamespace(t *testing.T, programs ...string) bool {
	t.Helper()
	if os.Getenv("MOGGY_INSIDE") == t.Name() {
		shell(t, "mount --make-rprivate / && ip link set lo up")
		return true
	}
	peers.Demand(t, "a namespace", needRoot())
	for _, program := range append(programs, "ip") {
		_, err := Machine{}.find(program)
		if err != nil {
			err = fmt.Errorf("%w; try: sudo cmd/internal/peers/install.sh", err)
		}
		peers.Demand(t, program, err)
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), "MOGGY_INSIDE="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("inside: %v", err)
	}
	t.Logf("%s", out)
	return false
}

func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("it takes root to make one")
	}
	return nil
}

// shell runs a command of the test's own, and returns what it printed.
func shell(t testing.TB, command string) string {
	t.Helper()
	out, err := exec.Command("/bin/sh", "-c", "set -e; PATH=$PATH:/usr/sbin:/sbin; "+command).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	return string(out)
}

// daemon runs a program until the test ends.
func daemon(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
		cmd.Wait()
	})
}

// The addresses of the tests, all on the loopback of the namespace.
const (
	me     = "198.51.100.7"   // the administrator
	other  = "198.51.100.8"   // another address of his
	server = "198.51.100.250" // his mail server
)

// serve listens on ports of the server, and takes and keeps every connection.
func serve(t *testing.T, ports ...int) {
	t.Helper()
	shell(t, fmt.Sprintf("for a in %s %s %s; do ip addr add $a/32 dev lo; done", me, other, server))
	for _, port := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(server, strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			var kept []net.Conn
			for {
				conn, err := l.Accept()
				if err != nil {
					for _, c := range kept {
						c.Close()
					}
					return
				}
				kept = append(kept, conn)
			}
		}()
		t.Cleanup(func() { l.Close() })
	}
}

// connect connects from an address and keeps the connection until the test ends.
func connect(t *testing.T, from string, port int) error {
	d := net.Dialer{Timeout: 300 * time.Millisecond, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", net.JoinHostPort(server, strconv.Itoa(port)))
	if err == nil {
		t.Cleanup(func() { conn.Close() })
	}
	return err
}

// many are the connections of a mail program. Six accounts have 18 and trip the
// rule at the 16th; here there are more, lest a slow machine is slow enough for it.
const many = 72

// outlook opens what a mail program opens at once, and returns how many connections it got.
func outlook(t *testing.T, from string) int {
	for n := range many {
		if connect(t, from, []int{993, 993, 587}[n%3]) != nil {
			return n
		}
	}
	return many
}

// family is a list on which the administrator has logged in.
func family() *whitelist.List { return listOf(entry(me+"/32", whitelist.User, whitelist.Login)) }

// watch is a Watch of the machine.
func watch(list *whitelist.List) *foreign.Watch {
	return foreign.NewWatch(foreign.Options{Readers: Machine{}.All(), List: func() *whitelist.List { return list }})
}

// hit is the one known-good that is blocked.
func hit(t *testing.T, r foreign.Report) foreign.Hit {
	t.Helper()
	if len(r.Hits) != 1 || len(r.Unread) != 0 {
		t.Fatalf("report %+v", r)
	}
	return r.Hits[0]
}

// inSet are the elements of a set of nft, as the kernel has them.
func inSet(t testing.TB, table, set string) ([]span, error) {
	return NewKeeper([]string{table}, nil, nil).content(t.Context(), table, set)
}

// fills waits until a set of nft holds what it should.
func fills(t testing.TB, table, set string, want []span) {
	t.Helper()
	var got []span
	var fault error
	if err := peers.Poll(t.Context(), func() bool {
		got, fault = inSet(t, table, set)
		return fault == nil && slices.Equal(got, want)
	}); err != nil {
		t.Fatalf("set %s holds %d elements, not %d: %v, %v", set, len(got), len(want), err, fault)
	}
}

// writeElements writes the commands that put spans into a set.
func writeElements(f *os.File, table, set string, spans []span) error {
	out := bufio.NewWriter(f)
	nftElements(out, "add", table, set, elements(spans))
	return errors.Join(out.Flush(), f.Close())
}

// spansIn are the spans of networks in words.
func spansIn(nets string) (spans []span) {
	for word := range strings.FieldsSeq(nets) {
		spans = append(spans, spanOf(netip.MustParsePrefix(word)))
	}
	return merged(spans)
}
