package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
)

// A lab is a network namespace of its own, in which all of 198.18.0.0/15 and
// 2001:db8::/32 are local addresses: programs in it can call from any of them,
// and nothing leaves. It ends with the test.
type lab struct {
	t   *testing.T
	dir string // for logs, sockets and state
	ns  string // the namespace, as nsenter takes it
}

// acceptance is where the scripts of the lab are.
const acceptance = "testdata/acceptance"

// labTools are the programs that a lab takes.
var labTools = []string{"python3", "unshare", "nsenter", "setpriv", "ip"}

// needLab skips the test where there can be no lab; with MOGGY_E2E=1 in the
// environment, as in CI, the test fails instead.
func needLab(t *testing.T) {
	t.Helper()
	err := haveLab()
	switch {
	case err == nil:
	case os.Getenv("MOGGY_E2E") == "1":
		t.Fatalf("a lab is needed because MOGGY_E2E=1: %v", err)
	default:
		t.Skipf("there can be no lab here: %v", err)
	}
}

func haveLab() error {
	if runtime.GOOS != "linux" {
		return errors.New("network namespaces are Linux's")
	}
	if os.Geteuid() != 0 {
		return errors.New("a network namespace takes root")
	}
	for _, tool := range labTools {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w; try: apt install python3 util-linux iproute2", err)
		}
	}
	if out, err := exec.Command("unshare", "-n", "true").CombinedOutput(); err != nil {
		return fmt.Errorf("no private network namespaces here (in a container: --privileged): %w %s", err, out)
	}
	return nil
}

// openLab makes a namespace. A process keeps it until its standard input ends,
// which the test's own end does, however it comes.
func openLab(t *testing.T) *lab {
	t.Helper()
	keeper := exec.Command(filepath.Join(acceptance, "lab.sh"), "sh", "-c", "echo open && exec cat")
	keeper.Stderr = os.Stderr
	hold, err := keeper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := keeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		hold.Close()
		io.Copy(io.Discard, out)
		keeper.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the lab does not open: %q, %v", line, err)
	}
	return &lab{t: t, dir: t.TempDir(), ns: fmt.Sprintf("--net=/proc/%d/ns/net", keeper.Process.Pid)}
}

// path names a file of the lab's directory.
func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

// command is a program in the lab, which ends with the test at the latest. Each
// of the wrappers becomes the next, so that the process is the program's own.
func (l *lab) command(argv ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{l.ns, "setpriv", "--pdeathsig", "KILL"}, argv...)...)
}

// A process is a program that was started by a test and runs beside it.
type process struct {
	t    *testing.T
	name string
	log  string // the file that has what it says
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; to be read after done
}

// start starts a program that runs beside the test; all it says goes into the
// file log. After the test it is asked to end.
func start(t *testing.T, name, log string, cmd *exec.Cmd) *process {
	t.Helper()
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, name: name, log: log, cmd: cmd, done: make(chan struct{})}
	go func() { // ends with the program; stop waits for it
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	t.Cleanup(p.stop)
	return p
}

// patience is how long a program may take to end.
const patience = 20 * time.Second

func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	impatient := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	<-p.done
	if !impatient.Stop() {
		p.t.Errorf("%s did not end within %v", p.name, patience)
	}
}

// lastWords is the end of the log.
func (p *process) lastWords() string { return tail(p.said()) }

// linesOf are the last lines of the log that are about a peer.
func (p *process) linesOf(src string) string {
	var lines []byte
	for line := range bytes.Lines(p.said()) {
		if bytes.Contains(line, []byte(" src="+src+" ")) {
			lines = append(lines, line...)
		}
	}
	return tail(lines)
}

// said is the log.
func (p *process) said() []byte {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// tail is as much of a log's end as a person reads.
func tail(log []byte) string { return string(log[max(0, len(log)-2000):]) }

// until waits until done says true; what says what is waited for.
func (p *process) until(what string, done func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	err := peers.Poll(ctx, func() bool { return p.ended() || done() })
	if err != nil || p.ended() {
		p.t.Fatalf("%s: %s: %v; it said:\n%s", p.name, what, err, p.lastWords())
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// says waits until the log has a line with text.
func (p *process) says(text string) {
	p.t.Helper()
	p.until("waiting for "+text, func() bool { return bytes.Contains(p.said(), []byte(text)) })
}

// build builds programs of ours, moggyd or moggy, and returns the directory that
// they are in.
func build(t *testing.T, programs ...string) string {
	t.Helper()
	dir := t.TempDir()
	argv := []string{"build", "-o", dir}
	for _, p := range programs {
		argv = append(argv, "moggy/cmd/"+p)
	}
	if out, err := exec.Command("go", argv...).CombinedOutput(); err != nil {
		t.Fatalf("building %v: %v\n%s", programs, err, out)
	}
	return dir
}

// configFile is what startMoggyd calls the configuration in its directory.
const configFile = "moggy.toml"

// startMoggyd starts the daemon with a configuration and waits until it is ready.
// Command is lab.command, or its like outside a lab. Asked to end, the daemon must
// do so without an error.
func startMoggyd(t *testing.T, dir, config string, command func(argv ...string) *exec.Cmd, binary string) *process {
	t.Helper()
	file := filepath.Join(dir, configFile)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var p *process
	t.Cleanup(func() { // after it was stopped
		if p != nil && p.err != nil {
			t.Errorf("moggyd ended with %v", p.err)
		}
	})
	p = start(t, "moggyd", filepath.Join(dir, "moggyd.log"), command(binary, "-c", file))
	p.says(`msg="moggyd is ready"`)
	return p
}
