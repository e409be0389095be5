package redis

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// An address is a URL taken apart.
type address struct {
	scheme         string
	hosts          []string // with ports
	user, password string
	master         string // of Sentinel
	database       int
	prefix         string
	tls            bool
	ca, cert, key  string // PEM files
	sentinel       struct{ user, password string }
}

const (
	single         = "redis"
	singleTLS      = "rediss"
	sentinelScheme = "redis+sentinel"
	clusterScheme  = "redis+cluster"
)

// CheckURL says what is wrong with the text of a URL, see [Open]: a sentence that
// begins after its subject and ends with what to type. It shows no part of what may
// be a password.
func CheckURL(text string) error {
	_, err := parse(text)
	return err
}

// CheckFiles does the same for the PEM files that a URL names, which Open reads.
func CheckFiles(text string) error {
	a, err := parse(text)
	if err == nil {
		_, err = a.tlsConfig()
	}
	return err
}

// parse reads a URL. It is not left to net/url, which refuses a list of hosts and
// shows the password in its errors. No error shows any part of what may be one.
func parse(text string) (a address, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || !slices.Contains([]string{single, singleTLS, sentinelScheme, clusterScheme}, scheme) {
		return a, errors.New("begins with none of redis://, rediss://, redis+sentinel://, redis+cluster://; write redis://127.0.0.1:6379")
	}
	a = address{scheme: scheme, prefix: "moggy", tls: scheme == singleTLS}
	if cut := strings.IndexAny(rest, "/?#"); cut >= 0 && strings.Contains(rest[cut:], "@") {
		return a, errors.New("has an @ behind /, ? or #; in a password write %40, %2F, %3F and %23 for these")
	}
	rest, query, _ := strings.Cut(rest, "?")
	rest, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if err := a.credentials(rest[:at]); err != nil {
			return a, err
		}
		rest = rest[at+1:]
	}
	if err := a.setHosts(rest); err != nil {
		return a, err
	}
	if err := a.setPath(path); err != nil {
		return a, err
	}
	return a, a.setOptions(query)
}

func (a *address) credentials(text string) error {
	user, password, both := strings.Cut(text, ":")
	var err1, err2 error
	a.user, err1 = url.PathUnescape(user)
	a.password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return errors.New("has a user or a password with a % that begins no code; write %25 for it")
	}
	if !both {
		return errors.New("has a user without a password; write redis://user:password@host, or redis://:password@host")
	}
	return nil
}

func (a *address) setHosts(list string) error {
	port := "6379"
	if a.scheme == sentinelScheme {
		port = "26379"
	}
	for host := range strings.SplitSeq(list, ",") {
		h, p, err := net.SplitHostPort(host)
		if err != nil {
			h, p = strings.Trim(host, "[]"), port
		}
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 || !isHost(h) {
			return errors.New("has a host that is neither a name nor an address, with or without a port; write redis://127.0.0.1:6379")
		}
		a.hosts = append(a.hosts, net.JoinHostPort(h, p))
	}
	if len(a.hosts) > 1 && (a.scheme == single || a.scheme == singleTLS) {
		return errors.New("has several hosts, which only redis+sentinel:// and redis+cluster:// can have; write one")
	}
	return nil
}

// isHost reports whether h is an address, or can be a name.
func isHost(h string) bool {
	_, err := netip.ParseAddr(h)
	return err == nil || h != "" && strings.TrimFunc(h, inName) == ""
}

// inName reports whether c may be in a name of a host, or in a prefix.
func inName(c rune) bool { return c < 128 && (c == '-' || c == '_' || c == '.' || isAlnum(byte(c))) }

func (a *address) setPath(path string) error {
	path = strings.TrimSuffix(path, "/")
	switch a.scheme {
	case clusterScheme:
		if path != "" {
			return errors.New("has a database, and a Cluster has none; write nothing behind the hosts")
		}
		return nil
	case sentinelScheme:
		a.master, path, _ = strings.Cut(path, "/")
		if a.master == "" {
			return errors.New("has no name of a master; write redis+sentinel://host,host,host/mymaster")
		}
	}
	if path == "" {
		return nil
	}
	n, err := strconv.ParseUint(path, 10, 16)
	if err != nil {
		return errors.New("has a database that is no number; write redis://127.0.0.1:6379/0")
	}
	a.database = int(n)
	return nil
}

func (a *address) setOptions(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("has options behind ? that cannot be read; write ?prefix=moggy")
	}
	texts := map[string]*string{"prefix": &a.prefix, "ca": &a.ca, "cert": &a.cert, "key": &a.key,
		"sentinel_user": &a.sentinel.user, "sentinel_password": &a.sentinel.password}
	for name, v := range values {
		switch field, ok := texts[name]; {
		case ok:
			*field = v[len(v)-1]
		case name == "tls" && v[0] == "yes":
			a.tls = true
		default:
			return errors.New("has an option that is not known; choose prefix, tls=yes, ca, cert, key, sentinel_user or sentinel_password")
		}
	}
	return a.check()
}

func (a *address) check() error {
	switch {
	case a.prefix == "" || len(a.prefix) > 32 || strings.TrimFunc(a.prefix, inName) != "":
		return errors.New("has a prefix of other than up to 32 letters, digits, dots, dashes and underscores; write ?prefix=moggy")
	case !a.tls && a.ca+a.cert+a.key != "":
		return errors.New("has ca, cert or key, which are for TLS; write rediss:// or tls=yes")
	case (a.cert == "") != (a.key == ""):
		return errors.New("has cert without key, or key without cert; write both or neither")
	}
	return nil
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// String names the place, and no password.
func (a address) String() string {
	name := "Redis at " + strings.Join(a.hosts, ",")
	if a.master != "" {
		name += " (" + a.master + ")"
	}
	return name
}
