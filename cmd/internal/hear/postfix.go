package hear

import (
	"net/netip"
	"strings"

	"moggy/whitelist/hints"
)

// parsePostfix reads what Postfix writes: smtpd of a mail that came in and of a failed login, pickup of a mail from this
// machine, smtp of a delivery, qmgr of a mail that is done. A line begins with the queue id and a word of the program's
// own, or with "warning: " and the client; what strangers chose comes later.
func parsePostfix(tag, message string) said {
	service, daemon := "smtp", tag[strings.LastIndexByte(tag, '/')+1:]
	if part := strings.Split(tag, "/"); len(part) > 2 {
		service = part[len(part)-2] // as in postfix/submission/smtpd
	}
	if rest, ok := strings.CutPrefix(message, "warning: "); ok && daemon == "smtpd" {
		return postfixFailed(service, rest)
	}
	id, rest, ok := strings.Cut(message, ": ")
	if !ok || !alphanumeric(id) {
		return said{}
	}
	switch {
	case daemon == "smtpd":
		return postfixClient(service, id, rest)
	case daemon == "pickup":
		_, from, ok := strings.Cut(rest, " from=<")
		return said{kind: accepted, id: id, ours: ok && strings.HasPrefix(rest, "uid=") && from != ">"}
	case daemon == "smtp":
		return postfixDelivered(id, rest)
	case daemon == "qmgr" && rest == "removed":
		return said{kind: ended, id: id}
	}
	return said{}
}

// postfixClient reads "client=NAME[ADDRESS]", then nothing, or who logged in, or where an after-queue filter had it from.
func postfixClient(service, id, s string) said {
	s, ok := strings.CutPrefix(s, "client=")
	addr, rest, host := postfixHost(s)
	if !ok {
		return said{}
	}
	what := said{kind: accepted, id: id}
	if method, ok := strings.CutPrefix(rest, ", sasl_method="); ok && host {
		_, user, named := strings.Cut(method, ", sasl_username=")
		user, _, _ = strings.Cut(user, ", ")
		what.ours = named
		if named {
			what.login = hints.Login{Addr: addr, User: user, Service: service, From: "postfix", OK: true}
		}
	} else if origin, ok := strings.CutPrefix(rest, ", orig_queue_id="); ok && host {
		what.other, _, _ = strings.Cut(origin, ",")
	}
	return what
}

// postfixFailed reads "NAME[ADDRESS]: SASL METHOD authentication failed: REASON, sasl_username=USER". Old
// versions leave the user out; a fault of ours is no failure of the client's.
func postfixFailed(service, s string) said {
	addr, rest, ok := postfixHost(s)
	rest, sasl := strings.CutPrefix(rest, ": SASL ")
	_, reason, failed := strings.Cut(rest, " authentication failed: ")
	if !ok || !sasl || !failed || strings.HasPrefix(reason, "Connection lost") || strings.HasPrefix(reason, "Temporary") {
		return said{}
	}
	_, user, _ := strings.Cut(reason, ", sasl_username=")
	return said{kind: attempted, login: hints.Login{Addr: addr, User: user, Service: service, From: "postfix"}}
}

// postfixHost reads "NAME[ADDRESS]", with ":PORT" if Postfix is told to log it. NAME is "unknown" or a host name that
// Postfix has found valid.
func postfixHost(s string) (addr netip.Addr, rest string, ok bool) {
	i := strings.IndexByte(s, '[')
	if i < 1 || strings.ContainsAny(s[:i], " ,:") {
		return netip.Addr{}, "", false
	}
	return cutAddr(s[i:])
}

// postfixDelivered reads "to=<ADDRESS>, [orig_to=<…>, ]relay=NAME[ADDRESS]:25, …, status=sent (what that host said)".
// What stays on the machine, as mail on its way through a filter, was delivered to nobody yet.
func postfixDelivered(id, s string) said {
	s, ok := strings.CutPrefix(s, "to=<")
	address, s, closed := cutAddress(s)
	if !ok || !closed {
		return said{}
	}
	_, s, ok = strings.Cut(s, ", relay=")
	relay, _, host := postfixHost(s)
	_, status, _ := strings.Cut(s, ", status=")
	if !ok || !host || relay.IsLoopback() || !strings.HasPrefix(status, "sent (") {
		return said{}
	}
	return said{kind: delivered, id: id, domain: domainOf(address)}
}

// cutAddress reads an address up to its ">", which may stand in a quoted local part as well (RFC 5321 §4.1.2).
func cutAddress(s string) (address, rest string, ok bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '>' && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return "", "", false
}

// alphanumeric reports whether s may be a queue id of Postfix, short or long.
func alphanumeric(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; !digits(s[i:i+1]) && (c < 'a' || 'z' < c) {
			return false
		}
	}
	return 5 <= len(s) && len(s) <= 20
}
