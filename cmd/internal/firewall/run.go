package firewall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"moggy/whitelist/foreign"
)

// The bounds of one run of a program.
const (
	runTime   = 5 * time.Second // to read
	maxOutput = 64 << 20        // bytes
)

// systemPath is where programs of the system are. OpenBSD and FreeBSD have pfctl
// in /sbin, and fail2ban below /usr/local.
func systemPath() []string {
	return []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin"}
}

// find returns the absolute name of a program, or an error that is
// foreign.ErrAbsent.
func (m Machine) find(program string) (string, error) {
	dirs := m.Path
	if dirs == nil {
		dirs = systemPath()
	}
	for _, dir := range dirs {
		name := filepath.Join(dir, program)
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s is %w", program, foreign.ErrAbsent)
}

// run runs a program and returns what it printed, at most maxOutput bytes. It
// ends within ctx and runTime.
func (m Machine) run(ctx context.Context, program string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, runTime, fmt.Errorf("it took longer than %s", runTime))
	defer cancel()
	return m.feed(ctx, nil, program, args...)
}

// feed is run with an input, within ctx alone.
func (m Machine) feed(ctx context.Context, in io.Reader, program string, args ...string) ([]byte, error) {
	name, err := m.find(program)
	if err != nil {
		return nil, err
	}
	out, complaint := &bounded{limit: maxOutput}, &bounded{limit: 8 << 10}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, complaint
	cmd.Env = []string{"LC_ALL=C", "PATH=" + strings.Join(systemPath(), ":"), "TZ=" + os.Getenv("TZ")}
	if os.Getenv("TZ") == "" {
		cmd.Env = cmd.Env[:2]
	}
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	switch {
	case out.over:
		return nil, fmt.Errorf("%s: it says more than %d MiB", program, maxOutput>>20)
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %w", program, context.Cause(ctx))
	case err != nil:
		return nil, failed(program, err, complaint.kept.String(), out.kept.String())
	}
	return out.kept.Bytes(), nil
}

// failed is the error of a program that ended badly, with its first words. (fail2ban complains where it should answer.)
func failed(program string, err error, said ...string) error {
	for _, words := range said {
		if first, _, _ := strings.Cut(strings.TrimSpace(words), "\n"); first != "" {
			err = errors.New(line(first))
			break
		}
	}
	if slices.ContainsFunc(said, denied) {
		return fmt.Errorf("%s: %w; %s", program, err, remedy(program))
	}
	return fmt.Errorf("%s: %w", program, err)
}

func denied(words string) bool {
	words = strings.ToLower(words)
	return strings.Contains(words, "permission denied") || strings.Contains(words, "not permitted") || strings.Contains(words, "must be root")
}

// remedy says how that which is denied could be read.
func remedy(program string) string {
	switch {
	case program == "pfctl":
		return "only who may open /dev/pf can ask pf; type: doas moggy doctor"
	case program == "fail2ban-client":
		return "only root may speak to fail2ban; type: sudo moggy doctor"
	case program == "cscli":
		return "only root may read crowdsec's credentials; type: sudo moggy doctor"
	case strings.Contains(program, "legacy"):
		return "give moggyd CAP_NET_ADMIN and CAP_NET_RAW (systemd: AmbientCapabilities=), or type: sudo moggy doctor"
	}
	return "give moggyd CAP_NET_ADMIN (systemd: AmbientCapabilities=CAP_NET_ADMIN), or type: sudo moggy doctor"
}

// bounded is a buffer that takes no more than limit bytes. (It is no
// bytes.Buffer: the ReadFrom of one would take all.)
type bounded struct {
	kept  bytes.Buffer
	limit int
	over  bool
}

var errOver = errors.New("too much")

// Write fails when there is no room, upon which the program is cut off.
func (b *bounded) Write(p []byte) (int, error) {
	if b.kept.Len()+len(p) > b.limit {
		b.over = true
		return 0, errOver
	}
	return b.kept.Write(p)
}
