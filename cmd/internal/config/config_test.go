package config

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var exact = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
var exactNets = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

// Every archive holds files by name, and in "errors" all that is to be said
// of them, or in "warnings" what is said of those that are obeyed. What is
// not available yet is refused only where the archive's comment says so.
func TestFiles(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { testArchive(t, name) })
	}
}

// member is a file of an archive.
type member struct{ name, text string }

// readArchive reads a txtar archive. Its library needs a module that the
// project has no other use for.
func readArchive(t testing.TB, name string) (comment string, members []member) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		inner, ok := strings.CutPrefix(line, "-- ")
		inner, end := strings.CutSuffix(inner, " --\n")
		switch {
		case ok && end:
			members = append(members, member{name: inner})
		case members == nil:
			comment += line
		default:
			members[len(members)-1].text += line
		}
	}
	return comment, members
}

func testArchive(t *testing.T, name string) {
	comment, members := readArchive(t, name)
	later := notYet
	if !strings.Contains(comment, "refused as not available yet") {
		later = nil
	}
	for i := 0; i+1 < len(members); i += 2 {
		in, want := members[i], members[i+1]
		got := ""
		c, err := parse(in.name, []byte(in.text), 0o644, later)
		switch {
		case err != nil:
			got = err.Error() + "\n"
		case len(c.Warnings) > 0:
			got = strings.Join(c.Warnings, "\n") + "\n"
		}
		if (err != nil) != (want.name == "errors") {
			t.Errorf("file %d: error is %v, want %s", i/2+1, err, want.name)
		}
		if diff := cmp.Diff(want.text, got); diff != "" {
			t.Errorf("file %d (-want +got):\n%s", i/2+1, diff)
		}
	}
}

func TestDesign(t *testing.T) {
	text, err := os.ReadFile("testdata/design.toml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parse("design.toml", text, 0o644, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Hostname = "mx.example.org"
	want.StateDir = "/var/lib/moggy"
	want.Listeners = []Listener{{
		Name: "smtp", Address: "0.0.0.0:25", Kind: KindSMTP, Backend: "127.0.0.1:10025", Forward: ForwardProxyV2,
		TrustProxy: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		TLSCert:    "/etc/ssl/mx.pem", TLSKey: "/etc/ssl/mx.key", Idle: 10 * time.Minute,
	}}
	want.Trap.Addresses = []string{"trap@example.org"}
	want.DNSBL.Servers = []netip.AddrPort{}
	want.DNSBL.Lists = []DNSList{{Zone: "zen.spamhaus.org", Weight: 3, Codes: []Range{{
		From: netip.MustParseAddr("127.0.0.2"), To: netip.MustParseAddr("127.0.0.11"),
	}}}}
	want.Classes = map[string]*Class{"user": {
		Rate: Rate{Count: 600, Per: time.Minute}, Burst: 300, Open: 500, Wait: new(10 * time.Second),
	}}
	if diff := cmp.Diff(want, got, exact, exactNets); diff != "" {
		t.Errorf("design.toml (-want +got):\n%s", diff)
	}
}

func TestDefault(t *testing.T) {
	got := Default()
	if !validDomain(got.Hostname) || got.StateDir != stateDir(os.Geteuid(), os.Getenv("STATE_DIRECTORY")) {
		t.Errorf("hostname %q, state_dir %q", got.Hostname, got.StateDir)
	}
	want := &Config{
		Hostname:      got.Hostname,
		StateDir:      got.StateDir,
		Mode:          "enforce",
		Grace:         30 * time.Second,
		LocalNetworks: []string{"auto"},
		Store:         Store{URL: "embedded"},
		Listeners: []Listener{{
			Name: "smtp", Address: "127.0.0.1:2525", Kind: "smtp", Backend: "127.0.0.1:25",
			Forward: "proxy-v2", Idle: 10 * time.Minute,
		}},
		Greylist: Greylist{
			Pass: 4 * time.Minute, PassUnnamed: 25 * time.Minute, Code: 451,
			Window: 48 * time.Hour, Remember: 36 * 24 * time.Hour,
			Origin: OriginDNS,
		},
		Talk:   Talk{Timeout: 60 * time.Second, Recipients: 100, Errors: 10},
		Tarpit: Tarpit{Stutter: 10 * time.Second, Gap: time.Second},
		Trap:   Trap{TTL: 24 * time.Hour},
		DNSBL:  DNSBL{Threshold: 3, Timeout: 2 * time.Second},
		Hints:  Hints{SSH: true},
		Crawlers: Crawlers{Names: []string{
			"googlebot.com", "google.com", "search.msn.com", "applebot.apple.com", "yandex.ru", "yandex.net",
			"yandex.com", "baidu.com", "baidu.jp", "petalsearch.com", "qwant.com", "seznam.cz",
		}},
		Foreign: Foreign{Every: time.Minute},
		Admin:   Admin{Address: "127.0.0.1:9925"},
		Journal: Journal{Size: 256_000_000},
		Log:     Log{Level: slog.LevelInfo},
	}
	if diff := cmp.Diff(want, got, exact, exactNets); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if empty, err := Parse("empty.toml", nil); err != nil || !reflect.DeepEqual(empty, got) {
		t.Errorf("an empty file is %+v, %v; want the defaults", empty, err)
	}
	if stateDir(0, "") != "/var/lib/moggy" || stateDir(1000, "") != "./moggy-state" {
		t.Error("state_dir of root and of others")
	}
	if got := stateDir(1000, "/var/lib/moggy:/var/lib/other"); got != "/var/lib/moggy" {
		t.Errorf("state_dir of a systemd service is %s", got)
	}
}

func TestLocal(t *testing.T) {
	c := &Config{LocalNetworks: []string{"auto", "192.0.2.0/24"}}
	auto, nets := c.Local()
	if want := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}; !auto || !reflect.DeepEqual(nets, want) {
		t.Errorf("got %v %v", auto, nets)
	}
	if auto, nets := new(Config).Local(); auto || nets != nil {
		t.Errorf("empty: got %v %v", auto, nets)
	}
}

func TestFind(t *testing.T) {
	there := filepath.Join(t.TempDir(), "moggy.toml")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		flag, system, path string
		ok                 bool
	}{
		{"mine.toml", there, "mine.toml", true},
		{"", there, there, true},
		{"", there + ".not", "", false},
	} {
		if path, ok := find(tt.flag, tt.system); path != tt.path || ok != tt.ok {
			t.Errorf("find(%q, %q) = %q, %v", tt.flag, tt.system, path, ok)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(filepath.Join(dir, "none.toml"))
	if !errors.Is(err, os.ErrNotExist) || !strings.HasSuffix(err.Error(), "; name a readable file with -c") {
		t.Errorf("no file: %v", err)
	}
	path := filepath.Join(dir, "moggy.toml")
	if err := os.WriteFile(path, []byte("\nmode = \"observe\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(path); err != nil || !c.Observe() {
		t.Errorf("got %+v, %v", c, err)
	}
	if err := os.WriteFile(path, []byte("\nmode = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(path)
	faulty, ok := errors.AsType[*Error](err)
	if !ok || len(faulty.Faults) != 1 || faulty.Faults[0].Line != 2 || faulty.Faults[0].File != path {
		t.Errorf("got %v", err)
	}
}

// A password must not be told: not in errors, and not in warnings.
func TestPasswordReadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "moggy.toml")
	for _, tt := range []struct {
		text string
		mode os.FileMode
		want int
	}{
		{`store.url = "redis://:geheim@db:6379"`, 0o644, 1},
		{`store.url = "redis://:geheim@db:6379"`, 0o640, 0},
		{`store.url = "redis+sentinel://a/m?sentinel_password=geheim"`, 0o644, 1},
		{`store.url = "redis://db"`, 0o644, 0},
	} {
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		c, err := load(path, nil)
		if err != nil || len(c.Warnings) != tt.want || strings.Contains(strings.Join(c.Warnings, ""), "geheim") {
			t.Errorf("%s %v: %v, %v", tt.text, tt.mode, c, err)
		}
		if err := os.WriteFile(path, []byte(tt.text+"\nstore.url = 1"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := load(path, notYet); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("refused with %v", err)
		}
	}
}

// The files that a URL names are read where the file itself is: it is a fault when
// moggyd could not open them.
func TestStoreFiles(t *testing.T) {
	dir := t.TempDir()
	path, empty := filepath.Join(dir, "moggy.toml"), filepath.Join(dir, "empty.pem")
	text := "\nstore.url = \"rediss://:geheim@db?ca=" + empty + "\"\n"
	if _, err := Parse(path, []byte(text)); err != nil {
		t.Errorf("the text alone: %v", err)
	}
	for name, content := range map[string]string{path: text, empty: ""} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Load(path)
	if want := path + ":2: store.url has a ca without a certificate in it; look at " + empty; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "4m": 4 * time.Minute, "36d": 36 * day, "1d12h": 36 * time.Hour, "0s": 0,
		"1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "2d0s": 2 * day,
	} {
		if got, err := parseDuration(text); got != want || err != nil {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
		if again, err := parseDuration(formatDuration(want)); again != want || err != nil {
			t.Errorf("%v is written %q and read as %v, %v", want, formatDuration(want), again, err)
		}
	}
	for _, text := range []string{"", "4", "d", "-1s", "-1d", "1d-1h", "1.5d", "12h1d", "999999d", "106751d24h", "1w", "4 m"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("parseDuration(%q) = %v", text, got)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"64MB": 64_000_000, "1 GB": 1_000_000_000, "2KiB": 2048, "1GiB": 1 << 30, "3MiB": 3 << 20} {
		if got, err := parseSize(text); got != want || err != nil {
			t.Errorf("parseSize(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "64", "MB", "-1MB", "1.5MB", "64mb", "99999999999GB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %v", text, got)
		}
	}
}

func TestSlips(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"pass", "pass", 0}, {"pas", "pass", 1}, {"forwrad", "forward", 2}, {"", "log", 3}, {"kitten", "sitting", 3}} {
		if got := slips(tt.a, tt.b); got != tt.want {
			t.Errorf("slips(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

// FuzzParse looks for texts that panic, or whose faults do not say where.
func FuzzParse(f *testing.F) {
	archives, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range archives {
		_, members := readArchive(f, name)
		for _, m := range members {
			f.Add([]byte(m.text))
		}
	}
	sentence := regexp.MustCompile(`^moggy\.toml:[1-9][0-9]*: [^\n]*; [^\n]+$`)
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, later := range [][]lack{notYet, nil} {
			_, err := parse("moggy.toml", text, 0, later)
			if err == nil {
				continue
			}
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !sentence.MatchString(line) {
					t.Errorf("%q", line)
				}
			}
		}
	})
}
