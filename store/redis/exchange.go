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

// Use and Others are the budget's.
type (
	Use    = budget.Use
	Others = budget.Others
)

var _ budget.Exchanger = (*Store)(nil)

// errAway: Redis has just come back, or just gone.
var errAway = errors.New("Redis is away")

// Exchange implements [budget.Exchanger] for a budget.Fleet, which calls it in the
// background. At its first exchange of a key a node is told what is owed.
//
// Each budget is one step in Redis, and the same step when go-redis has to ask
// twice: nothing is counted twice. When some cannot be exchanged the error is that
// of one of them, and the others are returned; what became of the tokens of those
// that are missing is not known. When a replica becomes the master that lacks the
// last exchanges, what others used is told again for as long as it lagged behind.
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
	connections, recipients := l.MostOwed()
	values, err := s.call(ctx, s.scripts.exchange, []string{s.budgetKey(u.Key)},
		s.nonce, max(0, u.Open), lease.Milliseconds(),
		u.Tokens, max(0, l.Rate), connections, u.Recipients, max(0, l.Recipients), recipients)
	if err != nil {
		return Others{}, err
	}
	a := answer{values: values}
	tokens, _ := a.number()
	counted, _ := a.number()
	open, _ := a.number()
	return Others{Key: u.Key, Tokens: int(tokens), Recipients: int(counted), Open: int(open)}, a.err()
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
