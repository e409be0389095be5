package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/whitelist"
)

// bound is what no call may take longer than, the time left out in which the
// machine did not let the test run.
const bound = 250 * time.Millisecond

// A stall is how much longer than they should timers took since the test began:
// the machine is busy with others.
type stall struct{ atomic.Int64 }

func watchStalls(t *testing.T) *stall {
	s, stop, ended := &stall{}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			begun := time.Now()
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				s.Add(int64(time.Since(begun) - 5*time.Millisecond))
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-ended })
	return s
}

// An outage is a way in which Redis fails, and how that ends.
type outage struct {
	lines   []string // of configuration
	before  func(*server, *front)
	fails   func(*server, *front)
	ends    func(*server, *front)
	says    string // in the errors of persons' changes
	forgets bool   // Redis has lost what it had
}

// outages is a table; nothing changes it.
var outages = map[string]outage{
	"stopped": {
		fails: func(s *server, _ *front) { s.signal(syscall.SIGSTOP) },
		ends:  func(s *server, _ *front) { s.signal(syscall.SIGCONT) },
		says:  "does not answer in time",
	},
	"killed": {
		fails:   func(s *server, _ *front) { s.kill() },
		ends:    func(s *server, _ *front) { s.run() },
		says:    "cannot be reached",
		forgets: true,
	},
	"killed with a disk": {
		lines: []string{"--appendonly yes", "--appendfsync always"},
		fails: func(s *server, _ *front) { s.kill() },
		ends:  func(s *server, _ *front) { s.run() },
		says:  "cannot be reached",
	},
	"reading its file": {
		lines:  []string{"--appendonly yes", "--appendfsync always", "--loading-process-events-interval-bytes 1024"},
		before: func(s *server, _ *front) { s.do("EVAL", "for i = 1, 30000 do redis.call('SET', 'x' .. i, '') end", 0) },
		fails: func(s *server, _ *front) {
			s.kill()
			s.args = append(s.args, "--key-load-delay 100")
			s.launch("redis-server", "--port", strconv.Itoa(s.port))
			s.listens()
		},
		ends: func(s *server, _ *front) { s.ready() },
		says: "Redis at", // while it reads it answers now and then
	},
	"slow": {
		fails: func(_ *server, f *front) { f.set(mode{delay: 2 * time.Second}) },
		ends:  func(_ *server, f *front) { f.set(pass) },
		says:  "does not answer in time",
	},
	"mute": {
		fails: func(_ *server, f *front) { f.set(mode{mute: true}) },
		ends:  func(_ *server, f *front) { f.set(refuse); f.set(pass) },
		says:  "does not answer in time",
	},
	"cut": {
		fails: func(_ *server, f *front) { f.set(refuse) },
		ends:  func(_ *server, f *front) { f.set(pass) },
		says:  "cannot be reached",
	},
	"full": {
		fails: func(s *server, _ *front) { s.do("CONFIG", "SET", "maxmemory", "1") },
		ends:  func(s *server, _ *front) { s.do("CONFIG", "SET", "maxmemory", "0") },
		says:  "is full",
	},
	"read-only": {
		fails: func(s *server, _ *front) { s.do("REPLICAOF", "127.0.0.1", "1") },
		ends:  func(s *server, _ *front) { s.do("REPLICAOF", "NO", "ONE") },
		says:  "is a replica",
	},
	"without replicas": {
		fails: func(s *server, _ *front) { s.do("CONFIG", "SET", "min-replicas-to-write", "1") },
		ends:  func(s *server, _ *front) { s.do("CONFIG", "SET", "min-replicas-to-write", "0") },
		says:  "has fewer replicas",
	},
	"wrong password": {
		fails: func(s *server, f *front) {
			s.do("ACL", "SETUSER", "default", "resetpass", ">other")
			s.pass = "other"
			f.set(refuse)
			f.set(pass)
		},
		ends: func(s *server, f *front) { s.do("ACL", "SETUSER", "default", "nopass"); s.pass = "" },
		says: "wants a password",
	},
	"no rights": {
		fails: func(s *server, _ *front) { s.do("ACL", "SETUSER", "default", "-set", "-evalsha", "-eval") },
		ends:  func(s *server, _ *front) { s.do("ACL", "SETUSER", "default", "+@all") },
		says:  "does not let its user",
	},
	"no rights inside scripts": {
		fails: func(s *server, _ *front) { s.do("ACL", "SETUSER", "default", "-set", "-hset") },
		ends:  func(s *server, _ *front) { s.do("ACL", "SETUSER", "default", "+@all") },
		says:  "does not let its user",
	},
	"scripts flushed": {
		fails: func(s *server, _ *front) { s.do("SCRIPT", "FLUSH") },
		ends:  func(s *server, _ *front) {},
	},
}

func TestOutages(t *testing.T) {
	for name, o := range outages {
		t.Run(name, func(t *testing.T) { o.run(t) })
	}
}

// TestOneAnswerLost: it is said at once that Redis does not know of the try, and no
// longer than that is so; nobody is alarmed in the log.
func TestOneAnswerLost(t *testing.T) {
	f := relay(t, start(t).addr())
	var log strings.Builder
	s := openAt(t, Options{URL: "redis://" + f.addr() + "?prefix=m", Flush: time.Hour, Log: text(&log)})
	eventually(t, 5*time.Second, "not healthy at first", func() bool { return s.survey.Load() != nil })
	must(t, s.Sync()) // so that the mender sleeps
	must(t, s.Healthy())
	f.set(refuse)
	if r := try(t, s, wide(0, at(0))); r.Outcome != greylist.FirstSeen {
		t.Errorf("%+v", r)
	}
	f.set(pass)
	if err := s.Healthy(); err == nil || !s.Degraded() || !strings.Contains(err.Error(), "cannot be reached") || !strings.HasSuffix(err.Error(), "type: redis-cli ping") {
		t.Errorf("Redis knows nothing of a try: %v", err)
	}
	must(t, s.Sync())
	must(t, s.Healthy())
	s.memory.restore() // Redis has lost what it had
	must(t, s.Pass(t.Context(), wide(1, at(0)).Origin, at(0)))
	s.memory.restore()
	if err := s.Healthy(); err == nil || !strings.Contains(err.Error(), "has not been told") {
		t.Errorf("Redis has been emptied: %v", err)
	}
	if log.Len() > 0 {
		t.Errorf("says %s", log.String())
	}
}

// A patient is a store whose calls are timed.
type patient struct {
	*Store
	t     *testing.T
	stall *stall
	most  time.Duration
}

func (p *patient) timed(f func()) {
	p.t.Helper()
	begun, stalled := time.Now(), p.stall.Load()
	f()
	d := time.Since(begun) - time.Duration(p.stall.Load()-stalled)
	p.most = max(p.most, d)
	if d > bound {
		p.t.Errorf("a call took %v", d)
	}
}

func (p *patient) try(x greylist.Try) (r greylist.Result) {
	p.t.Helper()
	p.timed(func() { r = try(p.t, p.Store, x) })
	return r
}

func (p *patient) tries(x greylist.Try, want greylist.Outcome) {
	p.t.Helper()
	if r := p.try(x); r.Outcome != want {
		p.t.Errorf("%s at %v: %+v, want %s", x.Recipient, x.Now, r, want)
	}
}

func at(minutes int) time.Time { return epoch().Add(time.Duration(minutes) * time.Minute) }

func (o outage) run(t *testing.T) {
	server := start(t, o.lines...)
	f := relay(t, server.addr())
	s := &patient{Store: openAt(t, Options{URL: "redis://" + f.addr() + "/0?prefix=out", Flush: 50 * time.Millisecond}), t: t, stall: watchStalls(t)}
	ctx := context.Background()
	eventually(t, 5*time.Second, "not healthy at first", func() bool { return s.Sync() == nil && s.Healthy() == nil })
	s.tries(wide(0, at(0)), greylist.FirstSeen)
	must(t, s.Pass(ctx, wide(1, at(0)).Origin, at(0)))
	must(t, s.PutEntry(ctx, person("192.0.2.0/24")))

	if o.before != nil {
		o.before(server, f)
	}
	o.fails(server, f)
	o.meanwhile(t, s)
	t.Logf("the longest call took %v", s.most.Round(time.Millisecond))
	o.ends(server, f)
	eventually(t, 15*time.Second, "did not recover", func() bool {
		return s.Healthy() == nil && !s.Degraded() && s.Stats().Pending == 0
	})
	o.after(t, s, openAt(t, Options{URL: server.url("out"), patience: calm}))
}

// meanwhile is what happens while Redis is away: nobody notices but persons.
func (o outage) meanwhile(t *testing.T, s *patient) {
	ctx := context.Background()
	s.tries(wide(0, at(1)), greylist.TooEarly) // from before
	s.tries(wide(1, at(1)), greylist.OriginKnown)
	for i := 10; i < 20; i++ {
		s.tries(wide(i, at(1)), greylist.FirstSeen)
	}
	s.tries(wide(10, at(3)), greylist.TooEarly)
	s.tries(wide(10, at(30)), greylist.Returned)
	s.timed(func() { must(t, s.Pass(ctx, wide(10, at(30)).Origin, at(30))) })
	s.tries(wide(10, at(31)), greylist.OriginKnown)
	s.timed(func() { s.LearnEntries(learned(1, epoch())); s.ForgetEntries(learned(2, epoch()).Key()) })
	if o.says == "" {
		must(t, s.Healthy())
		return
	}
	eventually(t, 5*time.Second, "does not say that it is ill", func() bool {
		err := s.Healthy() // of the first call it may be that its connection broke
		return err != nil && strings.Contains(err.Error(), o.says) && s.Degraded()
	})
	o.complains(t, s.Healthy())
	s.timed(func() { o.refused(t, s.PutEntry(ctx, person("203.0.113.0/24"))) })
	s.timed(func() { o.refused(t, s.DeleteEntry(ctx, person("192.0.2.0/24").Net, whitelist.Operator)) })
	s.timed(func() { o.refused(t, s.PutTrap(ctx, greylist.Trap{Address: "a@b"})) })
	s.timed(func() { _, err := s.DeleteTrap(ctx, "a@b"); o.refused(t, err) })
}

func (o outage) complains(t *testing.T, err error) {
	t.Helper()
	if !strings.Contains(err.Error(), o.says) || !strings.Contains(err.Error(), "Redis at 127.0.0.1:") || !strings.Contains(err.Error(), "; ") {
		t.Errorf("says: %v", err)
	}
}

func (o outage) refused(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("a person's change was taken")
		return
	}
	o.complains(t, err)
	if errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "nothing was kept") {
		t.Errorf("says: %v", err)
	}
}

// after is what another node finds.
func (o outage) after(t *testing.T, s *patient, other *Store) {
	s.tries(wide(11, at(31)), greylist.Returned)
	for i := 11; i < 20; i++ {
		r := try(t, other, wide(i, at(32)))
		if r.Outcome != greylist.Returned || !r.First.Equal(at(1)) {
			t.Errorf("another node says %+v of a triplet first seen %v", r, at(1))
		}
	}
	for _, i := range []int{1, 10} {
		if r := try(t, other, wide(i, at(32))); r.Outcome != greylist.OriginKnown && !(i == 1 && o.forgets) {
			t.Errorf("another node says %+v of an origin that passed", r)
		}
	}
	if r := try(t, other, wide(0, at(32))); r.Outcome != greylist.Returned || !r.First.Equal(at(0)) {
		t.Errorf("another node says %+v of the triplet of before", r)
	}
	b := &book{s: other}
	must(t, b.read(context.Background()))
	if _, ok := b.get("192.0.2.0/24", whitelist.Operator); ok == o.forgets {
		t.Errorf("the entry of before: %v", ok)
	}
	if _, ok := b.get("203.0.113.0/24", whitelist.Operator); ok || b.hasTrap("a@b") {
		t.Error("what was refused is there")
	}
	if _, ok := b.get("10.1.0.1/32", whitelist.Passed); !ok {
		t.Error("what was learned is not there")
	}
}
