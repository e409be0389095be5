package firewall

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"moggy/whitelist"
)

// goodSpans are the known-good of a list, at most maxGood networks, and whether
// that is all of them.
func goodSpans(list *whitelist.List, now time.Time) (good []span, whole bool) {
	good = make([]span, 0, min(list.Len(), maxGood))
	for p := range Good(list, now) {
		if len(good) == maxGood {
			return merged(good), false
		}
		good = append(good, spanOf(p))
	}
	return merged(good), true
}

// holds reports whether addresses of this family belong into the set.
func (s goodSet) holds(a netip.Addr) bool { return a.Is4() == (s.name == Good4) }

// contains reports whether merged spans hold all of a network.
func contains(spans []span, net netip.Prefix) bool {
	i, _ := slices.BinarySearchFunc(spans, net.Addr(), func(s span, a netip.Addr) int { return s.to.Compare(a) })
	return i < len(spans) && spans[i].from.Compare(net.Addr()) <= 0 && lastOf(net).Compare(spans[i].to) <= 0
}

// table makes the sets of one table hold what they should.
func (k *Keeper) table(ctx context.Context, t *kept, want []span) error {
	fresh := t.have == nil
	if fresh {
		have, err := k.look(ctx, t)
		if err != nil {
			return err
		}
		t.have = have
	}
	var script bytes.Buffer
	out := bufio.NewWriter(&script)
	after := make(map[string][]span)
	for _, set := range t.sets {
		mine := slices.Collect(filtered(want, set))
		have, there := t.have[set.name]
		t.step(out, set, have, mine, there)
		after[set.name] = mine
	}
	out.Flush()
	if script.Len() == 0 {
		return nil
	}
	t.have = nil
	if _, err := k.run(ctx, &script, "-f", "-"); err != nil {
		return err
	}
	t.have = after
	return nil
}

func filtered(spans []span, set goodSet) iter.Seq[span] {
	return func(yield func(span) bool) {
		for _, s := range spans {
			if set.holds(s.from) && !yield(s) {
				return
			}
		}
	}
}

// step writes what leads from one content of a set to another: what goes and what
// comes, or where that is most of it, all anew.
func (t *kept) step(out *bufio.Writer, set goodSet, have, want []span, there bool) {
	gone, come := differ(have, want)
	switch {
	case !there:
		fmt.Fprintf(out, "add set %s %s { type %s; flags interval; auto-merge; }\n", t.table, set.name, set.kind)
	case len(gone) > len(have)/2 && len(gone) > nftBatch:
		fmt.Fprintf(out, "flush set %s %s\n", t.table, set.name)
		gone, come = nil, want
	}
	nftElements(out, "delete", t.table, set.name, elements(gone))
	nftElements(out, "add", t.table, set.name, elements(come))
}

// differ compares two merged lists of spans.
func differ(have, want []span) (gone, come []span) {
	for len(have) > 0 || len(want) > 0 {
		switch {
		case len(want) == 0 || len(have) > 0 && have[0].compare(want[0]) < 0:
			gone = append(gone, have[0])
			have = have[1:]
		case len(have) == 0 || have[0].compare(want[0]) > 0:
			come = append(come, want[0])
			want = want[1:]
		default:
			have, want = have[1:], want[1:]
		}
	}
	return gone, come
}

func (s span) compare(other span) int {
	return cmp.Or(s.from.Compare(other.from), s.to.Compare(other.to))
}

// elements are spans in the words of nft.
func elements(spans []span) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, s := range spans {
			word := s.from.String()
			if s.from != s.to {
				word += "-" + s.to.String()
			}
			if !yield(word) {
				return
			}
		}
	}
}

// look reads the sets of a table. One that is not there is not in the answer.
func (k *Keeper) look(ctx context.Context, t *kept) (map[string][]span, error) {
	out, err := k.run(ctx, nil, append([]string{"-j", "-t", "list", "table"}, strings.Fields(t.table)...)...)
	if err != nil && strings.Contains(err.Error(), "No such file or directory") {
		return nil, fmt.Errorf("table %s is not there; make it, or take it out of [good] nft in moggy.toml", t.table)
	} else if err != nil {
		return nil, err
	}
	have := make(map[string][]span)
	var fault error
	err = nftObjects(out, func(o nftObject) {
		for _, set := range t.sets {
			if o.Set != nil && o.Set.Name == set.name {
				have[set.name] = nil
				fault = cmp.Or(fault, o.Set.fits(set, t.table))
			}
		}
	})
	if err = cmp.Or(fault, err); err != nil {
		return nil, err
	}
	for name := range have {
		if have[name], err = k.content(ctx, t.table, name); err != nil {
			return nil, err
		}
	}
	return have, nil
}

// fits says what keeps a set that somebody else made from holding networks.
func (s *nftSet) fits(set goodSet, table string) error {
	if text(s.Type) == set.kind && slices.Contains(words(s.Flags), "interval") {
		return nil
	}
	return fmt.Errorf("set %s of table %s cannot hold networks; make it { type %s; flags interval; auto-merge; }", set.name, table, set.kind)
}

// content reads what is in a set.
func (k *Keeper) content(ctx context.Context, table, name string) (spans []span, err error) {
	out, err := k.run(ctx, nil, append(append([]string{"-j", "list", "set"}, strings.Fields(table)...), name)...)
	if err != nil {
		return nil, err
	}
	err = nftObjects(out, func(o nftObject) {
		if o.Set == nil {
			return
		}
		for _, raw := range o.Set.Elem {
			_, nets := nftNets(raw, 0)
			for _, net := range nets {
				spans = append(spans, spanOf(net))
			}
		}
	})
	return merged(spans), err
}
