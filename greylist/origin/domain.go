package origin

import (
	"strings"

	"golang.org/x/net/publicsuffix"

	"moggy/greylist"
)

const (
	maxName  = 253 // bytes of a name in text (RFC 1035 §2.3.4)
	maxLabel = 63
)

// registered returns the registered (organisational) domain of a name: what
// stands below a public suffix. It is "" for a public suffix itself (co.uk,
// github.io), of which nobody is the one holder, and for what is no host name.
//
// Origins are registered domains and not the domains below them, because one
// sender uses many of those: bounces.em123.example.com today, em124 tomorrow.
// Whoever can name a subdomain can do so by leave of the domain's holder, who is
// the one behind it; where the list knows that holders give subdomains away
// (user.github.io), each of these is a domain of its own.
func registered(name string) string {
	if !queryable(name) {
		return ""
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil || !hostName(domain) {
		return ""
	}
	return domain
}

// hostName reports whether a name in lower case is that of a host: two labels or
// more of letters, digits and hyphens (RFC 952, RFC 1123 §2.1), the last of
// them not a number.
func hostName(name string) bool {
	if !queryable(name) {
		return false
	}
	last := name
	for label := range strings.SplitSeq(name, ".") {
		if !ldh(label) {
			return false
		}
		last = label
	}
	return last != name && strings.Trim(last, "0123456789") != ""
}

func ldh(label string) bool {
	for i := range len(label) {
		if c := label[i]; c != '-' && !alnum(c) {
			return false
		}
	}
	return label[0] != '-' && label[len(label)-1] != '-'
}

func alnum(c byte) bool { return 'a' <= c && c <= 'z' || digit(c) }

func digit(c byte) bool { return '0' <= c && c <= '9' }

// queryable reports whether a name can be asked for: its labels are neither
// empty nor too long, and all of it can be seen. A backslash is the escape of
// zone files, and is not let through to where one is understood.
func queryable(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel {
			return false
		}
	}
	return strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) < 0
}

// fold takes a trailing dot away and lowers ASCII letters, and no others (RFC
// 4343).
func fold(name string) string {
	b := []byte(strings.TrimSuffix(name, "."))
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// OfDomain is the origin of mail that passes SPF for a domain: so that it can be
// made known before any has come. Not ok: no origin has that name.
func OfDomain(name string) (greylist.Origin, bool) {
	domain := registered(fold(name))
	return greylist.Origin{Kind: greylist.Domain, Name: domain}, domain != ""
}
