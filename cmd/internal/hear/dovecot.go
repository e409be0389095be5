package hear

import (
	"net/netip"
	"strings"

	"moggy/whitelist/hints"
)

// parseDovecot reads what the login processes of Dovecot 2.2 to 2.4 write when a connection is done with logging in, as
// far as login_log_format_elements is as it comes: "imap-login: Login: user=<me>, method=PLAIN, rip=192.0.2.7, lip=…",
// and the like with "Logged in" (2.4), "Disconnected …(auth failed, 3 attempts in 9 secs)" or "Login aborted …(auth
// failed, …". The user name of a failed login is whatever the client gave, cut at 80 bytes; it may well hold
// ", rip=192.0.2.9, lip=": but what Dovecot knows of the client stands behind it, and nothing of the client's behind that.
func parseDovecot(message string) said {
	process, message, ok := strings.Cut(message, ": ")
	service, login := strings.CutSuffix(process, "-login")
	if !ok || !login || strings.ContainsAny(service, " <(") {
		return said{}
	}
	message = strings.TrimPrefix(message, "Info: ") // in its own log file
	head, rest, _ := strings.Cut(message, ": user=<")
	good := head == "Login" || head == "Logged in"
	if !good && !strings.Contains(head, "(auth failed, ") {
		return said{}
	}
	user, addr, ok := dovecotClient(rest)
	if !ok || good && strings.Count(rest, ", rip=") != 1 {
		return said{}
	}
	return said{kind: attempted, login: hints.Login{Addr: addr, User: user, Service: service, From: "dovecot", OK: good}}
}

// dovecotClient reads who it was, from behind "user=<".
func dovecotClient(s string) (user string, addr netip.Addr, ok bool) {
	i := strings.LastIndex(s, ", rip=")
	if i < 0 {
		return "", addr, false
	}
	rip, _, _ := strings.Cut(s[i+len(", rip="):], ",")
	addr, err := netip.ParseAddr(strings.TrimSpace(rip))
	user = s[:i]
	if end := strings.LastIndex(user, ">, method="); end >= 0 {
		return user[:end], addr, err == nil
	}
	user, closed := strings.CutSuffix(user, ">")
	return user, addr, closed && err == nil
}
