package redis

import (
	"errors"
	"fmt"
	"net"
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

// parse reads a URL. It is not left to net/url, which refuses a list of hosts and
// shows the password in its errors. No error shows any part of what may be one.
func parse(text string) (a address, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("[store] url: %w", err)
		}
	}()
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || !slices.Contains([]string{single, singleTLS, sentinelScheme, clusterScheme}, scheme) {
		return a, errors.New("begins with none of redis://, rediss://, redis+sentinel://, redis+cluster://; write redis://127.0.0.1:6379")
	}
	a = address{scheme: scheme, prefix: "moggy", tls: scheme == singleTLS}
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
		return errors.New("user or password has a % that begins no code; write %25 for it")
	}
	if !both {
		return errors.New("a user without a password; write redis://user:password@host, or redis://:password@host")
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
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 || h == "" || strings.ContainsAny(h, "[] @#") {
			return errors.New("a host that is neither a name nor an address, with or without a port; write redis://127.0.0.1:6379")
		}
		a.hosts = append(a.hosts, net.JoinHostPort(h, p))
	}
	if len(a.hosts) > 1 && (a.scheme == single || a.scheme == singleTLS) {
		return errors.New("several hosts are for redis+sentinel:// and redis+cluster:// only; write one")
	}
	return nil
}

func (a *address) setPath(path string) error {
	path = strings.TrimSuffix(path, "/")
	switch a.scheme {
	case clusterScheme:
		if path != "" {
			return errors.New("a Cluster has no databases; write nothing behind the hosts")
		}
		return nil
	case sentinelScheme:
		a.master, path, _ = strings.Cut(path, "/")
		if a.master == "" {
			return errors.New("no name of a master; write redis+sentinel://host,host,host/mymaster")
		}
	}
	if path == "" {
		return nil
	}
	n, err := strconv.ParseUint(path, 10, 16)
	if err != nil {
		return errors.New("a database is a number; write redis://127.0.0.1:6379/0")
	}
	a.database = int(n)
	return nil
}

func (a *address) setOptions(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the options behind ? cannot be read; write ?prefix=moggy")
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
			return fmt.Errorf("an option %.20q is not known; there are prefix, tls=yes, ca, cert, key, sentinel_user, sentinel_password", name)
		}
	}
	return a.check()
}

func (a *address) check() error {
	fit := func(c rune) bool { return c < 128 && (c == '-' || c == '_' || c == '.' || isAlnum(byte(c))) }
	switch {
	case a.prefix == "" || len(a.prefix) > 32 || strings.TrimFunc(a.prefix, fit) != "":
		return errors.New("a prefix is up to 32 letters, digits, dots, dashes; write ?prefix=moggy")
	case !a.tls && a.ca+a.cert+a.key != "":
		return errors.New("ca, cert and key are for TLS; write rediss:// or tls=yes")
	case (a.cert == "") != (a.key == ""):
		return errors.New("cert and key go together; write both or neither")
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
