package redis

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"moggy/whitelist/budget"
)

// A Use is what one node has used of a budget.
type Use struct {
	Key    budget.Key
	Limit  budget.Limit
	Tokens int // taken since the last exchange of this key; below zero: given back
	Open   int // connections open at this node now
}

// Others is what the other nodes have used of it.
type Others struct {
	Key    budget.Key
	Tokens int // taken since this node's last exchange; at its first, what is still owed
	Open   int // connections open there now
}

// errAway: Redis has just come back, or just gone.
var errAway = errors.New("Redis is away")

// Exchange tells the other nodes what this one has used, and returns what they
// have, for budget.Local.Charge. It is for the background, about once a second,
// with the keys that were used since: what a client takes at several nodes between
// two exchanges is not yet counted together, which is the error of the budget.
//
// Open connections count at the other nodes for as long as the lease says; a node
// that does not renew it has died. So Exchange has to be called for each key with
// connections open, and once more when the last has ended.
//
// Each budget is one step in Redis. When some cannot be exchanged the error is
// that of one of them, and the others are returned; what became of the tokens of
// those that are missing is not known. Drop them: a client gets that much more.
func (s *Store) Exchange(ctx context.Context, uses []Use, lease time.Duration) ([]Others, error) {
	if s.breaker.isOpen() {
		return nil, cmp.Or(s.Healthy(), errAway)
	}
	var mu sync.Mutex
	var all []Others
	err := each(uses, func(u Use) error {
		o, err := s.exchange(ctx, u, lease)
		s.report(ctx, err)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, o)
		return nil
	})
	return all, s.explain(err)
}

func (s *Store) exchange(ctx context.Context, u Use, lease time.Duration) (Others, error) {
	l := u.Limit
	most := float64(max(1, l.Burst)) + l.Wait.Minutes()*float64(l.Rate)
	values, err := s.call(ctx, s.scripts.exchange, []string{s.budgetKey(u.Key)}, s.nonce, u.Tokens, max(0, u.Open), max(0, l.Rate), most, lease.Milliseconds())
	if err != nil {
		return Others{}, err
	}
	a := answer{values: values}
	tokens, _ := a.number()
	open, _ := a.number()
	return Others{Key: u.Key, Tokens: int(tokens), Open: int(open)}, a.err()
}

// budgetKey is made of a hash: an origin is a stranger's word.
func (s *Store) budgetKey(k budget.Key) string {
	var b []byte
	for _, part := range []string{string(k.Class), k.Net.String(), k.Origin} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return s.at.prefix + ":b:{" + base64.RawURLEncoding.EncodeToString(sum[:keyLen]) + "}"
}
