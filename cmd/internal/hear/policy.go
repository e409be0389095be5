package hear

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"moggy/whitelist/hints"
)

// maxReport bounds a report, in bytes. A user name may have some thousands, and each six of them as JSON.
const maxReport = 64 << 10

// policy is the server that Dovecot takes for an auth-policy server.
type policy struct {
	hints  Hints
	keyed  bool
	key    [sha256.Size]byte // hashed, so that comparing takes the same time whatever the length
	counts *counts
	log    *slog.Logger
}

func newPolicy(h Hints, key string, c *counts, log *slog.Logger) *policy {
	return &policy{hints: h, keyed: key != "", key: sha256.Sum256([]byte(key)), counts: c, log: log}
}

// serve answers on l, which it closes, until ctx is done. It returns why it ended before.
func (p *policy) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           p,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute, // Dovecot keeps a connection for 10 s
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		server.Shutdown(bounded) // whoever is not done by then is left alone
		server.Close()
	})
	err := server.Serve(l)
	if stop() {
		return fmt.Errorf("listening for reports on %s: %w", l.Addr(), err)
	}
	<-closed
	return nil
}

// ServeHTTP takes a report, or answers that a login may go on.
func (p *policy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !loopback(r.RemoteAddr) || !p.knows(r.Header.Get("X-API-Key")) {
		p.counts.refused.Add(1)
		http.Error(w, "the key of moggy.toml's dovecot_key is wanted as X-API-Key", http.StatusForbidden)
		return
	}
	if r.Method != http.MethodPost {
		http.Error(w, "POST a report", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReport))
	switch command := r.URL.Query().Get("command"); {
	case err == nil && command == "allow":
		answer(w, `{"status":0,"msg":""}`)
		return
	case err == nil && command == "report":
		err = p.report(body)
	case err == nil:
		err = errors.New("the command is neither allow nor report")
	}
	if err != nil {
		p.counts.malformed.Add(1)
		p.log.Warn("malformed auth-policy report", "err", err)
		http.Error(w, "no report of Dovecot's", http.StatusBadRequest)
		return
	}
	answer(w, `{"status":0}`)
}

// knows reports whether key is the one that is wanted.
func (p *policy) knows(key string) bool {
	sum := sha256.Sum256([]byte(key))
	return !p.keyed || subtle.ConstantTimeCompare(sum[:], p.key[:]) == 1
}

func answer(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, text) // Dovecot does not wait for it
}

// report tells hints of a report, unless it says nothing of the client.
func (p *policy) report(body []byte) error {
	l, telling, err := parseReport(body)
	if err != nil {
		return err
	}
	p.counts.reports.Add(1)
	if telling {
		l.Time = time.Now()
		p.hints.Login(l)
	}
	return nil
}

// parseReport reads what Dovecot reports. A failure says something of the client (telling) where a password was wrong or
// a user unknown: not where another policy, or a fault of Dovecot's or its database's, or a closed account was the
// reason, as far as Dovecot says so (fail_type is in 2.4's attributes). Without an address (a login by a socket) the
// login's is not valid.
func parseReport(body []byte) (l hints.Login, telling bool, err error) {
	var r struct {
		Login    string `json:"login"`
		Remote   string `json:"remote"`
		Protocol string `json:"protocol"`
		Hash     string `json:"pwhash"`
		FailType string `json:"fail_type"`
		Rejected bool   `json:"policy_reject"`
		Success  *bool  `json:"success"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return hints.Login{}, false, err
	}
	if r.Success == nil {
		return hints.Login{}, false, errors.New("it does not say whether the login succeeded")
	}
	l = hints.Login{User: r.Login, Service: r.Protocol, From: "dovecot", OK: *r.Success, Hash: r.Hash}
	if r.Remote != "" {
		if l.Addr, err = netip.ParseAddr(r.Remote); err != nil {
			return hints.Login{}, false, fmt.Errorf("remote is no address; set auth_policy_request_attributes = remote=%%{rip} …: %.60q", r.Remote)
		}
	}
	switch r.FailType {
	case "", "credentials", "account":
		return l, l.OK || !r.Rejected, nil
	}
	return l, l.OK, nil
}
