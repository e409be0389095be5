package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// patience is how long any call may take, its second try included: less than the
// stranger's stutter, and what a person does not notice.
const patience = 240 * time.Millisecond

// These are shares of it: for a connection, and for one command on it.
func toDial(patience time.Duration) time.Duration { return patience * 5 / 6 }
func toTalk(patience time.Duration) time.Duration { return patience * 5 / 12 }

// A client is the connections to one Redis, Sentinel set or Cluster.
type client struct {
	goredis.UniversalClient
	patience time.Duration
}

// quiet is go-redis' own log, which repeats what our errors say.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// connect makes a client; it connects when it is used.
func connect(a address, patience time.Duration) (*client, error) {
	goredis.SetLogger(quiet{})
	o, err := options(a, patience)
	if err != nil {
		return nil, err
	}
	switch a.scheme {
	case sentinelScheme:
		return &client{goredis.NewFailoverClient(o.Failover()), patience}, nil
	case clusterScheme:
		c := o.Cluster()
		// Once a minute would be too late after the death of a master.
		c.ClusterStateReloadInterval = time.Second
		// What it needs to know of our commands the library knows. It would ask for a
		// list of all commands, and, where a user may not, before each call.
		c.DisableRoutingPolicies = true
		return &client{goredis.NewClusterClient(c), patience}, nil
	}
	return &client{goredis.NewClient(o.Simple()), patience}, nil
}

// options are the same for all three. The library's own would let a call wait
// for ten seconds while Redis hangs, whatever the context says. One connection
// may have died unnoticed, so there is one more try.
func options(a address, patience time.Duration) (*goredis.UniversalOptions, error) {
	tlsConfig, err := a.tlsConfig()
	if err != nil {
		return nil, err
	}
	return &goredis.UniversalOptions{
		Addrs: a.hosts, MasterName: a.master, DB: a.database, Username: a.user, Password: a.password,
		SentinelUsername: a.sentinel.user, SentinelPassword: a.sentinel.password, TLSConfig: tlsConfig,
		ContextTimeoutEnabled: true,
		DialTimeout:           toDial(patience), DialerRetries: 1,
		ReadTimeout: toTalk(patience), WriteTimeout: toTalk(patience), PoolTimeout: toTalk(patience),
		MaxRetries: 1, MaxRedirects: 2, MinRetryBackoff: 5 * time.Millisecond, MaxRetryBackoff: 20 * time.Millisecond,
		PoolSize: 16, PipelinePoolSize: -1, ReadBufferSize: 8 << 10, WriteBufferSize: 4 << 10,
		Protocol: 2,
		// A reply to CLIENT SETINFO that comes late shifts all others by one (CVE-2025-29923).
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}, nil
}

func (a address) tlsConfig() (*tls.Config, error) {
	if !a.tls {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.ca != "" {
		pem, err := os.ReadFile(a.ca)
		if err != nil {
			return nil, fmt.Errorf("has a ca that cannot be read: %w; name a PEM file that moggyd may read", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("has a ca without a certificate in it; look at %s", a.ca)
		}
	}
	if a.cert != "" {
		pair, err := tls.LoadX509KeyPair(a.cert, a.key)
		if err != nil {
			return nil, fmt.Errorf("has a cert and a key that cannot be used: %w; name PEM files that belong together and that moggyd may read", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// masters are the servers that keep keys, one unless it is a Cluster. Most calls
// find theirs by the key; a walk over all keys asks each.
func (c *client) masters(ctx context.Context) (all []goredis.Scripter, err error) {
	cluster, ok := c.UniversalClient.(*goredis.ClusterClient)
	if !ok {
		return []goredis.Scripter{c.UniversalClient}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	var mu sync.Mutex
	err = cluster.ForEachMaster(ctx, func(_ context.Context, m *goredis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, m)
		return nil
	})
	if err == nil && len(all) == 0 {
		err = errors.New("the Cluster has no masters")
	}
	return all, err
}
