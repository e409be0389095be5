package firewall

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"moggy/whitelist/foreign"
)

// script makes a program of the given name.
func script(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	m := Machine{Path: []string{filepath.Join(dir, "none"), dir}}
	t.Setenv("LD_PRELOAD_NOT", "x")
	script(t, dir, "fine", `echo "$LC_ALL $1 $2 $LD_PRELOAD_NOT."`)
	script(t, dir, "fails", `echo; echo " it
is broken" >&2; exit 3`)
	script(t, dir, "denied", `echo "denied: Permission denied (you must be root)" >&2; exit 1`)
	script(t, dir, "endless", `exec yes 0123456789012345678901234567890123456789`)
	script(t, dir, "slow", `exec sleep 60`)
	if err := os.WriteFile(filepath.Join(dir, "data"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := m.run(t.Context(), "fine", "a b", "$(c)"); err != nil || string(out) != "C a b $(c) .\n" {
		t.Errorf("%q, %v", out, err)
	}
	for program, want := range map[string]string{
		"fails":   "fails: it",
		"denied":  "denied: denied: Permission denied (you must be root); give moggyd CAP_NET_ADMIN (systemd: AmbientCapabilities=CAP_NET_ADMIN), or type: sudo moggy doctor",
		"endless": "endless: it says more than 64 MiB",
		"data":    "data is not there",
		"nothing": "nothing is not there",
	} {
		if _, err := m.run(t.Context(), program); err == nil || err.Error() != want {
			t.Errorf("%s: %v", program, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := m.run(ctx, "slow"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("slow: %v", err)
	}
}

// TestNothingHere: on a machine without firewalls nobody complains.
func TestNothingHere(t *testing.T) {
	m := Machine{Path: []string{t.TempDir()}, Root: t.TempDir()}
	names := make(map[string]bool)
	for _, r := range m.All() {
		if blocks, err := r.Read(t.Context()); !errors.Is(err, foreign.ErrAbsent) || len(blocks) > 0 {
			t.Errorf("%s: %v, %v", r.Name(), blocks, err)
		}
		names[r.Name()] = true
	}
	if len(names) != len(m.All()) {
		t.Errorf("names %v", names)
	}
	if found, err := m.Counting(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}

func TestLiftRefuses(t *testing.T) {
	m := Machine{Path: []string{t.TempDir()}, Root: t.TempDir()}
	net := netip.MustParsePrefix("192.0.2.7/32")
	if err := os.Mkdir(filepath.Join(m.Root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.Root, hostsDenyFile), []byte("ALL: 192.0.2.7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	evil := []string{"touch", filepath.Join(m.Root, "evil")}
	for _, c := range []struct {
		b    foreign.Block
		want string
	}{
		{foreign.Block{By: "hosts.deny", Where: hostsDenyFile + " line 1", Net: net, Lift: evil}, "by hand: take it out of /etc/hosts.deny, line 1"},
		{foreign.Block{By: "hosts.deny", Where: hostsDenyFile + " line 2", Net: net, Lift: evil}, ""},
		{foreign.Block{By: "nft", Where: "set ip t s", Net: net, Lift: evil}, ""},
		{foreign.Block{By: "x", Lift: evil}, `nobody here reads "x"`},
	} {
		err := m.Lift(t.Context(), c.b)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.b, err)
		}
	}
	for _, lift := range [][]string{{"echo", "x"}, {"echo", "-x", ">", "/proc/net/xt_recent/imap"},
		{"echo", "-192.0.2.7", ">", "/etc/passwd"}, {"echo", "-192.0.2.7", ">", "/proc/net/xt_recent/../../x"}} {
		if err := m.lift(t.Context(), foreign.Block{Lift: lift}); err == nil {
			t.Errorf("%q was done", lift)
		}
	}
}
