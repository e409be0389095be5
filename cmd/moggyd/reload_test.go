package main

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"moggy/cmd/internal/config"
)

// Every key that is not put in force by a SIGHUP is named, and no other.
func TestNeedRestart(t *testing.T) {
	changes := map[string]func(*config.Config){
		"state_dir":           func(c *config.Config) { c.StateDir = "/elsewhere" },
		"[store]":             func(c *config.Config) { c.Store.URL = "redis://127.0.0.1" },
		"[[listener]]":        func(c *config.Config) { c.Listeners = nil },
		"[admin] address":     func(c *config.Config) { c.Admin.Address = "127.0.0.1:1" },
		"[journal]":           func(c *config.Config) { c.Journal.Size++ },
		"[talk] timeout":      func(c *config.Config) { c.Talk.Timeout++ },
		"[tarpit] gap, slots": func(c *config.Config) { c.Tarpit.Slots++ },
		"[greylist] origin":   func(c *config.Config) { c.Greylist.Origin = config.OriginNetwork },
		"[dnsbl]":             func(c *config.Config) { c.DNSBL.Servers = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")} },
		"grace":               func(c *config.Config) { c.Grace++ },
		"": func(c *config.Config) {
			c.Mode, c.Greylist.Pass, c.Talk.Errors, c.Tarpit.Stutter, c.Trap.TTL = config.ModeObserve, time.Hour, 1, 1, 1
		},
	}
	for key, change := range changes {
		now := *config.Default()
		change(&now)
		var want []string
		if key != "" {
			want = []string{key}
		}
		if got := needRestart(config.Default(), &now); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q need a restart", key, got)
		}
	}
}
