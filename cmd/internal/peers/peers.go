// Package peers starts real mail programs for end-to-end tests: Postfix, OpenSMTPD and Exim as backends and as senders,
// Dovecot, nginx, fail2ban, and swaks. Each runs on the loopback with its own directory, configuration, queue, log and ports, in its own
// mount and process namespaces, so that it neither sees nor disturbs a mail server of the machine, and nothing of it
// outlives the test.
//
// The package knows how these programs are configured, started, stopped and asked what they did. It knows nothing of
// moggy, and only tests import it. The programs come from Debian; install.sh, beside this file, fetches them.
// Starting them takes root on Linux; see [Need] for what happens elsewhere.
//
// What [testing.TB] asks of Fatal holds for every method here: call them from the goroutine that runs the test.
package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// install is what a person types to get the programs.
const install = "sudo cmd/internal/peers/install.sh"

// The pace and the bound of [Poll].
const (
	pollFirst = 5 * time.Millisecond
	pollMost  = 200 * time.Millisecond
	pollBound = 30 * time.Second
)

// Need skips the test when one of the programs ("postfix", "opensmtpd", "exim", "dovecot", "nginx", "fail2ban", "swaks",
// "nft", "ipset", "utmpdump") cannot be run here, and says what is missing; "namespace" is what [Inside] takes. With
// MOGGY_E2E=1 in the environment, as in CI, the test fails instead. Need installs nothing. What starts a program calls
// Need by itself.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, name := range programs {
		Demand(t, name, have(name))
	}
}

// Demand does what Need does with a program that err says cannot be run; nil: it can.
func Demand(t testing.TB, name string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("MOGGY_E2E") == "1":
		t.Fatalf("%s is needed because MOGGY_E2E=1: %v", name, err)
	default:
		t.Skipf("%s cannot be run here: %v", name, err)
	}
}

// have says why the named program cannot be run here.
func have(name string) error {
	switch name {
	case "namespace":
		return first(haveNamespaces, func() error { return haveCommand("ip") })
	case "swaks", "nft", "ipset", "utmpdump":
		return haveCommand(name)
	case "postfix":
		return first(haveNamespaces, func() error { return haveCommand("/usr/sbin/postfix") })
	case "opensmtpd":
		return first(haveNamespaces, func() error { return haveUnpacked(name, "usr/sbin/smtpd") })
	case "dovecot":
		return first(haveNamespaces, func() error { return haveUnpacked(name, "usr/sbin/dovecot") })
	case "nginx":
		return first(haveNamespaces, func() error { return haveUnpacked(name, "usr/sbin/nginx") })
	case "fail2ban":
		return first(haveNamespaces, func() error { return haveCommand("fail2ban-server") })
	case "exim":
		return first(haveNamespaces, func() error { return haveUnpacked(name, "usr/sbin/exim4") })
	}
	return fmt.Errorf("no program of this name is known to package peers")
}

// first returns the first error of the checks, made in order.
func first(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// haveNamespaces tries what every mail program is started with.
func haveNamespaces() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("starting a mail program takes root")
	}
	cmd := exec.Command("/bin/sh", "-c", "mount --make-rprivate /")
	cmd.SysProcAttr = namespaces()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("no private mount and process namespaces here (in a container: --privileged): %w %s", err, out)
	}
	return nil
}

// haveCommand looks for an installed program.
func haveCommand(name string) error {
	if _, err := exec.LookPath(name); err != nil {
		return fmt.Errorf("%w; try: %s", err, install)
	}
	return nil
}

// haveUnpacked looks for a program that install.sh has unpacked.
func haveUnpacked(name, file string) error {
	dir, err := tree(name)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
		return fmt.Errorf("%w; try: %s", err, install)
	}
	return nil
}

// tree names the directory into which install.sh unpacks a program that cannot be installed beside Postfix.
func tree(name string) (string, error) {
	if dir := os.Getenv("MOGGY_PEERS_CACHE"); dir != "" {
		return filepath.Join(dir, name), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("nowhere to look for unpacked programs: %w; set MOGGY_PEERS_CACHE", err)
	}
	return filepath.Join(dir, "moggy-peers", name), nil
}

// Poll asks done until it says true, often at first and then every 200 ms. It gives up when ctx ends, at the latest
// after 30 seconds where ctx has no deadline. It is the one place where these tests wait for another program.
func Poll(ctx context.Context, done func() bool) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, pollBound)
		defer cancel()
	}
	pause := pollFirst
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		pause = min(2*pause, pollMost)
		tick.Reset(pause)
	}
	return nil
}
