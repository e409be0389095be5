package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"moggy/store/redis"
)

// endpoint is a host and a port. An empty host stands for all addresses.
type endpoint struct {
	host string // a lower-case name or an address in its shortest form
	port int    // 0: any free one
}

// parseEndpoint reads host:port and :port. Its errors follow the value in a
// sentence and do not yet say what to type.
func parseEndpoint(s string) (endpoint, error) {
	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		return endpoint{}, splitFault(s)
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return endpoint{}, errors.New("has no port from 1 to 65535")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return endpoint{host: addr.Unmap().String(), port: int(port)}, nil
	}
	if host != "" && !validHost(host) {
		return endpoint{}, errors.New("has neither an address nor a host name before its port")
	}
	return endpoint{host: strings.ToLower(host), port: int(port)}, nil
}

func splitFault(s string) error {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Is6() {
		return errors.New("is IPv6 and needs brackets and a port")
	}
	if strings.Count(s, ":") > 1 && !strings.HasPrefix(s, "[") {
		return errors.New("has too many colons; IPv6 needs brackets")
	}
	return errors.New("has no port")
}

func (e endpoint) any() bool { return slices.Contains([]string{"", "0.0.0.0", "::"}, e.host) }

func (e endpoint) loopback() bool {
	addr, err := netip.ParseAddr(e.host)
	return e.host == "localhost" || err == nil && addr.IsLoopback()
}

// same reports whether two endpoints cannot both be listened on.
func (e endpoint) same(o endpoint) bool { return e.port == o.port && e.port != 0 && e.host == o.host }

// reaches reports whether a connection to e arrives at the listener l.
func (e endpoint) reaches(l endpoint) bool {
	if e.port != l.port || e.port == 0 {
		return false
	}
	return e.host == l.host || l.any() && e.loopback() || e.host == "localhost" && l.loopback()
}

// endpoint reads s, the value of path, and says what is wrong with it.
func (k *checker) endpoint(path, s string, listens bool) (endpoint, bool) {
	if !k.sound(path) {
		return endpoint{}, false
	}
	key, example := path[strings.LastIndexByte(path, '.')+1:], "0.0.0.0:25"
	switch {
	case path == "admin.address":
		example = "127.0.0.1:9925"
	case path == "hints.dovecot":
		example = hintsPort
	case !listens:
		example = "127.0.0.1:10025"
	}
	e, err := parseEndpoint(s)
	switch {
	case s == "":
		err = errors.New("is missing")
	case err != nil:
	case !listens && e.any():
		err = errors.New("does not say which machine")
	case !listens && e.port == 0:
		err = errors.New("has no port from 1 to 65535")
	}
	if err != nil {
		k.fault(path, "%v; write %s = %q", err, key, example)
	}
	return e, err == nil
}

func (k *checker) listeners() {
	if len(k.c.Listeners) == 0 {
		k.fault("listener", "is empty, so no mail would be accepted; write [[listener]]")
	}
	names := make(map[string]bool)
	var addresses []endpoint
	for i, l := range k.c.Listeners {
		row := fmt.Sprintf("listener[%d]", i)
		k.listener(row, l, names)
		e, ok := k.endpoint(row+".address", l.Address, true)
		if ok && slices.ContainsFunc(addresses, e.same) {
			k.fault(row+".address", "is that of an earlier listener; write another address or port")
		}
		if ok {
			addresses = append(addresses, e)
		}
	}
	for i, l := range k.c.Listeners {
		k.backend(fmt.Sprintf("listener[%d]", i), l, addresses)
	}
}

// listener checks what needs no other listener but its name.
func (k *checker) listener(row string, l Listener, names map[string]bool) {
	switch {
	case l.Name == "":
		k.fault(row+".name", `is missing; write name = "smtp"`)
	case !validName(l.Name):
		k.fault(row+".name", `has more than 32 characters or others than lower-case letters, digits and dashes; write name = "smtp"`)
	case names[l.Name]:
		k.fault(row+".name", `is that of an earlier listener; write name = "%s-2"`, l.Name)
	}
	names[l.Name] = true
	if l.Forward == ForwardXClient && l.Kind == KindStream {
		k.fault(row+".forward", `is for kind = "smtp" only; write forward = "proxy-v2"`)
	}
	if l.Kind == KindSMTP && l.Idle < idleSMTPLeast {
		k.fault(row+".idle", `is shorter than 5m, the least of RFC 5321 section 4.5.3.2.7; write idle = "10m"`)
	}
	if l.Idle > day {
		k.fault(row+".idle", `is longer than a day; write idle = "10m"`)
	}
	if l.Kind == KindSMTP && k.given(row+".crawlers") {
		k.fault(row+".crawlers", `is for kind = "stream" only, because crawlers come to web servers; remove it`)
	}
	for i, p := range l.TrustProxy {
		if p.IsValid() && p.Bits() == 0 {
			k.warn(fmt.Sprintf("%s.trust_proxy[%d]", row, i), "lets everybody claim any address; write the networks of your load balancers only")
		}
	}
	k.tls(row, l)
}

func (k *checker) tls(row string, l Listener) {
	switch cert, key := l.TLSCert != "", l.TLSKey != ""; {
	case !k.sound(row+".tls_cert", row+".tls_key"):
	case cert && !key:
		k.fault(row+".tls_cert", `needs its key; add tls_key = "/etc/ssl/mx.key"`)
	case key && !cert:
		k.fault(row+".tls_key", `needs its certificate; add tls_cert = "/etc/ssl/mx.pem"`)
	case cert && l.Kind == KindStream:
		k.fault(row+".tls_cert", `is for kind = "smtp" only, others are carried untouched; remove tls_cert and tls_key`)
	}
}

// backend checks where a listener leads; listening are all addresses that
// moggy itself accepts on.
func (k *checker) backend(row string, l Listener, listening []endpoint) {
	e, ok := k.endpoint(row+".backend", l.Backend, false)
	if !ok {
		return
	}
	if slices.ContainsFunc(listening, e.reaches) {
		k.fault(row+".backend", `leads back to a listener, in a loop; write the port of the mail server, as in backend = "127.0.0.1:10025"`)
	}
	addr, err := netip.ParseAddr(e.host)
	if err == nil && l.Source.IsValid() && addr.Is4() != l.Source.Is4() {
		k.fault(row+".source", "and backend %s are not both IPv4 or both IPv6; write a source of the backend's kind", l.Backend)
	}
}

// schemes are those of the stores that are reached over the network.
var schemes = []string{"redis", "rediss", "redis+sentinel", "redis+cluster"}

// store checks the URL without ever showing it: it may hold a password.
func (k *checker) store(mode fs.FileMode) {
	const path = "store.url"
	if k.c.Store.URL == StoreEmbedded {
		return
	}
	scheme, rest, ok := strings.Cut(k.c.Store.URL, "://")
	if !ok || !slices.Contains(schemes, scheme) {
		k.fault(path, `is not known; choose "embedded", or a URL that begins with %s`, either(withSlashes(schemes)))
		return
	}
	if err := storeFault(k.c.Store.URL, mode); err != nil {
		k.fault(path, "%s", oneLine(err.Error()))
	}
	authority := rest[:len(rest)-len(strings.TrimLeftFunc(rest, inAuthority))]
	password := strings.Contains(authority[:strings.LastIndexByte(authority, '@')+1], ":") || strings.Contains(rest, "sentinel_password=")
	if password && mode.Perm()&0o004 != 0 {
		k.warn(path, "holds a password and everybody on this machine can read the file; type chmod o= %s", k.name)
	}
}

// storeFault says what is wrong with the URL, and, where there is a file and not a
// text alone, with the files that it names.
func storeFault(url string, mode fs.FileMode) error {
	if mode == 0 {
		return redis.CheckURL(url)
	}
	return redis.CheckFiles(url)
}

func inAuthority(r rune) bool { return !strings.ContainsRune("/?#", r) }

func withSlashes(schemes []string) []string {
	var all []string
	for _, s := range schemes {
		all = append(all, s+"://")
	}
	return all
}
