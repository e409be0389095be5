package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed lua/common.lua
var common string

//go:embed lua/greylist.lua
var greylistLua string

//go:embed lua/try.lua
var tryLua string

//go:embed lua/pass.lua
var passLua string

//go:embed lua/mergetriplet.lua
var mergeTripletLua string

//go:embed lua/mergeorigin.lua
var mergeOriginLua string

//go:embed lua/page.lua
var pageLua string

//go:embed lua/survey.lua
var surveyLua string

//go:embed lua/probe.lua
var probeLua string

//go:embed lua/tell.lua
var tellLua string

//go:embed lua/sweep.lua
var sweepLua string

//go:embed lua/write.lua
var writeLua string

//go:embed lua/rows.lua
var rowsLua string

//go:embed lua/follow.lua
var followLua string

//go:embed lua/whole.lua
var wholeLua string

//go:embed lua/append.lua
var appendLua string

//go:embed lua/records.lua
var recordsLua string

//go:embed lua/exchange.lua
var exchangeLua string

// scripts are all that is asked of Redis. Each runs as one step.
type scripts struct {
	try, pass, mergeTriplet, mergeOrigin *goredis.Script
	page, survey, probe                  *goredis.Script
	write, rows, follow, sweep, whole    *goredis.Script
	append, records, exchange            *goredis.Script
}

func newScripts() scripts {
	plain := func(text string) *goredis.Script { return goredis.NewScript(common + text) }
	grey := func(text string) *goredis.Script { return plain(greylistLua + text) }
	telling := func(text string) *goredis.Script { return plain(tellLua + text) }
	return scripts{
		try: grey(tryLua), pass: grey(passLua), mergeTriplet: grey(mergeTripletLua), mergeOrigin: grey(mergeOriginLua),
		page: plain(pageLua), survey: plain(surveyLua), probe: plain(probeLua),
		write: telling(writeLua), rows: plain(rowsLua), follow: plain(followLua), whole: plain(wholeLua), sweep: telling(sweepLua),
		append: plain(appendLua), records: plain(recordsLua), exchange: plain(exchangeLua),
	}
}

// errMixed: the answer belongs to another question (CVE-2025-29923). Nothing of
// it may be believed.
var errMixed = errors.New("an answer to another question")

// call runs a script by its hash, and by its text where Redis does not have it (a
// new server, or SCRIPT FLUSH). The answer is what follows the word that says it
// is the answer to this call.
func (s *Store) call(ctx context.Context, sc *goredis.Script, keys []string, args ...any) ([]any, error) {
	return s.callAt(ctx, s.client.Load(), sc, keys, args...)
}

func (s *Store) callAt(ctx context.Context, c goredis.Scripter, sc *goredis.Script, keys []string, args ...any) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.patience)
	defer cancel()
	token := s.nonce + strconv.FormatUint(s.count.Add(1), 36)
	reply, err := sc.Run(ctx, c, keys, append([]any{token}, args...)...).Slice()
	if err != nil {
		return nil, err
	}
	if len(reply) == 0 || reply[0] != token {
		s.reconnect()
		return nil, errMixed
	}
	return reply[1:], nil
}

// reconnect begins with new connections: one of the old gives answers to other
// questions, and would go on.
func (s *Store) reconnect() {
	c, err := connect(s.at, s.o.patience)
	if err != nil { // a PEM file has gone
		return
	}
	s.client.Swap(c).Close()
}

// An answer is read value by value. After a mistake it is bad and gives zeros.
type answer struct {
	values []any
	bad    bool
}

func (a *answer) next() any {
	if len(a.values) == 0 {
		a.bad = true
		return nil
	}
	v := a.values[0]
	a.values = a.values[1:]
	return v
}

func (a *answer) text() string {
	v, ok := a.next().(string)
	a.bad = a.bad || !ok
	return v
}

// number reads an integer, which a script gives as text where it may be large; ok
// is false where it is empty.
func (a *answer) number() (n int64, ok bool) {
	switch v := a.next().(type) {
	case int64:
		return v, true
	case string:
		if v == "" {
			return 0, false
		}
		n, err := strconv.ParseInt(v, 10, 64)
		a.bad = a.bad || err != nil
		return n, err == nil
	}
	a.bad = true
	return 0, false
}

// list reads values that belong together.
func (a *answer) list() []any {
	v, ok := a.next().([]any)
	a.bad = a.bad || !ok
	return v
}

// err says that the answer made no sense, if it did not.
func (a *answer) err() error {
	if a.bad {
		return fmt.Errorf("%w, or of a later version of moggy", errMixed)
	}
	return nil
}
