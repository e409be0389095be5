package dialogue

import (
	"strings"
)

// An Offer is what EHLO offers: extensions as EHLO lines, "SIZE 10240000".
type Offer []string

// keeps are the extensions that we can keep for a backend that offers them: what
// a stranger does with them before it is handed over is either for the backend
// to see in MAIL and RCPT, or understood here (PIPELINING, CHUNKING). All others
// are left out, STARTTLS and AUTH among them.
var keeps = map[string]bool{
	"PIPELINING": true, "SIZE": true, "8BITMIME": true, "SMTPUTF8": true, "DSN": true,
	"ENHANCEDSTATUSCODES": true, "CHUNKING": true, "BINARYMIME": true,
}

// Keep is what is left of a backend's offer for strangers.
func Keep(backend []string) (o Offer) {
	for _, line := range backend {
		name, arg, _ := strings.Cut(line, " ")
		if name = strings.ToUpper(name); keeps[name] && len(line) <= 64 {
			o = append(o, strings.TrimSpace(name+" "+arg))
		}
	}
	return o
}

func (o Offer) lines() []string { return o }

// has reports whether an extension is offered.
func (o Offer) has(name string) bool {
	for _, line := range o {
		if have, _, _ := strings.Cut(line, " "); have == name {
			return true
		}
	}
	return false
}

// The extension that each parameter belongs to.
var (
	mailParams = map[string]string{"SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN"}
	rcptParams = map[string]string{"NOTIFY": "DSN", "ORCPT": "DSN"}
)

// check says what is wrong with the parameters of a path; Code 0: nothing.
// RFC 5321 §4.1.1.11: an unknown one is 555.
func (o Offer) check(params string, known map[string]string) Reply {
	for p := range strings.FieldsSeq(params) {
		key, value, _ := strings.Cut(p, "=")
		key = strings.ToUpper(key)
		switch {
		case known[key] == "" || !o.has(known[key]):
			return Reply{555, "5.5.4", "Parameter not recognized"}
		case key == "SIZE" && !number(value, 20): // RFC 1870 §3
			return Reply{501, "5.5.4", "Syntax: SIZE=bytes"}
		}
	}
	return Reply{}
}

// number reports whether s is a decimal number of at most that many digits.
func number(s string, digits int) bool {
	return s != "" && len(s) <= digits && strings.Trim(s, "0123456789") == ""
}
