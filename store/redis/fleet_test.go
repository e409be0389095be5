package redis

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/store/storetest"
	"moggy/whitelist"
)

// A sentinelSet is a master, two replicas, and three Sentinels that watch them.
type sentinelSet struct {
	data, sentinels []*server
}

func startSentinels(t *testing.T) *sentinelSet {
	t.Helper()
	set := &sentinelSet{data: []*server{start(t)}}
	master := set.data[0]
	for range 2 {
		set.data = append(set.data, start(t, fmt.Sprintf("--replicaof 127.0.0.1 %d", master.port)))
	}
	for range 3 {
		set.sentinels = append(set.sentinels, startSentinel(t, master))
	}
	eventually(t, 20*time.Second, "the Sentinels did not find each other", func() bool {
		for _, s := range set.sentinels {
			info := s.do("INFO", "sentinel").(string)
			if !strings.Contains(info, "slaves=2,sentinels=3") {
				return false
			}
		}
		return strings.Count(master.do("INFO", "replication").(string), "state=online") == 2
	})
	return set
}

// failovers is how often the Sentinels have made another the master.
func (set *sentinelSet) failovers() string {
	fields := set.sentinels[0].do("SENTINEL", "MASTER", "mymaster").([]any)
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == "config-epoch" {
			return fields[i+1].(string)
		}
	}
	return ""
}

func startSentinel(t *testing.T, master *server) *server {
	t.Helper()
	s := &server{t: t, port: freePort(t), dir: t.TempDir()}
	conf := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor mymaster 127.0.0.1 %d 2\n"+
		"sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 5000\n"+
		"user moggy on >pw resetchannels &* -@all %s\n", s.port, s.dir, master.port, SentinelACL)
	path := filepath.Join(s.dir, "sentinel.conf")
	must(t, os.WriteFile(path, []byte(conf), 0o600))
	s.exec("redis-server", path, "--sentinel")
	t.Cleanup(s.kill)
	s.ready()
	return s
}

func (set *sentinelSet) url(prefix string) string {
	var hosts []string
	for _, s := range set.sentinels {
		hosts = append(hosts, s.addr())
	}
	return "redis+sentinel://" + strings.Join(hosts, ",") + "/mymaster?prefix=" + prefix + "&sentinel_user=moggy&sentinel_password=pw"
}

// startCluster starts three masters, and a replica of each.
func startCluster(t *testing.T) (masters, replicas []*server) {
	t.Helper()
	var all []*server
	for range 6 {
		all = append(all, start(t, "--cluster-enabled yes", "--cluster-node-timeout 1000"))
	}
	masters, replicas = all[:3], all[3:]
	for i, m := range masters {
		m.do("CLUSTER", "ADDSLOTSRANGE", i*5462, min(i*5462+5461, 16383))
	}
	for _, s := range all[1:] {
		s.do("CLUSTER", "MEET", "127.0.0.1", all[0].port)
	}
	known := func(s *server) bool {
		return strings.Contains(s.do("CLUSTER", "INFO").(string), "cluster_known_nodes:6")
	}
	eventually(t, 20*time.Second, "the nodes did not meet", func() bool {
		for _, s := range all {
			if !known(s) {
				return false
			}
		}
		return true
	})
	for i, r := range replicas {
		r.do("CLUSTER", "REPLICATE", masters[i].do("CLUSTER", "MYID"))
	}
	eventually(t, 20*time.Second, "the Cluster is not whole", func() bool { return whole(all) })
	return masters, replicas
}

func whole(all []*server) bool {
	for i, s := range all {
		if !strings.Contains(s.do("CLUSTER", "INFO").(string), "cluster_state:ok") {
			return false
		}
		if i >= 3 && !strings.Contains(s.do("INFO", "replication").(string), "master_link_status:up") {
			return false
		}
	}
	return true
}

func (s *server) isMaster() bool {
	return strings.Contains(s.do("INFO", "replication").(string), "role:master")
}

func hosts(servers []*server) string {
	var all []string
	for _, s := range servers {
		all = append(all, s.addr())
	}
	return strings.Join(all, ",")
}

// A crowd is strangers who come again and again to several doors, each stranger
// one after the other, and what must be true of them.
type crowd struct {
	t     *testing.T
	doors []*Store
	wg    sync.WaitGroup
	stop  chan struct{}
	stall *stall

	mu      sync.Mutex
	tries   int
	longest time.Duration
	born    map[int]time.Time // when each stranger was first tried
}

// pace is between two tries of one of the crowd.
const pace = 5 * time.Millisecond

func startCrowd(t *testing.T, doors []*Store) *crowd {
	c := &crowd{t: t, doors: doors, stop: make(chan struct{}), stall: watchStalls(t), born: map[int]time.Time{}}
	for w := range 4 {
		c.wg.Go(func() { c.strangers(w) })
	}
	return c
}

func (c *crowd) strangers(w int) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := 0; ; n++ {
		for i, minute := range []int{0, 10, 24} {
			select {
			case <-c.stop:
				return
			case <-tick.C:
				c.try(w*1_000_000+n, i, minute)
			}
		}
	}
}

// who is one of the crowd, at a minute: an unnamed one, who waits 25.
func who(id, minute int) greylist.Try {
	x := wide(id, at(minute))
	x.Recipient = fmt.Sprintf("r%d@example.net", id)
	return x
}

func (c *crowd) try(id, i, minute int) {
	begun, stalled := time.Now(), c.stall.Load()
	r, err := c.doors[(id+i)%len(c.doors)].Try(context.Background(), who(id, minute))
	took := time.Since(begun) - time.Duration(c.stall.Load()-stalled)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tries++
	c.longest = max(c.longest, took)
	if i == 0 {
		c.born[id] = begun
	}
	if err != nil || r.Passes() || minute > 0 && r.Tries == 0 {
		c.t.Errorf("after %d minutes: %+v, %v", minute, r, err)
	}
}

func (c *crowd) tried() int { c.mu.Lock(); defer c.mu.Unlock(); return c.tries }

func (c *crowd) more(n int) {
	c.t.Helper()
	n += c.tried()
	eventually(c.t, 60*time.Second, "too few tries", func() bool { return c.tried() >= n })
}

// end lets nobody come any more.
func (c *crowd) end() {
	close(c.stop)
	c.wg.Wait()
}

// ask asks a door about everybody, when all is well again. What came in the second
// before a master died may be lost.
func (c *crowd) ask(s *Store, killed time.Time) {
	c.t.Helper()
	if c.longest > bound {
		c.t.Errorf("a try took %v", c.longest)
	}
	lost := 0
	for id, born := range c.born {
		r, err := s.Peek(context.Background(), who(id, 26))
		must(c.t, err)
		if r.Outcome == greylist.Returned && r.First.Equal(at(0)) {
			continue
		}
		lost++
		if d := killed.Sub(born); d < 0 || d > time.Second {
			c.t.Errorf("lost what was first tried %v before the master died: %+v", d, r)
		}
	}
	c.t.Logf("%d tries of %d strangers, %d lost, the longest took %v", c.tries, len(c.born), lost, c.longest.Round(time.Millisecond))
}

// failover lets a crowd come while a master is killed, and waits until all doors
// are well again. Then it has the doors asked about the crowd, unless those who watch
// the masters took a busy machine for another death: what that lost is not ours.
func failover(t *testing.T, doors []*Store, kill func(), another func() bool) {
	t.Helper()
	ctx := context.Background()
	for _, s := range doors {
		eventually(t, 10*time.Second, "not healthy at first", func() bool { return s.Check(ctx) == nil })
	}
	must(t, doors[0].PutEntry(ctx, person("192.0.2.0/24")))
	c := startCrowd(t, doors)
	c.more(1000)
	killed := time.Now()
	kill()
	for i, s := range doors {
		eventually(t, 60*time.Second, "did not recover", func() bool { return s.Sync() == nil && !s.Degraded() })
		t.Logf("door %d works again after %v", i, time.Since(killed).Round(10*time.Millisecond))
	}
	c.more(1000)
	for _, s := range doors {
		eventually(t, 20*time.Second, "does not get well", func() bool { return s.Sync() == nil && !s.Degraded() })
	}
	c.end()
	if another() {
		t.Skip("another master was taken for dead")
	}
	c.ask(doors[0], killed)
	must(t, doors[1].PutEntry(ctx, person("198.51.100.0/24")))
	b := &book{s: doors[2]}
	must(t, b.read(ctx))
	if _, ok := b.get("192.0.2.0/24", whitelist.Operator); !ok || b.size() != 2 {
		t.Error("an entry is lost")
	}
}

func TestSentinelFailover(t *testing.T) {
	slow(t)
	set := startSentinels(t)
	var doors []*Store
	for range 3 {
		doors = append(doors, openAt(t, Options{URL: set.url("s")}))
	}
	failover(t, doors, set.data[0].kill, func() bool { return set.failovers() != "1" })
	for _, s := range set.sentinels {
		s.refusedNothing(t)
	}
}

func TestClusterFailover(t *testing.T) {
	slow(t)
	masters, replicas := startCluster(t)
	for _, s := range append(masters[:3:3], replicas...) {
		s.setUser("moggy", "p%/@:w", "c")
	}
	var doors []*Store
	for range 3 {
		doors = append(doors, openAt(t, Options{URL: "redis+cluster://moggy:p%25%2F%40%3Aw@" + hosts(masters) + "?prefix=c"}))
	}
	failover(t, doors, masters[1].kill, func() bool { return !masters[0].isMaster() || !masters[2].isMaster() })
	for _, s := range append(masters[2:3:3], replicas...) {
		s.refusedNothing(t)
	}
}

// refusedNothing wants the rules to suffice for what was asked.
func (s *server) refusedNothing(t *testing.T) {
	t.Helper()
	if log := s.do("ACL", "LOG").([]any); len(log) > 0 {
		t.Errorf("refused: %v", log)
	}
}

// TestClusterConformance: the suite, over three masters.
func TestClusterConformance(t *testing.T) {
	slow(t)
	masters, _ := startCluster(t)
	n := 0
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		n++
		return openAt(t, Options{URL: "redis+cluster://" + hosts(masters[1:]) + "?prefix=" + fmt.Sprint("t", n), Flush: time.Millisecond, patience: calm})
	})
}
