package peers

import (
	"cmp"
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

//go:embed enter.sh
var enter string

// patience is how long a program may take to end by itself before it is killed.
const patience = 3 * time.Second

// program is one mail program in its own directory and namespaces.
// Its directory holds log/ (everything it says), maildir/ (what it delivered), and what its configuration names.
type program struct {
	t     testing.TB
	name  string
	dir   string
	tree  string   // unpacked package to lay over /usr; "" runs an installed program
	argv  []string // stays in the foreground
	ports []int    // where it listens when it is ready
	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd and everything it started are gone
}

// newProgram makes the directory of a program and sees to it that program and directory go away after the test.
func newProgram(t testing.TB, name string) *program {
	t.Helper()
	Need(t, name)
	dir, err := os.MkdirTemp("", "moggy-peer-")
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, name: name, dir: dir}
	t.Cleanup(p.remove)
	p.mkdir(dir, 0)
	p.mkdir(p.path("log"), 0)
	p.write("enter.sh", enter)
	p.searchable()
	return p
}

// remove stops the program and deletes its directory; after a failed test it first shows the end of the log.
func (p *program) remove() {
	p.Stop()
	if p.t.Failed() {
		p.t.Logf("the last words of %s:\n%s", p.name, p.tail())
	}
	if err := os.RemoveAll(p.dir); err != nil {
		p.t.Errorf("removing what %s left: %v", p.name, err)
	}
}

// searchable fails the test unless the program's own user can reach its directory.
func (p *program) searchable() {
	p.t.Helper()
	for dir := p.dir; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			p.t.Fatal(err)
		}
		if info.Mode()&0o001 == 0 {
			p.t.Fatalf("%s may not search %s; try: TMPDIR=/var/tmp", p.name, dir)
		}
	}
}

// path names a file in the program's directory.
func (p *program) path(elem ...string) string {
	return filepath.Join(append([]string{p.dir}, elem...)...)
}

// mkdir makes a directory that everybody may search and owner may write to.
func (p *program) mkdir(dir string, owner int) {
	p.t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // not what the umask left of it
		p.t.Fatal(err)
	}
	if err := os.Chown(dir, owner, -1); err != nil {
		p.t.Fatal(err)
	}
}

// chmod sets the bits of a directory that is not for everybody.
func (p *program) chmod(name string, mode os.FileMode) {
	p.t.Helper()
	if err := os.Chmod(p.path(name), mode); err != nil {
		p.t.Fatal(err)
	}
}

// write makes a file of the program's configuration, its directory included. The file looks a minute old: Postfix waits
// until its main.cf can no longer be in the middle of a change.
func (p *program) write(name, text string) {
	p.t.Helper()
	p.mkdir(filepath.Dir(p.path(name)), 0)
	if err := os.WriteFile(p.path(name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
	then := time.Now().Add(-time.Minute)
	if err := os.Chtimes(p.path(name), then, then); err != nil {
		p.t.Fatal(err)
	}
}

// Start starts the program and returns when it listens. Its queue and its ports are those it had before a Stop.
func (p *program) Start() {
	p.t.Helper()
	if p.cmd != nil {
		p.t.Fatalf("%s is already running", p.name)
	}
	out, err := os.OpenFile(p.path("log", "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	p.cmd = exec.Command("/bin/sh", append([]string{p.path("enter.sh"), p.dir, p.tree}, p.argv...)...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = out, out, namespaces()
	if err := p.cmd.Start(); err != nil {
		p.cmd = nil
		p.t.Fatalf("starting %s: %v", p.name, err)
	}
	ended := make(chan struct{})
	p.ended = ended
	go func(cmd *exec.Cmd) { // ends when the program does; Stop waits for it
		defer close(ended)
		cmd.Wait() // how it ended is in its log
	}(p.cmd)
	p.ready()
}

// ready waits until the program listens on all its ports.
func (p *program) ready() {
	p.t.Helper()
	err := Poll(p.t.Context(), func() bool { return p.gone() || listening(p.ports) })
	if err != nil || p.gone() {
		p.t.Fatalf("%s did not start to listen on %v (%v)", p.name, p.ports, err)
	}
}

// gone tells whether the program, once started, has ended.
func (p *program) gone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Stop ends the program and everything it started, and returns when they are gone. Its queue stays for the next Start.
func (p *program) Stop() {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.ended
	}
	p.cmd = nil
}

// inside runs a command in the program's mount namespace and returns what it printed.
func (p *program) inside(args ...string) string {
	p.t.Helper()
	if p.cmd == nil {
		p.t.Fatalf("%s is stopped: cannot run %q", p.name, args)
	}
	return p.run("nsenter", append([]string{"--mount=/proc/" + pid(p.cmd) + "/ns/mnt", "--"}, args...)...)
}

// run runs a command beside the program and returns what it printed.
func (p *program) run(name string, args ...string) string {
	p.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Log returns everything the program has said since the test began.
func (p *program) Log() string {
	p.t.Helper()
	files, err := filepath.Glob(p.path("log", "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	var log strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		log.Write(text)
	}
	return log.String()
}

// tail returns the last lines of the log.
func (p *program) tail() string {
	lines := strings.SplitAfter(p.Log(), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "")
}

// WaitLog waits for a line that matches (^ and $ mean the line's ends) and returns the whole first one.
// The test fails when ctx ends first, or after 30 seconds where ctx has no deadline.
func (p *program) WaitLog(ctx context.Context, want *regexp.Regexp) string {
	p.t.Helper()
	var found string
	err := Poll(ctx, func() bool {
		for line := range strings.Lines(p.Log()) {
			if line = strings.TrimRight(line, "\r\n"); want.MatchString(line) {
				found = line
				return true
			}
		}
		return false
	})
	if err != nil {
		p.t.Fatalf("%s never logged %q: %v", p.name, want, err)
	}
	return found
}

// Messages returns the files the program has delivered, in the order of their arrival, as they lie in its maildir:
// with the header fields that mail programs put in front, and with LF as line end.
func (p *program) Messages() [][]byte {
	p.t.Helper()
	entries, err := os.ReadDir(p.path("maildir", "new"))
	if err != nil && !os.IsNotExist(err) { // the first delivery makes it
		p.t.Fatal(err)
	}
	type file struct {
		when time.Time
		text []byte
	}
	var files []file
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			p.t.Fatal(err)
		}
		text, err := os.ReadFile(p.path("maildir", "new", e.Name()))
		if err != nil {
			p.t.Fatal(err)
		}
		files = append(files, file{info.ModTime(), text})
	}
	slices.SortStableFunc(files, func(a, b file) int { return cmp.Compare(a.when.UnixNano(), b.when.UnixNano()) })
	var texts [][]byte
	for _, f := range files {
		texts = append(texts, f.text)
	}
	return texts
}

// WaitMessages waits until at least n messages are delivered and returns them all, as Messages does.
// The test fails when ctx ends first, or after 30 seconds where ctx has no deadline.
func (p *program) WaitMessages(ctx context.Context, n int) [][]byte {
	p.t.Helper()
	var got [][]byte
	err := Poll(ctx, func() bool {
		got = p.Messages()
		return len(got) >= n
	})
	if err != nil {
		p.t.Fatalf("%s delivered %d messages, not %d: %v", p.name, len(got), n, err)
	}
	return got
}

// WaitMessage waits for the first message, as WaitMessages does.
func (p *program) WaitMessage(ctx context.Context) []byte {
	p.t.Helper()
	return p.WaitMessages(ctx, 1)[0]
}
