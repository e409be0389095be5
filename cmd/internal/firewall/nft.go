package firewall

import (
	"context"
	"fmt"
	"time"

	"moggy/whitelist/foreign"
)

// nft reads nftables.
type nft struct{ m Machine }

func (n *nft) Name() string { return "nft" }

// Read returns the members of sets and maps that feed a rule which drops or
// rejects, and the sources that such rules name.
func (n *nft) Read(ctx context.Context) ([]foreign.Block, error) {
	w, err := n.walk(ctx, "list", "ruleset")
	if err != nil {
		return nil, err
	}
	return w.found()
}

// found returns the blocks of a walk, and an error if they are not all.
func (w *walk) found() ([]foreign.Block, error) {
	if w.full {
		return w.blocks, fmt.Errorf("more than %d networks are blocked; those beyond were not looked at", maxBlocks)
	}
	return w.blocks, nil
}

// counting returns the rules that count. Without the elements of sets the answer
// is short.
func (n *nft) counting(ctx context.Context) ([]Finding, error) {
	w, err := n.walk(ctx, "-t", "list", "ruleset")
	if err != nil {
		return nil, err
	}
	return w.findings("nft"), nil
}

func (n *nft) walk(ctx context.Context, args ...string) (*walk, error) {
	out, err := n.m.run(ctx, "nft", append([]string{"-j"}, args...)...)
	if err != nil {
		return nil, err
	}
	// The words of rules are not in there. Without them a rule is still known by its handle.
	words, err := n.m.run(ctx, "nft", "-a", "-s", "-t", "list", "ruleset")
	if err != nil {
		words = nil
	}
	_, err = n.m.find("iptables-nft-save")
	set, err := parseNFT(out, nftTexts(words), err == nil, time.Now())
	if err != nil {
		return nil, fmt.Errorf("nft: %w", err)
	}
	return set.walkAll(), nil
}
