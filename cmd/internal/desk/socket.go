package desk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// ErrDown is wrapped by the error of [Dial] when nobody answers.
var ErrDown = errors.New("moggyd is not running")

// Dial connects to the daemon's socket.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	d := net.Dialer{Timeout: 2 * time.Second}
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("%w: nobody answers on %s", ErrDown, path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s is not open to you; type: sudo moggy …", path)
	}
	return nil, fmt.Errorf("talking to moggyd: %w", err)
}

// maxPath is the longest name that a socket can have on every system (sun_path
// has 104 bytes on the BSDs, the last one zero).
const maxPath = 103

// draftName is at least what the name of a draft has more than the final one.
const draftName = "/.s4294967295/s"

// Listen makes the daemon's socket, for its owner alone. A socket that nobody
// answers on is replaced.
//
// It is made in a directory that nobody else can enter, and moved when its mode
// is right: there is no moment in which others could connect, whatever the umask.
func Listen(path string) (net.Listener, error) {
	if n := len(path) + len(draftName); n > maxPath {
		return nil, fmt.Errorf("making the control socket: %s is too long by %d bytes; choose a shorter state_dir", path, n-maxPath)
	}
	conn, err := Dial(context.Background(), path)
	if err == nil {
		conn.Close()
		return nil, fmt.Errorf("another moggyd answers on %s; stop it, or give this one a state_dir of its own", path)
	}
	if !errors.Is(err, ErrDown) {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, fmt.Errorf("making the control socket: %w", err)
	}
	defer os.RemoveAll(dir)
	l, err := listenIn(filepath.Join(dir, "s"), path)
	if err != nil {
		return nil, fmt.Errorf("making the control socket: %w", err)
	}
	return l, nil
}

func listenIn(draft, path string) (net.Listener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: draft, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	own, err := publish(draft, path)
	if err != nil {
		l.Close()
		return nil, err
	}
	return &socket{Listener: l, path: path, own: own}, nil
}

// publish moves a socket to its place, for its owner alone.
func publish(draft, path string) (own os.FileInfo, err error) {
	if err := os.Chmod(draft, 0o600); err != nil {
		return nil, err
	}
	if own, err = os.Lstat(draft); err != nil {
		return nil, err
	}
	return own, os.Rename(draft, path)
}

// A socket removes its file when it is closed, unless another has its place.
type socket struct {
	net.Listener
	path string
	own  os.FileInfo
	once sync.Once
}

// Close implements net.Listener.
func (s *socket) Close() error {
	s.once.Do(func() {
		if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.own) {
			_ = os.Remove(s.path) // a stale socket does no harm
		}
	})
	return s.Listener.Close()
}
