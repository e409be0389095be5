package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"moggy/verdict"
)

// line is a numbered record as the file has it.
func line(i int) string {
	b, r := newBatch(false), numbered(i)
	b.add(&r)
	return b.buf.String()
}

func lines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		b.WriteString(line(i))
	}
	return b.String()
}

// old is the name of a file rotated at the second s.
func old(s int) string { return fmt.Sprintf("journal-2026-11-22T21-02-%02d.000.jsonl", s) }

func TestReadOldestFirst(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, current, lines(40, 60))
	write(t, dir, old(9), lines(20, 40))
	write(t, dir, old(1), lines(0, 20))
	write(t, dir, "moggy.db", "not ours")
	write(t, dir, "journal-notes.txt", "not ours")
	got := readRefs(t, dir)
	if len(got) != 60 || !slices.IsSorted(got) {
		t.Errorf("got %v", got)
	}
	for range Read(dir) {
		break // a reader may stop
	}
}

func TestReadNothing(t *testing.T) {
	if got := readRefs(t, t.TempDir()); got != nil {
		t.Errorf("got %v", got)
	}
	gone := filepath.Join(t.TempDir(), "gone")
	for _, err := range Read(gone) {
		if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrCorrupt) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := Find(gone, Query{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestReadGoesOn(t *testing.T) {
	whole := line(7)
	for name, c := range map[string]struct {
		text string
		good []string
		bad  int
	}{
		"torn at the end":      {lines(0, 2) + whole[:20], []string{"000000", "000001"}, 0},
		"no newline yet":       {lines(0, 1) + strings.TrimSpace(whole), []string{"000000", "000007"}, 0},
		"blank lines":          {"\n\n" + lines(0, 1) + "\r\n\n", []string{"000000"}, 0},
		"torn in the middle":   {whole[:20] + "\n" + lines(0, 1), []string{"000000"}, 1},
		"torn without newline": {whole[:20] + lines(0, 2), []string{"000001"}, 1},
		"no record":            {"{}\nnull\n[]\n5\n" + lines(0, 1), []string{"000000"}, 4},
		"zeros after a crash":  {lines(0, 1) + strings.Repeat("\x00", 4096) + "\n" + lines(1, 2), []string{"000000", "000001"}, 1},
		"a line too long":      {lines(0, 1) + strings.Repeat("x", blockSize+10) + "\n" + lines(1, 2), []string{"000000", "000001"}, 2},
		"wrong types":          {`{"time":5,"event":"decided"}` + "\n" + `{"time":"2026-11-22T21:02:11Z","event":"decided","steps":"x"}` + "\n", nil, 2},
		"unknown keys":         {strings.Replace(whole, `{`, `{"later":[{"x":1}],`, 1), []string{"000007"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, current, c.text)
			var good []string
			bad := 0
			for r, err := range Read(dir) {
				switch {
				case err == nil:
					good = append(good, r.Ref)
				case errors.Is(err, ErrCorrupt) && strings.Contains(err.Error(), current+":"):
					bad++
				default:
					t.Errorf("got %v", err)
				}
			}
			if !slices.Equal(good, c.good) || bad != c.bad {
				t.Errorf("got %v, %d bad; want %v, %d", good, bad, c.good, c.bad)
			}
		})
	}
}

func TestReadScrubs(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, current, `{"time":"2026-11-22T21:02:11Z","event":"de\u001b[2J","helo":"\u202eevil","steps":["\u0007"],"degraded":["\u009b"],"from":"a\\x0ab"}`+"\n")
	for r, err := range Read(dir) {
		if err != nil || r.Event != `de\x1b[2J` || r.Helo != `\u{202e}evil` || r.Steps[0].Rule != `\x07` || r.Degraded[0] != `\u{9b}` {
			t.Errorf("got %+v, %v", r, err)
		}
		if r.From != `a\x0ab` {
			t.Errorf("what was printable was written out again: %q", r.From)
		}
	}
}

// TestReadDuringRotation rotates after the files were looked up.
func TestReadDuringRotation(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, old(1), lines(0, 10))
	write(t, dir, current, lines(10, 20))
	s, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := os.Rename(filepath.Join(dir, current), filepath.Join(dir, old(2))); err != nil {
		t.Fatal(err)
	}
	write(t, dir, current, lines(20, 30))
	var got []string
	for f, err := range s.oldestFirst() {
		if err != nil {
			t.Fatal(err)
		}
		readFile(f, func(r Record, _ error) bool { got = append(got, r.Ref); return true })
	}
	if len(got) != 20 || !slices.IsSorted(got) {
		t.Errorf("got %v", got)
	}
}

func TestBlocks(t *testing.T) {
	text := lines(0, 3_000) + "torn"
	for name, r := range map[string]io.Reader{
		"at once":        strings.NewReader(text),
		"byte by byte":   iotest.OneByteReader(strings.NewReader(text[:4_000])),
		"data with EOF":  iotest.DataErrReader(strings.NewReader(text)),
		"half and error": io.MultiReader(strings.NewReader(text), iotest.ErrReader(io.ErrUnexpectedEOF)),
	} {
		var got bytes.Buffer
		var failed error
		for block, err := range blocks(r) {
			got.Write(block)
			failed = err
		}
		if !strings.HasPrefix(text, got.String()) || got.Len() < 4_000 {
			t.Errorf("%s: %d bytes of %d", name, got.Len(), len(text))
		}
		if (failed != nil) != (name == "half and error") {
			t.Errorf("%s: %v", name, failed)
		}
	}
}

// TestBackward puts the blocks together again.
func TestBackward(t *testing.T) {
	long := strings.Repeat("x", blockSize)
	for name, text := range map[string]string{
		"nothing":              "",
		"a newline":            "\n",
		"one line":             line(1),
		"torn":                 line(1) + "torn",
		"one block":            long[1:] + "\n",
		"one byte more":        long + "\n",
		"long in the middle":   lines(0, 99) + long + long + "\n" + lines(0, 99),
		"long at both ends":    long + "y\n" + line(1) + long + "z",
		"newline on the edge":  line(1) + long[1:] + "\n",
		"newline on the edge'": line(1) + long + "\n",
		"many":                 lines(0, 9_000),
	} {
		dir := t.TempDir()
		write(t, dir, current, text)
		s, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		got := ""
		for block, err := range backward(s.current) {
			if err != nil {
				t.Fatal(name, err)
			}
			got = string(block) + got
		}
		if got != text {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(text))
		}
	}
}

// anyRecord makes one of few peers, mailboxes and refs up, so that queries meet.
func anyRecord(r *rand.Rand, i int) Record {
	f := stranger()
	f.Ref = fmt.Sprintf("00%04d", r.IntN(50))
	f.Peer = netip.MustParseAddrPort(pick(r, "192.0.2.1:25", "192.0.2.10:25", "192.0.3.1:25", "19.0.2.1:25",
		"[2001:db8::1]:25", "[2001:db8::10]:25", "[2001:db8:1::1]:25", "[2002::1]:25", "[::1]:25", "[::ffff:192.0.2.1]:25"))
	f.Sender = pick(r, "", "bob@contoso.example", "Bob@contoso.example", "al\\ice@contoso.example", "a<b>&c@x.example",
		"\"q\"@x.example", "postmaster", "evil\x00@x.example", strings.Repeat("l", 300)+"@x.example")
	f.Recipient = pick(r, "me@example.org", "you@example.org", "bob@contoso.example")
	rec := decided(f)
	rec.Time = stamp(now.Add(time.Duration(i) * time.Second))
	return rec
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

// shelve writes n made-up records into three files and returns them.
func shelve(t *testing.T, dir string, n int) (all []Record) {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	names := []string{old(1), old(2), current}
	for k, name := range names {
		b := newBatch(false)
		for range n / len(names) {
			rec := anyRecord(r, len(all))
			rec.Harm = len(all)%7 == 0
			b.add(&rec)
			all = append(all, rec)
		}
		write(t, dir, name, b.buf.String())
		last := all[len(all)-1].Time
		if err := os.Chtimes(filepath.Join(dir, name), last, last); err != nil {
			t.Fatal(k, err)
		}
	}
	return all
}

// TestFind holds Find against a plain reading of everything.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	all := shelve(t, dir, 1_500)
	queries := []Query{{}, {Ref: "000007"}, {Ref: "ZZZZZZ"}, {Since: all[750].Time}, {Since: all[1499].Time.Add(time.Hour)},
		{Limit: 5}, {Limit: 700}, {Limit: 100_000}, {Ref: "000007", Limit: 2}, {Mailbox: "bob@contoso.example", Limit: 10},
		{Ref: "000007", Mailbox: "me@example.org"}, {Harm: true}, {Harm: true, Since: all[900].Time, Limit: 10}}
	for _, m := range []string{"bob@contoso.example", "BOB@Contoso.Example", "@contoso.example", "@example.org", "@example", "al\\ice@contoso.example",
		"a<b>&c@x.example", `"q"@x.example`, "postmaster", "evil\x00@x.example", strings.Repeat("l", 300) + "@x.example", "nobody@example.org"} {
		queries = append(queries, Query{Mailbox: m}, Query{Mailbox: m, Addr: netip.MustParsePrefix("192.0.2.0/24"), Since: all[1000].Time})
	}
	for _, p := range []string{"192.0.2.1/32", "192.0.2.0/24", "192.0.2.0/28", "192.0.0.0/8", "192.0.2.0/23", "0.0.0.0/0", "::ffff:192.0.2.1/128",
		"2001:db8::1/128", "2001:db8::/64", "2001:db8::/32", "2000::/3", "::/0", "::/16", "::1/128", "10.0.0.0/8"} {
		queries = append(queries, Query{Addr: netip.MustParsePrefix(p)}, Query{Addr: netip.MustParsePrefix(p), Limit: 3})
	}
	hits := 0
	for _, q := range queries {
		got, err := Find(dir, q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		want := plainly(all, q)
		hits += len(want)
		if !slices.EqualFunc(got, want, func(a, b Record) bool { return a.Time.Equal(b.Time) && a.Ref == b.Ref }) {
			t.Errorf("%+v: %d records, want %d", q, len(got), len(want))
		}
	}
	if hits < 10_000 {
		t.Errorf("%d hits: the queries meet nothing", hits)
	}
}

// plainly is what Find has to return.
func plainly(all []Record, q Query) (want []Record) {
	mailbox, addr := text(q.Mailbox), q.Addr
	if addr.IsValid() && addr.Addr().Is4In6() {
		addr = netip.PrefixFrom(addr.Addr().Unmap(), addr.Bits()-96)
	}
	names := func(m string) bool {
		return strings.EqualFold(m, mailbox) || mailbox != "" && mailbox[0] == '@' && strings.HasSuffix(m, mailbox)
	}
	for _, r := range all {
		if (q.Ref == "" || r.Ref == q.Ref) && (!addr.IsValid() || addr.Contains(r.Peer.Addr())) &&
			(mailbox == "" || names(r.From) || names(r.To)) && (r.Harm || !q.Harm) && !r.Time.Before(q.Since) {
			want = append(want, r)
		}
	}
	if q.Limit > 0 && len(want) > q.Limit {
		want = want[len(want)-q.Limit:]
	}
	return want
}

func TestFindGoesOn(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, current, line(1)+`{"ref":"000001", broken`+"\n"+line(1)+`{"ref":"000001", unfinished`)
	got, err := Find(dir, Query{Ref: "000001"})
	if len(got) != 2 || !errors.Is(err, ErrCorrupt) {
		t.Errorf("%d records, %v", len(got), err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(lines(0, 2)))
	f.Add([]byte(line(1)[:30] + "\n" + line(2)))
	f.Add([]byte(`{"time":"2026-11-22T21:02:11Z","event":"ended","peer":"[::ffff:1.2.3.4]:1","steps":["a"],"helo":"\u202e"}`))
	f.Add([]byte("{}\n\x00\n\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for line := range bytes.Lines(text) {
			r, err := decode(line)
			if err != nil {
				continue
			}
			for i, v := 0, reflect.ValueOf(r); i < v.NumField(); i++ {
				if s := v.Field(i); s.Kind() == reflect.String && !shown(s.String()) {
					t.Errorf("%s: %q", v.Type().Field(i).Name, s.String())
				}
			}
			b := newBatch(false)
			b.add(&r)
			again, err := decode(b.buf.Bytes())
			if err != nil && b.lost == 0 || err == nil && !alike(again, r) {
				t.Errorf("%+v came back as %+v, %v", r, again, err)
			}
		}
	})
}

// alike compares what is kept of two records; a time may name its zone in two ways.
func alike(a, b Record) bool {
	if !a.Time.Equal(b.Time) {
		return false
	}
	a.Time, b.Time = time.Time{}, time.Time{}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// BenchmarkFind looks through a million records, a third of a gigabyte.
func BenchmarkFind(b *testing.B) {
	if testing.Short() {
		b.Skip("writes a million records")
	}
	dir := b.TempDir()
	size := million(b, dir)
	for name, q := range map[string]Query{
		"ref":     {Ref: "7KQ2ZD"},
		"addr":    {Addr: netip.MustParsePrefix("203.0.113.77/32")},
		"cidr":    {Addr: netip.MustParsePrefix("203.0.113.0/24"), Limit: 20},
		"mailbox": {Mailbox: "needle@haystack.example"},
		"newest":  {Limit: 20},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				if got, err := Find(dir, q); err != nil || len(got) == 0 {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}

// million fills dir; one record in the middle is the one looked for.
func million(b *testing.B, dir string) (size int64) {
	b.Helper()
	const files, each = 16, 62_500
	r := rand.New(rand.NewPCG(1, 1))
	f := stranger()
	for k := range files {
		batch := newBatch(false)
		for i := range each {
			f.Ref, f.Sender = NewRef(), "bob@contoso.example"
			f.Peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}), 4000)
			if k == files/2 && i == each/2 {
				f.Ref, f.Sender, f.Peer = "7KQ2ZD", "needle@haystack.example", netip.MustParseAddrPort("203.0.113.77:4000")
			}
			v := verdict.Decide(f, &policy)
			rec := Decided(now.Add(time.Duration(k*each+i)*time.Millisecond), f, &v)
			batch.add(&rec)
		}
		size += int64(batch.buf.Len())
		write(b, dir, old(k), batch.buf.String())
	}
	return size
}
