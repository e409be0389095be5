package main

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"moggy/cmd/internal/desk"
	"moggy/cmd/internal/firewall"
	"moggy/cmd/internal/hear"
	"moggy/greylist/origin"
	"moggy/metrics"
	"moggy/proxy"
	"moggy/whitelist/foreign"
	"moggy/whitelist/hints"
)

// A family is what finds out who is known, and keeps the known from harm by others.
type family struct {
	hints  *hints.Hints
	ears   *hear.Ears
	watch  *foreign.Watch
	keeper *firewall.Keeper

	mu      sync.Mutex
	blocked map[string]int // known-good networks that are blocked elsewhere, by what blocks them
}

// openFamily opens the ears, and prepares the watch over what else blocks.
func (h *house) openFamily(context.Context) (err error) {
	cfg, f := h.cfg, &family{blocked: make(map[string]int)}
	o := hints.Options{Book: h.book, Log: h.log, Origins: h.wroteTo, Ours: desk.OwnAddress}
	if h.names.Resolver != nil {
		o.Resolver = h.names.Resolver
	}
	f.hints = hints.New(o)
	ears := hear.Options{Hints: countedHints{f.hints, h.metrics}, Key: cfg.Hints.DovecotKey, Logs: cfg.Hints.Logs, SSH: cfg.Hints.SSH, Log: h.log}
	if cfg.Hints.Dovecot != "" {
		if ears.Dovecot, err = h.listen(cfg.Hints.Dovecot, "[hints] dovecot"); err != nil {
			return err
		}
		h.later(ears.Dovecot.Close)
	}
	if f.ears, err = hear.New(ears); err != nil {
		return err
	}
	f.watch = foreign.NewWatch(foreign.Options{Readers: firewall.Machine{}.All(), List: h.book.List, Every: cfg.Foreign.Every,
		Appeared: h.blockAppeared, Gone: h.blockGone})
	f.keeper = firewall.NewKeeper(cfg.Good.NFT, h.book.List, h.log)
	h.family.Store(f)
	if len(cfg.Crawlers.Names) > 0 && h.names.Confirmed != nil {
		h.judge.Crawlers = &proxy.Crawlers{Names: cfg.Crawlers.Names, Confirmed: h.names.Confirmed, Book: h.book}
	}
	return nil
}

// run lives until ctx ends.
func (f *family) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, part := range []func(context.Context){f.hints.Run, f.ears.Run, f.watch.Run, f.keeper.Run} {
		all.Go(func() { part(ctx) })
	}
	all.Wait()
}

// wroteTo makes known what passes SPF for a domain that our users write to.
func (h *house) wroteTo(ctx context.Context, domain string, now time.Time) error {
	o, ok := origin.OfDomain(domain)
	if !ok {
		return nil
	}
	return h.store.Pass(ctx, o, now)
}

// countedHints counts the logins that it passes on.
type countedHints struct {
	*hints.Hints
	metrics *metrics.Metrics
}

// Login implements hear.Hints.
func (c countedHints) Login(l hints.Login) {
	c.metrics.LoggedIn(l.OK)
	c.Hints.Login(l)
}

// blockAppeared raises the alarm about a known-good network that is blocked elsewhere.
func (h *house) blockAppeared(hit foreign.Hit) {
	since := "unknown"
	if !hit.Since.IsZero() {
		since = hit.Since.UTC().Format(time.RFC3339)
	}
	h.log.Error("known-good blocked elsewhere", "src", desk.Text(hit.Addr), "class", hit.Standing.Class, "evidence", hit.Standing.Evidence,
		"by", hit.By, "where", hit.Where, "rule", hit.Rule, "since", since, "do", "moggy unblock "+hit.Addr.Addr().String())
	total := h.countBlocked(hit.By, 1)
	h.server.Alarm(metrics.BlockedElse, true, blockText(hit, total))
}

// blockGone takes the alarm back with the last of them.
func (h *house) blockGone(hit foreign.Hit) {
	h.log.Info("known-good no longer blocked elsewhere", "src", desk.Text(hit.Addr), "by", hit.By, "where", hit.Where)
	if h.countBlocked(hit.By, -1) == 0 {
		h.server.Alarm(metrics.BlockedElse, false, "")
	}
}

func (h *house) countBlocked(by string, delta int) (total int) {
	f := h.family.Load()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocked[by] += delta
	h.metrics.BlockedElsewhere(f.blocked)
	for _, n := range f.blocked {
		total += n
	}
	return total
}

// blockText says who is blocked by what, since when, and what to type.
func blockText(hit foreign.Hit, total int) string {
	text := fmt.Sprintf("%s (%s by %s) is in %s %s", desk.Text(hit.Addr), hit.Standing.Class, hit.Standing.Evidence, hit.By, hit.Where)
	if !hit.Since.IsZero() {
		text += " since " + hit.Since.UTC().Format(time.RFC3339)
	}
	if hit.Rule != "" {
		text += ": " + hit.Rule
	}
	if total > 1 {
		text += fmt.Sprintf("; %d in all", total)
	}
	return text + "; type: moggy unblock " + hit.Addr.Addr().String()
}

// blockers are the names of what may block on this machine.
func blockers() (names []string) {
	for _, r := range (firewall.Machine{}).All() {
		names = append(names, r.Name())
	}
	return append(names, "ipset") // which is read along with iptables
}

// familyChanged tells who keeps the known-good for others that one has changed.
func (h *house) familyChanged(net netip.Prefix) {
	if f := h.family.Load(); f != nil {
		f.keeper.Changed(net)
	}
}
