package deploy_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"moggy/store/redis"
)

// The passwords of the tests.
const (
	moggysWord = "moggys0secret"
	adminsWord = "admins0secret"
)

// prepare runs prepare.sh, and returns the directories that it filled, and what it said.
func prepare(t testing.TB, hostname, password string) (moggy, redis, said string, err error) {
	t.Helper()
	moggy, redis = t.TempDir(), t.TempDir()
	said, err = prepareIn(moggy, redis, hostname, password)
	return moggy, redis, said, err
}

// prepareIn runs prepare.sh on directories that may have been filled before.
func prepareIn(moggy, redis, hostname, password string) (said string, err error) {
	cmd := exec.Command("sh", "compose/prepare.sh", "compose", moggy, redis)
	cmd.Env = append(os.Environ(), "MOGGY_HOSTNAME="+hostname, "MOGGY_REDIS_PASSWORD="+password, "REDIS_ADMIN_PASSWORD="+adminsWord)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestPrepareAgain: what is right already stays as it is, what is not is replaced, and half a file from a run that was
// cut short is in nobody's way.
func TestPrepareAgain(t *testing.T) {
	moggy, redis, said, err := prepare(t, "mx.example.org", moggysWord)
	if err != nil {
		t.Fatal(err, said)
	}
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	files := []string{moggy + "/moggy.toml", redis + "/users.acl", redis + "/redis.conf"}
	for _, file := range files {
		if err := os.Chtimes(file, then, then); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(files[0]+".new", nil, 0); err != nil {
		t.Fatal(err)
	}
	if said, err := prepareIn(moggy, redis, "mx.example.org", "another0secret"); err != nil || said != "" {
		t.Fatalf("%v, %s", err, said)
	}
	for i, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if kept := info.ModTime().Equal(then); kept != (i == 2) {
			t.Errorf("%s: kept %v", file, kept)
		}
	}
	if left, _ := filepath.Glob(moggy + "/*.new"); len(left) > 0 || !strings.Contains(read(t, files[0]), ":another0secret@") {
		t.Errorf("%v is left, or moggy.toml is not new", left)
	}
}

func TestPrepareRefusesWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct{ hostname, password, says string }{
		{"mx.example.org", "", "MOGGY_REDIS_PASSWORD is empty"},
		{"", moggysWord, "MOGGY_HOSTNAME is empty"},
		{"mx.example.org", "pass/word", "more than letters and digits"},
		{"mx.example.org", "pass@word", "more than letters and digits"},
		{"mx.example.org", "pass\nword", "more than letters and digits"},
		{"mx.example.org\"", moggysWord, "more than letters and digits"},
		{"mx/example&org", moggysWord, "more than letters and digits"},
	} {
		if _, _, said, err := prepare(t, c.hostname, c.password); err == nil || !strings.Contains(said, c.says) {
			t.Errorf("%q %q: %v, %s", c.hostname, c.password, err, said)
		}
	}
}

func TestPrepareKeepsSecrets(t *testing.T) {
	moggy, redis, said, err := prepare(t, "mx.example.org", moggysWord)
	if err != nil || said != "" {
		t.Fatalf("%v, %s", err, said)
	}
	for _, path := range []string{moggy + "/moggy.toml", redis + "/users.acl", redis + "/redis.conf"} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o400 {
			t.Errorf("%s: %v", path, info.Mode())
		}
		for _, left := range []string{"MOGGY_REDIS_PASSWORD", "REDIS_ADMIN_PASSWORD", "MOGGY_HOSTNAME"} {
			if strings.Contains(read(t, path), left) {
				t.Errorf("%s: %s is left", path, left)
			}
		}
	}
	if users := read(t, redis+"/users.acl"); strings.Contains(users, moggysWord) || strings.Contains(users, adminsWord) {
		t.Error("a password in users.acl")
	}
	config := read(t, moggy+"/moggy.toml")
	if !strings.Contains(config, `"redis://moggy:`+moggysWord+`@redis:6379"`) || !strings.Contains(config, `= "mx.example.org"`) {
		t.Error(config)
	}
}

// TestMoggydAcceptsItsFile: the file is right, but for what is not available yet.
func TestMoggydAcceptsItsFile(t *testing.T) {
	moggy, _, said, err := prepare(t, "mx.example.org", moggysWord)
	if err != nil {
		t.Fatal(err, said)
	}
	out, err := try(".", filepath.Join(programs(t), "moggyd"), "-t", "-c", moggy+"/moggy.toml")
	lacks := 0
	for line := range strings.Lines(out) {
		switch {
		case strings.Contains(line, " is not available yet; "):
			lacks++
		case strings.HasPrefix(line, "warning: ") && strings.Contains(line, "admin.address"): // Prometheus is elsewhere
		default:
			t.Error(line)
		}
	}
	if (err != nil) != (lacks > 0) {
		t.Errorf("%v: %s", err, out)
	}
}

// A server is Redis with the configuration of the fleet.
type server struct {
	t    *testing.T
	port string
	dir  string
	cmd  *exec.Cmd
	log  bytes.Buffer
}

// start runs redis-server on a configuration that prepare.sh made.
func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", filepath.Join(s.dir, "redis.conf"), "--port", s.port, "--bind", "127.0.0.1")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	if !poll(func() bool { return s.cli(moggysWord, "--user", "moggy", "ping") == "PONG" }) {
		s.stop()
		s.t.Fatalf("Redis does not answer:\n%s", s.log.String())
	}
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait()
}

// cli asks Redis, with a password.
func (s *server) cli(password string, args ...string) string {
	cmd := exec.Command("redis-cli", append([]string{"-p", s.port}, args...)...)
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+password)
	out, _ := cmd.CombinedOutput()
	return strings.TrimSpace(string(out))
}

// newServer prepares a Redis; only its paths are not those of the container.
func newServer(t *testing.T) *server {
	t.Helper()
	need(t, "redis-server")
	need(t, "redis-cli")
	_, made, said, err := prepare(t, "mx.example.org", moggysWord)
	if err != nil {
		t.Fatal(err, said)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &server{t: t, port: strconv.Itoa(l.Addr().(*net.TCPAddr).Port), dir: t.TempDir()}
	write(t, s.dir, "users.acl", read(t, made+"/users.acl"))
	paths := strings.NewReplacer("/etc/redis/users.acl", s.dir+"/users.acl", "dir /data", "dir "+s.dir)
	write(t, s.dir, "redis.conf", paths.Replace(read(t, made+"/redis.conf")))
	return s
}

// TestRedisServesMoggyAlone: the user of the moggyds can do all that they need and nothing else, nobody gets in
// without a password, and what was written is there after a restart.
func TestRedisServesMoggyAlone(t *testing.T) {
	s := newServer(t)
	s.start()
	defer func() { s.stop() }()
	store, err := redis.Open(redis.Options{URL: "redis://moggy:" + moggysWord + "@127.0.0.1:" + s.port})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Check(context.Background()); err != nil {
		t.Error(err)
	}
	for _, refused := range [][]string{{"flushall"}, {"config", "get", "*"}, {"set", "other", "1"}, {"acl", "list"}, {"shutdown"}, {"script", "flush"}} {
		if got := s.cli(moggysWord, append([]string{"--user", "moggy"}, refused...)...); !strings.HasPrefix(got, "NOPERM") {
			t.Errorf("%v: %s", refused, got)
		}
	}
	for _, stranger := range [][]string{{"", "ping"}, {moggysWord, "ping"}, {"x", "--user", "moggy", "ping"}, {"", "--user", "default", "ping"}} {
		if got := s.cli(stranger[0], stranger[1:]...); !strings.Contains(got, "NOAUTH") {
			t.Errorf("%v: %s", stranger, got)
		}
	}
	// A transaction, which is how scripts get into the log, is read back by the default user.
	s.cli(moggysWord, "--user", "moggy", "eval", "redis.call('hset',KEYS[1],'a','1') redis.call('xadd',KEYS[2],'*','k','v') return 1", "2", "moggy:{e}:said", "moggy:{e}:log")
	before := s.cli(adminsWord, "--user", "admin", "dbsize")
	s.stop()
	s.start()
	if after := s.cli(adminsWord, "--user", "admin", "dbsize"); after != before || before == "0" {
		t.Errorf("%s keys before the restart, %s after it", before, after)
	}
}

// TestRedisUserHasItsRules: no rule that the store names is missing. What it may do beside is tried above.
func TestRedisUserHasItsRules(t *testing.T) {
	_, has, _ := strings.Cut(read(t, "compose/users.acl"), "\nuser moggy on #MOGGY_REDIS_PASSWORD ")
	for _, rule := range append(strings.Fields(redis.ACL("moggy")), "+ping") {
		if !slices.Contains(strings.Fields(has), rule) {
			t.Errorf("compose/users.acl: user moggy needs %s", rule)
		}
	}
}
