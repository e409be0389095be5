package hear

import (
	"net/netip"
	"strings"

	"moggy/whitelist/hints"
)

// parseExim reads what Exim writes: "ID <= sender H=name (helo) [address] P=esmtpsa … A=dovecot_login:me S=…" of a mail
// that came in, "ID => address … H=name [address] …" of a delivery, "ID Completed", and "… authenticator failed for name
// (helo) [address]: 535 …" of a failed login.
func parseExim(message string) said {
	if rest, ok := cutEximTime(message); ok { // once more, where it writes to syslog
		message = rest
	}
	id, rest, _ := strings.Cut(message, " ")
	if rest, ok := strings.CutPrefix(rest, "authenticator failed for "); ok {
		return eximFailed(rest)
	}
	if !eximID(id) {
		return said{}
	}
	switch sign, s, _ := strings.Cut(rest, " "); {
	case rest == "Completed":
		return said{kind: ended, id: id}
	case sign == "<=":
		return eximAccepted(id, s)
	case sign == "=>", sign == "->":
		return eximDelivered(id, s)
	}
	return said{}
}

// eximAccepted reads what follows "<=". The sender and, with helo_accept_junk_hosts, the helo are a stranger's, and may
// look like the rest of a line; so may the subject, where it is logged. But the protocol comes once in each line, right
// behind the client's address; there must be one only, and what it says of a login is Exim's own word.
func eximAccepted(id, s string) said {
	what := said{kind: accepted, id: id}
	before, rest, _ := strings.Cut(s, " P=")
	if strings.Contains(rest, " P=") {
		return what
	}
	protocol, rest, _ := strings.Cut(rest, " ")
	if protocol == "local" {
		what.ours = !strings.HasPrefix(before, "<> ") // what has no sender is a bounce, or an automatic answer
		return what
	}
	_, auth, ok := strings.Cut(" "+rest, " A=")
	addr, _, host := eximHost(before)
	if !ok || !host || !strings.HasSuffix(protocol, "a") {
		return what
	}
	auth, _, _ = strings.Cut(auth, " ")
	_, user, _ := strings.Cut(auth, ":")
	what.ours = true
	what.login = hints.Login{Addr: addr, User: user, Service: "smtp", From: "exim", OK: true}
	return what
}

// eximFailed reads "name (helo) [address]: 535 … (set_id=user)". 435 is a fault of ours.
func eximFailed(s string) said {
	before, reason, _ := strings.Cut(s, ": 535 ")
	addr, _, ok := eximHost(before)
	if !ok || strings.Contains(reason, ": 535 ") {
		return said{}
	}
	_, user, _ := strings.Cut(reason, "(set_id=")
	user = strings.TrimSuffix(user, ")")
	return said{kind: attempted, login: hints.Login{Addr: addr, User: user, Service: "smtp", From: "exim"}}
}

// eximDelivered reads "address … R=router T=transport H=name [address] …". Only transports to other hosts have an H.
func eximDelivered(id, s string) said {
	address, s, _ := strings.Cut(s, " ")
	_, s, ok := strings.Cut(" "+s, " H=")
	i := strings.IndexByte(s, '[')
	if !ok || i < 0 {
		return said{}
	}
	addr, _, host := cutAddr(s[i:])
	if !host || addr.IsLoopback() {
		return said{}
	}
	return said{kind: delivered, id: id, domain: domainOf(address)}
}

// eximHost reads "… [ADDRESS]", with ":PORT" and " I=[ADDRESS]:PORT" where Exim is told to log them, from the end of s.
func eximHost(s string) (addr netip.Addr, rest string, ok bool) {
	if i := strings.LastIndex(s, " I=["); i >= 0 {
		if _, rest, ok := cutAddr(s[i+len(" I="):]); ok && rest == "" {
			s = s[:i]
		}
	}
	i := strings.LastIndexByte(s, '[')
	if i < 0 || i > 0 && s[i-1] != ' ' && s[i-1] != '=' {
		return netip.Addr{}, "", false
	}
	addr, behind, ok := cutAddr(s[i:])
	return addr, s[:i], ok && behind == ""
}

// eximID reports whether s is an id of a message: 16 bytes, 23 since Exim 4.97.
func eximID(s string) bool {
	a, b, _ := strings.Cut(s, "-")
	b, c, _ := strings.Cut(b, "-")
	return (len(s) == 16 || len(s) == 23) && alphanumeric(a) && alphanumeric(b+"000") && alphanumeric(c+"000")
}
