package dialogue

import (
	"strconv"
	"strings"
)

// A Reply is what the server says to one command (RFC 5321 §4.2). The zero Reply
// says nothing.
type Reply struct {
	Code     int    // 220, 250, 451 …
	Enhanced string // "4.7.0" (RFC 3463); "" where there is none
	Text     string // printable ASCII; a newline begins another line
}

// maxReplyLine is the longest reply line without its CRLF (RFC 5321 §4.5.3.1.5).
const maxReplyLine = 510

// Temporary reports whether the reply is a 4yz.
func (r Reply) Temporary() bool { return r.Code/100 == 4 }

// Permanent reports whether the reply is a 5yz.
func (r Reply) Permanent() bool { return r.Code/100 == 5 }

// String is the reply in one line, for people.
func (r Reply) String() string {
	return strings.TrimSuffix(strings.ReplaceAll(string(r.Append(nil)), "\r\n", " "), " ")
}

// Append adds the reply as it goes over the wire. Every line of the text has
// the code, and the enhanced code where there is one (RFC 2034 §4). Bytes that
// are not printable ASCII become "?"; lines are cut at 512 bytes.
func (r Reply) Append(b []byte) []byte {
	if r.Code == 0 {
		return b
	}
	text := strings.TrimSuffix(r.Text, "\n")
	for more := true; more; {
		var line string
		line, text, more = strings.Cut(text, "\n")
		b = r.appendLine(b, line, more)
	}
	return b
}

func (r Reply) appendLine(b []byte, text string, more bool) []byte {
	start := len(b)
	b = strconv.AppendInt(b, int64(r.Code), 10)
	b = append(b, map[bool]byte{false: ' ', true: '-'}[more])
	if r.Enhanced != "" {
		b = append(append(b, r.Enhanced...), ' ')
	}
	for i := 0; i < len(text) && len(b)-start < maxReplyLine; i++ {
		b = append(b, printable(text[i]))
	}
	return append(b, "\r\n"...)
}

func printable(c byte) byte {
	if (c < ' ' && c != '\t') || c > '~' {
		return '?'
	}
	return c
}
