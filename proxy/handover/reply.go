package handover

import (
	"bufio"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// What a backend may say, beyond what RFC 5321 §4.5.3.1.5 has it say (512 bytes a
// line): a backend that goes further is broken, and must not fill our memory.
const (
	maxLine  = 2048     // bytes of a line of a reply, CRLF included
	maxReply = 64 << 10 // bytes of a reply
)

// Reply is a complete reply of an SMTP server (RFC 5321 §4.2).
type Reply struct {
	Code int    // 200 to 599
	Raw  []byte // all lines as they were received, each ended by CRLF
}

// ok says whether the reply is positive.
func (r Reply) ok() bool { return r.Code/100 == 2 }

// String returns the reply on one line: "450 4.7.1 try again / later". What cannot be
// printed is left out.
func (r Reply) String() string {
	var lines []string
	for line := range r.lines() {
		lines = append(lines, line)
	}
	text := strings.TrimSpace(fmt.Sprintf("%d %s", r.Code, strings.Join(lines, " / ")))
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, text)
}

// lines yields the text of each line, without its code and CRLF.
func (r Reply) lines() iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(string(r.Raw)) {
			line = strings.TrimSuffix(line, "\r\n")
			if !yield(line[min(4, len(line)):]) {
				return
			}
		}
	}
}

// readReply reads one reply. A line may end in a bare LF; in Raw it ends in CRLF. The
// reader's buffer must hold maxLine bytes, and no more.
func readReply(r *bufio.Reader) (Reply, error) {
	var reply Reply
	for {
		line, err := readLine(r)
		if err != nil {
			return Reply{}, err
		}
		code, more, err := parseLine(line)
		if err != nil {
			return Reply{}, err
		}
		if reply.Code != 0 && code != reply.Code {
			return Reply{}, fmt.Errorf("malformed reply: code %d became %d", reply.Code, code)
		}
		reply.Code = code
		reply.Raw = append(append(reply.Raw, line...), "\r\n"...)
		if len(reply.Raw) > maxReply {
			return Reply{}, fmt.Errorf("oversized reply: more than %d bytes", maxReply)
		}
		if !more {
			return reply, nil
		}
	}
}

// readLine reads a line and returns it without its end. It is valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("oversized reply: a line of more than %d bytes", maxLine)
	case err != nil:
		return nil, err
	}
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, nil
}

// parseLine returns the code of a line of a reply, and whether more lines follow.
func parseLine(line []byte) (code int, more bool, err error) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !digit(line[1]) || !digit(line[2]) {
		return 0, false, fmt.Errorf("malformed reply: %.60q", line)
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 { // allowed by RFC 5321 §4.2
		return code, false, nil
	}
	switch line[3] {
	case ' ':
		return code, false, nil
	case '-':
		return code, true, nil
	}
	return 0, false, fmt.Errorf("malformed reply: %.60q", line)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
