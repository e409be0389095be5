package journal

import (
	"bytes"
	"cmp"
	"slices"
)

// Line is a record as a line of the journal, for others to keep; empty where it
// cannot be one.
func Line(r Record) []byte {
	b := newBatch(false)
	b.add(&r)
	return bytes.TrimSuffix(b.buf.Bytes(), []byte("\n"))
}

// ParseLine reads what Line wrote. Its strings are fit to be shown, whoever wrote it.
func ParseLine(line []byte) (Record, error) { return decode(append(bytes.Clone(line), '\n')) }

// Holds is a text that stands in every line that the query asks for; "" if there is none.
func (q Query) Holds() string { return string(newMatcher(q).needles[0]) }

// Asks reports whether the query asks for a record, but for its Limit.
func (q Query) Asks(r *Record) bool { return newMatcher(q).match(r) }

// Merge returns the records of two journals, the oldest first, those that stand in
// both once, and of all that the newest limit; 0: all. Recipients of one connection
// that are decided within one millisecond have a record each.
func Merge(a, b []Record, limit int) []Record {
	type name struct {
		ref, rule, to string
		event         Event
		at            int64
	}
	seen := make(map[name]bool)
	all := slices.DeleteFunc(slices.Concat(a, b), func(r Record) bool {
		n := name{r.Ref, r.Rule, r.To, r.Event, r.Time.UnixMilli()}
		had := seen[n] && r.Ref != ""
		seen[n] = true
		return had
	})
	slices.SortStableFunc(all, func(a, b Record) int { return cmp.Compare(a.Time.UnixMilli(), b.Time.UnixMilli()) })
	if limit > 0 && len(all) > limit {
		all = all[len(all)-limit:]
	}
	return all
}
