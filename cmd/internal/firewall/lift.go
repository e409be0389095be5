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

// Lift takes a block away with the command that it names, and reads again to see
// that it is gone. A block that is gone already is no error: what fail2ban bans
// disappears from nft as well.
func (m Machine) Lift(ctx context.Context, b foreign.Block) error {
	if len(b.Lift) == 0 {
		return fmt.Errorf("%s %s holds %s and cannot be changed from here; %s", b.By, b.Where, b.Net, b.Hint)
	}
	failure := m.lift(ctx, b)
	there, err := m.there(ctx, b)
	switch {
	case err != nil:
		return errors.Join(failure, fmt.Errorf("whether %s is out of %s is not known: %w", b.Net, b.Where, err))
	case !there:
		return nil
	case failure != nil:
		return fmt.Errorf("%s is still in %s: %w", b.Net, b.Where, failure)
	}
	return fmt.Errorf("%s is still in %s although this was done: %s", b.Net, b.Where, strings.Join(b.Lift, " "))
}

// lift runs the command of a block.
func (m Machine) lift(ctx context.Context, b foreign.Block) error {
	program := b.Lift[0]
	known := []string{"nft", "pfctl", "ipset", "fail2ban-client", "cscli", "iptables", "ip6tables",
		"iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"}
	switch {
	case program == "echo":
		return m.forget(b)
	case !slices.Contains(known, program):
		return fmt.Errorf("%s is no program that lifts a block", program)
	}
	_, err := m.run(ctx, program, b.Lift[1:]...)
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
