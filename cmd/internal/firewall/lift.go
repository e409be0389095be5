package firewall

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"moggy/whitelist/foreign"
)

// Lift takes a block away, and reads again to see that it is gone. It reads before
// as well, and does what that says: handles of rules change, and what fail2ban
// bans disappears from nft with it. A block that is gone already is no error.
func (m Machine) Lift(ctx context.Context, b foreign.Block) error {
	now, err := m.reread(ctx, b)
	if now == nil {
		return err
	}
	if len(now.Lift) == 0 {
		return fmt.Errorf("%s %s holds %s and cannot be changed from here; %s", b.By, b.Where, b.Net, now.Hint)
	}
	failure := m.lift(ctx, *now)
	after, err := m.reread(ctx, b)
	switch {
	case after == nil && err != nil:
		return errors.Join(failure, fmt.Errorf("whether %s is out of %s is not known: %w", b.Net, b.Where, err))
	case after == nil:
		return nil
	case failure != nil:
		return fmt.Errorf("%s is still in %s: %w", b.Net, b.Where, failure)
	}
	return fmt.Errorf("%s is still in %s although this was done: %s", b.Net, b.Where, strings.Join(now.Lift, " "))
}

// reread reads a block anew: nil if it is gone, or with an error if that is not known.
func (m Machine) reread(ctx context.Context, b foreign.Block) (*foreign.Block, error) {
	by := b.By
	if by == "ipset" {
		by = (&iptables{}).Name()
	}
	for _, r := range m.All() {
		if r.Name() != by {
			continue
		}
		blocks, err := r.Read(ctx)
		i := slices.IndexFunc(blocks, func(now foreign.Block) bool { return now.By == b.By && now.Net == b.Net && now.Where == b.Where })
		switch {
		case i >= 0:
			return &blocks[i], nil
		case errors.Is(err, foreign.ErrAbsent):
			return nil, nil
		}
		return nil, err
	}
	return nil, fmt.Errorf("nobody here reads %q", b.By)
}

// lift runs the command of a block.
func (m Machine) lift(ctx context.Context, b foreign.Block) error {
	if b.Lift[0] == "echo" {
		return m.forget(b)
	}
	_, err := m.run(ctx, b.Lift[0], b.Lift[1:]...)
	return err
}

// forget takes an address out of a list of the match "recent" of iptables, which
// is done by writing to a file: echo -198.51.100.7 > /proc/net/xt_recent/NAME
func (m Machine) forget(b foreign.Block) error {
	const dir = "/proc/net/xt_recent/"
	if len(b.Lift) != 4 || b.Lift[2] != ">" {
		return errors.New("not the command that takes an address out of a list")
	}
	address, ok := strings.CutPrefix(b.Lift[1], "-")
	name, ok2 := strings.CutPrefix(b.Lift[3], dir)
	if _, err := netip.ParseAddr(address); !ok || !ok2 || err != nil || !plainName(name) || strings.Contains(name, "/") {
		return errors.New("not the command that takes an address out of a list")
	}
	return os.WriteFile(m.file(dir+name), []byte(b.Lift[1]+"\n"), 0)
}

// there reports whether a block is still found.
func (m Machine) there(ctx context.Context, b foreign.Block) (bool, error) {
	for _, r := range m.All() {
		by := r.Name()
		if by != b.By && !(by == "iptables" && b.By == "ipset") {
			continue
		}
		blocks, err := r.Read(ctx)
		if slices.ContainsFunc(blocks, func(now foreign.Block) bool { return now.Net == b.Net && now.Where == b.Where }) {
			return true, nil
		}
		if errors.Is(err, foreign.ErrAbsent) {
			err = nil
		}
		return false, err
	}
	return false, fmt.Errorf("nobody reads %q", b.By)
}
