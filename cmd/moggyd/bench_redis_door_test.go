package main_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
)

// redisToml takes the state directory, the store, the addresses of the listener, of the backend and of the admin page.
// Nobody waits but for decisions: there is no stutter. The known have a budget that they do not reach; strangers need
// none, because each comes once or twice from its address.
const redisToml = `
hostname = "mx.moggy.test"
state_dir = %q
[store]
url = %q
[[listener]]
name = "smtp"
address = %q
backend = %q
[greylist]
origin = "network"
pass = "1s"
pass_unnamed = "1s"
[tarpit]
stutter = "0s"
[class.peer]
rate = "1000000/min"
burst = 1000000
open = 1000000
[foreign]
every = "0s"
[admin]
address = %q
`

// friendsNet is let in by a person: who comes from there is known.
const friendsNet = "127.100.0.0/16"

// friendAt is the i-th of the known.
func friendAt(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 100, byte(i >> 8), byte(i)}) }

// newcomer is the i-th of the strangers that come once. Many share a network, of which nobody ever passes.
func newcomer(i int) netip.Addr {
	const nets = 80 * 256
	return netip.AddrFrom4([4]byte{127, byte(16 + i%nets/256), byte(i), byte(1 + i/nets)})
}

// returner is the i-th of the strangers that come back. Each has a network of its own.
func returner(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, byte(128 + i/256), byte(i), 1}) }

// A benchDoor is a moggyd that is measured.
type benchDoor struct {
	*side
	admin string
}

// doorForBench starts a moggyd with a store, which knows its friends when this returns.
func doorForBench(b *testing.B, p programs, store, backend string) *benchDoor {
	b.Helper()
	dir, addr, admin := b.TempDir(), peers.FreeAddress(b), peers.FreeAddress(b)
	config := filepath.Join(dir, "moggy.toml")
	text := fmt.Sprintf(redisToml, filepath.Join(dir, "state"), store, addr, backend, admin)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	d := &benchDoor{&side{addr: addr, pid: runForBench(b, p.moggyd, config), names: map[string]bool{"moggyd": true}}, admin}
	allow := exec.CommandContext(b.Context(), p.moggy, "-c", config, "allow", "add", friendsNet, "--class", "peer", "--note", "bench")
	if out, err := allow.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	if err := peers.Poll(b.Context(), func() bool { return d.friend(b.Context(), 0).err == nil }); err != nil {
		said, _ := os.ReadFile(config + ".log") // it is only for people
		b.Fatalf("%v\n%s", d.friend(b.Context(), 0).err, said)
	}
	return d
}

// fromMemory is how many decisions so far were taken without the store.
func (d *benchDoor) fromMemory(b *testing.B) int {
	b.Helper()
	text, err := (&fleetDoor{admin: d.admin}).page("/metrics")
	_, after, found := strings.Cut(text, `moggy_degraded_total{dependency="store"} `)
	if err != nil || !found {
		b.Fatalf("the page of %s does not tell: %v", d.admin, err)
	}
	count, _, _ := strings.Cut(after, "\n")
	return must(strconv.Atoi(count))
}

// redisSide is the redis-server that this test has started.
func redisSide() *side {
	return &side{pid: os.Getpid(), names: map[string]bool{"redis-server": true}}
}

// A session is what a peer saw of one connection.
type session struct {
	connect time.Duration // from connecting to the banner
	rcpt    time.Duration // from RCPT to its answer
	err     error         // it did not go as it had to
}

// friend is a session of a known peer, that must be carried.
func (d *benchDoor) friend(ctx context.Context, i int) (v session) {
	v.err = d.meet(ctx, friendAt(i), func(c *textproto.Conn, began time.Time, banner string) error {
		v.connect = time.Since(began)
		if !strings.Contains(banner, sinkName) {
			return fmt.Errorf("a friend was not carried: %s", banner)
		}
		return nil
	})
	return v
}

// stranger is a session of a peer that moggyd talks to, for a recipient of its own, which is answered with a code.
func (d *benchDoor) stranger(ctx context.Context, source netip.Addr, code int) (v session) {
	v.err = d.meet(ctx, source, func(c *textproto.Conn, began time.Time, banner string) error {
		v.connect = time.Since(began)
		if strings.Contains(banner, sinkName) {
			return errors.New("a stranger was carried")
		}
		for _, command := range []string{"EHLO peer.test", "MAIL FROM:<" + from + ">"} {
			if err := ask(c, command, 250); err != nil {
				return err
			}
		}
		sent := time.Now()
		defer func() { v.rcpt = time.Since(sent) }()
		return ask(c, fmt.Sprintf("RCPT TO:<%v@%s>", source, peers.Domain), code)
	})
	return v
}

// meet connects, hears the banner, has talk talk, and quits.
func (d *benchDoor) meet(ctx context.Context, source netip.Addr, talk func(*textproto.Conn, time.Time, string) error) error {
	dialer := net.Dialer{Timeout: 30 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))}
	began := time.Now()
	conn, err := dialer.DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	c := textproto.NewConn(conn)
	_, banner, err := c.ReadResponse(220)
	if err == nil {
		err = talk(c, began, banner)
	}
	if err != nil {
		return err
	}
	return ask(c, "QUIT", 221)
}

// ask says a command, and wants this code.
func ask(c *textproto.Conn, command string, code int) error {
	if err := c.PrintfLine("%s", command); err != nil {
		return err
	}
	_, _, err := c.ReadResponse(code)
	return err
}

// times are durations, in any order until they are asked.
type times []time.Duration

// at is so many thousandths on the way from the shortest to the longest, in µs.
func (t times) at(q int) float64 {
	slices.Sort(t)
	return micro(t[min(len(t)-1, len(t)*q/1000)])
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// sessions are those of one side.
type sessions []session

func (all sessions) connects() (t times) {
	for _, v := range all {
		t = append(t, v.connect)
	}
	return t
}

func (all sessions) rcpts() (t times) {
	for _, v := range all {
		t = append(t, v.rcpt)
	}
	return t
}

// sound fails the benchmark if a session went wrong.
func (all sessions) sound(b *testing.B) {
	b.Helper()
	wrong := slices.DeleteFunc(slices.Clone(all), func(v session) bool { return v.err == nil })
	if len(wrong) > 0 {
		b.Fatalf("%d of %d sessions went wrong: %v", len(wrong), len(all), wrong[0].err)
	}
}

// visits are peers: the i-th comes to a door.
type visits func(d *benchDoor, i int) session

// inTurn has n peers come to each door, one after the other and alone, to the doors in an order that changes.
func inTurn(b *testing.B, n int, doors []*benchDoor, visit visits) []sessions {
	b.Helper()
	seen := make([]sessions, len(doors))
	for i := range n {
		for _, at := range rand.Perm(len(doors)) {
			seen[at] = append(seen[at], visit(doors[at], i))
		}
	}
	for _, all := range seen {
		all.sound(b)
	}
	return seen
}

// A load is what many peers at once made of some doors, in several rounds.
type load struct {
	rates  []float64     // sessions per second, of each round
	moggyd time.Duration // CPU, of all doors
	redis  time.Duration // CPU of redis-server
	seen   sessions
	memory int // decisions that were taken without Redis
}

// redisTold is when Redis knows nearly all that happened: budgets are told once a second, records twice.
const redisTold = 1300 * time.Millisecond

// callers is how many peers are there at once.
const callers = 64

// crowded is one more round: n peers come, the i-th to door i modulo their number. What moggyd tells Redis of them
// afterwards counts too.
func (l *load) crowded(b *testing.B, n int, doors []*benchDoor, visit visits) {
	b.Helper()
	seen, moggyd, redis, memory := make(sessions, n), usedBy(b, doors), redisSide().used(b), memoryOf(b, doors)
	began := time.Now()
	var next atomic.Int64
	var calling sync.WaitGroup
	for range callers {
		calling.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				seen[i] = visit(doors[i%len(doors)], i)
			}
		})
	}
	calling.Wait()
	l.rates = append(l.rates, float64(n)/time.Since(began).Seconds())
	rest(b.Context(), time.Now().Add(redisTold))
	l.moggyd += usedBy(b, doors) - moggyd
	l.redis += redisSide().used(b) - redis
	l.memory += memoryOf(b, doors) - memory
	l.seen = append(l.seen, seen...)
	seen.sound(b)
}

// usedBy is the CPU time that some doors have used together.
func usedBy(b *testing.B, doors []*benchDoor) (sum time.Duration) {
	for _, d := range doors {
		sum += d.used(b)
	}
	return sum
}

// memoryOf is how many decisions they took together without the store.
func memoryOf(b *testing.B, doors []*benchDoor) (sum int) {
	for _, d := range doors {
		sum += d.fromMemory(b)
	}
	return sum
}

// middle is the median.
func middle(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }

// report says what a session took, of whom.
func (l *load) report(b *testing.B, who string) {
	n := float64(len(l.seen))
	b.ReportMetric(middle(l.rates), who+"/s")
	b.ReportMetric(micro(l.moggyd)/n, who+"-moggyd-cpu-µs")
	b.ReportMetric(micro(l.redis)/n, who+"-redis-cpu-µs")
	b.ReportMetric(float64(l.memory)/n*1000, who+"-from-memory/1000")
}
