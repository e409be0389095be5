package firewall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"moggy/whitelist"
	"moggy/whitelist/foreign"
)

// hostsDeny reads the file by which programs with libwrap refuse clients, see
// hosts_access(5). Names, ALL and what hosts.allow lets in before are not read.
type hostsDeny struct{ m Machine }

const hostsDenyFile = "/etc/hosts.deny"

func (h *hostsDeny) Name() string { return "hosts.deny" }

// Read returns the addresses and networks that the file names.
func (h *hostsDeny) Read(context.Context) ([]foreign.Block, error) {
	text, err := readFile(h.m.file(hostsDenyFile), 8<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is %w", hostsDenyFile, foreign.ErrAbsent)
	} else if err != nil {
		return nil, err
	}
	return parseHostsDeny(string(text)), nil
}

// parseHostsDeny reads lines such as "sshd, dovecot : 192.0.2.7 198.51.100." A
// backslash at the end of a line joins it to the next.
func parseHostsDeny(text string) (blocks []foreign.Block) {
	number, first, joined := 0, 1, ""
	for part := range strings.Lines(text) {
		number++
		part = strings.TrimRight(part, "\r\n")
		if before, more := strings.CutSuffix(part, `\`); more {
			joined += before + " "
			continue
		}
		for _, net := range deniedBy(joined + part) {
			if len(blocks) == maxBlocks {
				return blocks
			}
			blocks = append(blocks, foreign.Block{Net: net, By: "hosts.deny", Where: fmt.Sprintf("%s line %d", hostsDenyFile, first),
				Rule: line(joined + part), Hint: fmt.Sprintf("by hand: take it out of %s, line %d", hostsDenyFile, first)})
		}
		joined, first = "", number+1
	}
	return blocks
}

// deniedBy are the networks that one rule denies.
func deniedBy(text string) (nets []netip.Prefix) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "#") {
		return nil
	}
	_, clients, ok := strings.Cut(text, ":")
	if !ok {
		return nil
	}
	clients = cutOptions(clients)
	clients, _, _ = strings.Cut(clients, " EXCEPT ")
	for _, word := range strings.FieldsFunc(clients, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
		if net, ok := hostsNet(word); ok {
			nets = append(nets, net)
		}
	}
	return nets
}

// cutOptions takes away what stands behind the list of clients. The colons of
// IPv6 addresses stand in brackets.
func cutOptions(clients string) string {
	depth := 0
	for i, r := range clients {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case r == ':' && depth == 0:
			return clients[:i]
		}
	}
	return clients
}

// hostsNet reads 192.0.2.7, 192.0.2., 192.0.2.0/24, 192.0.2.0/255.255.255.0 or
// [2001:db8::]/32.
func hostsNet(word string) (netip.Prefix, bool) {
	word = strings.NewReplacer("[", "", "]", "").Replace(word)
	if octets, cut := strings.CutSuffix(word, "."); cut {
		bits := 8 * (strings.Count(octets, ".") + 1)
		word = fmt.Sprintf("%s%s/%d", octets, strings.Repeat(".0", max(0, (32-bits)/8)), bits)
	}
	if address, mask, ok := strings.Cut(word, "/"); ok {
		if m, err := netip.ParseAddr(mask); err == nil && m.Is4() {
			word = fmt.Sprintf("%s/%d", address, maskBits(m))
		}
	}
	net, err := whitelist.ParseNet(word)
	return net, err == nil
}

// maskBits is the length of a netmask; -1 where it has holes.
func maskBits(mask netip.Addr) int {
	for bits := range 33 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), bits).Masked()
		if p.Addr() == mask {
			return bits
		}
	}
	return -1
}
