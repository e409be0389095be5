package redis

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"moggy/greylist"
)

// keyLen is how much of a hash a key holds, in bytes.
const keyLen = 12

// short is a key's part in the name of a row: it has none of the braces that
// choose the slot.
func short(k greylist.Key) string { return base64.RawURLEncoding.EncodeToString(k[:keyLen]) }

func (s *Store) originKey(o greylist.Key) string { return s.at.prefix + ":o:{" + short(o) + "}" }

func (s *Store) tripletKey(o, t greylist.Key) string {
	return s.at.prefix + ":t:{" + short(o) + "}" + short(t)
}

// maxText bounds what is kept of an origin's name or a mailbox, in bytes. Of a
// longer one a hash is kept too, by which it is compared.
const maxText = 320

// sumLen is the length of that hash in a row, in hexadecimal digits.
const sumLen = 16

// appendText writes a string with its length in front, as a netstring.
func appendText(b []byte, s string) []byte {
	b = append(strconv.AppendInt(b, int64(len(s)), 10), ':')
	if len(s) <= maxText {
		return append(b, s...)
	}
	sum := sha256.Sum256([]byte(s))
	return hex.AppendEncode(append(b, s[:maxText]...), sum[:sumLen/2])
}

// cutText reads what appendText wrote, at most maxText bytes of it.
func cutText(b string) (text, rest string, ok bool) {
	digits, b, ok := strings.Cut(b, ":")
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil {
		return "", "", false
	}
	kept, all := min(int(n), maxText), int(n)
	if all > maxText {
		all = maxText + sumLen
	}
	if all > len(b) {
		return "", "", false
	}
	return b[:kept], b[all:], true
}

// aboutOrigin is what the row of an origin is about: its name, however it was
// found.
func aboutOrigin(o greylist.Origin) string { return string(appendText(nil, o.Name)) }

// aboutTriplet is what the row of a triplet is about. Like a greylist.Key it
// knows no letter case in domains.
func aboutTriplet(t greylist.Triplet) string {
	b := make([]byte, 0, 16+len(t.Origin.Name)+len(t.Sender)+len(t.Recipient))
	b = appendText(b, t.Origin.Name)
	b = appendText(b, foldDomain(t.Sender))
	return string(appendText(b, foldDomain(t.Recipient)))
}

// foldDomain lowers the ASCII letters after the last @, and no others.
func foldDomain(mailbox string) string {
	at := strings.LastIndexByte(mailbox, '@') + 1
	domain := []byte(mailbox[at:])
	for i, c := range domain {
		if 'A' <= c && c <= 'Z' {
			domain[i] = c + 'a' - 'A'
		}
	}
	return mailbox[:at] + string(domain)
}

// none stands for a word that is not there.
const none = "-"

// kindWord is the kind of an origin as a row has it.
func kindWord(k greylist.OriginKind) string {
	switch k {
	case greylist.Domain, greylist.Name, greylist.Network:
		return string(k)
	}
	return none
}

func kindOf(word string) greylist.OriginKind {
	if word == none {
		return ""
	}
	return greylist.OriginKind(word)
}

func peerWord(a netip.Addr) string {
	if !a.IsValid() {
		return none
	}
	return a.WithZone("").String()
}

func peerOf(word string) (netip.Addr, bool) {
	if word == none {
		return netip.Addr{}, true
	}
	a, err := netip.ParseAddr(word)
	return a, err == nil
}

// A tripletRow is a triplet as persons are shown it. Like all times that are read,
// its own are brought to the clock of this node, which is skew behind that of Redis.
type tripletRow struct {
	row     greylist.Row
	expires time.Time
}

// decodeTriplet reads "1 first more tries window kind peer\n" and what it is about.
func decodeTriplet(text string, skew time.Duration) (t tripletRow, ok bool) {
	head, about, _ := strings.Cut(text, "\n")
	f := strings.Split(head, " ")
	if len(f) != 7 || f[0] != "1" {
		return t, false
	}
	n, ok := numbers(f[1:5])
	if !ok || n[2] < 1 || n[2] > 1<<32-1 {
		return t, false
	}
	r := &t.row
	first := n[0] - skew.Milliseconds()
	r.First, r.Last, r.Tries = atMilli(first), atMilli(first+n[1]), uint32(n[2])
	t.expires = r.First.Add(time.Duration(n[3]) * time.Millisecond)
	r.Origin.Kind = kindOf(f[5])
	if r.Peer, ok = peerOf(f[6]); !ok {
		return t, false
	}
	return t, cutTexts(about, &r.Origin.Name, &r.Sender, &r.Recipient)
}

// An originRow is an origin as persons are shown it.
type originRow struct {
	row     greylist.OriginRow
	expires time.Time
}

// decodeOrigin reads "1 since more remember kind\n" and what it is about.
func decodeOrigin(text string, skew time.Duration) (o originRow, ok bool) {
	head, about, _ := strings.Cut(text, "\n")
	f := strings.Split(head, " ")
	if len(f) != 5 || f[0] != "1" {
		return o, false
	}
	n, ok := numbers(f[1:4])
	if !ok {
		return o, false
	}
	r := &o.row
	since := n[0] - skew.Milliseconds()
	r.Since, r.Used = atMilli(since), atMilli(since+n[1])
	o.expires = r.Used.Add(time.Duration(n[2]) * time.Millisecond)
	r.Kind = kindOf(f[4])
	return o, cutTexts(about, &r.Name)
}

func numbers(words []string) (all []int64, ok bool) {
	for _, w := range words {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return nil, false
		}
		all = append(all, n)
	}
	return all, true
}

// cutTexts reads texts to the end of b.
func cutTexts(b string, texts ...*string) (ok bool) {
	for _, t := range texts {
		if *t, b, ok = cutText(b); !ok {
			return false
		}
	}
	return b == ""
}

func atMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// round brings a time to what a row can hold.
func round(t time.Time) time.Time { return atMilli(t.UnixMilli()) }

// up is a duration in milliseconds, rounded up: what is shorter than it is
// shorter than the duration.
func up(d time.Duration) int64 {
	ms := d.Milliseconds()
	if time.Duration(ms)*time.Millisecond < d {
		ms++
	}
	return ms
}
