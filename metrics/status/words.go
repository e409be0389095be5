package status

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"moggy/whitelist"
)

// A text is fit to be shown: printable, and of bounded length. Only clean makes one.
type text string

// clean makes anybody's words fit to be shown. What is not printable (controls,
// bidirectional marks, whatever is invisible) is written out.
func clean(s string) text {
	var b strings.Builder
	n := 0
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if n++; n > maxText {
			b.WriteString("…")
			break
		}
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString("; ")
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
	}
	return text(b.String())
}

// list joins words, at most n of them.
func list(words []string, n int) string {
	if more := len(words) - n; more > 0 {
		return strings.Join(words[:n], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(words, ", ")
}

// count writes "1 mail", "2 mails", "3 addresses".
func count(n int, thing string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case strings.HasSuffix(thing, "s"):
		thing += "e"
	}
	return decimal(n) + " " + thing + "s"
}

// decimal writes 48120 as "48 120".
func decimal(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// size writes bytes: 512 B, 24 kB, 3.1 MB.
func size(n int64) string {
	f := float64(n)
	for _, unit := range []string{" B", " kB", " MB", " GB"} {
		if f < 1000 {
			digits := 0
			if f < 10 && unit != " B" {
				digits = 1
			}
			return strconv.FormatFloat(f, 'f', digits, 64) + unit
		}
		f /= 1000
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " TB"
}

// span writes a duration in its two largest units, without what is 0: 45s, 15m01s,
// 3h, 2d4h.
func span(d time.Duration) string {
	d = d.Abs().Round(time.Second)
	days, rest := int(d/(24*time.Hour)), d%(24*time.Hour)
	h, m, s := int(rest/time.Hour), int(rest%time.Hour/time.Minute), int(rest%time.Minute/time.Second)
	switch {
	case days > 0:
		return two(days, "d", h, "%dh")
	case h > 0:
		return two(h, "h", m, "%02dm")
	case m > 0:
		return two(m, "m", s, "%02ds")
	}
	return strconv.Itoa(s) + "s"
}

func two(big int, unit string, small int, format string) string {
	if small == 0 {
		return strconv.Itoa(big) + unit
	}
	return strconv.Itoa(big) + unit + fmt.Sprintf(format, small)
}

// clock writes a time as the operator's clock shows it, without today's date.
func (p *Page) clock(at time.Time) string {
	at = at.In(p.Now.Location())
	if at.Format(time.DateOnly) == p.Now.Format(time.DateOnly) {
		return at.Format(time.TimeOnly)
	}
	return at.Format(time.DateTime)
}

// ago writes how long a time is past; "-" if there was none.
func (p *Page) ago(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return span(p.Now.Sub(at)) + " ago"
}

// since writes "21:14:07 (3m05s ago)".
func (p *Page) since(at time.Time) string { return p.clock(at) + " (" + p.ago(at) + ")" }

// evidence says what a class rests on.
func evidence(s whitelist.Source) string {
	switch s {
	case whitelist.Operator:
		return "by a person"
	case whitelist.Session:
		return "by an ssh session"
	case whitelist.Local:
		return "by local_networks"
	case whitelist.Login:
		return "by a login"
	case whitelist.Crawling:
		return "by its confirmed name"
	case whitelist.Passed:
		return "it passed before"
	case whitelist.Wrote:
		return "our users wrote there"
	case whitelist.Trapped:
		return "it named a trap"
	case whitelist.Guessing:
		return "it tried many passwords"
	}
	return ""
}

// who is a class and what it rests on: "user, by a login".
func who(c whitelist.Class, s whitelist.Source) string {
	if e := evidence(s); e != "" && c != "" {
		return string(c) + ", " + e
	}
	return string(c) + evidence(s)
}
