package handover

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// xclient tells the backend by XCLIENT (Postfix XCLIENT_README) whose the session is,
// after an EHLO of our own, and returns the greeting that follows: the session is then
// as new, and the peer's EHLO comes next.
func (s *session) xclient(peer netip.AddrPort) (Reply, error) {
	hello, err := s.expect(EHLO, "EHLO "+s.o.Hostname)
	if err != nil {
		return Reply{}, err
	}
	command, err := xclientCommand(attributes(hello), peer)
	if err != nil {
		return Reply{}, err
	}
	return s.expect(XClient, command)
}

// xclientCommand returns the command that tells peer with the attributes offered, of
// which ADDR must be one. The name is said to be unavailable: we do not vouch for one.
func xclientCommand(offered []string, peer netip.AddrPort) (string, error) {
	if !peer.IsValid() {
		return "", errors.New("xclient: the peer's address is not known")
	}
	command, hasAddr := "XCLIENT", false
	for _, attribute := range offered {
		switch strings.ToUpper(attribute) {
		case "ADDR":
			command, hasAddr = command+" ADDR="+xclientAddr(peer.Addr()), true
		case "PORT":
			command += fmt.Sprintf(" PORT=%d", peer.Port())
		case "NAME":
			command += " NAME=[UNAVAILABLE]"
		}
	}
	if !hasAddr {
		return "", errors.New("xclient: the backend does not offer it to us:" +
			" add moggy's address to its smtpd_authorized_xclient_hosts, or set forward = \"proxy-v2\"")
	}
	return command, nil
}

// xclientAddr writes an address as XCLIENT has it: 192.0.2.7, IPV6:2001:db8::7.
func xclientAddr(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		return "IPV6:" + a.String()
	}
	return a.String()
}

// attributes returns what the reply to EHLO offers with XCLIENT; nothing if it does not.
func attributes(hello Reply) []string {
	for _, extension := range extensions(hello) {
		words := strings.Fields(extension)
		if len(words) > 0 && strings.EqualFold(words[0], "XCLIENT") {
			return words[1:]
		}
	}
	return nil
}
