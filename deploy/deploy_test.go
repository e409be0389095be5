// Package deploy_test checks the files in this directory, and those at the top that belong to them: that the programs
// they are made for accept them, that they agree with one another, and that no series, verb or file they name is gone.
//
// It does not know whether an image can be pulled or a container started: that takes an engine. What docker-compose.yml
// starts is started without one by the tests of moggyd.
package deploy_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// need skips the test when a program is not installed; with MOGGY_E2E=1 in the environment, as in CI, the test fails
// instead.
func need(t testing.TB, program string) {
	t.Helper()
	_, err := exec.LookPath(program)
	switch {
	case err == nil:
	case os.Getenv("MOGGY_E2E") == "1":
		t.Fatalf("%s is needed because MOGGY_E2E=1: %v; try: sudo cmd/internal/peers/install.sh", program, err)
	default:
		t.Skipf("%s cannot be run here: %v; try: sudo cmd/internal/peers/install.sh", program, err)
	}
}

// read returns a file of the repository, named from this directory.
func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// write makes a file below a directory of the test's own, and returns its path.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs a program in dir, and fails the test unless it ends well.
func run(t testing.TB, dir string, command ...string) string {
	t.Helper()
	out, err := try(dir, command...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return out
}

func try(dir string, command ...string) (string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// poll asks done, ten times a second, until it says true. It reports whether that was within 20 seconds. It is the one
// place where these tests wait for another program.
func poll(done func() bool) bool {
	end := time.After(20 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-end:
			return false
		case <-tick.C:
		}
	}
	return true
}

// programs builds moggyd and moggy as Dockerfile does, once, and returns the directory they lie in.
func programs(t testing.TB) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "moggy-deploy")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir+"/", "../cmd/moggyd", "../cmd/moggy")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return dir, fmt.Errorf("go build: %w\n%s", err, out.String())
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := built(); dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// typed is a command of moggy's in a text for people.
var typed = regexp.MustCompile(`\bmoggyd?( -?[a-z]+)?( --[a-z]+)*( [0-9]+[hd])?`)

// checkCommand asks the programs themselves whether they know a command: verbs and flags that are not there are
// refused before help is shown.
func checkCommand(t testing.TB, command string) {
	t.Helper()
	words := strings.Fields(command)
	path := filepath.Join(programs(t), words[0])
	if out, err := try(".", append([]string{path}, append(words[1:], "-h")...)...); err != nil {
		t.Errorf("%q is nothing that can be typed: %v\n%s", command, err, out)
	}
}

func TestCommandsAreChecked(t *testing.T) {
	programs(t)
	for _, command := range []string{"moggy hurd", "moggy hurt --sinc 1h", "moggyd -x"} {
		var seen recorder
		if checkCommand(&seen, command); seen.errors == 0 {
			t.Errorf("%s passes", command)
		}
	}
}
