package hear

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A connection is one of sshd's, by its two ends.
type connection struct{ near, far netip.AddrPort }

// tcpEstablished is the state of a connection that is open (include/net/tcp_states.h).
const tcpEstablished = "01"

// parseTCP returns the open connections to the given ports in what Linux shows as /proc/net/tcp or tcp6. Those that no
// program has taken yet, which have no inode, are left out: sshd does not cut them.
func parseTCP(table string, ports []uint16) (all []connection) {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != tcpEstablished || f[9] == "0" {
			continue
		}
		near, ok := parseEnd(f[1])
		far, also := parseEnd(f[2])
		if ok && also && slices.Contains(ports, near.Port()) {
			all = append(all, connection{near, far})
		}
	}
	return all
}

// parseEnd reads "0100007F:0016": the address in words of four bytes, in the order of the machine's bytes, and the port.
func parseEnd(s string) (netip.AddrPort, bool) {
	words, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(words)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	addr, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), true
}

// sshd is what matters of sshd's configuration.
type sshd struct {
	ports []uint16
	grace time.Duration // whoever is connected for longer than this has logged in; 0: nothing says so
}

// What sshd does without a word in its configuration (sshd_config(5)).
const (
	sshdPort  = 22
	sshdGrace = 120 * time.Second
)

// sshdSlack is how much longer a connection must last than sshd should cut it.
const sshdSlack = 30 * time.Second

// errGrace says that connections prove nothing. LoginGraceTime 0 is an advice against CVE-2024-6387.
var errGrace = errors.New("sshd never cuts connections that do not log in (LoginGraceTime 0): open connections to it are not taken for sessions")

// parseSSHD reads all parts of sshd's configuration at once. Which of several values sshd takes depends on their order and
// on its command line: the longest is taken here.
func parseSSHD(text string) (sshd, error) {
	found := sshd{}
	var listens []uint16 // of ListenAddress lines; 0: whatever Port says
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.Replace(strings.TrimSpace(line), "=", " ", 1), " ")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "port":
			if n, err := strconv.ParseUint(value, 10, 16); err == nil {
				found.ports = append(found.ports, uint16(n))
			}
		case "listenaddress":
			listens = append(listens, listenPort(value))
		case "include":
			if value != ownInclude {
				return sshd{}, errInclude
			}
		case "logingracetime":
			grace, err := parseSSHTime(value)
			if err != nil {
				return sshd{}, err
			}
			if grace == 0 {
				return sshd{}, errGrace
			}
			found.grace = max(found.grace, grace)
		}
	}
	if len(found.ports) == 0 && (len(listens) == 0 || slices.Contains(listens, 0)) {
		found.ports = []uint16{sshdPort}
	}
	for _, port := range listens {
		if port != 0 && !slices.Contains(found.ports, port) {
			found.ports = append(found.ports, port)
		}
	}
	if found.grace == 0 {
		found.grace = sshdGrace
	}
	found.grace += sshdSlack
	return found, nil
}

// ownInclude is what Debian's and OpenSSH's own configuration includes, and what is read here.
const ownInclude = "/etc/ssh/sshd_config.d/*.conf"

// errInclude says that connections prove nothing: a port that sshd left to somebody else must not make anybody own.
var errInclude = errors.New("sshd_config includes files that are not read here: open connections to sshd are not taken for sessions")

// listenPort is the port of a ListenAddress, 0 where it names none.
func listenPort(value string) uint16 {
	value, _, _ = strings.Cut(value, " ") // "rdomain" may follow
	if ap, err := netip.ParseAddrPort(value); err == nil {
		return ap.Port()
	}
	host, port, ok := strings.Cut(value, ":")
	if n, err := strconv.ParseUint(port, 10, 16); ok && host != "" && err == nil && !strings.Contains(port, ":") {
		return uint16(n)
	}
	return 0
}

// parseSSHTime reads a time as sshd_config(5) has it: "120", "2m", "1h30m".
func parseSSHTime(s string) (sum time.Duration, err error) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	for rest := s; rest != "" || s == ""; {
		i := 0
		for i < len(rest) && digits(rest[i:i+1]) {
			i++
		}
		n, err := strconv.ParseUint(rest[:i], 10, 24)
		if err != nil {
			return 0, fmt.Errorf("LoginGraceTime %.20q of sshd_config is no time", s)
		}
		unit := time.Second
		if i < len(rest) {
			if unit = units[rest[i]|0x20]; unit == 0 {
				return 0, fmt.Errorf("LoginGraceTime %.20q of sshd_config is no time", s)
			}
			i++
		}
		sum += time.Duration(n) * unit
		rest = rest[i:]
	}
	return sum, nil
}
