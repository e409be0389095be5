package dialogue

import "strings"

// Envelope is what a peer has said about the mail it wants to send: enough to
// greylist it, and enough to say it again, in canonical form, to the backend.
type Envelope struct {
	Verb string // "EHLO" or "HELO"; "" before either was said
	Helo string // the argument of Verb, at most 255 bytes, printable
	Mail bool   // a MAIL command is open
	From Path   // the sender; Text is "" for the null sender
	To   []Path // the recipients of this transaction that were answered 2yz
}

// Path is a forward or reverse path (RFC 5321 §4.1.2) as the peer wrote it,
// with the parameters that came after it.
type Path struct {
	Text   string // what stood between < and >, a source route included
	Params string // "SIZE=100 BODY=8BITMIME", separated by one space; "" for none
}

// Command returns the path as the argument of a canonical command:
// "<a@example.org> SIZE=100".
func (p Path) Command() string {
	if p.Params == "" {
		return "<" + p.Text + ">"
	}
	return "<" + p.Text + "> " + p.Params
}

// Mailbox returns the address without its source route (which RFC 5321 §4.1.1.3
// asks servers to ignore), its domain in lower case. A local part keeps its case,
// but for postmaster, which has none (§4.5.1).
func (p Path) Mailbox() string {
	text := p.Text
	if strings.HasPrefix(text, "@") {
		if i := strings.IndexByte(text, ':'); i >= 0 {
			text = text[i+1:]
		}
	}
	local, domain := text, ""
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		local, domain = text[:i], strings.ToLower(text[i:])
	}
	if strings.EqualFold(local, "postmaster") {
		local = "postmaster"
	}
	return local + domain
}
