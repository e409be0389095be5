package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"moggy/whitelist/budget"
)

// ACL are the rules of the least that a Redis user needs for all that this package
// does, with keys of that prefix:
//
//	ACL SETUSER moggy on >password …
//
// Redis checks them for the scripts' commands too.
func ACL(prefix string) string {
	return "resetkeys ~" + prefix + ":* resetchannels -@all" +
		" +eval +evalsha" +
		" +time +get +set +unlink +scan +dbsize +pttl +pexpire" +
		" +hget +hgetall +hset +hdel +hscan +xadd +xrange +xrevrange" +
		" +hello +select +cluster|slots +asking +info"
}

// SentinelACL are the rules of the least that a user of the Sentinels needs, beside
// resetchannels &* -@all.
const SentinelACL = "+hello +ping +subscribe +sentinel|get-master-addr-by-name +sentinel|sentinels"

// Check finds out whether Redis does all that moggy needs: it writes, reads and
// takes away a row of its own. It is for a person who waits, and for a start. The
// error says what is wrong and what to type.
func (s *Store) Check(ctx context.Context) error {
	if err := s.Sync(); err != nil {
		return err
	}
	row := change{op: opPut, key: s.key("check"), name: nameCheck + "x", row: "1", ends: milli(s.o.Clock())}
	gone := change{op: opDel, key: row.key, name: row.name}
	for _, c := range []change{row, gone} {
		if _, err := s.now(ctx, c); err != nil {
			return err
		}
	}
	var err error
	for range s.table(ctx, row.key, &err) {
	}
	for _, walked := range s.walk(ctx, s.begins("check")) {
		err = errors.Join(err, walked)
	}
	if err == nil {
		_, err = s.unlink(ctx, []string{row.key})
	}
	if err == nil {
		_, err = s.exchange(ctx, Use{Key: budget.Key{Class: "check"}}, 0)
	}
	if err != nil {
		return s.explain(err)
	}
	return s.checkPolicy(ctx)
}

// checkPolicy refuses a Redis that throws persons' entries away when it is full.
// One that does not tell is believed.
func (s *Store) checkPolicy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.patience)
	defer cancel()
	text, err := s.client.Load().Info(ctx, "memory").Result()
	if err != nil || !strings.Contains(text, "maxmemory_policy:allkeys") {
		return nil
	}
	return fmt.Errorf("%s throws away entries of persons when it is full; type: redis-cli config set maxmemory-policy volatile-ttl", s.at)
}
