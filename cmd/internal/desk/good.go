package desk

import (
	"context"
	"net/netip"
	"slices"

	"moggy/cmd/internal/firewall"
)

// GoodFilter asks for all that is known to be good.
type GoodFilter struct{}

// GoodList is networks that hold all known-good addresses and no others. They may
// lie in one another.
type GoodList struct {
	Nets []netip.Prefix `json:"nets"`
}

// Good implements Desk.
func (l *Local) Good(context.Context, GoodFilter) (GoodList, error) {
	nets := slices.AppendSeq([]netip.Prefix{}, firewall.Good(l.Judge.Book.List(), l.now()))
	return GoodList{Nets: nets}, nil
}
