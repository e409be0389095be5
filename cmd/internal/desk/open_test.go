package desk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"moggy/cmd/internal/config"
	"moggy/greylist/origin"
	"net/netip"
)

func questionOf(addr netip.Addr) origin.Question { return origin.Question{Peer: addr} }

func configIn(dir string) *config.Config {
	c := config.Default()
	c.StateDir = dir
	c.Greylist.Origin = config.OriginNetwork
	return c
}

func TestOpenWithoutDaemon(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if _, _, _, err := Open(t.Context(), configIn(dir), false); err == nil || !strings.Contains(err.Error(), "has never run") {
		t.Errorf("a question where there is no store: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a question left something behind: %v", err)
	}
	d, closer, daemon, err := Open(t.Context(), configIn(dir), true)
	if err != nil || daemon {
		t.Fatal(daemon, err)
	}
	must(d.PutEntry(t.Context(), EntryPut{Net: network("192.0.2.7"), Class: "peer"}))
	if _, _, _, err := Open(t.Context(), configIn(dir), false); err == nil || !strings.Contains(err.Error(), "try again in a moment") {
		t.Errorf("a store that another process has, which does not answer: %v", err)
	}
	if _, err := d.Who(t.Context(), WhoFilter{}); KindOf(err) != Fault {
		t.Errorf("who without a daemon: %v", err)
	}
	if err := closer.Close(); err != nil {
		t.Fatal(err)
	}
	d, closer, _, err = Open(t.Context(), configIn(dir), false)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	if s := must(d.Show(t.Context(), Where{network("192.0.2.7")})); !s.Whole {
		t.Errorf("what was put is gone: %+v", s)
	}
	if s := must(d.Status(t.Context(), StatusFilter{})); s.Daemon || s.Ready || s.Lists.Allow != 1 {
		t.Errorf("status: %+v", s)
	}
}

func TestOpenWithDaemon(t *testing.T) {
	dir := t.TempDir()
	l := must(Listen(SocketPath(dir)))
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- Serve(ctx, l, newHouse(t).Local) }()
	d, closer, daemon, err := Open(t.Context(), configIn(dir), false)
	if err != nil || !daemon {
		t.Fatal(daemon, err)
	}
	defer closer.Close()
	if s := must(d.Status(t.Context(), StatusFilter{})); !s.Daemon || s.Open["talk"] != 1 {
		t.Errorf("status: %+v", s)
	}
	stop()
	<-served
	if _, err := d.Status(t.Context(), StatusFilter{}); !errors.Is(err, ErrDown) {
		t.Errorf("after the daemon stopped: %v", err)
	}
}

func TestStoreNameHidesThePassword(t *testing.T) {
	for in, want := range map[string]string{"embedded": "embedded", "redis://user:secret@db.example:6379/0": "redis://db.example:6379/0",
		"redis+sentinel://:sec@ret@a:1,b:2/x": "redis+sentinel://a:1,b:2/x"} {
		if got := storeName(in); got != want {
			t.Errorf("%s: %q", in, got)
		}
	}
}
