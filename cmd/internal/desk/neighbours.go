package desk

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"moggy/cmd/internal/config"
	"moggy/whitelist"
)

// LocalEntries are the entries of class own that local_networks asks for. The
// default gateway is left out of "auto": a router or container engine that
// rewrites addresses would make the whole world our own.
func LocalEntries(cfg *config.Config) (entries []whitelist.Entry) {
	auto, networks := cfg.Local()
	add := func(net netip.Prefix, class whitelist.Class, note string) {
		entries = append(entries, whitelist.Entry{Net: net, Class: class, Source: whitelist.Local, Note: note})
	}
	if auto {
		add(netip.MustParsePrefix("127.0.0.1/32"), whitelist.Own, "this machine")
		add(netip.MustParsePrefix("::1/128"), whitelist.Own, "this machine")
		for _, net := range connected() {
			add(net, whitelist.Own, whitelist.Connected)
		}
		for _, gw := range gateways() {
			add(whitelist.Net(gw), whitelist.Stranger, "the default gateway may hide others")
		}
	}
	for _, net := range networks {
		add(net, whitelist.Own, "local_networks")
	}
	return entries
}

// connected are the private networks that this machine has an address in.
func connected() (nets []netip.Prefix) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && (p.Addr().IsPrivate() || p.Addr().IsLinkLocalUnicast()) {
			nets = append(nets, p.Masked())
		}
	}
	return nets
}

// OwnAddress reports whether an address is one of this machine's.
func OwnAddress(addr netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(addrs, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && whitelist.CanonicalAddr(p.Addr()) == whitelist.CanonicalAddr(addr)
	})
}

// gateways are the IPv4 default gateways, where the system tells them as Linux
// does in /proc/net/route.
func gateways() (gws []netip.Addr) {
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return nil
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 3 || fields[1] != "00000000" {
			continue
		}
		if b, err := hex.DecodeString(fields[2]); err == nil && len(b) == 4 && binary.NativeEndian.Uint32(b) != 0 {
			gws = append(gws, netip.AddrFrom4([4]byte{b[3], b[2], b[1], b[0]}))
		}
	}
	return gws
}
