package journal

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxText bounds each string of a Record, in bytes; a string that was cut ends
// with "…", which is not counted.
const MaxText = 256

const cut = "…"

// Printable returns s as it can be shown on any terminal and kept in any log:
// printable characters and the space stay, all else is written out. A byte of
// ASCII or of broken UTF-8 becomes \xNN, a character beyond ASCII (C1 controls,
// bidirectional controls, line separators, every invisible one) becomes \u{…},
// a backslash becomes two. No two strings come out the same; giving it its own
// output doubles the backslashes.
func Printable(s string) string {
	if plain(s) {
		return s
	}
	return escape(s, len(s)*len(`\x00`))
}

// text is Printable, cut at MaxText bytes; never in the middle of an escape.
func text(s string) string {
	if len(s) <= MaxText && plain(s) {
		return s
	}
	return escape(s, MaxText)
}

// plain reports whether s needs no escape: ASCII without a backslash.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

// escape writes s out, at most limit bytes of it.
func escape(s string, limit int) string {
	var b strings.Builder
	b.Grow(min(len(s)+16, limit+len(cut)))
	var one [16]byte
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		piece := appendChar(one[:0], s[i:i+size], r)
		if b.Len()+len(piece) > limit {
			return b.String() + cut
		}
		b.Write(piece)
		i += size
	}
	return b.String()
}

// appendChar appends one character; raw is how it was encoded.
func appendChar(b []byte, raw string, r rune) []byte {
	switch {
	case r == '\\':
		return append(b, `\\`...)
	case r == utf8.RuneError && len(raw) == 1, r < ' ', r == 0x7f:
		const digits = "0123456789abcdef"
		return append(b, '\\', 'x', digits[raw[0]>>4], digits[raw[0]&15])
	case unicode.IsPrint(r):
		return append(b, raw...)
	}
	b = append(b, `\u{`...)
	b = strconv.AppendInt(b, int64(r), 16)
	return append(b, '}')
}

// shown reports whether s is what Printable could have made, and can be shown.
func shown(s string) bool {
	for i, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError && s[i] != "\uFFFD"[0] {
			return false
		}
	}
	return true
}
