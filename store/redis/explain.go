package redis

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// A complaint is what Redis says when it does not do as it is told, by what the
// error begins with, and what a person can do.
type complaint struct{ begins, means, do string }

// complaints is a table; nothing changes it.
var complaints = [...]complaint{
	{"WRONGPASS", "refuses the password", "look at [store] url in moggy.toml"},
	{"NOAUTH", "wants a password", "write one into [store] url in moggy.toml"},
	{"NOPERM", "does not let its user do what moggy does", "give the user the rules that moggy.toml(5) names"},
	{"ERR The user executing the script can't", "does not let its user do what moggy does", "give the user the rules that moggy.toml(5) names"},
	{"ERR Protocol error: unauthenticated", "wants a password", "write one into [store] url in moggy.toml"},
	{"READONLY", "is a replica, and takes nothing", "name the master in [store] url, or use redis+sentinel://"},
	{"OOM", "is full", "raise its maxmemory; type: redis-cli info memory"},
	{"MISCONF", "cannot write to its disk, and takes nothing", "look at its log; type: redis-cli info persistence"},
	{"NOREPLICAS", "has fewer replicas than it is told to have, and takes nothing", "start them, or look at min-replicas-to-write"},
	{"LOADING", "has just started and reads its file", "wait"},
	{"BUSY", "is busy with a script", "type: redis-cli script kill"},
	{"MASTERDOWN", "is a replica without its master", "start the master, or use redis+sentinel://"},
	{"CLUSTERDOWN", "is a Cluster that is not whole", "type: redis-cli cluster info"},
	{"ASK", "is a Cluster that moves what is asked for to another master", "wait, or type: redis-cli --cluster check"},
	{"TRYAGAIN", "is a Cluster that moves what is asked for to another master", "wait, or type: redis-cli --cluster check"},
	{"MOVED", "is part of a Cluster", "write redis+cluster:// in [store] url"},
	{"CROSSSLOT", "is part of a Cluster", "write redis+cluster:// in [store] url"},
	{"WRONGTYPE", "has something else under one of moggy's keys", "write ?prefix=… behind [store] url"},
	{"ERR max number of clients", "has no connection left", "raise its maxclients"},
}

// explain says what is wrong with Redis, and what to type. It never holds the
// password: neither go-redis' errors nor those of Redis do.
func (s *Store) explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if word, ok := errors.AsType[goredis.Error](err); ok {
		for _, c := range complaints {
			if text := word.Error(); strings.HasPrefix(text, c.begins) || strings.Contains(text, "-"+c.begins) { // in a script, before Redis 7
				return fmt.Errorf("%s %s: %w; %s", s.at, c.means, err, c.do)
			}
		}
		return fmt.Errorf("%s: %w; type: redis-cli ping", s.at, err)
	}
	return fmt.Errorf("%s %s: %w; %s", s.at, means(err), err, do(err))
}

func means(err error) string {
	switch {
	case errors.Is(err, errMixed), errors.Is(err, errEmptied):
		return "cannot be believed"
	case isTimeout(err):
		return "does not answer in time"
	}
	return "cannot be reached"
}

func do(err error) string {
	if isCertificate(err) {
		return "look at the certificates that [store] url names, and at that of Redis"
	}
	return "type: redis-cli ping"
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, goredis.ErrPoolTimeout) {
		return true
	}
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

func isCertificate(err error) bool {
	for _, is := range []func(error) bool{
		is[x509.UnknownAuthorityError], is[x509.HostnameError], is[x509.CertificateInvalidError],
	} {
		if is(err) {
			return true
		}
	}
	return false
}

func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}
