package status

import (
	"bytes"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// Handler answers with the page that fill makes for a visitor, whose address is
// not valid when he comes by way of this machine. Whoever asks for text/html gets
// the page, as browsers do; everybody else, such as curl, what stands at its top
// as text. Fill is called for each request; it must not take long.
func Handler(fill func(visitor netip.Addr) Page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := fill(visitor(r))
		write, kind := p.WriteText, "text/plain"
		if wantsHTML(r.Header.Values("Accept")) {
			write, kind = p.WriteHTML, "text/html"
		}
		var b bytes.Buffer
		if err := write(&b); err != nil {
			http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", kind+"; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Vary", "Accept")
		_, _ = b.WriteTo(w) // a client that went away does not want it
	})
}

// visitor is the address that a request came from.
func visitor(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	addr := at.Addr().Unmap().WithZone("")
	if err != nil || addr.IsLoopback() {
		return netip.Addr{}
	}
	return addr
}

// wantsHTML reports whether a client names text/html, and likes text/plain no
// better (RFC 9110 §12.5.1). One that takes anything is a program.
func wantsHTML(accept []string) bool {
	html, plain := 0.0, 0.0
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, params, _ := strings.Cut(part, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "text/html", "application/xhtml+xml":
			html = max(html, quality(params))
		case "text/plain":
			plain = max(plain, quality(params))
		}
	}
	return html > 0 && html >= plain
}

// quality is the q of a media range; 1 where it has none.
func quality(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		if q, ok := strings.CutPrefix(strings.TrimSpace(strings.ToLower(param)), "q="); ok {
			f, err := strconv.ParseFloat(q, 64)
			if err != nil || f < 0 || f > 1 {
				return 0
			}
			return f
		}
	}
	return 1
}
