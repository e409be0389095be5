package resolver

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/miekg/dns"
)

// udpSize is how large an answer over UDP may be, in bytes: it is not fragmented (RFC 9715).
const udpSize = 1232

// headerSize is the size of a message without anything in it, in bytes (RFC 1035 §4.1.1).
const headerSize = 12

// A query is a question as one server is asked it once.
type query struct {
	name string // as sent: letters in mixed case, as the library writes names
	rrtype
	id    uint16
	mixed bool // the case of the letters is a secret that the answer must repeat
}

// newQuery makes a query with secrets of its own.
func newQuery(q question, mixed bool) (query, error) {
	name, err := canonical(q.name)
	if err != nil {
		return query{}, q.fault(BadName, err)
	}
	var secret [2 + (4*maxName+7)/8]byte // the canonical form may write one byte as four
	rand.Read(secret[:])                 // never fails
	if mixed {
		name = mixCase(name, secret[2:])
	}
	return query{name, q.rrtype, binary.BigEndian.Uint16(secret[:]), mixed}, nil
}

// mixCase puts the letters of a name in lower or upper case as the bits say
// (draft-vixie-dnsext-dns0x20).
func mixCase(name string, bits []byte) string {
	b := []byte(name)
	for i := range b {
		letter := 'a' <= b[i] && b[i] <= 'z'
		if letter && bits[i/8]>>(i%8)&1 == 1 {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

// pack writes the query as a message. Over UDP it says with EDNS0 how much the answer may be; over TCP it goes without,
// so that servers that dislike EDNS0 are asked again in a way they understand (RFC 6891 §6.2.2, §7).
func (q query) pack(edns bool) ([]byte, error) {
	m := dns.Msg{
		MsgHdr:   dns.MsgHdr{Id: q.id, RecursionDesired: true},
		Question: []dns.Question{{Name: q.name, Qtype: uint16(q.rrtype), Qclass: dns.ClassINET}},
	}
	if edns {
		m.SetEdns0(udpSize, false)
	}
	return m.Pack()
}

// match is what a message is to a query.
type match uint8

const (
	answers   match = iota // it is the answer
	foreign                // it answers something else, or nothing: a late answer, or somebody guessing
	truncated              // it is the answer, but not all of it
	unclear                // it may be the answer, but cannot be read or says nothing of the question
	caseless               // it is the answer but for the case of the letters
)

// judge says what a message is to the query, and returns it if it could be read. It is the check that the library does
// not make (RFC 5452 §9.1; the addresses and ports are the socket's to check).
func (q query) judge(wire []byte) (*dns.Msg, match) {
	if !q.ours(wire) {
		return nil, foreign
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(wire); err != nil {
		return nil, unclear
	}
	if len(reply.Question) == 0 && reply.Rcode != dns.RcodeSuccess {
		return reply, unclear // some servers refuse in few words
	}
	if len(reply.Question) != 1 || !q.same(reply.Question[0]) {
		return nil, foreign
	}
	switch {
	case q.mixed && reply.Question[0].Name != q.name:
		return reply, caseless
	case reply.Truncated:
		return reply, truncated
	case reply.Rcode == dns.RcodeFormatError || reply.Rcode == dns.RcodeNotImplemented || reply.Rcode == dns.RcodeBadVers:
		return reply, unclear // perhaps it is only EDNS0 that it does not know
	}
	return reply, answers
}

// ours tells whether the header is that of an answer to the query.
func (q query) ours(wire []byte) bool {
	const response, opcode = 0x80, 0x78 // of the third byte
	return len(wire) >= headerSize && binary.BigEndian.Uint16(wire) == q.id && wire[2]&(response|opcode) == response
}

// same tells whether a question is the query's, the case of letters aside.
func (q query) same(got dns.Question) bool {
	return got.Qtype == uint16(q.rrtype) && got.Qclass == dns.ClassINET && sameName(got.Name, q.name)
}
