package status

import (
	"crypto/sha256"
	_ "embed" // the page and its style are files
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

// refresh is how often the page loads itself again, in seconds.
const refresh = 30

// The page and its style. Nothing changes them.
var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	page = template.Must(template.New("page").Parse(pageHTML))
)

// policy lets a browser use the style that is in the page, and nothing else from
// anywhere (Content Security Policy, level 3).
var policy = func() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// A view is a Page as its template has it: nothing in it is hostile any more.
type view struct {
	Title, Head, Foot text
	Hostname          text
	Refresh           int
	Style             template.CSS
	Lines             []seen
	Tables            []*table
}

// seen is a line with its word, and with what is to be done told by how it is done.
type seen struct {
	line
	Word  text
	Typed bool
}

func (p *Page) view() view {
	v := view{Hostname: clean(p.Hostname), Head: clean(p.head()), Foot: clean(p.foot()), Refresh: refresh, Style: template.CSS(pageCSS), Tables: p.tables()}
	for _, l := range p.lines() {
		v.Lines = append(v.Lines, seen{l, l.Level.word(), typed(string(l.Do))})
	}
	v.Title = v.Lines[0].Word + " – " + v.Hostname + " – moggy"
	return v
}

// word is a level as the top of the page shouts it.
func (l level) word() text {
	switch l {
	case bad:
		return "FAULT"
	case look:
		return "LOOK"
	}
	return "OK"
}

// head says who answers, and whom.
func (p *Page) head() string {
	mode := "enforce"
	if p.Observe {
		mode = "observe"
	}
	text := fmt.Sprintf("moggyd %s runs since %s, mode %s.", p.Version, p.since(p.Started), mode)
	if v := p.Visitor; v.Addr.IsValid() {
		text += fmt.Sprintf(" You are %s: %s.", v.Addr, or(who(v.Class, v.Evidence), "denied"))
	}
	return text
}

func (p *Page) foot() string {
	return fmt.Sprintf("As of %s. This page changes nothing: what is to be done is typed in a terminal, as root. It loads itself again every %d seconds.",
		p.Now.Format(time.DateTime+" MST"), refresh)
}

// WriteHTML writes the page for browsers.
func (p *Page) WriteHTML(w io.Writer) error { return page.Execute(w, p.view()) }

// WriteText writes what is at the top of the page, for terminals.
func (p *Page) WriteText(w io.Writer) error {
	var b strings.Builder
	v := p.view()
	fmt.Fprintf(&b, "%s  %s\n\n", v.Hostname, v.Head)
	for _, l := range v.Lines {
		fmt.Fprintf(&b, "%-7s%s\n", l.Word, l.Text)
		if l.Why != "" {
			fmt.Fprintf(&b, "       %s\n", l.Why)
		}
		if l.Do != "" {
			fmt.Fprintf(&b, "       -> %s\n", l.Do)
		}
	}
	b.WriteString("\n/metrics  numbers, for Prometheus\n/healthz  200: the process lives\n/readyz   200: it can do its work; 503: what keeps it\n" +
		"More is here for browsers, and in a terminal: moggy status\n")
	_, err := io.WriteString(w, b.String())
	return err
}
