package firewall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"moggy/whitelist/foreign"
)

// iptables reads iptables and ip6tables, both those that write nftables and those
// of old ("legacy"), and the sets and lists that their rules name.
type iptables struct{ m Machine }

func (t *iptables) Name() string { return "iptables" }

// variant is one of the programs named iptables-save.
type variant struct {
	program string // "iptables-nft"
	v6      bool
	tables  string // a file that names its tables: where it is empty there are none, and asking would make them
}

// variants are those that there are here; none is foreign.ErrAbsent.
func (t *iptables) variants() (here []variant, err error) {
	for _, v := range []variant{
		{"iptables-nft", false, ""}, {"ip6tables-nft", true, ""},
		{"iptables-legacy", false, "/proc/net/ip_tables_names"}, {"ip6tables-legacy", true, "/proc/net/ip6_tables_names"},
	} {
		if _, err = t.m.find(v.program + "-save"); err == nil {
			here = append(here, v)
		}
	}
	if here != nil {
		return here, nil
	}
	for _, v := range []variant{{"iptables", false, ""}, {"ip6tables", true, ""}} {
		if _, err = t.m.find(v.program + "-save"); err == nil {
			here = append(here, v)
		}
	}
	if here == nil {
		return nil, err
	}
	return here, nil
}

// saved is what one variant printed.
type saved struct {
	variant
	out []byte
}

// save asks all variants. What one of them refuses to say is in the error; the
// others are asked all the same.
func (t *iptables) save(ctx context.Context) (all []saved, err error) {
	here, err := t.variants()
	if err != nil {
		return nil, err
	}
	var faults []error
	for _, v := range here {
		if v.tables != "" {
			names, err := readFile(t.m.file(v.tables), 1<<10)
			if errors.Is(err, fs.ErrPermission) && t.legacyLoaded() {
				faults = append(faults, failed(v.program+"-save", err, err.Error()))
			}
			if len(bytes.TrimSpace(names)) == 0 {
				continue
			}
		}
		out, err := t.m.run(ctx, v.program+"-save")
		if err != nil {
			faults = append(faults, err)
			continue
		}
		all = append(all, saved{v, out})
	}
	return all, oneLine(faults)
}

// legacyLoaded reports whether the kernel may have tables of the old iptables, which
// only root can list: a module for one of them is loaded, or it cannot be seen.
func (t *iptables) legacyLoaded() bool {
	modules, err := readFile(t.m.file("/proc/modules"), 1<<20)
	return err != nil || bytes.Contains(modules, []byte("iptable_")) || bytes.Contains(modules, []byte("ip6table_"))
}

// oneLine is all of some errors as one sentence; nil if there are none.
func oneLine(faults []error) error {
	if len(faults) < 2 {
		return errors.Join(faults...)
	}
	var words []string
	for _, err := range faults {
		words = append(words, err.Error())
	}
	return errors.New(strings.Join(words, "; "))
}

// Read returns the sources of rules that drop or reject, be they named in the
// rule, in an ipset, or in a list of the match "recent".
func (t *iptables) Read(ctx context.Context) (blocks []foreign.Block, err error) {
	walks, err := t.walks(ctx, true)
	faults := []error{err}
	for _, w := range walks {
		more, err := w.found()
		faults = append(faults, err)
		blocks = append(blocks, more...)
	}
	return blocks, oneLine(present(faults))
}

// present leaves out what is no error.
func present(faults []error) (some []error) {
	for _, err := range faults {
		if err != nil {
			some = append(some, err)
		}
	}
	return some
}

// counting returns the rules that count.
func (t *iptables) counting(ctx context.Context) (found []Finding, err error) {
	walks, err := t.walks(ctx, false)
	for _, w := range walks {
		found = append(found, w.findings("iptables")...)
	}
	return found, err
}

// walks reads all variants, with the members of their sets or without.
func (t *iptables) walks(ctx context.Context, full bool) (walks []*walk, err error) {
	all, err := t.save(ctx)
	faults := []error{err}
	now := time.Now()
	sets, err := t.ipsets(ctx, all, full, now)
	faults = append(faults, err)
	lists := newRecents(t.m, now)
	for _, s := range all {
		p := &xtParser{program: s.program, v6: s.v6, ipset: sets.find, recent: lists.find}
		p.parse(s.out)
		walks = append(walks, p.set.walkAll())
	}
	if lists.err != nil {
		faults = append(faults, fmt.Errorf("iptables: %w", lists.err))
	}
	return walks, oneLine(present(faults))
}

// ipsets reads the sets, if some rule names one.
func (t *iptables) ipsets(ctx context.Context, all []saved, full bool, now time.Time) (*ipsets, error) {
	args := []string{"save"}
	if !full {
		args = []string{"list", "-o", "save", "-t"}
	}
	for _, s := range all {
		if bytes.Contains(s.out, []byte("-set ")) {
			out, err := t.m.run(ctx, "ipset", args...)
			if errors.Is(err, foreign.ErrAbsent) {
				err = fmt.Errorf("rules name sets, and %v", err) // which is a fault: they are not read
			}
			return parseIPSets(out, now), err
		}
	}
	return &ipsets{}, nil
}
