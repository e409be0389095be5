package hear

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
)

// A login is a session in utmp.
type login struct {
	user string
	pid  int
	addr netip.Addr
}

// Where glibc keeps what in a struct utmp (bits/utmp.h), on little-endian machines. The time has four bytes, for programs
// of 32 bits, where such are run on machines of 64; else it has eight, and what is behind it stands later.
const (
	utmpType = 0
	utmpPID  = 4
	utmpLine = 8
	utmpUser = 44
	utmpHost = 76

	utmpUserProcess = 7 // what is in utmpType of a session
)

// utmpLayout returns the size of a record, and where its address is, on an architecture; 0 where it is not known.
func utmpLayout(arch string) (size, addr int) {
	switch arch {
	case "amd64", "386", "arm", "ppc64le", "mipsle", "mips64le":
		return 384, 348
	case "arm64", "riscv64", "loong64":
		return 400, 360
	}
	return 0, 0
}

// parseUtmp returns the sessions in a utmp file that came over the network, by address: the name of the host beside it
// may be written by any program with a terminal. Only sessions with a terminal count; servers for files note theirs too.
func parseUtmp(b []byte, arch string) (all []login) {
	size, at := utmpLayout(arch)
	for size > 0 && len(b) >= size {
		record := b[:size]
		b = b[size:]
		if binary.LittleEndian.Uint16(record[utmpType:]) != utmpUserProcess || !strings.HasPrefix(text(record[utmpLine:utmpUser-4]), "pts/") {
			continue
		}
		addr, ok := utmpAddr([16]byte(record[at : at+16]))
		if pid := int32(binary.LittleEndian.Uint32(record[utmpPID:])); ok && pid > 0 {
			all = append(all, login{text(record[utmpUser:utmpHost]), int(pid), addr})
		}
	}
	return all
}

// utmpAddr reads an address: in the first four bytes if the others are zero.
func utmpAddr(b [16]byte) (netip.Addr, bool) {
	addr := netip.AddrFrom16(b).Unmap()
	if bytes.Count(b[4:], []byte{0}) == 12 {
		addr = netip.AddrFrom4([4]byte(b[:4]))
	}
	return addr, !addr.IsUnspecified()
}

// text reads a string that ends with a zero byte, or with its field.
func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}
