package hear

import (
	"net/netip"
	"strings"

	"moggy/whitelist/hints"
)

// What a line of a log may say.
type kind uint8

const (
	nothing   kind = iota
	attempted      // a login, good or bad
	accepted       // a mail came in under id
	delivered      // the mail of id was taken by a host of domain
	ended          // id is not used any more
	connected      // a session id began, from addr
	tried          // in session id somebody logged in, or failed to
	continued      // in session id a mail came in under other
)

// A said is what one line says of logins and mail; its zero value is what most lines say.
type said struct {
	kind   kind
	id     string // of a mail in the queue, or of a session
	other  string // accepted: of the mail this one was made from; continued: of the mail
	ours   bool   // accepted: it was submitted by one of our users
	local  bool   // connected: from this machine itself
	bounce bool   // delivered: the mail had no sender
	domain string // delivered: of the recipient
	addr   netip.Addr
	login  hints.Login // attempted; tried, without the address; accepted after a login. Its time is not set.
}

// hasLogin reports whether the line is a report of a login as it stands.
func (s said) hasLogin() bool { return s.login.From != "" && s.login.Addr.IsValid() }

// parse reads a line of a log: the program that wrote it decides how. What a stranger chose (a user name, what it says
// in HELO, its reverse name, an address) stands in these lines as well. So each parser goes by what its program writes
// by itself, at its place from the line's beginning or end, and a line that can be read in two ways says nothing.
func parse(line string) said {
	program, message := split(line)
	return parseMessage(program, message)
}

// parseMessage is parse for a message that came without the prefix of a line, from the program with that name.
func parseMessage(program, message string) said {
	switch {
	case program == "dovecot":
		return parseDovecot(message)
	case strings.HasPrefix(program, "postfix"):
		return parsePostfix(program, message)
	case program == "exim", program == "exim4":
		return parseExim(message)
	case program == "smtpd":
		return parseOpenSMTPD(message)
	}
	return said{}
}

// split takes the prefix off a line: the program that wrote it, and what it wrote. Lines come as syslog writes them, with
// times as in RFC 3164, RFC 3339 or RFC 5424, or as Dovecot and Exim write their own files.
func split(line string) (program, message string) {
	if rest, ok := cutShortTime(line); ok {
		if word, _, _ := strings.Cut(rest, " "); strings.HasSuffix(word, ":") {
			return "dovecot", rest // no host name ends so, and no other program leaves it out
		}
		return splitTag(rest)
	}
	if rest, ok := cutLongTime(line, 'T'); ok {
		return splitTag(rest)
	}
	if rest, ok := cutEximTime(line); ok {
		return "exim", rest
	}
	return splitStructured(line)
}

// splitTag reads "HOST PROGRAM[PID]: MESSAGE".
func splitTag(s string) (program, message string) {
	_, s, _ = strings.Cut(s, " ")
	tag, message, ok := strings.Cut(s, ": ")
	if !ok || strings.Contains(tag, " ") {
		return "", ""
	}
	program, _, _ = strings.Cut(tag, "[")
	return program, message
}

// splitStructured reads "<PRI>1 TIME HOST PROGRAM PID ID DATA MESSAGE" (RFC 5424 §6).
func splitStructured(s string) (program, message string) {
	_, s, ok := strings.Cut(s, ">1 ")
	if !ok {
		return "", ""
	}
	f := strings.SplitN(s, " ", 6)
	if len(f) < 6 {
		return "", ""
	}
	message, ok = strings.CutPrefix(f[5], "- ")
	if !ok {
		return "", "" // no mail program writes structured data
	}
	return f[2], strings.TrimPrefix(message, "\ufeff")
}

// cutShortTime takes "Nov  2 21:02:11 " off.
func cutShortTime(s string) (rest string, ok bool) {
	return cutShape(s, "aaa dd 00:00:00 ")
}

// cutLongTime takes "2026-11-22T21:02:11.123456+01:00 " off, or the like with another byte than T; the fraction and
// the zone may be missing.
func cutLongTime(s string, sep byte) (rest string, ok bool) {
	rest, ok = cutShape(s, "0000-00-00"+string(sep)+"00:00:00")
	if !ok {
		return "", false
	}
	zone, rest, ok := strings.Cut(rest, " ")
	return rest, ok && strings.Trim(zone, ".0123456789+-:Z") == ""
}

// cutEximTime takes "2026-11-22 21:02:11 " off, with what Exim may be told to add: milliseconds, zone, process.
func cutEximTime(s string) (rest string, ok bool) {
	rest, ok = cutLongTime(s, ' ')
	if !ok {
		return "", false
	}
	if after, ok := cutShape(rest, "+0000 "); ok {
		rest = after
	} else if after, ok := cutShape(rest, "-0000 "); ok {
		rest = after
	}
	if pid, after, ok := strings.Cut(rest, "] "); ok && strings.HasPrefix(pid, "[") && digits(pid[1:]) {
		rest = after
	}
	return rest, true
}

// cutShape takes off what looks like shape: 0 is a digit, d a digit or a space, a a letter, else the byte itself.
func cutShape(s, shape string) (rest string, ok bool) {
	if len(s) < len(shape) {
		return "", false
	}
	for i := range len(shape) {
		c, want := s[i], shape[i]
		switch want {
		case '0':
			ok = digits(s[i : i+1])
		case 'd':
			ok = c == ' ' || digits(s[i:i+1])
		case 'a':
			ok = 'a' <= c|0x20 && c|0x20 <= 'z'
		default:
			ok = c == want
		}
		if !ok {
			return "", false
		}
	}
	return s[len(shape):], true
}

// digits reports whether s is a number.
func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// cutAddr reads "[ADDRESS]" or "[ADDRESS]:PORT" at the beginning of s.
func cutAddr(s string) (addr netip.Addr, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, "[")
	text, rest, closed := strings.Cut(s, "]")
	addr, err := netip.ParseAddr(text)
	if !ok || !closed || err != nil {
		return netip.Addr{}, "", false
	}
	if port, colon := strings.CutPrefix(rest, ":"); colon && port != "" && digits(port[:1]) {
		rest = strings.TrimLeft(port, "0123456789")
	}
	return addr, rest, true
}

// domainOf returns the domain of an address, in lower case; "" if it has none.
func domainOf(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 1 {
		return ""
	}
	return strings.ToLower(address[at+1:])
}
