package resolver

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// The bounds of what is taken from an answer.
const (
	maxChain   = 12  // CNAMEs one after the other
	maxNames   = 10  // names of one address (RFC 7208 §4.6.4)
	maxRecords = 200 // of any other type
)

// The bounds of how long an answer is kept.
const (
	maxTTL      = 24 * time.Hour
	maxNegative = 3 * time.Hour   // RFC 2308 §5
	unsaid      = 5 * time.Second // for "there is none" without SOA: nobody else learns it from us, so it cannot go in circles
)

// An answer is what is known of a question. No addresses and no texts: there is no such name, or nothing of the type.
type answer struct {
	addrs []netip.Addr  // A and AAAA
	texts []string      // TXT: the strings of a record joined; MX and PTR: host names, in lower case, without the dot at the end
	ttl   time.Duration // how long it may be kept; 0: not at all
}

// none tells whether the answer is that there is nothing.
func (a answer) none() bool { return len(a.addrs)+len(a.texts) == 0 }

// size is about how much memory the answer's contents take, in bytes.
func (a answer) size() int {
	n := len(a.addrs) * 24
	for _, s := range a.texts {
		n += 16 + len(s)
	}
	return n
}

// readAnswer takes from a reply what answers the question. name is the one that was asked for, as canonical has it. The
// reply is known to belong to the question.
func readAnswer(reply *dns.Msg, name string, t rrtype) (answer, Kind, error) {
	if kind, err := readCode(reply); err != nil {
		return answer{}, kind, err
	}
	records, ttl, err := follow(reply.Answer, name, t)
	if err != nil {
		return answer{}, Malformed, err
	}
	if reply.Rcode == dns.RcodeNameError {
		records = nil // RFC 6604 §3: the code is about the last name of the chain
	}
	if len(records) == 0 {
		return answer{ttl: negativeTTL(reply.Ns)}, 0, nil
	}
	a := collect(records, t)
	a.ttl = ttl
	return a, 0, nil
}

// readCode says why a reply is no answer.
func readCode(reply *dns.Msg) (Kind, error) {
	switch code := reply.Rcode; code {
	case dns.RcodeSuccess, dns.RcodeNameError:
		if referral(reply) {
			return Refused, errors.New("the server only names other servers: it does not recurse")
		}
		return 0, nil
	case dns.RcodeRefused, dns.RcodeNotImplemented, dns.RcodeNotAuth:
		return Refused, errors.New(dns.RcodeToString[code])
	default:
		return ServerFailure, errors.New(cmp.Or(dns.RcodeToString[code], "unknown response code"))
	}
}

// referral tells whether the reply points to other servers instead of answering (RFC 2308 §2.1.1).
func referral(reply *dns.Msg) bool {
	if reply.Rcode != dns.RcodeSuccess || len(reply.Answer) > 0 || reply.Authoritative || reply.RecursionAvailable {
		return false
	}
	points := false
	for _, rr := range reply.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			return false
		}
		points = points || rr.Header().Rrtype == dns.TypeNS
	}
	return points
}

// follow goes from the name along CNAMEs to records of the type, and returns them with the shortest time to live on the
// way. No records and no error: the chain ends without.
func follow(records []dns.RR, name string, t rrtype) ([]dns.RR, time.Duration, error) {
	ttl := maxTTL
	for range maxChain {
		found := owned(records, name, uint16(t))
		if len(found) > 0 {
			return found, min(ttl, shortest(found)), nil
		}
		links := owned(records, name, dns.TypeCNAME)
		if len(links) == 0 {
			return nil, 0, nil
		}
		link, ok := links[0].(*dns.CNAME)
		if !ok {
			return nil, 0, errors.New("a CNAME without a target")
		}
		name, ttl = link.Target, min(ttl, shortest(links[:1]))
	}
	return nil, 0, errors.New("the CNAMEs go round in a circle, or on for too long")
}

// owned returns the records of a name and type, at most maxRecords.
func owned(records []dns.RR, name string, t uint16) []dns.RR {
	var found []dns.RR
	for _, rr := range records {
		h := rr.Header()
		if h.Rrtype == t && h.Class == dns.ClassINET && len(found) < maxRecords && sameName(h.Name, name) {
			found = append(found, rr)
		}
	}
	return found
}

// sameName compares names as the library writes them: printable ASCII, the case of letters aside.
func sameName(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// shortest returns the shortest time to live of the records.
func shortest(records []dns.RR) time.Duration {
	ttl := maxTTL
	for _, rr := range records {
		ttl = min(ttl, lifetime(rr.Header().Ttl))
	}
	return ttl
}

// lifetime reads a TTL. With the first bit set it is 0 (RFC 2181 §8).
func lifetime(ttl uint32) time.Duration {
	if ttl>>31 != 0 {
		return 0
	}
	return min(time.Duration(ttl)*time.Second, maxTTL)
}

// negativeTTL is how long it may be kept that there is nothing: the smaller one of the SOA's own TTL and its last field
// (RFC 2308 §5).
func negativeTTL(authority []dns.RR) time.Duration {
	for _, rr := range authority {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(lifetime(soa.Hdr.Ttl), lifetime(soa.Minttl), maxNegative)
		}
	}
	return unsaid
}

// collect takes the contents out of records of one type.
func collect(records []dns.RR, t rrtype) answer {
	switch t {
	case typeA, typeAAAA:
		return answer{addrs: addresses(records)}
	case typeTXT:
		return answer{texts: texts(records)}
	case typeMX:
		return answer{texts: exchangers(records)}
	default:
		return answer{texts: pointers(records)}
	}
}

// addresses returns the addresses of A and AAAA records.
func addresses(records []dns.RR) []netip.Addr {
	addrs := make([]netip.Addr, 0, len(records))
	for _, rr := range records {
		var raw []byte
		switch rr := rr.(type) {
		case *dns.A:
			raw = rr.A.To4()
		case *dns.AAAA:
			raw = rr.AAAA.To16()
		}
		if a, ok := netip.AddrFromSlice(raw); ok {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// texts returns the contents of TXT records, the strings of each joined without anything between them (RFC 7208 §3.3).
func texts(records []dns.RR) []string {
	var all []string
	for _, rr := range records {
		if txt, ok := rr.(*dns.TXT); ok {
			all = append(all, unescape(strings.Join(txt.Txt, "")))
		}
	}
	return all
}

// exchangers returns the hosts of MX records, the preferred ones first. "." is no host (RFC 7505).
func exchangers(records []dns.RR) []string {
	mx := make([]*dns.MX, 0, len(records))
	for _, rr := range records {
		if rr, ok := rr.(*dns.MX); ok {
			mx = append(mx, rr)
		}
	}
	slices.SortStableFunc(mx, func(a, b *dns.MX) int { return cmp.Compare(a.Preference, b.Preference) })
	var all []string
	for _, rr := range mx {
		all = appendHost(all, rr.Mx)
	}
	return all
}

// pointers returns the names in PTR records, at most maxNames.
func pointers(records []dns.RR) []string {
	var all []string
	for _, rr := range records {
		if ptr, ok := rr.(*dns.PTR); ok && len(all) < maxNames {
			all = appendHost(all, ptr.Ptr)
		}
	}
	return all
}

// appendHost adds a name in lower case (compression mixes in the letters of our question), unless it is the root or holds
// bytes that the library had to escape: no host has such a name.
func appendHost(all []string, name string) []string {
	name = lower(strings.TrimSuffix(name, "."))
	if name == "" || strings.Contains(name, `\`) {
		return all
	}
	return append(all, name)
}

// unescape undoes what the library does to the bytes of a string: \\ and \" and \DDD.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	raw := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			raw = append(raw, s[i])
		case i+3 < len(s) && digits(s[i+1:i+4]):
			raw = append(raw, (s[i+1]-'0')*100+(s[i+2]-'0')*10+s[i+3]-'0')
			i += 3
		default:
			raw = append(raw, s[i+1])
			i++
		}
	}
	return string(raw)
}

// digits tells whether s is made of digits.
func digits(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}
