package main

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// descriptor is one of a socket, for takeSocket to close.
func descriptor(t *testing.T, of interface{ File() (*os.File, error) }) int {
	t.Helper()
	file, err := of.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// bound is a socket with an address that does not listen there.
func bound(t *testing.T) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestTakeSocket(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	u, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for name, of := range map[string]struct {
		fd   int
		says string // "": it is taken
	}{
		"listening": {descriptor(t, l.(*net.TCPListener)), ""},
		"connected": {descriptor(t, c.(*net.TCPConn)), "nothing listens on it"},
		"bound":     {bound(t), "nothing listens on it"},
		"UDP":       {descriptor(t, u.(*net.UDPConn)), "nothing listens on it"},
	} {
		got, err := takeSocket(of.fd)
		switch {
		case err == nil && of.says == "" && got.Addr().String() == l.Addr().String():
		case err != nil && of.says != "" && strings.Contains(err.Error(), of.says):
		default:
			t.Errorf("%s: %v", name, err)
		}
		if got != nil {
			got.Close()
		}
	}
}

func TestSameDoor(t *testing.T) {
	for _, test := range []struct {
		has, want string
		port      int
		zone      string
		same      bool
	}{
		{has: "192.0.2.7", want: "192.0.2.7", port: 25, same: true},
		{has: "192.0.2.7", want: "192.0.2.7", port: 26},
		{has: "192.0.2.7", want: "192.0.2.8", port: 25},
		{has: "::", port: 25, same: true},
		{has: "2001:db8::1", port: 25},
		{has: "fe80::1", want: "fe80::1", port: 25, zone: "eth0", same: true},
		{has: "fe80::1", want: "fe80::1", port: 25, zone: "eth1"},
		{has: "fe80::1", want: "fe80::1", port: 25, same: true}, // no interface was named
	} {
		has := &net.TCPAddr{IP: net.ParseIP(test.has), Port: 25, Zone: "eth0"}
		want := &net.TCPAddr{IP: net.ParseIP(test.want), Port: test.port, Zone: test.zone}
		if got := sameDoor(has, want); got != test.same {
			t.Errorf("a socket at %v where %v is wanted: %v", has, want, got)
		}
	}
}
