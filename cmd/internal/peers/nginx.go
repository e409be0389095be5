package peers

import (
	"crypto/x509"
	"testing"
)

// A Web is a web server that answers every request with a line of text. Its log has who the PROXY header named:
// proxy_protocol_addr=ADDRESS.
type Web struct {
	*program
	Proxy    string         // address where it wants the PROXY header first, then HTTP
	ProxyTLS string         // the same with TLS
	Trust    *x509.CertPool // who believes its certificate, which is for CertName
}

// WebSays is what a Web answers.
const WebSays = "a page of package peers\n"

// nginxSettings are what the template of nginx uses.
type nginxSettings struct {
	Dir   string
	Ports []int
	Says  string
}

// Nginx starts nginx.
func Nginx(t testing.TB) *Web {
	t.Helper()
	p := newUnpacked(t, "nginx")
	p.ports = freePorts(t, 2)
	pool := p.certify()
	p.mkdir(p.path("ns/lib/nginx"), 0)
	p.fill("nginx.conf", "nginx.conf", nginxSettings{p.dir, p.ports, WebSays})
	p.argv = []string{"/usr/sbin/nginx", "-p", p.dir, "-e", p.path("log", "error"), "-c", p.path("nginx.conf")}
	p.Start()
	return &Web{program: p, Proxy: local(p.ports[0]), ProxyTLS: local(p.ports[1]), Trust: pool}
}
