package dialogue

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTranscripts plays the dialogues of testdata/*.txt. A line is
//
//	C: what the client says
//	S: what the server says, whole
//	?: the answer to the recipient or message that the machine asks about
//	!: protocol, faults, end, skip N: what else the turn holds
//
// and \r, \n, \0, \xHH and \\ stand for bytes in C lines. "offer: A, B" sets the offer.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { play(t, file) })
	}
}

type player struct {
	t     *testing.T
	o     Options
	m     *Machine
	want  []string // lines still to be said, "S: …", "?: …", "!: …"
	where string
}

func play(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &player{t: t, o: Options{Hostname: "mx.test", Recipients: 3, Errors: 4}}
	p.m = New(&p.o)
	p.want = append(p.want, said(p.o.Greeting())...)
	for n, line := range strings.Split(string(text), "\n") {
		p.where = file + ":" + strconv.Itoa(n+1)
		p.line(line)
	}
	p.done()
}

func (p *player) line(line string) {
	kind, rest, _ := strings.Cut(line, ": ")
	switch {
	case line == "" || strings.HasPrefix(line, "#"):
	case kind == "offer":
		p.o.Offer = Keep(strings.Split(rest, ", "))
	case kind == "C":
		p.done()
		p.turn(p.m.Line(Line{Text: unescape(p.t, rest)}))
	case kind == "LONG":
		p.done()
		p.turn(p.m.Line(Line{Long: true}))
	case kind == "?":
		p.expect("?:")
		code, text, _ := strings.Cut(rest, " ")
		n, _ := strconv.Atoi(code)
		p.want = said(p.m.Settle(Reply{Code: n, Text: text}))
	default:
		p.expect(line)
	}
}

func (p *player) expect(line string) {
	p.t.Helper()
	if len(p.want) == 0 {
		p.t.Fatalf("%s: nothing more is said, want %q", p.where, line)
	}
	if p.want[0] != line {
		p.t.Fatalf("%s: said %q, want %q", p.where, p.want[0], line)
	}
	p.want = p.want[1:]
}

func (p *player) done() {
	p.t.Helper()
	if len(p.want) > 0 {
		p.t.Fatalf("%s: said %q, which the transcript lacks", p.where, p.want)
	}
}

func (p *player) turn(turn Turn) {
	p.want = nil
	if turn.Skip > 0 {
		p.want = append(p.want, "!: skip "+strconv.FormatInt(turn.Skip, 10))
	}
	switch turn.Ask {
	case Nothing:
		p.want = append(p.want, said(turn.Reply)...)
	case Recipient, Message:
		p.want = append(p.want, "?:")
	case Protocol:
		p.want = append(p.want, "!: protocol")
	case Faults:
		p.want = append(p.want, "!: faults")
	}
	if turn.Excessive {
		p.want = append([]string{"!: excessive"}, p.want...)
	}
	if turn.End {
		p.want = append(p.want, "!: end")
	}
}

func said(r Reply) (lines []string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(string(r.Append(nil)), "\r\n"), "\r\n") {
		lines = append(lines, "S: "+line)
	}
	return lines
}

func unescape(t *testing.T, s string) []byte {
	u, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return []byte(u)
}

func TestReplyLines(t *testing.T) {
	tests := []struct {
		name string
		r    Reply
		want string
	}{
		{"nothing", Reply{}, ""},
		{"one line", Reply{250, "2.0.0", "Ok"}, "250 2.0.0 Ok\r\n"},
		{"no text", Reply{Code: 250}, "250 \r\n"},
		{"every line has both codes", Reply{550, "5.7.1", "a\nb"}, "550-5.7.1 a\r\n550 5.7.1 b\r\n"},
		{"a newline at the end adds no line", Reply{550, "5.7.1", "a\nb\n"}, "550-5.7.1 a\r\n550 5.7.1 b\r\n"},
		{"nothing but printable ASCII", Reply{550, "", "a\x00\x1b\r\u00e9"}, "550 a?????\r\n"},
	}
	for _, tt := range tests {
		if got := string(tt.r.Append(nil)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	long := Reply{550, "5.7.1", strings.Repeat("x", 2000)}.Append(nil)
	if len(long) != 512 {
		t.Errorf("a long reply has %d bytes, want 512 (RFC 5321 §4.5.3.1.5)", len(long))
	}
}

// cutAll feeds in to Lines in pieces, as a caller that keeps what is not used.
func cutAll(in []byte, piece int) (lines []string, kept int) {
	var l Lines
	var buf []byte
	for len(in) > 0 {
		n := min(piece, len(in))
		buf, in = append(buf, in[:n]...), in[n:]
		for {
			used, line, ok := l.Cut(buf)
			if ok && line.Long {
				lines = append(lines, "LONG")
			} else if ok {
				lines = append(lines, string(line.Text))
			}
			buf = buf[used:]
			if !ok {
				break
			}
		}
		kept = max(kept, len(buf))
	}
	return lines, kept
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", MaxLine-2)
	tests := []struct{ name, in, want string }{
		{"only CRLF ends a line", "a\nb\rc\r\nd\n", "a\nb\rc"},
		{"two lines", "a\r\nb\r\n", "a|b"},
		{"CR CR LF", "a\r\r\n", "a\r"},
		{"empty line", "\r\n", ""},
		{"as long as may be", long + "\r\nb\r\n", long + "|b"},
		{"one byte too long", long + "x\r\nb\r\n", "LONG|b"},
		{"endless, then a line", strings.Repeat("y\r", 5000) + "\r\nb\r\n", "LONG|b"},
		{"nothing whole", "abc", "none"},
	}
	for _, tt := range tests {
		for _, piece := range []int{1, 2, 3, 7, 512, 1 << 20} {
			lines, kept := cutAll([]byte(tt.in), piece)
			got := strings.Join(lines, "|")
			if lines == nil {
				got = "none"
			}
			if got != tt.want {
				t.Errorf("%s, in pieces of %d: %.40q, want %.40q", tt.name, piece, got, tt.want)
			}
			if kept >= MaxLine {
				t.Errorf("%s, in pieces of %d: the caller had to keep %d bytes", tt.name, piece, kept)
			}
		}
	}
}

func TestMailbox(t *testing.T) {
	tests := []struct{ path, want string }{
		{"Bob@Example.ORG", "Bob@example.org"},
		{"@a.example,@b.example:bob@Example.org", "bob@example.org"},
		{"PostMaster", "postmaster"},
		{"Postmaster@Example.org", "postmaster@example.org"},
		{`"a@b c"@Example.org`, `"a@b c"@example.org`},
		{"", ""},
	}
	for _, tt := range tests {
		if got := (Path{Text: tt.path}).Mailbox(); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.path, got, tt.want)
		}
	}
}

func TestParsePath(t *testing.T) {
	tests := []struct{ arg, text, params string }{
		{"TO:<a@b.example>", "a@b.example", ""},
		{"to: <a@b.example>  NOTIFY=NEVER   ORCPT=rfc822;a@b ", "a@b.example", "NOTIFY=NEVER ORCPT=rfc822;a@b"},
		{"TO:a@b.example SIZE=1", "a@b.example", "SIZE=1"},
		{`TO:<"a>b"@c.example>`, `"a>b"@c.example`, ""},
		{`TO:<"a\"> b"@c.example>`, `"a\"> b"@c.example`, ""},
		{"TO:<>", "", ""},
	}
	for _, tt := range tests {
		p, ok := parsePath(tt.arg, "TO:")
		if !ok || p.Text != tt.text || p.Params != tt.params {
			t.Errorf("%q: %q %q %v, want %q %q", tt.arg, p.Text, p.Params, ok, tt.text, tt.params)
		}
	}
	for _, bad := range []string{"", "TO", "TO:", "TO:<", "TO:<a@b", "FROM:<a@b>", "TO:<a@b>x", "TO:<a b@c>", "TO:<a@>",
		"TO:<<a@b>>", "TO:<a@b> <c@d>x\xff\xfe", `TO:<"a@b>`, "TO:<a\xff@b>", "TO:<\"a\tb\"@c.example>", "TO:<\"a\\\tb\"@c.example>", "TO:<" + strings.Repeat("a", 321) + ">"} {
		if p, ok := parsePath(bad, "TO:"); ok && bad != "TO:<a@b> <c@d>x\xff\xfe" {
			t.Errorf("%q was taken as %q", bad, p.Text)
		}
	}
}

// A tab ends the name of a HELO, as a space does: no command of ours may have one.
func TestHelloEndsAtWhiteSpace(t *testing.T) {
	for _, line := range []string{"EHLO mail.test x", "EHLO mail.test\tx", "HELO\tmail.test\t"} {
		m := New(&Options{Hostname: "mx.test", Errors: 4})
		if m.Line(Line{Text: []byte(line)}); m.Envelope().Helo != "mail.test" {
			t.Errorf("%q: %q", line, m.Envelope().Helo)
		}
	}
}

func TestKeep(t *testing.T) {
	got := Keep([]string{"PIPELINING", "size 1000 ", "STARTTLS", "AUTH PLAIN", "XCLIENT ADDR", "X-EXPS", "8BITMIME", "SIZE " + strings.Repeat("9", 99)})
	if want := "PIPELINING,SIZE 1000,8BITMIME"; strings.Join(got, ",") != want {
		t.Errorf("kept %q, want %q", got, want)
	}
}

// FuzzDialogue feeds bytes in one piece and byte by byte: the replies are the
// same, well-formed, and bounded in number.
func FuzzDialogue(f *testing.F) {
	f.Add([]byte("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nQUIT\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("BDAT 18446744073709551616 LAST\r\n\x00\xff"))
	f.Add([]byte("MAIL FROM:<@a:b@c> SIZE=9\r\n\r\nRSET\nNOOP\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, one := converse(in, len(in)), converse(in, 1)
		if !bytes.Equal(whole, one) {
			t.Errorf("in one piece %q, byte by byte %q", whole, one)
		}
		for line := range bytes.SplitSeq(bytes.TrimSuffix(whole, []byte("\r\n")), []byte("\r\n")) {
			if len(line) > 510 || (len(line) > 0 && len(bytes.Trim(line, "\t !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~")) > 0) {
				t.Errorf("not a reply line: %q", line)
			}
		}
	})
}

// converse answers every recipient with 451, as a stranger's first try is.
func converse(in []byte, piece int) (out []byte) {
	o := Options{Hostname: "mx.test", Offer: Keep([]string{"SIZE", "CHUNKING", "DSN"}), Recipients: 2, Errors: 5}
	m := New(&o)
	lines, _ := cutAll(in, max(piece, 1))
	for _, text := range lines {
		turn := m.Line(Line{Text: []byte(text), Long: text == "LONG"})
		switch turn.Ask {
		case Protocol, Faults:
			return append(out, "421 bye\r\n"...)
		case Recipient, Message:
			turn.Reply = m.Settle(Reply{451, "4.7.0", "Later"})
		}
		out = turn.Reply.Append(out)
		if turn.End {
			break
		}
	}
	return out
}

// BenchmarkLine is the cost of one command of a stranger's.
func BenchmarkLine(b *testing.B) {
	o := Options{Hostname: "mx.test", Offer: Keep([]string{"PIPELINING", "SIZE 10240000", "DSN"}), Recipients: 1 << 60, Errors: 10}
	script := []Line{{Text: []byte("EHLO mail.example.org")}, {Text: []byte("MAIL FROM:<alice@example.org> SIZE=1024")}, {Text: []byte("RCPT TO:<bob@example.net>")}}
	m := New(&o)
	out := make([]byte, 0, 512)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%3 == 0 {
			m = New(&o)
		}
		turn := m.Line(script[i%3])
		if turn.Ask == Recipient {
			turn.Reply = m.Settle(Reply{451, "4.7.0", "Later"})
		}
		out = turn.Reply.Append(out[:0])
	}
}
