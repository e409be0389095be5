package dialogue

import "bytes"

// MaxLine is the longest command line, its CRLF included, that is looked at:
// 512 bytes of RFC 5321 §4.5.3.1.4 and room for the parameters of every
// extension that is kept (SIZE 26, BODY 17, SMTPUTF8 10, DSN 600).
const MaxLine = 2048

// Lines cuts what a peer sends into lines. Only CRLF ends a line (RFC 5321
// §2.3.8). It keeps no bytes itself: what is not a whole line stays with the
// caller, who never has to keep more than MaxLine. The zero Lines is ready for
// use.
type Lines struct {
	long bool // within a line over MaxLine, which is thrown away
}

// A Line is one line without its CRLF; Text is part of what Cut was given.
type Line struct {
	Text []byte
	Long bool // it was longer than MaxLine, and was thrown away
}

// Cut takes the first line from in and returns how many bytes it used; ok
// reports whether there was a whole one.
func (l *Lines) Cut(in []byte) (used int, line Line, ok bool) {
	end := bytes.Index(in, []byte("\r\n"))
	switch {
	case end >= 0 && (l.long || end+2 > MaxLine):
		l.long = false
		return end + 2, Line{Long: true}, true
	case end >= 0:
		return end + 2, Line{Text: in[:end]}, true
	case l.long || len(in) >= MaxLine:
		l.long = true
		return len(in) - len(trailingCR(in)), Line{}, false
	}
	return 0, Line{}, false
}

// trailingCR is the CR at the end of in, which a LF may complete.
func trailingCR(in []byte) []byte {
	if bytes.HasSuffix(in, []byte("\r")) {
		return in[len(in)-1:]
	}
	return nil
}

// otherProtocols begin what HTTP clients, ssh scanners and PROXY senders say to
// a port that is not theirs. No SMTP command begins so.
var otherProtocols = [...]string{"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ",
	"CONNECT ", "SSH-", "PROXY ", "*1\r", "*2\r", "*3\r"}

// NotSMTP reports whether what a peer says, a whole line or the beginning of
// one, is another protocol: a known verb, or binary.
func NotSMTP(in []byte) bool {
	if len(in) == 0 {
		return false
	}
	if c := in[0]; c >= 0x80 || (c < ' ' && c != '\r' && c != '\n' && c != '\t') {
		return true
	}
	for _, p := range otherProtocols {
		if len(in) >= len(p) && bytes.EqualFold(in[:len(p)], []byte(p)) {
			return true
		}
	}
	return false
}

// EndsCommands reports whether what follows a line may be no commands: a
// message, or TLS.
func EndsCommands(line []byte) bool {
	verb, _ := cutVerb(string(line[:min(len(line), 9)]))
	return verb == "DATA" || verb == "BDAT" || verb == "STARTTLS" || verb == "AUTH"
}
