package peers

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
)

// Message is a message to send, and to know again when it has arrived.
type Message struct {
	ID  string // unique; the value of its first header field
	Raw []byte // all of it, with CRLF
}

// idField is the first header field of a Message. What mail programs add they put in front of it.
const idField = "X-Peers-Id: "

// Awkward makes a message with what proxies and gateways have been seen to spoil: dots at the beginning of lines, the
// longest lines that SMTP allows (RFC 5321 section 4.5.3.1.6: 998 bytes and CRLF), every byte above 127, lines that
// look like SMTP, blanks at the end of lines, empty lines at the end.
func Awkward(from, to string) Message {
	id := rand.Text()
	lines := []string{
		idField + id,
		"Date: Thu, 01 Jan 2026 00:00:00 +0000",
		"From: <" + from + ">",
		"To: <" + to + ">",
		"Subject: awkward",
		"Message-Id: <" + id + "@sender.test>",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=iso-8859-1",
		"Content-Transfer-Encoding: 8bit",
		"",
		".",
		"..",
		".one dot and text",
		". QUIT",
		"QUIT",
		"RSET\t \t",
		"From the beginning of a line",
		strings.Repeat("x", 998),
		"." + strings.Repeat("y", 997),
		high(),
		"a blank at the end ",
		"",
		".",
		"",
		"",
	}
	return Message{ID: id, Raw: []byte(strings.Join(lines, "\r\n") + "\r\n")}
}

// high is every byte above 127.
func high() string {
	all := make([]byte, 0, 128)
	for b := 128; b < 256; b++ {
		all = append(all, byte(b))
	}
	return string(all)
}

// Arrived tells whether what lies in a maildir is this message.
func (m Message) Arrived(got []byte) bool { return bytes.Contains(got, []byte(idField+m.ID)) }

// Same compares what lies in a maildir with what was sent, byte for byte from the first header field of ours to the end,
// and says where they part. Line ends count as one, LF or CRLF: a maildir has its own.
func (m Message) Same(got []byte) error {
	start := bytes.Index(got, []byte(idField+m.ID))
	if start < 0 {
		return fmt.Errorf("message %s is not in:\n%s", m.ID, got)
	}
	have, want := lines(got[start:]), lines(m.Raw)
	for i, line := range want {
		if i >= len(have) {
			return fmt.Errorf("message %s ends after line %d of %d", m.ID, i, len(want))
		}
		if !bytes.Equal(have[i], line) {
			return fmt.Errorf("message %s line %d is %q, not %q", m.ID, i+1, have[i], line)
		}
	}
	if len(have) > len(want) {
		return fmt.Errorf("message %s has %d lines too many: %q", m.ID, len(have)-len(want), have[len(want):])
	}
	return nil
}

// lines splits a message at its line ends.
func lines(text []byte) [][]byte {
	return slices.Collect(bytes.Lines(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))))
}
