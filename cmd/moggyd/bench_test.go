package main_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"moggy/cmd/internal/names"
	"moggy/cmd/internal/peers"
	"moggy/dnsbl"
	"moggy/dnsbl/resolver"
	"moggy/greylist"
	"moggy/proxy"
	"moggy/store/bolt"
	"moggy/verdict"
	"moggy/whitelist"
)

// sixLists are the zones of the lists that the benchmarks ask, each of weight 1. Two of them make a peer listed.
var sixLists = []string{"a.list.test", "b.list.test", "c.list.test", "d.list.test", "e.list.test", "f.list.test"}

const listedBy = 2

// The strangers come from 127.16.0.0 on. Of twelve /16 in a row the first six stand on two lists each, the others on
// none: a list names a sixth of all strangers.
const (
	strangersFrom = 16
	strangersOf   = 12
)

// stranger is the i-th one, on two lists or on none in turn.
func stranger(i int) netip.Addr {
	net, host := i%strangersOf, i/strangersOf
	half := net/2 + net%2*(strangersOf/2)
	return netip.AddrFrom4([4]byte{127, byte(strangersFrom + half + strangersOf*(host>>16)), byte(host >> 8), byte(host)})
}

// listedStranger is the i-th of those on two lists.
func listedStranger(i int) netip.Addr { return stranger(2 * i) }

// serveLists starts rbldnsd with the lists, at port 53 of an address of its own where that is wanted.
func serveLists(b *testing.B, port53 bool) netip.AddrPort {
	b.Helper()
	lists := make([]names.List, len(sixLists))
	for i, zone := range sixLists {
		var data strings.Builder
		data.WriteString("$TTL 3600\n$SOA 3600 ns.list.test root.list.test 1 3600 3600 86400 3600\n:127.0.0.2:listed\n127.0.0.2\n")
		for net := strangersFrom; net < 256; net++ {
			if half := (net - strangersFrom) % strangersOf; half < len(sixLists) && (half == i || (half+1)%len(sixLists) == i) {
				fmt.Fprintf(&data, "127.%d.0.0/16\n", net)
			}
		}
		lists[i] = names.List{Zone: zone, Type: "ip4set", Data: data.String()}
	}
	server := names.Rbldnsd(b, lists...)
	if port53 {
		server.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(os.Getpid() >> 8), byte(os.Getpid()) | 1}), 53)
		server.Change(lists...)
	}
	return server.Addr
}

// BenchmarkDecision is what it takes to decide about a stranger: the allow list, six DNS lists over UDP, the rules, and
// for every other stranger, who is on no list, a look into the greylist on disk. Few are there at a time, so that
// rbldnsd's queue, which drops what it has no room for, is never full.
func BenchmarkDecision(b *testing.B) {
	server := serveLists(b, false)
	for _, kind := range []struct {
		name     string
		distinct int
		asked    int // before it begins
	}{{"cold", 1 << 23, 0}, {"warm", 1000, 1000}} {
		b.Run(kind.name, func(b *testing.B) {
			c := newCourt(b, server)
			for i := range kind.asked {
				c.decide(b, stranger(i))
			}
			var n, wrong atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(max(1, 24/runtime.GOMAXPROCS(0)))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := int(n.Add(1)-1) % kind.distinct
					if v := c.decide(b, stranger(i)); (v.Rule == "dns-listed") != (i%2 == 0) {
						wrong.Add(1)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
			if n := wrong.Load(); n > int64(b.N/1000) { // a datagram may be lost
				b.Errorf("%d of %d decisions were not what the lists say", n, b.N)
			}
		})
	}
}

// A court is all that decides, with a real store and a real resolver.
type court struct {
	judge  *proxy.Judge
	policy verdict.Policy
}

func newCourt(b *testing.B, server netip.AddrPort) *court {
	b.Helper()
	store := must(bolt.Open(bolt.Options{Path: filepath.Join(b.TempDir(), "moggy.db")}))
	b.Cleanup(func() { store.Close() })
	book := must(whitelist.Open(b.Context(), whitelist.Options{Store: store, Now: time.Now()}))
	traps := must(greylist.OpenTraps(b.Context(), store, nil, time.Now()))
	r := must(resolver.New(resolver.Options{Servers: []netip.AddrPort{server}}))
	b.Cleanup(func() { r.Close() })
	lists := make([]dnsbl.List, len(sixLists))
	for i, zone := range sixLists {
		lists[i] = dnsbl.List{Zone: zone, Weight: 1}
	}
	c := &court{policy: verdict.Policy{Hostname: "mx.test", GreyCode: 451},
		judge: proxy.NewJudge(book, store, traps, greylist.Timers{Pass: time.Minute, PassUnnamed: time.Minute, Window: time.Hour, Remember: time.Hour})}
	c.judge.Lists = dnsbl.New(dnsbl.Options{Resolver: r, Lists: lists, Threshold: listedBy})
	c.judge.Lists.Probe(b.Context())
	ctx, stop := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	watch.Go(func() { c.judge.Lists.Watch(ctx) })
	b.Cleanup(func() {
		stop()
		watch.Wait()
		c.judge.Lists.Close()
	})
	return c
}

func (c *court) decide(b *testing.B, peer netip.Addr) verdict.Verdict {
	f := verdict.Facts{Listener: "smtp", Peer: netip.AddrPortFrom(peer, 4000)}
	c.judge.Connect(&f, &c.policy, time.Now())
	f.Helo, f.Sender, f.Recipient = "caller.test", from, to
	f.DNS = c.judge.Lists.Check(b.Context(), peer)
	return c.judge.Recipient(b.Context(), &f, &c.policy, c.judge.Greylist.Peek, time.Now())
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// How BenchmarkBesidePostscreen calls: so many strangers, so many of them at a time, all of whom are listed and have to
// wait for a second.
const (
	besideCalls = 6000
	besideOnce  = 1000
)

// BenchmarkBesidePostscreen has the same listed strangers come to moggyd and to Postfix's postscreen with its dnsblog.
// Both ask the same six lists on the same name server, both have a stranger wait a second before it may speak, and both
// answer its recipient themselves; the stranger hangs up when it has the three digits, which moggyd stutters: a tenth of
// a second more. So the waiting alone allows postscreen besideOnce decisions per second, and moggyd a tenth less.
func BenchmarkBesidePostscreen(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("only Linux calls from every 127.x and tells in /proc what a process uses")
	}
	peers.Need(b, "postfix")
	server := serveLists(b, true)
	moggyd := startForStrangers(b, server)
	screen := peers.StartPostscreen(b, peers.PostscreenOptions{Zones: sixLists, Server: server.Addr(), Threshold: listedBy,
		Strangers: 2 * besideOnce})
	for b.Loop() {
		ours := moggyd.measure(b)
		theirs := (&side{addr: screen.Addr, code: "550", pid: screen.PID(), names: screenPrograms}).measure(b)
		ours.report(b, "moggyd")
		theirs.report(b, "postscreen")
		b.ReportMetric(ours.rate/theirs.rate, "×speed")
		b.ReportMetric(theirs.cpu/ours.cpu, "×less-cpu")
		b.ReportMetric(float64(theirs.memory)/float64(ours.memory), "×less-memory")
	}
	b.ReportMetric(0, "ns/op")
}

// screenPrograms are those of Postfix that strangers keep busy: the rest of it, which takes mail, is not counted. What
// master waited for, processes of dnsblog that have ended, counts as master's.
var screenPrograms = map[string]bool{"master": true, "postscreen": true, "dnsblog": true, "postlogd": true}

// besideToml takes the state directory, the addresses of the listener, of a backend that is not there and of the admin
// page, and the name server.
const besideToml = `
hostname = "mx.test"
state_dir = %q
[[listener]]
name = "smtp"
address = %q
backend = %q
[greylist]
origin = "network"
[tarpit]
stutter = "1s"
gap = "50ms"
[admin]
address = %q
[dnsbl]
threshold = %d
servers = [%q]
`

// startForStrangers starts a moggyd that asks the lists.
func startForStrangers(b *testing.B, server netip.AddrPort) *side {
	b.Helper()
	dir := b.TempDir()
	binary, config := filepath.Join(dir, "moggyd"), filepath.Join(dir, "moggy.toml")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-buildvcs=false", "-o", binary, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	addr := peers.FreeAddress(b)
	var text strings.Builder
	fmt.Fprintf(&text, besideToml, filepath.Join(dir, "state"), addr, peers.FreeAddress(b), peers.FreeAddress(b), listedBy, server)
	for _, zone := range sixLists {
		fmt.Fprintf(&text, "[[dnsbl.list]]\nzone = %q\nweight = 1\n", zone)
	}
	if err := os.WriteFile(config, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return &side{addr: addr, code: "450", pid: runForBench(b, binary, config), names: map[string]bool{"moggyd": true}}
}

// runForBench starts moggyd, which ends with the benchmark and logs beside its configuration, and returns its process.
func runForBench(b *testing.B, binary, config string) (pid int) {
	b.Helper()
	log := must(os.Create(config + ".log"))
	defer log.Close()
	cmd := exec.Command(binary, "-c", config)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, child()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd.Process.Pid
}

// A side is one of the two programs.
type side struct {
	addr  string
	code  string // of a listed stranger's recipient
	pid   int    // what it began as
	names map[string]bool
}

// figures are what a side did, and used.
type figures struct {
	rate   float64 // sessions decided per second
	cpu    float64 // seconds per thousand strangers
	memory uint64  // bytes, proportional set size, while strangers are there
	procs  int
	passed float64 // of a thousand strangers, those who were not taken for listed
}

func (f figures) report(b *testing.B, who string) {
	b.ReportMetric(f.rate, who+"-decided/s")
	b.ReportMetric(f.cpu, who+"-cpu-s/1000")
	b.ReportMetric(float64(f.memory)/(1<<20), who+"-MiB")
	b.ReportMetric(float64(f.procs), who+"-processes")
	b.ReportMetric(f.passed, who+"-overlooked/1000")
}

// measure waits until a listed stranger is refused as such, and then has many come.
func (s *side) measure(b *testing.B) (f figures) {
	b.Helper()
	const before = 50_000 // strangers that are not among the many
	calls := 0
	if err := peers.Poll(b.Context(), func() bool {
		calls++
		return s.call(b.Context(), listedStranger(before+calls)) == nil
	}); err != nil {
		b.Fatalf("%s never refused a listed stranger: %v", s.addr, s.call(b.Context(), listedStranger(before)))
	}
	used, began := s.used(b), time.Now()
	var next atomic.Int64
	var passed atomic.Int64
	var faults sync.Map
	var callers sync.WaitGroup
	for range besideOnce {
		callers.Go(func() {
			for i := int(next.Add(1)); i <= besideCalls; i = int(next.Add(1)) {
				switch err := s.call(b.Context(), listedStranger(i)); {
				case errors.Is(err, errPassed):
					passed.Add(1)
				case err != nil:
					faults.Store(i, err)
				}
				if i == besideCalls-besideOnce { // the last ones are there already
					f.memory, f.procs = s.memory(b)
				}
			}
		})
	}
	callers.Wait()
	f.rate = besideCalls / time.Since(began).Seconds()
	f.cpu = (s.used(b) - used).Seconds() / besideCalls * 1000
	f.passed = float64(passed.Load()) / besideCalls * 1000
	s.blame(b, &faults)
	return f
}

// blame fails the benchmark where more than one stranger in a hundred had no answer.
func (s *side) blame(b *testing.B, faults *sync.Map) {
	n, last := 0, error(nil)
	for _, err := range faults.Range {
		n, last = n+1, err.(error)
	}
	if n > 0 {
		b.Logf("%s: %d strangers had no answer: %v", s.addr, n, last)
	}
	if n > besideCalls/100 {
		b.Fail()
	}
}

// call is a stranger that hears how its recipient is answered, and hangs up.
func (s *side) call(ctx context.Context, source netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client, err := peers.Call{Addr: s.addr, Source: source}.Dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Mail(from); err != nil {
		return err
	}
	if _, err := client.Text.Cmd("RCPT TO:<%s>", to); err != nil {
		return err
	}
	var code [3]byte
	if _, err := io.ReadFull(client.Text.R, code[:]); err != nil {
		return err
	}
	if string(code[:]) != s.code {
		return errPassed
	}
	return nil
}

// errPassed says that a listed stranger was answered as any other is.
var errPassed = errors.New("not taken for listed")

// A proc is a process that runs.
type proc struct {
	pid, parent int
	name        string
	used        time.Duration // by itself, and by the children that it has waited for
}

// tick is what /proc counts time in: USER_HZ is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// processes are those of a side.
func (s *side) processes(b *testing.B) (all []proc) {
	files := must(filepath.Glob("/proc/[0-9]*/stat"))
	family := map[int]bool{s.pid: true}
	var others []proc
	for _, file := range files {
		if p, ok := readProc(file); ok {
			others = append(others, p)
		}
	}
	for grown := true; grown; {
		grown = false
		for _, p := range others {
			if family[p.parent] && !family[p.pid] {
				family[p.pid], grown = true, true
			}
		}
	}
	for _, p := range others {
		if family[p.pid] && s.names[p.name] {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		b.Error("there is no process to be measured")
	}
	return all
}

// readProc reads /proc/PID/stat, see proc_pid_stat(5). A process that has ended meanwhile is none.
func readProc(file string) (p proc, ok bool) {
	text, err := os.ReadFile(file)
	head, tail, found := strings.Cut(string(text), ") ")
	if err != nil || !found {
		return p, false
	}
	id, name, _ := strings.Cut(head, " (")
	fields := strings.Fields(tail) // from the state on, the third
	number := func(i int) int { return must(strconv.Atoi(fields[i-3])) }
	p = proc{pid: must(strconv.Atoi(id)), parent: number(4), name: name}
	p.used = time.Duration(number(14)+number(15)+number(16)+number(17)) * tick
	return p, true
}

// used is the time that all processes of a side have computed.
func (s *side) used(b *testing.B) (sum time.Duration) {
	for _, p := range s.processes(b) {
		sum += p.used
	}
	return sum
}

// memory is what they occupy, pages that several have shared out among them.
func (s *side) memory(b *testing.B) (bytes uint64, n int) {
	for _, p := range s.processes(b) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.pid)) // an error: it has just ended
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, "Pss:"); ok {
				bytes += must(strconv.ParseUint(strings.Fields(value)[0], 10, 64)) << 10
				n++
			}
		}
	}
	return bytes, n
}
