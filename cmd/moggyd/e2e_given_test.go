package main_test

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"moggy/cmd/internal/peers"
)

// givenTo is how systemd gives sockets to a program, see sd_listen_fds(3): the process has to be the one that is named.
func givenTo(argv []string, sockets ...*os.File) *exec.Cmd {
	script := "LISTEN_PID=$$ LISTEN_FDS=" + strconv.Itoa(len(sockets)) + ` exec "$@"`
	cmd := exec.Command("sh", slices.Concat([]string{"-c", script, "sh"}, argv)...)
	cmd.ExtraFiles = sockets
	return cmd
}

// socket listens at an address until the test ends.
func socket(t *testing.T, address string) *os.File {
	t.Helper()
	l, err := net.Listen("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// socketStays while moggyd does not: who comes meanwhile waits, and is refused at no time.
func socketStays(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.make(t, conf{Backend: b.Proxy})
	d.sockets = []*os.File{socket(t, d.Mail)}
	d.run()
	d.waitLog(`moggyd is ready`)
	d.answers("127.9.9.9", from, to, 451)
	for _, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		d.signal(end)
		d.wait()
		early := []*caller{d.call("127.0.0.1"), d.call("127.9.9.9")}
		d.run()
		for _, c := range early {
			c.hear(220)
			c.leave()
		}
	}
}

// socketUnwanted is a door that nobody would ever open.
func socketUnwanted(t *testing.T, p programs) {
	d := p.make(t, conf{Backend: peers.FreeAddress(t)})
	d.sockets = []*os.File{socket(t, d.Mail), socket(t, "127.0.0.1:0")}
	d.run()
	if code := d.wait(); code != 1 {
		t.Errorf("moggyd ended with %d, not 1", code)
	}
	d.waitLog(`a socket at 127\.0\.0\.1:\d+ was given, where nothing in moggy\.toml listens`)
	for why, file := range map[string]*os.File{"socket operation on non-socket": open(t, os.DevNull), "nothing listens on it": connected(t)} {
		d.sockets = []*os.File{file}
		d.run()
		d.wait()
		d.waitLog(`descriptor 3 is no TCP socket that listens: .*` + why)
	}
}

// connected is a socket as inetd would give, that of somebody who has come.
func connected(t *testing.T) *os.File {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func open(t *testing.T, name string) *os.File {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}
