package hear

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// end is a connection, from its near and its far end.
func end(s string) connection {
	near, far, _ := strings.Cut(s, " ")
	return connection{netip.MustParseAddrPort(near), netip.MustParseAddrPort(far)}
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestUtmp reads what utmpdump -r (util-linux 2.38, glibc 2.36, amd64) made of a boot, a getty, two sessions over ssh, one
// that ended, one of an FTP server, and one whose program wrote a host's name of its own choice.
func TestUtmp(t *testing.T) {
	want := []login{{"me", 1201, addr("198.51.100.7")}, {"root", 1301, addr("2001:db8:7::1")}}
	whole := testdata(t, "utmp-amd64")
	if got := parseUtmp(whole, "amd64"); !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
	if got := parseUtmp(whole[:3*384+383], "amd64"); !slices.Equal(got, want[:1]) {
		t.Errorf("cut: %v", got)
	}
	if got := parseUtmp(whole, "s390x"); got != nil {
		t.Errorf("another machine: %v", got)
	}
}

// TestUtmpWide is the record of machines without programs of 32 bits; it was not written by one.
func TestUtmpWide(t *testing.T) {
	b := make([]byte, 400)
	binary.LittleEndian.PutUint16(b[0:], 7)
	binary.LittleEndian.PutUint32(b[4:], 1201)
	copy(b[8:], "pts/0")
	copy(b[44:], "a user name of just as many bytes as fit")
	copy(b[360:], []byte{198, 51, 100, 7})
	if got := parseUtmp(b, "arm64"); len(got) != 1 || got[0] != (login{"a user name of just as many byte", 1201, addr("198.51.100.7")}) {
		t.Errorf("%+v", got)
	}
}

func FuzzUtmp(f *testing.F) {
	f.Add(testdata(f, "utmp-amd64"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, arch := range []string{"amd64", "arm64", "pdp11"} {
			for _, l := range parseUtmp(b, arch) {
				if l.pid <= 0 || !l.addr.IsValid() || len(l.user) > 32 {
					t.Errorf("%+v", l)
				}
			}
		}
	})
}

// The two ends of connections in testdata/proc-net-tcp and -tcp6, which Linux 6.18 showed on amd64: to port 22, one of
// them not taken by the server yet, and to port 2222, where a socket of IPv6 has one of IPv4 as well.
var (
	toSSHD = end("203.0.113.25:22 198.51.100.7:40001")
	to2222 = []connection{end("[2001:db8::25]:2222 [2001:db8:7::1]:40002"), end("203.0.113.25:2222 198.51.100.8:40003")}
)

func TestTCP(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the tables are of a little-endian machine")
	}
	v4, v6 := string(testdata(t, "proc-net-tcp")), string(testdata(t, "proc-net-tcp6"))
	for _, c := range []struct {
		table string
		ports []uint16
		want  []connection
	}{
		{v4, []uint16{22}, []connection{toSSHD}},
		{v4, []uint16{2222}, nil},
		{v6, []uint16{22, 2222}, to2222},
		{v6, []uint16{22}, nil},
		{v4, nil, nil},
		{"a b c 01 e f g h i j k", []uint16{22}, nil},
		{"0: 197100CB:0016 076433C6 01 a b c d e 7", []uint16{22}, nil},
		{"0: 1971:0016 0764:9C41 01 a b c d e 7", []uint16{22}, nil},
	} {
		if got := parseTCP(c.table, c.ports); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, not %v", c.ports, got, c.want)
		}
	}
}

func TestSSHD(t *testing.T) {
	for _, c := range []struct {
		text  string
		ports []uint16
		grace time.Duration
		err   string
	}{
		{"", []uint16{22}, 150 * time.Second, ""},
		{"#LoginGraceTime 0\n#Port 2222\nPort 22\n  port=2222\n", []uint16{22, 2222}, 150 * time.Second, ""},
		{"LoginGraceTime 2m", []uint16{22}, 150 * time.Second, ""},
		{"logingracetime 30", []uint16{22}, 60 * time.Second, ""},
		{"LoginGraceTime=\"1h30m10\"\n", []uint16{22}, 90*time.Minute + 40*time.Second, ""},
		{"LoginGraceTime 30\nLoginGraceTime 600\nLoginGraceTime 60", []uint16{22}, 630 * time.Second, ""},
		{"LoginGraceTime 0", nil, 0, "LoginGraceTime 0"},
		{"LoginGraceTime 30\nLoginGraceTime 0m", nil, 0, "LoginGraceTime 0"},
		{"LoginGraceTime none", nil, 0, "no time"},
		{"LoginGraceTime 1y", nil, 0, "no time"},
		{"LoginGraceTime", nil, 0, "no time"},
		{"LoginGraceTime 99999999999999999999", nil, 0, "no time"},
		{"Port x\nPort 99999", []uint16{22}, 150 * time.Second, ""},
		{"ListenAddress 192.0.2.1:2222", []uint16{2222}, 150 * time.Second, ""},
		{"ListenAddress [2001:db8::1]:2222\nListenAddress mx.example.org:2223", []uint16{2222, 2223}, 150 * time.Second, ""},
		{"ListenAddress 2001:db8::1\nListenAddress 192.0.2.1:2222", []uint16{22, 2222}, 150 * time.Second, ""},
		{"Port 24\nListenAddress 192.0.2.1", []uint16{24}, 150 * time.Second, ""},
		{"Include /etc/ssh/sshd_config.d/*.conf", []uint16{22}, 150 * time.Second, ""},
		{"Include /usr/local/etc/sshd.conf", nil, 0, "not read here"},
	} {
		got, err := parseSSHD(c.text)
		if !slices.Equal(got.ports, c.ports) || got.grace != c.grace || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %+v, %v", c.text, got, err)
		}
	}
}

// sessionFile is what systemd-logind writes of a session over ssh: made up after its source, not written by it.
const sessionFile = `# This is private data. Do not parse.
UID=1000
USER=me
ACTIVE=1
IS_DISPLAY=1
STATE=active
REMOTE=1
TYPE=tty
ORIGINAL_TYPE=tty
CLASS=user
SCOPE=session-5.scope
FIFO=/run/systemd/sessions/5.ref
TTY=pts/0
TTY_VALIDITY=from-utmp
REMOTE_HOST=198.51.100.7
SERVICE=sshd
LEADER=1201
AUDIT=5
REALTIME=1795377600000000
MONOTONIC=14094494314
`

func TestSession(t *testing.T) {
	began := time.UnixMicro(1795377600000000)
	for _, c := range []struct {
		old, new string
		after    time.Duration
		want     string
	}{
		{"", "", 0, "me 198.51.100.7"},
		{"198.51.100.7", "2001:db8:7::1", 0, "me 2001:db8:7::1"},
		{"198.51.100.7", "host.test", 0, " invalid IP"},
		{"REMOTE=1", "REMOTE=0", 0, " invalid IP"},
		{"SERVICE=sshd", "SERVICE=vsftpd", 0, " invalid IP"},
		{"STATE=active", "STATE=closing", 0, " invalid IP"},
		{"STATE=active", "STATE=online", 0, "me 198.51.100.7"},
		{"TTY=pts/0\n", "", 59 * time.Second, " invalid IP"},
		{"TTY=pts/0\n", "", time.Minute, "me 198.51.100.7"},
		{"REMOTE_HOST=198.51.100.7\n", "", 0, " invalid IP"},
		{sessionFile, "\x00\xff=\n\n=", 0, " invalid IP"},
	} {
		addr, user := parseSession(strings.Replace(sessionFile, c.old, c.new, 1), began.Add(c.after))
		if got := user + " " + addr.String(); got != c.want {
			t.Errorf("%q for %q: %q, not %q", c.new, c.old, got, c.want)
		}
	}
}

// A machine is a root directory in the state of a machine with ssh.
type machine struct {
	t    *testing.T
	root string
}

func (m machine) put(name string, b []byte) {
	m.t.Helper()
	name = filepath.Join(m.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m machine) remove(name string) {
	m.t.Helper()
	if err := os.RemoveAll(filepath.Join(m.root, name)); err != nil {
		m.t.Fatal(err)
	}
}

func TestSessions(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the files are those of Linux on amd64")
	}
	m := machine{t, t.TempDir()}
	m.put("/etc/ssh/sshd_config", []byte("Include /etc/ssh/sshd_config.d/*.conf\n"))
	m.put("/etc/ssh/sshd_config.d/a.conf", []byte("Port 22\n"))
	m.put("/proc/net/tcp", testdata(t, "proc-net-tcp"))
	m.put("/proc/net/tcp6", testdata(t, "proc-net-tcp6"))
	h := &heard{}
	s := newSessions(m.root, h, nil)
	start := time.UnixMicro(1795377600000000)
	look := func(after time.Duration, want ...string) {
		t.Helper()
		err := s.look(start.Add(after))
		if got := h.list(); err != nil || !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("after %v: %q, %v; not %q", after, got, err, want)
		}
	}
	const by7 = "session  198.51.100.7"
	look(0)
	look(150 * time.Second)
	look(151*time.Second, by7)
	m.put("/etc/ssh/sshd_config.d/b.conf", []byte("Port 2222\n"))
	look(160*time.Second, by7)
	look(311*time.Second, by7, "session  198.51.100.8", "session  2001:db8:7::1")
	m.put("/proc/net/tcp", nil)
	m.put("/proc/net/tcp6", nil)
	look(320 * time.Second)
	m.put("/proc/net/tcp", testdata(t, "proc-net-tcp"))
	look(330 * time.Second) // the same two ends once more: another connection

	m.put("/var/run/utmp", testdata(t, "utmp-amd64"))
	m.put("/proc/1201/stat", nil) // of the other session nothing is left but its record
	look(340*time.Second, "session me 198.51.100.7")
	m.put("/run/systemd/sessions/5", []byte(strings.Replace(sessionFile, "198.51.100.7", "192.0.2.7", 1)))
	m.put("/run/systemd/sessions/6", []byte(strings.Replace(sessionFile, "USER=me", "USER=root", 1)))
	look(350*time.Second, "session me 192.0.2.7", "session me 198.51.100.7")
	m.remove("/proc/1201")
	look(350*time.Second, "session me 192.0.2.7", "session root 198.51.100.7")
}

func TestSessionsWithFaults(t *testing.T) {
	m := machine{t, t.TempDir()}
	h := &heard{}
	s := newSessions(m.root, h, nil)
	look := func(want string) {
		t.Helper()
		for _, d := range []time.Duration{0, time.Hour} {
			err := s.look(time.Now().Add(d))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, not %q", err, want)
			}
		}
		if got := h.list(); got != nil {
			t.Errorf("heard %q", got)
		}
	}
	look("there is no utmp, no systemd-logind and no sshd_config here")
	m.put("/proc/net/tcp", testdata(t, "proc-net-tcp"))
	m.put("/etc/ssh/sshd_config", []byte("LoginGraceTime 0\n"))
	look("LoginGraceTime 0")
	m.put("/etc/ssh/sshd_config", nil)
	m.put("/etc/ssh/sshd_config.d/a.conf/x", nil) // a directory cannot be read
	look("sshd_config.d/a.conf")
	m.remove("/etc/ssh/sshd_config.d")
	m.remove("/proc/net")
	m.put("/run/systemd/sessions", nil)
	look("sessions")
}

func TestSessionsAreLookedForAgain(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("on Linux only")
	}
	m := machine{t, t.TempDir()}
	m.put("/run/systemd/sessions/5", []byte(sessionFile))
	synctest.Test(t, func(t *testing.T) {
		h := &heard{}
		e, err := New(Options{Hints: h, SSH: true, Root: m.root})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); e.Run(ctx) }()
		time.Sleep(10*sessionsEvery + time.Second)
		synctest.Wait()
		if n := len(h.list()); n != 11 {
			t.Errorf("reported %d times", n)
		}
		cancel()
		<-done
	})
}
