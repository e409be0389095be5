package journal

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostile are strings that a terminal or a log would obey if it were let.
var hostile = []struct{ in, out string }{
	{"mx.example.org", "mx.example.org"},
	{"", ""},
	{"a b", "a b"},
	{"räksmörgås 例え", "räksmörgås 例え"},
	{`C:\x0a`, `C:\\x0a`},
	{"a\r\nconn=FAKE act=carry", `a\x0d\x0aconn=FAKE act=carry`},
	{"\x1b[2J\x1b]0;owned\a", `\x1b[2J\x1b]0;owned\x07`},
	{"tab\tnul\x00del\x7f", `tab\x09nul\x00del\x7f`},
	{"c1 \u0080\u009b31m\u009f", `c1 \u{80}\u{9b}31m\u{9f}`},
	{"raw c1 \x9b31m", `raw c1 \x9b31m`},
	{"lines\u2028\u2029", `lines\u{2028}\u{2029}`},
	{"bidi\u200e\u200f\u202a\u202e\u2066\u2069\u061c", `bidi\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{61c}`},
	{"hidden\u200b\ufeff\u00ad\U000e0041", `hidden\u{200b}\u{feff}\u{ad}\u{e0041}`},
	{"spaces\u00a0\u3000", `spaces\u{a0}\u{3000}`},
	{"broken \xff\xc0\x80\xed\xa0\x80", `broken \xff\xc0\x80\xed\xa0\x80`},
	{"replacement \ufffd", "replacement \ufffd"},
	{"\xe2\x80", `\xe2\x80`},
}

func TestPrintable(t *testing.T) {
	for _, h := range hostile {
		if got := Printable(h.in); got != h.out {
			t.Errorf("%q: %q, want %q", h.in, got, h.out)
		}
	}
}

func TestTextIsBounded(t *testing.T) {
	for _, piece := range []string{"a", "é", "\x00", "\u202e", "\U000e0041", `\`, "\xff"} {
		got := text(strings.Repeat(piece, 100_000))
		unit := Printable(piece)
		want := strings.Repeat(unit, MaxText/len(unit)) + "…"
		if got != want {
			t.Errorf("%q: %d bytes, ending in %q", piece, len(got), got[max(0, len(got)-12):])
		}
	}
	exact := strings.Repeat("a", MaxText)
	if text(exact) != exact {
		t.Error("a string that fits was cut")
	}
}

func TestShown(t *testing.T) {
	for _, h := range hostile {
		if !shown(h.out) {
			t.Errorf("%q cannot be shown", h.out)
		}
		if plain := h.in == h.out || strings.ContainsRune(h.in, '\\'); shown(h.in) != plain {
			t.Errorf("%q: shown as it is: %v", h.in, !plain)
		}
	}
}

// back is Printable the other way: only an output that means one input has one.
func back(s string) (string, bool) {
	var b strings.Builder
	for s != "" {
		var r rune
		var n int
		switch {
		case strings.HasPrefix(s, `\\`):
			b.WriteByte('\\')
			n = 2
		case strings.HasPrefix(s, `\x`):
			r, n = hex(s[2:4]), 4
			b.WriteByte(byte(r))
		case strings.HasPrefix(s, `\u{`):
			end := strings.IndexByte(s, '}')
			r, n = hex(s[3:end]), end+1
			b.WriteRune(r)
		case s[0] == '\\':
			return "", false
		default:
			r, n = utf8.DecodeRuneInString(s)
			b.WriteRune(r)
		}
		s = s[n:]
	}
	return b.String(), true
}

func hex(s string) (r rune) {
	for _, c := range s {
		r = r<<4 + rune(strings.IndexRune("0123456789abcdef", c))
	}
	return r
}

func FuzzPrintable(f *testing.F) {
	for _, h := range hostile {
		f.Add(h.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Printable(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is not printable", got)
		}
		if was, ok := back(got); !ok || was != s {
			t.Errorf("%q came back as %q", s, was)
		}
		short := text(s)
		if whole := strings.TrimSuffix(short, cut); short != got && (!strings.HasPrefix(got, whole) || len(whole) > MaxText || whole == short) {
			t.Errorf("%q is no cut of %q", short, got)
		}
	})
}

func BenchmarkPrintable(b *testing.B) {
	for name, s := range map[string]string{"plain": "mail-eur05on2017.outbound.protection.outlook.com", "hostile": "a\r\n\x1b[2J\u202e"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = Printable(s)
			}
		})
	}
}
