package dialogue

import (
	"strings"
	"unicode/utf8"
)

// maxPath bounds a path in bytes: local part 64, @, domain 255 (RFC 5321
// §4.5.3.1), which is more than the 256 that §4.5.3.1.3 asks for.
const maxPath = 320

// parsePath reads the argument of MAIL or RCPT: "FROM:<a@example.org> SIZE=1".
// White space after the colon and a missing pair of angle brackets are common
// enough to be understood.
func parsePath(arg, prefix string) (p Path, ok bool) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return Path{}, false
	}
	arg = strings.TrimLeft(arg[len(prefix):], " \t")
	var params string
	if strings.HasPrefix(arg, "<") {
		end := pathEnd(arg)
		if end < 0 {
			return Path{}, false
		}
		p.Text, params = arg[1:end], arg[end+1:]
		if params != "" && params[0] != ' ' && params[0] != '\t' {
			return Path{}, false
		}
	} else {
		p.Text, params, _ = strings.Cut(arg, " ")
		if p.Text == "" {
			return Path{}, false
		}
	}
	p.Params = strings.Join(strings.Fields(params), " ")
	return p, validPath(p.Text)
}

// pathEnd is where the > stands that ends the path at the beginning of s, or -1.
// Inside quotes a > is a character like any other (§4.1.2).
func pathEnd(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '>' && !quoted:
			return i
		case s[i] == '<' && !quoted:
			return -1
		}
	}
	return -1
}

// validPath is liberal in what a mailbox is, and strict where a laxer reading
// could make one command into two: no white space outside quotes, no tab even
// there (§4.1.2), nothing that is not UTF-8.
func validPath(text string) bool {
	if len(text) > maxPath || !utf8.ValidString(text) || strings.Contains(text, "\t") {
		return false
	}
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t' || c == '<' || c == '>'):
			return false
		}
	}
	return !quoted && !strings.HasSuffix(text, "@") && (text == "" || Path{Text: text}.Mailbox() != "")
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func hasParam(params, name string) bool {
	for p := range strings.FieldsSeq(params) {
		if key, _, _ := strings.Cut(p, "="); strings.EqualFold(key, name) {
			return true
		}
	}
	return false
}
