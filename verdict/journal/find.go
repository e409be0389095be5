package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"moggy/whitelist"
)

// A Query says which records are wanted; a zero field asks for nothing.
type Query struct {
	Ref     string       // as NewRef and ParseRef give it
	Addr    netip.Prefix // the peer is in it
	Mailbox string       // sender or recipient; "@example.org": any mailbox of the domain
	Harm    bool         // only where a known peer was refused or made to wait
	Since   time.Time
	Limit   int // the newest so many
}

// Find returns the records that a query asks for, the oldest first. It reads
// backwards from the newest, and stops when it has Limit records or has come to
// times before Since. An error that wraps [ErrCorrupt] comes with the records
// that could be read; no other does.
func Find(dir string, q Query) ([]Record, error) {
	s, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer s.close()
	m := newMatcher(q)
	for f, err := range s.newestFirst() {
		if err != nil {
			return nil, err
		}
		if m.done || endsBefore(f, q.Since) {
			break
		}
		if err := m.file(f); err != nil {
			return nil, fmt.Errorf("reading the journal: %w", err)
		}
	}
	return m.found(), m.corrupt
}

// endsBefore reports whether f was last written to before t.
func endsBefore(f *os.File, t time.Time) bool {
	info, err := f.Stat()
	return err == nil && info.ModTime().Before(t.Truncate(time.Second))
}

// matcher is a query made ready.
type matcher struct {
	Query
	needles [][]byte // each is in every line that can match; the rarest first
	since   []byte   // of a line's time, to the second; nil: any
	before  []byte   // no line before one of this time matters
	mailbox string   // as a Record writes it

	groups  [][]Record // the newest first, each in its order
	count   int        // of records in them
	done    bool       // what is older does not matter
	corrupt error      // a line that should have been a record
}

func newMatcher(q Query) *matcher {
	m := &matcher{Query: q, mailbox: text(q.Mailbox)}
	m.Addr = whitelist.Canonical(q.Addr)
	if q.Ref != "" {
		m.needles = append(m.needles, []byte(`"ref":`+quoted(q.Ref)))
	}
	if at := strings.LastIndexByte(m.mailbox, '@'); at >= 0 {
		m.needles = append(m.needles, []byte(strings.TrimPrefix(quoted(strings.ToLower(m.mailbox[at:])), `"`)))
	}
	if m.Addr.IsValid() {
		m.needles = append(m.needles, []byte(`"peer":"`+addrText(m.Addr)))
	}
	if q.Harm {
		m.needles = append(m.needles, []byte(`"harm":true`))
	}
	if len(m.needles) == 0 {
		m.needles = [][]byte{nil}
	}
	if !q.Since.IsZero() {
		m.since = q.Since.UTC().AppendFormat(nil, timeFormat)
		m.before = q.Since.UTC().Add(-disorder).AppendFormat(nil, timeFormat)
	}
	return m
}

// quoted returns s as a line has it.
func quoted(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can always be
	return strings.TrimSuffix(b.String(), "\n")
}

// addrText is what the text of all addresses of p begins with.
func addrText(p netip.Prefix) string {
	switch addr := p.Addr(); {
	case p.IsSingleIP() && addr.Is4():
		return addr.String() + ":"
	case p.IsSingleIP():
		return "[" + addr.String() + "]:"
	case addr.Is4():
		return octets(addr, p.Bits()/8)
	case p.Bits() >= 16 && addr.As16()[0]|addr.As16()[1] != 0:
		group, _, _ := strings.Cut(addr.String(), ":")
		return "[" + group + ":"
	default:
		return "["
	}
}

func octets(addr netip.Addr, n int) string {
	var b []byte
	quad := addr.As4()
	for _, o := range quad[:n] {
		b = append(strconv.AppendUint(b, uint64(o), 10), '.')
	}
	return string(b)
}

// file takes the records of f that match, until enough are found.
func (m *matcher) file(f *os.File) error {
	for block, err := range backward(f) {
		if err != nil {
			return err
		}
		m.block(block)
		if m.done = m.done || m.Limit > 0 && m.count >= m.Limit; m.done {
			return nil
		}
	}
	return nil
}

func (m *matcher) block(block []byte) {
	var group []Record
	for line := range candidates(block, m.needles[0]) {
		if r, ok := m.line(line); ok {
			group = append(group, r)
		}
	}
	m.groups, m.count = append(m.groups, group), m.count+len(group)
	m.done = olderThan(block, m.before)
}

// found returns the records in their order, the newest Limit of them.
func (m *matcher) found() []Record {
	slices.Reverse(m.groups)
	all := slices.Concat(m.groups...)
	if m.Limit > 0 && len(all) > m.Limit {
		all = all[len(all)-m.Limit:]
	}
	return all
}

// candidates yields the lines of block that contain needle.
func candidates(block, needle []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(block) > 0 {
			at := bytes.Index(block, needle)
			if at < 0 {
				return
			}
			start := bytes.LastIndexByte(block[:at], '\n') + 1
			end := len(block)
			if i := bytes.IndexByte(block[at:], '\n'); i >= 0 {
				end = at + i + 1
			}
			if !yield(block[start:end]) {
				return
			}
			block = block[end:]
		}
	}
}

// line decodes a line that may match.
func (m *matcher) line(line []byte) (Record, bool) {
	if olderThan(line, m.since) {
		return Record{}, false
	}
	for _, needle := range m.needles[1:] {
		if !bytes.Contains(line, needle) {
			return Record{}, false
		}
	}
	r, err := decode(line)
	if err != nil {
		if m.corrupt == nil && !errors.Is(err, errNothing) {
			m.corrupt = fmt.Errorf("reading the journal: %w", err)
		}
		return Record{}, false
	}
	return r, m.match(&r)
}

// timeFormat is how a line's time begins, and timeKey what stands before it.
const (
	timeFormat = "2006-01-02T15:04:05"
	timeKey    = `{"time":"`
)

// disorder is how far the times of two neighbours may be the wrong way round.
const disorder = time.Minute

// olderThan reports whether the line's time is surely before t, which is nil or
// in timeFormat.
func olderThan(line, t []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte(timeKey))
	return ok && len(rest) >= len(timeFormat) && bytes.Compare(rest[:len(timeFormat)], t) < 0
}

func (m *matcher) match(r *Record) bool {
	switch {
	case m.Ref != "" && r.Ref != m.Ref:
		return false
	case m.Addr.IsValid() && !m.Addr.Contains(r.Peer.Addr()):
		return false
	case m.Harm && !r.Harm:
		return false
	case m.mailbox != "" && !named(r.From, m.mailbox) && !named(r.To, m.mailbox):
		return false
	}
	return !r.Time.Before(m.Since)
}

// named reports whether mailbox is the one asked for, or in the domain asked for.
func named(mailbox, asked string) bool {
	if strings.HasPrefix(asked, "@") {
		at := max(0, strings.LastIndexByte(mailbox, '@'))
		mailbox = mailbox[at:]
	}
	return strings.EqualFold(mailbox, asked)
}
