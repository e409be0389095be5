package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// The longest name and label, in bytes, without the dot at the end (RFC 1035 §2.3.4).
const (
	maxName  = 253
	maxLabel = 63
)

// rrtype is a type of records that can be asked for.
type rrtype uint16

// The types. Their values are those of the wire.
const (
	typeA    = rrtype(dns.TypeA)
	typeAAAA = rrtype(dns.TypeAAAA)
	typeTXT  = rrtype(dns.TypeTXT)
	typeMX   = rrtype(dns.TypeMX)
	typePTR  = rrtype(dns.TypePTR)
)

// String returns the type as a zone file has it.
func (t rrtype) String() string { return dns.TypeToString[uint16(t)] }

// Types returns the types that can be asked for, as Options.Observe and Error.Type name them.
func Types() []string {
	return []string{typeA.String(), typeAAAA.String(), typeTXT.String(), typeMX.String(), typePTR.String()}
}

// A question is what the cache and the flights are keyed by. The name is in lower case, without the dot at the end, and
// its dots part labels: nothing in it is escaped.
type question struct {
	name string
	rrtype
}

// ask returns the question for a name, or an error of kind BadName.
func ask(name string, t rrtype) (question, error) {
	q := question{lower(strings.TrimSuffix(name, ".")), t}
	if err := checkName(q.name); err != nil {
		return q, q.fault(BadName, err)
	}
	return q, nil
}

// fault is an Error about the question.
func (q question) fault(k Kind, err error) *Error {
	return &Error{Kind: k, Name: q.name, Type: q.rrtype.String(), Err: err}
}

// checkName says why the DNS cannot hold a name. Any byte may stand in a label: what is an internationalised name is
// not ours to judge.
func checkName(name string) error {
	if name == "" {
		return errors.New("the name is empty")
	}
	if len(name) > maxName {
		return fmt.Errorf("the name has %d bytes, more than %d", len(name), maxName)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel {
			return fmt.Errorf("a label of the name has %d bytes, not 1 to %d", len(label), maxLabel)
		}
	}
	return nil
}

// lower puts the letters of ASCII in lower case and leaves all other bytes alone (RFC 4343 §3).
func lower(s string) string {
	for i := range len(s) {
		if isUpper(s[i]) {
			return lowerBytes([]byte(s))
		}
	}
	return s
}

// lowerBytes is lower in place.
func lowerBytes(b []byte) string {
	for i := range b {
		if isUpper(b[i]) {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

// isUpper tells whether b is an upper-case letter of ASCII.
func isUpper(b byte) bool { return 'A' <= b && b <= 'Z' }

// reverse is the name under which the names of an address are found: RFC 1035 §3.5, RFC 3596 §2.5.
func reverse(a netip.Addr) string {
	a = a.Unmap()
	if a.Is4() {
		b := a.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
	}
	const hex = "0123456789abcdef"
	b := a.As16()
	name := make([]byte, 0, 4*len(b)+len("ip6.arpa"))
	for i := len(b) - 1; i >= 0; i-- {
		name = append(name, hex[b[i]&15], '.', hex[b[i]>>4], '.')
	}
	return string(append(name, "ip6.arpa"...))
}

// canonical is the name as the library writes what it reads from the wire: with a dot at the end, and with everything
// escaped that is no plain letter of a name.
func canonical(name string) (string, error) {
	name = strings.ReplaceAll(name, `\`, `\\`) + "."
	var wire [maxName + 2]byte
	n, err := dns.PackDomainName(name, wire[:], 0, nil, false)
	if err != nil {
		return "", err
	}
	name, _, err = dns.UnpackDomainName(wire[:n], 0)
	return name, err
}
