package hear

import (
	"net/netip"
	"strings"

	"moggy/whitelist/hints"
)

// parseOpenSMTPD reads what OpenSMTPD 6.4 and later write of a session: "SESSION smtp connected address=…", "… smtp
// authentication user=me result=ok", "… smtp message msgid=…"; and of a delivery: "SESSION mta delivery evpid=…". The
// first eight digits of an envelope's id are that of its message.
func parseOpenSMTPD(message string) said {
	id, rest, ok := strings.Cut(message, " ")
	if !ok || !hexadecimal(id, 16) {
		return said{}
	}
	if s, ok := strings.CutPrefix(rest, "mta delivery evpid="); ok {
		return openSMTPDDelivered(s)
	}
	event, s, _ := strings.Cut(strings.TrimPrefix(rest, "smtp "), " ")
	switch {
	case !strings.HasPrefix(rest, "smtp "):
	case event == "connected":
		return openSMTPDConnected(id, s)
	case event == "authentication":
		return openSMTPDTried(id, s)
	case event == "message":
		msgid, _, _ := strings.Cut(strings.TrimPrefix(s, "msgid="), " ")
		if hexadecimal(msgid, 8) {
			return said{kind: continued, id: id, other: msgid}
		}
	case event == "disconnected":
		return said{kind: ended, id: id}
	}
	return said{}
}

// openSMTPDConnected reads "address=ADDRESS host=…"; the address is "local" on the socket, and in brackets for IPv6.
func openSMTPDConnected(id, s string) said {
	s, ok := strings.CutPrefix(s, "address=")
	text, _, _ := strings.Cut(s, " ")
	if ok && text == "local" {
		return said{kind: connected, id: id, local: true}
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if !ok || err != nil {
		return said{}
	}
	return said{kind: connected, id: id, addr: addr}
}

// openSMTPDTried reads "user=USER result=RESULT". The user is what the client gave, with its spaces escaped.
func openSMTPDTried(id, s string) said {
	s, ok := strings.CutPrefix(s, "user=")
	i := strings.LastIndex(s, " result=")
	if !ok || i < 0 {
		return said{}
	}
	user, _, _ := strings.Cut(s[:i], " ")
	l := hints.Login{User: user, Service: "smtp", From: "opensmtpd"}
	switch s[i+len(" result="):] {
	case "ok":
		l.OK = true
	case "permfail":
	default:
		return said{}
	}
	return said{kind: tried, id: id, login: l}
}

// openSMTPDDelivered reads "EVPID from=<…> to=<ADDRESS> rcpt=<…> source="…" relay="ADDRESS (NAME)" … result="Ok" stat="…"".
func openSMTPDDelivered(s string) said {
	evpid, s, ok := strings.Cut(s, " from=<")
	from, s, closed := cutAddress(s)
	s, to := strings.CutPrefix(s, " to=<")
	address, s, whole := cutAddress(s)
	_, s, relayed := strings.Cut(s, ` relay="`)
	relay, _, _ := strings.Cut(s, " ")
	host, err := netip.ParseAddr(strings.Trim(relay, `[]"`))
	_, result, _ := strings.Cut(s, ` result="`)
	if !ok || !closed || !to || !whole || !relayed || !hexadecimal(evpid, 16) || err != nil || host.IsLoopback() || !strings.HasPrefix(result, `Ok"`) {
		return said{}
	}
	return said{kind: delivered, id: evpid[:8], bounce: from == "", domain: domainOf(address)}
}

// hexadecimal reports whether s is a number of n hexadecimal digits.
func hexadecimal(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}
