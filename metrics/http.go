package metrics

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"moggy/verdict/journal"
)

// Health is what the admin page knows beside the numbers.
type Health struct {
	Hostname func() string           // by which it may be asked, beside localhost and every bare address; nil: none
	Ready    func() map[string]error // what keeps the daemon from its work, by name; empty: nothing; nil: never anything
	Degraded func() map[string]error // what it goes on without, by name; as Ready
	Page     http.Handler            // answers /, for people; nil: it names the rest
}

// Handler answers /metrics, /healthz (the process lives), /readyz (200, or 503
// and one line for each fault; what the daemon goes on without is named, too) and /,
// which names them. It answers GET and HEAD only, and only requests that name a host
// of ours: a page of somebody else's, whose name was made to lead here, cannot read it
// (DNS rebinding).
func (m *Metrics) Handler(h Health) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.Handle("GET /{$}", h.front())
	return h.guard(mux)
}

func (h Health) front() http.Handler {
	if h.Page == nil {
		return http.HandlerFunc(index)
	}
	return h.Page
}

func index(w http.ResponseWriter, _ *http.Request) {
	say(w, http.StatusOK, "moggy\n\n/metrics  numbers, for Prometheus\n/healthz  200: the process lives\n/readyz   200: it can do its work; 503: what keeps it\n")
}

func healthz(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok\n") }

// readyz says 200 also where something is degraded: doors that share a store would
// all be taken out of service when it fails, though each can do without.
func (h Health) readyz(w http.ResponseWriter, _ *http.Request) {
	code, text := http.StatusOK, "ok\n"
	if faults := sentences(h.Ready); faults != "" {
		code, text = http.StatusServiceUnavailable, faults
	}
	say(w, code, text+sentences(h.Degraded))
}

// sentences are faults in the order of their names, a line each; nil faults are none.
func sentences(ask func() map[string]error) string {
	if ask == nil {
		return ""
	}
	var b strings.Builder
	faults := ask()
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		if err := faults[name]; err != nil {
			fmt.Fprintf(&b, "%s: %s\n", journal.Printable(name), journal.Printable(err.Error()))
		}
	}
	return b.String()
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text) // a client that went away does not want it
}

// guard lets requests through that name a host of ours.
func (h Health) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if !h.ours(r.Host) {
			say(w, http.StatusMisdirectedRequest, "not a name of this page: ask by address, by localhost or by the configured hostname\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ours reports whether a Host header names us; HTTP/1.0 may leave it out.
func (h Health) ours(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ".")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "" || strings.EqualFold(host, "localhost") || h.Hostname != nil && strings.EqualFold(host, h.Hostname())
}

// The bounds of one request to the admin page.
const (
	maxHeader    = 8 << 10 // bytes
	readTimeout  = 5 * time.Second
	writeTimeout = 30 * time.Second
	idleTimeout  = time.Minute
	lastRequests = 2 * time.Second // given to requests that run when Serve is to end
)

// Serve answers on l with h until ctx ends, which is no error, and closes l. It
// returns when the last request has ended.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, MaxHeaderBytes: maxHeader, ErrorLog: log.New(io.Discard, "", 0),
		ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		shutDown(s)
	})
	err := s.Serve(l)
	if stop() {
		_ = s.Close() // Serve's error says more
		return fmt.Errorf("admin page on %s: %w", l.Addr(), err)
	}
	<-ended
	return nil
}

func shutDown(s *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), lastRequests)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		_ = s.Close() // cuts off who is slow to read
	}
}
