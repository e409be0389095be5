package redis

import (
	"context"
	"fmt"
	"hash/fnv"
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"moggy/whitelist"
)

// buckets is how many tables hold what was learned, so that each can be read in
// few pieces and expires soon after the last of its entries.
const buckets = 64

// key is the key of a table. All of them lie in one slot: changes of entries and
// their place in the log are one step.
func (s *Store) key(name string) string { return s.at.prefix + ":{e}:" + name }

func (s *Store) bucket(i int) string { return s.key(fmt.Sprintf("l:%02x", i)) }

// entryTable is the table in which an entry lies.
func (s *Store) entryTable(k whitelist.EntryKey) string {
	if k.Source.Said() {
		return s.key("said")
	}
	h := fnv.New32a()
	h.Write([]byte(k.Net.String()))
	return s.bucket(int(h.Sum32() % buckets))
}

// entryField is an entry's name in its table: "192.0.2.0/24 operator".
func entryField(k whitelist.EntryKey) string { return k.Net.String() + " " + string(k.Source) }

func entryKeyOf(field string) (k whitelist.EntryKey, ok bool) {
	net, source, ok := strings.Cut(field, " ")
	p, err := netip.ParsePrefix(net)
	if !ok || err != nil || p != whitelist.Canonical(p) || source == "" {
		return k, false
	}
	return whitelist.EntryKey{Net: p, Source: whitelist.Source(source)}, true
}

// encodeEntry writes "1 deny added expires used renew length\n", class and note.
// Times are in seconds, renew is in milliseconds, the length is that of the class.
func encodeEntry(e whitelist.Entry) string {
	deny := "0"
	if e.Deny {
		deny = "1"
	}
	return strings.Join([]string{"1", deny, second(e.Added), second(e.Expires), second(e.Used),
		strconv.FormatInt(e.Renew.Milliseconds(), 10), strconv.Itoa(len(e.Class))}, " ") + "\n" + string(e.Class) + e.Note
}

func second(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.Unix(), 10)
}

func atSecond(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// decodeEntry reads a row by the name it has in its table.
func decodeEntry(field, row string) (e whitelist.Entry, ok bool) {
	k, ok := entryKeyOf(field)
	head, rest, _ := strings.Cut(row, "\n")
	f := strings.Split(head, " ")
	if !ok || len(f) != 7 || f[0] != "1" {
		return e, false
	}
	n, ok := numbers(f[1:])
	if !ok || n[0] < 0 || n[0] > 1 || n[5] < 0 || n[5] > int64(len(rest)) {
		return e, false
	}
	return whitelist.Entry{Net: k.Net, Source: k.Source, Deny: n[0] == 1, Added: atSecond(n[1]), Expires: atSecond(n[2]),
		Used: atSecond(n[3]), Renew: time.Duration(n[4]) * time.Millisecond,
		Class: whitelist.Class(rest[:n[5]]), Note: rest[n[5]:]}, true
}

// Entries yields every entry: as Redis has them, and with what was learned here
// and is not written yet on top. It holds no lock while it yields; of what
// changes meanwhile it may see either. It fails where Redis is away.
func (s *Store) Entries(ctx context.Context) iter.Seq2[whitelist.Entry, error] {
	return func(yield func(whitelist.Entry, error) bool) {
		begun, err := s.place(ctx)
		if err != nil {
			yield(whitelist.Entry{}, s.explain(err))
			return
		}
		mine := s.queue.snapshot()
		for field, row := range s.tables(ctx, &err) {
			e, ok := decodeEntry(field, row)
			if !ok {
				s.damaged.Add(1)
				continue
			}
			if e, ok = mine.on(e); ok && !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(whitelist.Entry{}, s.explain(err))
			return
		}
		for e := range mine.rest() {
			if !yield(e, nil) {
				return
			}
		}
		if err := s.haveRead(ctx, begun); err != nil {
			yield(whitelist.Entry{}, s.explain(err))
		}
	}
}

// tables yields the rows of all tables of entries.
func (s *Store) tables(ctx context.Context, err *error) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		keys := []string{s.key("said")}
		for i := range buckets {
			keys = append(keys, s.bucket(i))
		}
		for _, key := range keys {
			for field, row := range s.table(ctx, key, err) {
				if !yield(field, row) {
					return
				}
			}
			if *err != nil {
				return
			}
		}
	}
}

// table yields the rows of one table, each once.
func (s *Store) table(ctx context.Context, key string, err *error) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		seen := make(map[string]struct{})
		for cursor := "0"; ; {
			var rows answer
			if cursor, rows, *err = s.tablePage(ctx, key, cursor); *err != nil {
				return
			}
			for len(rows.values) > 0 {
				field, row := rows.text(), rows.text()
				if _, twice := seen[field]; twice {
					continue
				}
				seen[field] = struct{}{}
				if !yield(field, row) {
					return
				}
			}
			if cursor == "0" {
				return
			}
		}
	}
}

func (s *Store) tablePage(ctx context.Context, key, cursor string) (next string, rows answer, err error) {
	if err := ctx.Err(); err != nil {
		return "", rows, err
	}
	a := answer{}
	if a.values, err = s.call(ctx, s.scripts.rows, []string{key}, cursor, pageRows); err != nil {
		return "", rows, err
	}
	next, rows.values = a.text(), a.list()
	return next, rows, a.err()
}

// PutEntry keeps an entry; Redis has it when PutEntry returns nil. How safe it is
// there Redis' own configuration says: appendonly yes, and replicas. When it
// returns an error nothing has changed, unless the error says that this is not
// known. What was pending for that entry is given up.
func (s *Store) PutEntry(ctx context.Context, e whitelist.Entry) error {
	if err := e.Check(); err != nil {
		return err
	}
	_, err := s.said(ctx, e.Key(), change{op: opPut, key: s.entryTable(e.Key()), name: nameEntry + entryField(e.Key()), row: encodeEntry(e), ends: ends(e)})
	return err
}

// DeleteEntry forgets an entry, with the same promise; no entry is no error.
func (s *Store) DeleteEntry(ctx context.Context, net netip.Prefix, source whitelist.Source) error {
	if !net.IsValid() {
		return nil
	}
	k := whitelist.EntryKey{Net: whitelist.Canonical(net), Source: source}
	_, err := s.said(ctx, k, change{op: opDel, key: s.entryTable(k), name: nameEntry + entryField(k)})
	return err
}

// ends is when an entry that was learned ends, as the script wants it.
func ends(e whitelist.Entry) string {
	if e.Source.Said() {
		return ""
	}
	end := e.End()
	if end.IsZero() {
		end = e.Added.Add(400 * 24 * time.Hour)
	}
	return milli(end)
}
