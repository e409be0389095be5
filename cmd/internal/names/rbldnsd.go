package names

import (
	"fmt"
	"testing"
)

// A List is a DNS list as rbldnsd serves it.
type List struct {
	Zone string // bl.example.test
	Type string // "ip4set", "ip4trie", "ip6trie", "dnset", "generic" or "combined"; see rbldnsd(8)
	// Data are lines as rbldnsd reads them. A line that begins with a colon says what the entries below it answer:
	//
	//	$TTL 60
	//	$SOA 60 ns.example.test root.example.test 1 600 300 86400 60
	//	:127.0.0.2:listed, see https://example.test/$
	//	192.0.2.0/24
	//	192.0.2.7 :127.0.0.9:another answer
	//	!192.0.2.8
	//
	// Without $SOA a name that is not listed is answered without a word on how long that may be kept.
	Data string
}

// World is the Data of an ip4set that lists every address as 127.0.0.2, 127.0.0.1 too.
const World = "$TTL 60\n:127.0.0.2:everybody\n0.0.0.0/1\n128.0.0.0/1\n"

// A Lists is an rbldnsd.
type Lists struct{ *Server }

// Rbldnsd starts rbldnsd with lists. It is authoritative for them and knows nothing else, over UDP only.
func Rbldnsd(t testing.TB, lists ...List) *Lists {
	t.Helper()
	if len(lists) == 0 {
		t.Fatal("rbldnsd without lists")
	}
	l := &Lists{newServer(t, "rbldnsd", lists[0].Zone)}
	l.fill(lists)
	l.Start()
	return l
}

// Change puts other lists in place of those that are served: rbldnsd is started anew at its old address.
func (l *Lists) Change(lists ...List) {
	l.t.Helper()
	l.Stop()
	l.fill(lists)
	l.Start()
}

// fill writes the lists and the command.
func (l *Lists) fill(lists []List) {
	l.t.Helper()
	l.argv = []string{paths["rbldnsd"], "-n", "-e", "-c", "0", "-w", l.dir, "-b", fmt.Sprintf("%s/%d", l.Addr.Addr(), l.Addr.Port())}
	for i, list := range lists {
		file := fmt.Sprintf("list-%d", i)
		l.write(file, list.Data)
		l.argv = append(l.argv, fmt.Sprintf("%s:%s:%s", list.Zone, list.Type, file))
	}
}
