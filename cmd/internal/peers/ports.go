package peers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Ports are taken from below the range in which Linux chooses the near end of connections: a program that is stopped
// finds its port free when it is started again, and nobody who calls it meanwhile is connected to itself.
const (
	portFirst = 20000
	portLast  = 32767
)

// freePorts returns n ports on which nobody listens on the loopback.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for try := 0; len(ports) < n; try++ {
		port := portFirst + rand.IntN(portLast-portFirst)
		l, err := net.Listen("tcp4", ":"+strconv.Itoa(port))
		if err == nil {
			defer l.Close() // held until all are chosen, so that no two are the same
			ports = append(ports, port)
		} else if try > 1000 {
			t.Fatalf("no free port: %v", err)
		}
	}
	return ports
}

// FreeAddress returns an address, 127.0.0.1:port, on which nobody listens.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return local(freePorts(t, 1)[0])
}

// local writes a port of the loopback as host:port.
func local(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// listening tells whether somebody listens on every port, without calling it: a call would show in the program's log.
func listening(ports []int) bool {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return false
	}
	for _, port := range ports {
		if !strings.Contains(string(table), fmt.Sprintf(":%04X 00000000:0000 0A ", port)) { // 0A: listening
			return false
		}
	}
	return true
}

// pid writes the process id of a started command.
func pid(cmd *exec.Cmd) string { return strconv.Itoa(cmd.Process.Pid) }
