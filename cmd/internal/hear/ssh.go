package hear

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"moggy/whitelist/hints"
)

// sessionsEvery is how often ssh sessions are looked for.
const sessionsEvery = 10 * time.Second

// The bounds of what is read of the system, each look.
const (
	maxUtmp     = 1 << 20 // bytes: 2,700 sessions
	maxSessions = 1000    // files of logind
	maxSession  = 8 << 10 // bytes of each
	maxTCP      = 8 << 20 // bytes: 50,000 connections
	maxHeld     = 4096    // connections to sshd that are remembered from look to look
)

// Why no session can be found.
var (
	errNoSessions = errors.New("ssh sessions are looked for on Linux only; let yourself in: moggy allow add me --class own")
	errNoSources  = errors.New("there is no utmp, no systemd-logind and no sshd_config here; let yourself in: moggy allow add me --class own")
)

// sessions looks for the operator: who has a session here, over ssh. It goes by three sources, each of which may be
// missing: utmp, what systemd-logind knows of its sessions, and connections to sshd that have lasted longer than sshd
// lets anybody be connected who has not logged in.
type sessions struct {
	root  string
	hints Hints
	fault func(error)
	held  map[connection]time.Time // since when a connection to sshd has been seen, at each look
}

func newSessions(root string, h Hints, fault func(error)) *sessions {
	return &sessions{root: root, hints: h, fault: fault}
}

// run looks until ctx is done.
func (s *sessions) run(ctx context.Context) {
	if runtime.GOOS != "linux" {
		s.fault(errNoSessions)
		return
	}
	tick := time.NewTicker(sessionsEvery)
	defer tick.Stop()
	for now := time.Now(); ctx.Err() == nil; {
		s.fault(s.look(now))
		select {
		case <-ctx.Done():
		case now = <-tick.C:
		}
	}
}

// look reports each address from which somebody has a session.
func (s *sessions) look(now time.Time) error {
	found := make(map[netip.Addr]string)
	note := func(addr netip.Addr, user string) {
		if _, had := found[addr]; !had && addr.IsValid() {
			found[addr] = user
		}
	}
	err := errors.Join(s.utmp(note), s.logind(now, note), s.connections(now, note))
	for addr, user := range found {
		s.hints.Session(hints.Session{Time: now, Addr: addr, User: user})
	}
	if err == nil && !s.there("/var/run/utmp", "/run/systemd/sessions", "/etc/ssh/sshd_config") {
		return errNoSources
	}
	return err
}

// there reports whether one of the names exists.
func (s *sessions) there(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		_, err := os.Stat(s.path(name))
		return err == nil
	})
}

// utmp notes who is in utmp, and whose process is still there: after a crash, or a logout that nobody noted, it is not.
func (s *sessions) utmp(note func(netip.Addr, string)) error {
	b, err := s.read("/var/run/utmp", maxUtmp)
	for _, l := range parseUtmp(b, runtime.GOARCH) {
		if _, err := os.Stat(s.path("/proc/" + strconv.Itoa(l.pid))); err == nil {
			note(l.addr, l.user)
		}
	}
	return err
}

// logind notes what systemd-logind keeps of sessions for its own library.
func (s *sessions) logind(now time.Time, note func(netip.Addr, string)) error {
	dir, err := os.Open(s.path("/run/systemd/sessions"))
	if err != nil {
		return absent(err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxSessions)
	if err != nil && err != io.EOF {
		return err
	}
	err = nil
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue // each session has a pipe as well
		}
		b, fault := s.read("/run/systemd/sessions/"+e.Name(), maxSession)
		err = errors.Join(err, fault)
		note(parseSession(string(b), now))
	}
	return err
}

// connections notes who has been connected to sshd for longer than it waits for a password.
func (s *sessions) connections(now time.Time, note func(netip.Addr, string)) error {
	sshd, err := s.sshd()
	if err != nil || sshd.grace == 0 {
		s.held = nil
		return err
	}
	held := make(map[connection]time.Time)
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, fault := s.read(name, maxTCP)
		err = errors.Join(err, fault)
		for _, c := range parseTCP(string(b), sshd.ports) {
			if len(held) >= maxHeld {
				break
			}
			since, had := s.held[c]
			if !had {
				since = now
			}
			if held[c] = since; now.Sub(since) > sshd.grace {
				note(c.far.Addr(), "")
			}
		}
	}
	s.held = held
	return err
}

// sshd reads how sshd is configured; without a configuration there is none.
func (s *sessions) sshd() (sshd, error) {
	main, err := s.read("/etc/ssh/sshd_config", maxSession*8)
	if err != nil || main == nil {
		return sshd{}, err
	}
	parts, _ := filepath.Glob(s.path("/etc/ssh/sshd_config.d/*.conf")) // the pattern is well formed
	for _, name := range parts[:min(len(parts), 100)] {
		b, err := readFile(name, maxSession*8)
		if err != nil {
			return sshd{}, err
		}
		main = append(append(main, '\n'), b...)
	}
	return parseSSHD(string(main))
}

func (s *sessions) path(name string) string { return filepath.Join("/", s.root, name) }

// read reads a file below root; nil if there is none.
func (s *sessions) read(name string, limit int64) ([]byte, error) {
	return readFile(s.path(name), limit)
}

// readFile reads up to limit bytes of a file; nil if there is none.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, absent(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return append([]byte{}, b...), nil
}

// absent takes it for no fault that something is not there.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// briefly is how long a session without a terminal must last: what comes to fetch or leave a file, as with git, is no
// operator at work.
const briefly = time.Minute

// parseSession reads what systemd-logind keeps of a session. It counts if it came over ssh from an address. (What
// sshd puts there is a name where UseDNS is on: a name is whatever its owner likes.)
func parseSession(text string, now time.Time) (addr netip.Addr, user string) {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			fields[key] = value
		}
	}
	if fields["REMOTE"] != "1" || fields["SERVICE"] != "sshd" || fields["STATE"] == "closing" {
		return netip.Addr{}, ""
	}
	began, err := strconv.ParseInt(fields["REALTIME"], 10, 64)
	if !strings.HasPrefix(fields["TTY"], "pts/") && (err != nil || now.Sub(time.UnixMicro(began)) < briefly) {
		return netip.Addr{}, ""
	}
	addr, err = netip.ParseAddr(fields["REMOTE_HOST"])
	if err != nil {
		return netip.Addr{}, ""
	}
	return addr, fields["USER"]
}
