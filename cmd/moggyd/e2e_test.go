package main_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestEndToEnd tries the whole path: the real moggyd between real mail programs, on the loopback, where 127.0.0.1 is our
// own machine and every other 127.x a stranger. See package peers for the programs that it takes.
func TestEndToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real mail programs")
	}
	p := build(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.try(t, p)
		})
	}
}

// cases are what is tried, the slowest first.
var cases = []struct {
	name string
	try  func(*testing.T, programs)
}{
	{"from OpenSMTPD", fromOpenSMTPD},
	{"backend down", backendDown},
	{"answers", answers},
	{"backend that reads no header", noHeaderRead},
	{"backend that waits for the header", headerWanted},
	{"bots", bots},
	{"from Exim to Postfix", fromEximToPostfix},
	{"from Exim to Exim", fromEximToExim},
	{"to OpenSMTPD", toOpenSMTPD},
	{"first mail by proxy-v1", first("proxy-v1")},
	{"first mail by proxy-v2", first("proxy-v2")},
	{"first mail by xclient", first("xclient")},
	{"bounce", bounce},
	{"bounce for two", bounceForTwo},
	{"three recipients", threeRecipients},
	{"backend comes later", backendLater},
	{"trap", trap},
	{"allow while held", allowWhileHeld},
	{"kill -9", killed},
	{"restart", restart},
	{"reload", reload},
	{"shutdown", shutdown},
	{"socket that stays", socketStays},
	{"socket that nobody wants", socketUnwanted},
	{"known", known},
	{"observe", observe},
	{"open relay", openRelay},
	{"open relay comes later", openRelayLater},
}

// programs are the paths of ours.
type programs struct{ moggyd, moggy string }

// build makes them, in a directory that is removed when the test has ended.
func build(t testing.TB) programs {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", dir, ".", "../moggy").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return programs{filepath.Join(dir, "moggyd"), filepath.Join(dir, "moggy")}
}
