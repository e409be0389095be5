package deploy_test

import (
	"bytes"
	"debug/elf"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestDockerfile: what an engine would not say.
func TestDockerfile(t *testing.T) {
	text := read(t, "../Dockerfile")
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "../go.mod"))[1]
	for _, want := range []string{
		"golang:" + version + "-", "CGO_ENABLED=0", "-trimpath", "\nFROM scratch\n", "\nUSER 65532:65532\n", "\nVOLUME /var/lib/moggy\n",
		`HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 CMD ["/usr/bin/moggy", "status", "--ready"]`, `ENTRYPOINT ["/usr/sbin/moggyd"]`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("Dockerfile: no %q", want)
		}
	}
	if !strings.Contains(read(t, "compose/prepare.sh"), `put "$moggy/moggy.toml" 65532`) {
		t.Error("moggy.toml is not for the user of the image")
	}
}

// TestContextIsWhatGitHas: a file that git has and the image's build has not would make the programs say "dirty".
func TestContextIsWhatGitHas(t *testing.T) {
	if _, err := try("..", "git", "rev-parse", "HEAD"); err != nil {
		t.Skip("not a clone")
	}
	for line := range strings.Lines(read(t, "../.dockerignore")) {
		name := strings.Trim(strings.TrimSpace(line), "/")
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		if out := run(t, "..", "git", "ls-files", "--", name); out != "" {
			t.Errorf("%s: git has %s", name, out)
		}
	}
}

func TestProgramsAreStatic(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the image is for Linux")
	}
	for _, name := range []string{"moggyd", "moggy"} {
		f, err := elf.Open(filepath.Join(programs(t), name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s needs libraries: %v", name, p.Type)
			}
		}
	}
}

// TestHealthInAnEmptyRoot starts moggyd as the image does, by its user in a root with nothing else in it, and asks
// what the health check asks.
func TestHealthInAnEmptyRoot(t *testing.T) {
	if os.Geteuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("takes root on Linux")
	}
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	root := imageRoot(t, backend.Addr().String())
	var log bytes.Buffer
	daemon := inRoot(root, "/usr/sbin/moggyd")
	daemon.Stderr = &log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	healthy := func() error { return inRoot(root, "/usr/bin/moggy", "status", "--ready").Run() }
	if !poll(func() bool { return healthy() == nil }) {
		out, _ := inRoot(root, "/usr/bin/moggy", "status", "--ready").CombinedOutput()
		t.Errorf("never healthy:\n%s", out)
	}
	_ = daemon.Process.Signal(syscall.SIGTERM)
	if err := daemon.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
	if healthy() == nil {
		t.Error("healthy without moggyd")
	}
}

// imageRoot makes what Dockerfile copies into the image, and a configuration.
func imageRoot(t *testing.T, backend string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"usr/sbin", "usr/bin", "etc/moggy", "var/lib/moggy"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run(t, ".", "cp", programs(t)+"/moggyd", root+"/usr/sbin/")
	run(t, ".", "cp", programs(t)+"/moggy", root+"/usr/bin/")
	write(t, root, "etc/passwd", "moggy:x:65532:65532:moggy:/var/lib/moggy:/sbin/nologin\n")
	write(t, root, "etc/moggy/moggy.toml", "local_networks = []\n[[listener]]\nname = \"imaps\"\nkind = \"stream\"\naddress = \"127.0.0.1:0\"\nbackend = \""+
		backend+"\"\n[foreign]\nevery = \"0s\"\n[admin]\naddress = \"127.0.0.1:0\"\n")
	if err := os.Chown(root+"/var/lib/moggy", 65532, 65532); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(root), 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// inRoot is a command as the image runs it.
func inRoot(root string, command ...string) *exec.Cmd {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin", "STATE_DIRECTORY=/var/lib/moggy"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	return cmd
}
