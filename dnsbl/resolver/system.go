package resolver

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"

	"github.com/miekg/dns"
)

const (
	systemFile    = "/etc/resolv.conf"
	systemServers = 3 // more are not looked at (MAXNS in resolv.conf(5))
)

// FromSystem returns the name servers of /etc/resolv.conf, at most 3; if it is not there or names none, the one on this
// machine (127.0.0.1:53), as resolv.conf(5) has it. Nothing else in that file is looked at, and a later change of it is
// not noticed.
func FromSystem() ([]netip.AddrPort, error) {
	f, err := os.Open(systemFile)
	if os.IsNotExist(err) {
		return local(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("name servers of the system: %w", err)
	}
	defer f.Close()
	return readSystem(f)
}

// local is the server to ask if none is named.
func local() []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 53)}
}

// readSystem reads a resolv.conf.
func readSystem(text io.Reader) ([]netip.AddrPort, error) {
	c, err := dns.ClientConfigFromReader(text)
	if err != nil {
		return nil, fmt.Errorf("name servers of the system: %s: %w", systemFile, err)
	}
	var servers []netip.AddrPort
	for _, s := range c.Servers[:min(len(c.Servers), systemServers)] {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("name servers of the system: %s: nameserver %q: use an address", systemFile, s)
		}
		if server := netip.AddrPortFrom(addr, 53); !slices.Contains(servers, server) {
			servers = append(servers, server)
		}
	}
	if len(servers) == 0 {
		return local(), nil
	}
	return servers, nil
}
