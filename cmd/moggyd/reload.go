package main

import (
	"context"
	"log/slog"
	"os"
	"reflect"
	"time"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/desk"
)

// reloads reads the configuration again at each SIGHUP. A wrong file leaves the
// old one in force, and says so.
func (h *house) reloads(ctx context.Context, file string, level *slog.LevelVar, hup <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			h.reload(file, level)
		}
	}
}

func (h *house) reload(file string, level *slog.LevelVar) {
	cfg, err := load(file)
	if err != nil {
		h.metrics.ConfigRefused()
		was := *h.loaded.Load()
		was.Refused = err.Error()
		h.loaded.Store(&was)
		h.log.Error("the configuration was read and refused; the old one stays in force", "error", err)
		return
	}
	for _, w := range cfg.Warnings {
		h.log.Warn(w)
	}
	restart := needRestart(h.cfg, cfg)
	for _, key := range restart {
		h.log.Warn("a change needs a restart", "key", key)
	}
	level.Set(cfg.Log.Level)
	h.apply(cfg)
	h.traps.Configure(cfg.Trap.Addresses, time.Now())
	h.book.SetLocal(desk.LocalEntries(cfg))
	h.server.Apply(settings(cfg))
	h.metrics.ConfigLoaded(time.Now())
	h.loaded.Store(&desk.Config{File: h.loaded.Load().File, Loaded: time.Now(), Restart: restart})
	h.log.Info("the configuration was read again", "mode", cfg.Mode)
}

// readFrom notes which file the configuration came from.
func (h *house) readFrom(flagged string) {
	if path, ok := config.Find(flagged); ok {
		now := *h.loaded.Load()
		now.File = path
		h.loaded.Store(&now)
	}
}

// needRestart names what differs and cannot change while moggyd runs.
func needRestart(old, now *config.Config) (keys []string) {
	fixed := []struct {
		key      string
		old, now any
	}{
		{"state_dir", old.StateDir, now.StateDir},
		{"[store]", old.Store, now.Store},
		{"[[listener]]", old.Listeners, now.Listeners},
		{"[admin] address", old.Admin, now.Admin},
		{"[journal]", old.Journal, now.Journal},
		{"[talk] timeout", old.Talk.Timeout, now.Talk.Timeout},
		{"[tarpit] gap, slots", [2]any{old.Tarpit.Gap, old.Tarpit.Slots}, [2]any{now.Tarpit.Gap, now.Tarpit.Slots}},
		{"[greylist] origin", old.Greylist.Origin, now.Greylist.Origin},
		{"[dnsbl]", old.DNSBL, now.DNSBL},
		{"[hints]", old.Hints, now.Hints},
		{"[crawlers]", old.Crawlers, now.Crawlers},
		{"[foreign]", old.Foreign, now.Foreign},
		{"[good]", old.Good, now.Good},
		{"grace", old.Grace, now.Grace},
	}
	for _, f := range fixed {
		if !reflect.DeepEqual(f.old, f.now) {
			keys = append(keys, f.key)
		}
	}
	return keys
}
