package peers

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// insideEnv names, in the environment of a test that runs inside, that test.
const insideEnv = "MOGGY_INSIDE"

// world is what a test inside finds: every address of these networks is one of the machine's own, so that programs can
// listen at any of them and call from any other, and nothing of /run, where programs of the machine leave their sockets.
const world = `set -e
mount --make-rprivate /
mount -t tmpfs none /run
ip link set lo up
for net in 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 10.9.0.0/16; do ip route add local $net dev lo; done
ip -6 route add local 2001:db8::/32 dev lo
echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind`

// Inside runs the test that calls it, or the part of one, once more: as a process in network and mount namespaces of its
// own, where firewalls may be changed at will, and every address for documentation (RFC 5737, RFC 3849) and of
// 10.9.0.0/16 can be called and called from. It reports whether this is that run; the test does its work only then. The
// networks of documentation are public to every program, as the rest of 127.0.0.0/8 is not. Nothing leaves a namespace.
//
// The settings in env, KEY=VALUE, are in that run's environment. See [Need] for what happens where there can be no
// namespaces.
func Inside(t *testing.T, env ...string) bool {
	t.Helper()
	if os.Getenv(insideEnv) == t.Name() {
		if out, err := exec.Command("/bin/sh", "-c", world).CombinedOutput(); err != nil {
			t.Fatalf("there can be no world of our own: %v: %s", err, out)
		}
		return true
	}
	Need(t, "namespace")
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run="+pattern(t.Name()), "-test.v", "-test.timeout=5m")
	cmd.Env = append(append(os.Environ(), insideEnv+"="+t.Name()), env...)
	cmd.SysProcAttr = apart()
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	switch {
	case err != nil:
		t.Errorf("inside: %v", err)
	case bytes.Contains(out, []byte("--- SKIP: "+t.Name()+" (")):
		t.Skip("skipped inside")
	case !bytes.Contains(out, []byte("--- PASS: "+t.Name()+" (")):
		t.Error("it was not run inside")
	}
	return false
}

// pattern is what -test.run takes for this test, or part of one, alone.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}
