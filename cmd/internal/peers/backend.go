package peers

import (
	"bytes"
	"embed"
	"net/netip"
	"text/template"
)

// Domain is what every backend accepts mail for, except for Nobody. Mail for other domains is refused.
const Domain = "maildir.test"

// Nobody is the recipient that every backend refuses with 550.
const Nobody = "nobody@" + Domain

// SenderDomain is where senders keep the bounces they get; mail from it looks like that of a neighbour.
const SenderDomain = "sender.test"

//go:embed conf
var conf embed.FS

// Backend is a mail server that accepts mail for Domain and keeps it in a maildir.
type Backend struct {
	*program
	Plain   string     // address where it speaks plain SMTP
	Proxy   string     // address where it wants the PROXY header first
	XClient string     // address where it believes XCLIENT; "" when it knows no such thing
	Source  netip.Addr // address that the connection to Proxy must come from; invalid: any
}

// fill writes a file of the program's configuration from its template in conf.
func (p *program) fill(name, tmpl string, data any) {
	p.t.Helper()
	t, err := template.New(tmpl).Option("missingkey=error").ParseFS(conf, "conf/"+tmpl)
	if err != nil {
		p.t.Fatal(err)
	}
	var text bytes.Buffer
	if err := t.Execute(&text, data); err != nil {
		p.t.Fatal(err)
	}
	p.write(name, text.String())
}
