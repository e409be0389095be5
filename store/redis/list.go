package redis

import (
	"context"
	"iter"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"moggy/greylist"
)

// pageRows is about how many keys one script looks at: Redis does nothing else
// meanwhile.
const pageRows = 500

// A kept is a row and its key in Redis.
type kept struct{ key, row string }

// A page is rows of one server, and how far this node's clock is behind its own.
type page struct {
	rows []kept
	skew time.Duration
}

// walk yields the rows under keys that begin alike, of all masters, each once. It
// remembers the keys that it has yielded, and holds no lock. A row that is written
// or moved to another server meanwhile may be left out.
func (s *Store) walk(ctx context.Context, begin string) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		masters, err := s.client.Load().masters(ctx)
		if err != nil {
			yield(page{}, s.explain(err))
			return
		}
		seen := make(map[string]struct{})
		for _, m := range masters {
			for p, err := range s.pages(ctx, m, begin) {
				if err != nil {
					yield(page{}, s.explain(err))
					return
				}
				p.rows = unseen(p.rows, seen)
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

// unseen leaves out rows that came before, as SCAN may give them twice.
func unseen(rows []kept, seen map[string]struct{}) []kept {
	fresh := rows[:0]
	for _, k := range rows {
		if _, twice := seen[k.key]; !twice {
			seen[k.key] = struct{}{}
			fresh = append(fresh, k)
		}
	}
	return fresh
}

// pages yields what one server has.
func (s *Store) pages(ctx context.Context, m goredis.Scripter, begin string) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		for cursor := "0"; ; {
			next, p, err := s.page(ctx, m, cursor, begin)
			if !yield(p, err) || err != nil || next == "0" {
				return
			}
			cursor = next
		}
	}
}

func (s *Store) page(ctx context.Context, m goredis.Scripter, cursor, begin string) (next string, p page, err error) {
	if err := ctx.Err(); err != nil {
		return "", p, err
	}
	a := answer{}
	if a.values, err = s.callAt(ctx, m, s.scripts.page, nil, cursor, begin+"*", pageRows, s.wall()); err != nil {
		return "", p, err
	}
	next = a.text()
	skew, _ := a.number()
	p.skew = time.Duration(skew) * time.Millisecond
	rows := answer{values: a.list()}
	for len(rows.values) > 0 {
		p.rows = append(p.rows, kept{rows.text(), rows.text()})
	}
	a.bad = a.bad || rows.bad
	return next, p, a.err()
}

// begins are what the keys of triplets and of origins begin with.
func (s *Store) begins(kind string) string { return s.at.prefix + ":" + kind + ":" }

// allTriplets yields what is kept, expired or not. Redis is told of everything
// first.
func (s *Store) allTriplets(ctx context.Context) iter.Seq2[keyed[tripletRow], error] {
	return decoded(s, ctx, "t", decodeTriplet)
}

func (s *Store) allOrigins(ctx context.Context) iter.Seq2[keyed[originRow], error] {
	return decoded(s, ctx, "o", decodeOrigin)
}

// keyed is a row made out and its key in Redis.
type keyed[T any] struct {
	key string
	row T
}

func decoded[T any](s *Store, ctx context.Context, kind string, decode func(string, time.Duration) (T, bool)) iter.Seq2[keyed[T], error] {
	return func(yield func(keyed[T], error) bool) {
		if s.memory.dirty() > 0 {
			_ = s.pass(ctx, false) // if it fails, so will the walk
		}
		for p, err := range s.walk(ctx, s.begins(kind)) {
			if err != nil {
				yield(keyed[T]{}, err)
				return
			}
			for _, k := range p.rows {
				row, ok := decode(k.row, p.skew)
				if !ok {
					s.damaged.Add(1)
					continue
				}
				if !yield(keyed[T]{k.key, row}, nil) {
					return
				}
			}
		}
	}
}

// Triplets yields the triplets that have not expired by the Window of their last
// Try. Of names and mailboxes it yields at most 320 bytes, domains in lower case.
// It asks Redis for page after page, and fails where Redis is away.
func (s *Store) Triplets(ctx context.Context, now time.Time) iter.Seq2[greylist.Row, error] {
	return func(yield func(greylist.Row, error) bool) {
		for k, err := range s.allTriplets(ctx) {
			if err == nil && k.row.expires.Before(round(now)) {
				continue
			}
			if !yield(k.row.row, err) {
				return
			}
		}
	}
}

// Origins yields the origins that are known, by the Remember of their last use.
func (s *Store) Origins(ctx context.Context, now time.Time) iter.Seq2[greylist.OriginRow, error] {
	return func(yield func(greylist.OriginRow, error) bool) {
		for k, err := range s.allOrigins(ctx) {
			if err == nil && !round(now).Before(k.row.expires) {
				continue
			}
			if !yield(k.row.row, err) {
				return
			}
		}
	}
}

// Forget takes away the matching triplets and origins, expired ones included. The
// other nodes forget the copies that they go on from when Redis is away. It reads
// all that is kept, which is for persons to ask for.
func (s *Store) Forget(ctx context.Context, match func(greylist.Row) bool, matchOrigin func(greylist.OriginRow) bool) (nt, no int, err error) {
	if match != nil {
		nt, err = forget(ctx, s, s.allTriplets(ctx), func(t tripletRow) bool { return match(t.row) })
	}
	if err == nil && matchOrigin != nil {
		no, err = forget(ctx, s, s.allOrigins(ctx), func(o originRow) bool { return matchOrigin(o.row) })
	}
	if nt+no > 0 {
		s.memory.clear()
		_, told := s.write(ctx, []change{{op: opPut, name: nameForgotten}})
		if err == nil && told != nil {
			err = s.explain(told)
		}
	}
	return nt, no, err
}

func forget[T any](ctx context.Context, s *Store, rows iter.Seq2[keyed[T], error], match func(T) bool) (n int, err error) {
	var keys []string
	for k, err := range rows {
		if err != nil {
			return n, err
		}
		if match(k.row) {
			keys = append(keys, k.key)
		}
		if len(keys) == pageRows {
			gone, err := s.unlink(ctx, keys)
			n, keys = n+gone, keys[:0]
			if err != nil {
				return n, err
			}
		}
	}
	gone, err := s.unlink(ctx, keys)
	return n + gone, err
}

// unlink deletes keys, wherever they lie, and returns how many were there.
func (s *Store) unlink(ctx context.Context, keys []string) (n int, err error) {
	if len(keys) == 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.patience)
	defer cancel()
	replies, err := s.client.Load().Pipelined(ctx, func(p goredis.Pipeliner) error {
		for _, k := range keys {
			p.Unlink(ctx, k)
		}
		return nil
	})
	for _, r := range replies {
		if c, ok := r.(*goredis.IntCmd); ok {
			n += int(c.Val())
		}
	}
	return n, s.explain(err)
}
