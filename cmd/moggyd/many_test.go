package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
)

// crowd is how many strangers come at once.
const crowd = 2000

// crowdConfig takes the state directory, the addresses of the listener and of a
// backend that is not there, the slots and the address of the admin page.
const crowdConfig = `
hostname = "mx.local.test"
state_dir = %q
[[listener]]
name = "smtp"
address = %q
backend = %q
[greylist]
origin = "network" # nobody's name server is asked two thousand questions
[tarpit]
stutter = "1s"
gap = "100ms"
slots = %d
[admin]
address = %q
`

// TestManyAtOnce has strangers come all at once, each from an address of its own.
// Every one is greeted and heard to its recipient, with none sent away before;
// what they cost is bounded, and is given back when they go.
func TestManyAtOnce(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux calls from every 127.x and tells in /proc what a process uses")
	}
	if n := descriptors(); n < crowd+200 {
		t.Skipf("%d descriptors are too few for %d peers; try: ulimit -n %d", n, crowd, 2*crowd)
	}
	dir, address := t.TempDir(), peers.FreeAddress(t)
	config := fmt.Sprintf(crowdConfig, filepath.Join(dir, "state"), address, peers.FreeAddress(t), crowd, peers.FreeAddress(t))
	daemon := startMoggyd(t, dir, config, func(argv ...string) *exec.Cmd { return exec.Command(argv[0], argv[1:]...) },
		filepath.Join(build(t, "moggyd"), "moggyd"))
	gather(t, address, 1).disperse(t) // the first opens files for good
	files, memory := daemon.files(), daemon.memory()

	many := gather(t, address, crowd)
	grown := daemon.memory() - memory
	many.disperse(t)
	if bound := crowd * memoryOf; grown > bound {
		t.Errorf("%d strangers took %d KiB, more than %d KiB", crowd, grown>>10, bound>>10)
	}
	daemon.until("waiting for its files to be closed", func() bool { return daemon.files() <= files })
	t.Logf("%d KiB for each stranger", grown/crowd>>10)
}

// A gathering is peers that were told to come back later, and are still there.
type gathering struct {
	leave chan struct{}
	gone  sync.WaitGroup

	mu     sync.Mutex
	faults map[string]int // what went otherwise, and how often
}

// gather has n peers come; it returns when all have their answer.
func gather(t *testing.T, address string, n int) *gathering {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	g := &gathering{leave: make(chan struct{}), faults: make(map[string]int)}
	var greeted, answered sync.WaitGroup
	greeted.Add(n)
	answered.Add(n)
	for i := range n {
		g.gone.Go(func() {
			call := peers.Call{Addr: address, Source: netip.AddrFrom4([4]byte{127, 10, byte(i / 250), byte(1 + i%250)})}
			client, err := call.Dial(ctx)
			greeted.Done()
			greeted.Wait()
			if err == nil {
				defer client.Close()
				err = deferred(client.Mail(fmt.Sprintf("a%d@sender.example", i)), func() error { return client.Rcpt("b@local.test") })
			}
			g.note(err)
			answered.Done()
			<-g.leave
		})
	}
	answered.Wait()
	return g
}

// deferred is nil if MAIL was accepted and RCPT deferred.
func deferred(mail error, rcpt func() error) error {
	if mail != nil {
		return mail
	}
	err := rcpt()
	if reply, ok := errors.AsType[*textproto.Error](err); ok && reply.Code == 451 {
		return nil
	}
	return fmt.Errorf("to RCPT, which is for a 451: %v", err)
}

func (g *gathering) note(err error) {
	if err == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults[err.Error()]++
}

// disperse has all go, and says what went otherwise.
func (g *gathering) disperse(t *testing.T) {
	t.Helper()
	close(g.leave)
	g.gone.Wait()
	said := 0
	for fault, n := range g.faults {
		if said++; said > 10 {
			t.Errorf("and %d other faults", len(g.faults)-said+1)
			return
		}
		t.Errorf("%d times: %s", n, fault)
	}
}

// files is how many files the process has open.
func (p *process) files() int {
	p.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(list)
}

// memory is what the process occupies, in bytes.
func (p *process) memory() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				p.t.Fatal(err)
			}
			return kib << 10
		}
	}
	p.t.Fatal("the system does not tell what a process occupies")
	return 0
}
