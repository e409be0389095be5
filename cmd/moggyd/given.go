package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
)

// given are the listening sockets that whoever started moggyd has opened for it, as
// systemd does for a .socket unit: see sd_listen_fds(3). Connections wait in them
// while moggyd is started again, however it ended, and are never refused.
type given []*net.TCPListener

// firstGiven is the descriptor of the first of them (SD_LISTEN_FDS_START).
const firstGiven = 3

// takeGiven takes what was given to this process. Programs that it starts later
// are told nothing of them.
func takeGiven() (g given, err error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name)
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.ParseUint(count, 10, 8)
	if err != nil {
		return nil, fmt.Errorf("LISTEN_FDS=%s is no number of sockets; start moggyd by systemd, or without LISTEN_PID", count)
	}
	for fd := firstGiven; fd < firstGiven+int(n); fd++ {
		l, err := takeSocket(fd)
		if err != nil {
			g.close()
			return nil, fmt.Errorf("the socket that was given as descriptor %d is no TCP socket that listens: %w; look at ListenStream in moggyd.socket", fd, err)
		}
		g = append(g, l)
	}
	return g, nil
}

func takeSocket(fd int) (*net.TCPListener, error) {
	syscall.CloseOnExec(fd)
	file := os.NewFile(uintptr(fd), "given")
	defer file.Close() // the listener has a descriptor of its own
	if err := listens(fd); err != nil {
		return nil, err
	}
	l, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return nil, errors.New(l.Addr().String())
	}
	return tcp, nil
}

// listens returns nil if a socket listens: one that is connected, or bound alone, can
// be made a net.Listener of, which accepts nobody. A system that cannot tell is
// believed: it has no systemd.
func listens(fd int) error {
	switch on, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); {
	case errors.Is(err, syscall.ENOPROTOOPT):
		return nil
	case err != nil:
		return os.NewSyscallError("getsockopt", err)
	case on == 0:
		return errors.New("nothing listens on it")
	}
	return nil
}

// take returns the socket that listens at an address, once; nil: none does.
func (g *given) take(network, address string) *net.TCPListener {
	want, err := net.ResolveTCPAddr(network, address)
	if err != nil { // net.Listen will say so
		return nil
	}
	i := slices.IndexFunc(*g, func(l *net.TCPListener) bool { return sameDoor(l.Addr().(*net.TCPAddr), want) })
	if i < 0 {
		return nil
	}
	l := (*g)[i]
	*g = slices.Delete(*g, i, i+1)
	return l
}

// sameDoor reports whether a socket listens where it is wanted. No address at all
// means any of this machine's. An address of a link is another on each interface.
func sameDoor(has, want *net.TCPAddr) bool {
	if want.Zone != "" && has.Zone != want.Zone {
		return false
	}
	return has.Port == want.Port && (has.IP.Equal(want.IP) || want.IP == nil && has.IP.IsUnspecified())
}

// left says that sockets were given that nobody takes: who connects there would
// wait for ever.
func (g given) left() error {
	if len(g) == 0 {
		return nil
	}
	at := g[0].Addr()
	return fmt.Errorf("a socket at %s was given, where nothing in moggy.toml listens; write it as the address of a [[listener]], or take it out of moggyd.socket", at)
}

func (g given) close() {
	for _, l := range g {
		l.Close()
	}
}
