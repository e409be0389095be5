package bolt

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"moggy/greylist"
	"moggy/whitelist"
)

// Rows begin with a version and are read to their end: a row with another
// version, or with too few or too many bytes, counts as absent. Times are unix
// milliseconds.
const rowVersion = 1

// maxText bounds what is kept of an origin's name or a mailbox, in bytes. Of a
// longer one a hash is kept too, by which it is compared.
const maxText = 320

const sumLen = 8

// A text is what a row holds of a string.
type text struct {
	length    uint64
	head, sum []byte // sum is empty where head is all of it
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	if len(s) <= maxText {
		return append(b, s...)
	}
	sum := sha256.Sum256([]byte(s))
	return append(append(b, s[:maxText]...), sum[:sumLen]...)
}

// is reports whether the text was made of s, but for the letter case of what
// follows the last @, as in a greylist.Key.
func (t text) is(s string) bool {
	if t.length != uint64(len(s)) {
		return false
	}
	if len(t.sum) > 0 {
		sum := sha256.Sum256([]byte(s))
		return string(t.sum) == string(sum[:sumLen])
	}
	at := strings.LastIndexByte(s, '@') + 1
	return string(t.head[:at]) == s[:at] && equalFold(t.head[at:], s[at:])
}

// equalFold compares two strings of one length without the case of ASCII letters.
func equalFold(a []byte, b string) bool {
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// A reader takes a row apart. After a mistake it is bad and returns zeros.
type reader struct {
	b   []byte
	bad bool
}

// open begins a row and checks its version.
func open(row []byte) *reader {
	r := &reader{b: row}
	r.bad = r.byte() != rowVersion || r.bad
	return r
}

// done reports whether all went well and nothing is left over.
func (r *reader) done() bool { return !r.bad && len(r.b) == 0 }

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.take(uint64(max(n, 0)))
	r.bad = r.bad || n <= 0
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	r.take(uint64(max(n, 0)))
	r.bad = r.bad || n <= 0
	return v
}

func (r *reader) time() time.Time { return atMilli(r.int()) }

func (r *reader) duration() time.Duration {
	ms := r.int()
	d := time.Duration(ms) * time.Millisecond
	r.bad = r.bad || d.Milliseconds() != ms
	return d
}

func (r *reader) text() text {
	t := text{length: r.uint()}
	t.head = r.take(min(t.length, maxText))
	if t.length > maxText {
		t.sum = r.take(sumLen)
	}
	return t
}

func (r *reader) addr() netip.Addr {
	n := r.byte()
	if n == 0 {
		return netip.Addr{}
	}
	a, ok := netip.AddrFromSlice(r.take(uint64(n)))
	r.bad = r.bad || !ok
	return a
}

func appendTime(b []byte, t time.Time) []byte { return binary.AppendVarint(b, t.UnixMilli()) }

func appendAddr(b []byte, a netip.Addr) []byte {
	raw := a.AsSlice()
	return append(append(b, byte(len(raw))), raw...)
}

func atMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// round brings a time to what a row can hold.
func round(t time.Time) time.Time { return atMilli(t.UnixMilli()) }

// kinds are the kinds of origin by their number in a row.
var kinds = [...]greylist.OriginKind{"", greylist.Domain, greylist.Name, greylist.Network}

func appendKind(b []byte, k greylist.OriginKind) []byte {
	for i, known := range kinds {
		if k == known {
			return append(b, byte(i))
		}
	}
	return append(b, 0)
}

func (r *reader) kind() greylist.OriginKind {
	i := r.byte()
	if int(i) >= len(kinds) {
		r.bad = true
		return ""
	}
	return kinds[i]
}

// expiry reads no more of a triplet or an origin than when it expires, in unix
// milliseconds.
func expiry(row []byte) (int64, bool) {
	r := open(row)
	end := r.int()
	return end, !r.bad
}

// A tripletRow is a triplet as it is kept. Its texts are part of the row it was
// read from.
type tripletRow struct {
	expires                   int64
	state                     greylist.State
	peer                      netip.Addr
	kind                      greylist.OriginKind
	origin, sender, recipient text
}

func encodeTriplet(t *greylist.Try, s greylist.State) []byte {
	b := make([]byte, 0, 64+len(t.Origin.Name)+len(t.Sender)+len(t.Recipient))
	b = append(b, rowVersion)
	b = appendTime(b, s.Expires(t.Timers))
	b = appendTime(b, s.First)
	b = appendTime(b, s.Last)
	b = binary.AppendUvarint(b, uint64(s.Tries))
	b = appendAddr(b, t.Peer)
	b = appendKind(b, t.Origin.Kind)
	b = appendText(b, t.Origin.Name)
	b = appendText(b, t.Sender)
	return appendText(b, t.Recipient)
}

func decodeTriplet(row []byte) (t tripletRow, ok bool) {
	r := open(row)
	t.expires = r.int()
	t.state.First, t.state.Last = r.time(), r.time()
	tries := r.uint()
	t.state.Tries = uint32(tries)
	t.peer, t.kind = r.addr(), r.kind()
	t.origin, t.sender, t.recipient = r.text(), r.text(), r.text()
	return t, r.done() && 0 < tries && tries < 1<<32
}

// is reports whether the row is about t.
func (r *tripletRow) is(t greylist.Triplet) bool {
	return r.origin.is(t.Origin.Name) && r.sender.is(t.Sender) && r.recipient.is(t.Recipient)
}

func (r *tripletRow) row() greylist.Row {
	return greylist.Row{State: r.state, Peer: r.peer, Triplet: greylist.Triplet{
		Origin: greylist.Origin{Kind: r.kind, Name: string(r.origin.head)},
		Sender: string(r.sender.head), Recipient: string(r.recipient.head)}}
}

// An originRow is an origin as it is kept.
type originRow struct {
	expires int64
	known   greylist.Known
	kind    greylist.OriginKind
	name    text
}

func encodeOrigin(o greylist.Origin, k greylist.Known, remember time.Duration) []byte {
	b := append(make([]byte, 0, 32+len(o.Name)), rowVersion)
	b = appendTime(b, k.Used.Add(remember))
	b = appendTime(b, k.Since)
	b = appendTime(b, k.Used)
	b = appendKind(b, o.Kind)
	return appendText(b, o.Name)
}

func decodeOrigin(row []byte) (o originRow, ok bool) {
	r := open(row)
	o.expires = r.int()
	o.known.Since, o.known.Used = r.time(), r.time()
	o.kind, o.name = r.kind(), r.text()
	return o, r.done()
}

func (r *originRow) row() greylist.OriginRow {
	return greylist.OriginRow{Known: r.known, Origin: greylist.Origin{Kind: r.kind, Name: string(r.name.head)}}
}

// encodeEntry leaves the network out: it is the key.
func encodeEntry(e whitelist.Entry) []byte {
	b := append(make([]byte, 0, 64+len(e.Note)), rowVersion, 0)
	if e.Deny {
		b[1] = 1
	}
	b = appendTime(b, e.Added)
	b = appendTime(b, e.Expires)
	b = appendTime(b, e.Used)
	b = binary.AppendVarint(b, e.Renew.Milliseconds())
	for _, s := range [...]string{string(e.Class), string(e.Source), e.Note} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// decodeEntry reads a row; same makes one string of equal words.
func decodeEntry(row []byte, same func([]byte) string) (e whitelist.Entry, ok bool) {
	r := open(row)
	flags := r.byte()
	e.Deny, r.bad = flags == 1, r.bad || flags > 1
	e.Added, e.Expires, e.Used = r.time(), r.time(), r.time()
	e.Renew = r.duration()
	e.Class, e.Source = whitelist.Class(same(r.take(r.uint()))), whitelist.Source(same(r.take(r.uint())))
	e.Note = string(r.take(r.uint()))
	return e, r.done()
}

func encodeTrap(t greylist.Trap) []byte {
	b := appendTime([]byte{rowVersion}, t.Added)
	b = binary.AppendUvarint(b, uint64(len(t.Note)))
	return append(b, t.Note...)
}

func decodeTrap(key, row []byte) (t greylist.Trap, ok bool) {
	r := open(row)
	t.Address, t.Added = string(key), r.time()
	t.Note = string(r.take(r.uint()))
	return t, r.done()
}
