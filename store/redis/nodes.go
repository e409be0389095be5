package redis

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// A Node is one of those that share this memory.
type Node struct {
	Name string
	Seen time.Time // when it last asked Redis, by the caller's clock: within seconds if it is well
}

// Nodes are those that were here within a day and have not said goodbye, by name, as
// Redis said some seconds ago at most while it works.
func (s *Store) Nodes() []Node {
	if all := s.nodes.Load(); all != nil {
		return *all
	}
	return nil
}

// ping finds out whether Redis takes what it is given, and returns its clock, in unix
// milliseconds. A node with a name is here from then on.
func (s *Store) ping(ctx context.Context, name string) (clock int64, err error) {
	a := answer{}
	if a.values, err = s.call(ctx, s.scripts.probe, []string{s.key("probe"), s.key("nodes")}, name); err != nil {
		return 0, err
	}
	clock, _ = a.number()
	var all []Node
	rows := answer{values: a.list()}
	for len(rows.values) > 0 {
		n := Node{Name: rows.text()}
		seen, _ := rows.number()
		n.Seen = s.o.Clock().Add(time.Duration(seen-clock) * time.Millisecond)
		all = append(all, n)
	}
	if a.bad = a.bad || rows.bad; a.bad {
		return 0, a.err()
	}
	slices.SortFunc(all, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	s.nodes.Store(&all)
	return clock, nil
}

// leave says goodbye. Where that fails the others see when this node was here last.
func (s *Store) leave() {
	if s.o.Name == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.o.patience)
	defer cancel()
	_ = s.client.Load().HDel(ctx, s.key("nodes"), s.o.Name).Err()
}
