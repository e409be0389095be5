// Package hear is moggy's ears: all that reads from outside who logged in, who failed to, and to whom our users write.
// It hears Dovecot's reports over HTTP, follows the logs of Dovecot, Postfix, Exim and OpenSMTPD in files or in the
// journal of systemd, and looks for the operator's ssh sessions. What these mean it does not know: [Hints] does.
//
// # Dovecot
//
// Dovecot (2.2.34 and later) tells an auth-policy server of every login, over HTTP with JSON
// (https://doc.dovecot.org/latest/core/config/auth/policy.html). It can also ask that server whether a login may go on;
// moggy is never to be asked, and if it is, it never says no. In Dovecot 2.3:
//
//	auth_policy_server_url = http://127.0.0.1:9143/dovecot
//	auth_policy_server_api_header = X-API-Key:SECRET
//	auth_policy_server_timeout_msecs = 200
//	auth_policy_hash_nonce = RANDOM
//	auth_policy_check_before_auth = no
//	auth_policy_check_after_auth = no
//	auth_policy_report_after_auth = yes
//	auth_policy_request_attributes = remote=%{rip} login=%{requested_username} protocol=%s pwhash=%{hashed_password}
//
// Both checks must be off, and auth_policy_server_timeout_msecs must be small (200): no login waits for a report, but each
// waits for the answer to a check, and while moggyd does not run that took four seconds with the timeout that Dovecot comes
// with, and 0.4 s with this one, in case a check is on. In 2.4 the attributes may stay as they come, and the timeout is
// http_client_request_absolute_timeout = 200ms inside auth_policy { }. The hash of user and password tells a telephone
// with an old password from somebody who guesses; it needs a nonce.
//
// Whoever may write to a log that is followed may say who logged in: leave to nobody but its programs to write to it.
package hear

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"moggy/whitelist/hints"
)

// Hints is told what was heard; *[hints.Hints] is one. Its methods may be called from many goroutines, and must not block.
type Hints interface {
	Login(hints.Login)
	Sent(hints.Sent)
	Session(hints.Session)
}

// Journal among Options.Logs is the journal of systemd.
const Journal = "journal"

// Options are what New needs.
type Options struct {
	Hints   Hints
	Dovecot net.Listener // for Dovecot's reports, on a loopback address; Run closes it; nil: none
	Key     string       // that Dovecot must give as X-API-Key; "": none
	Logs    []string     // files to follow, or Journal
	SSH     bool         // look for ssh sessions; on Linux only
	Root    string       // where /proc, /run, /var/run and /etc are; "": /
	Log     *slog.Logger // told when something can or cannot be heard; nil: nobody
}

// Ears hear until Run ends.
type Ears struct {
	o      Options
	log    *slog.Logger
	counts counts

	mu     sync.Mutex
	faults map[string]string
}

// New checks the options. On an error it has not closed the listener.
func New(o Options) (*Ears, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dovecot != nil && !loopback(o.Dovecot.Addr().String()) {
		return nil, fmt.Errorf("listening for Dovecot's reports on %s: whoever reaches that may say who logged in; give a loopback address such as 127.0.0.1:9143", o.Dovecot.Addr())
	}
	return &Ears{o: o, log: o.Log, faults: make(map[string]string)}, nil
}

// loopback reports whether hostport is an address and port of this machine's own.
func loopback(hostport string) bool {
	a, err := netip.ParseAddrPort(hostport)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

// Run hears until ctx is done, and returns when all that it started has ended. What cannot be heard, and may be later, is
// tried again and again; see [Ears.Faults].
func (e *Ears) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if e.o.Dovecot != nil {
		p := newPolicy(e.o.Hints, e.o.Key, &e.counts, e.log)
		wg.Go(func() { e.fault("dovecot", p.serve(ctx, e.o.Dovecot)) })
	}
	for _, name := range e.o.Logs {
		s := &scribe{hints: e.o.Hints}
		fault := func(err error) { e.fault(name, advised(err)) }
		if name == Journal {
			j := journal{command: "journalctl", message: s.message, fault: fault}
			wg.Go(func() { j.run(ctx) })
			continue
		}
		f := follower{path: name, line: s.line, fault: fault}
		wg.Go(func() { f.run(ctx) })
	}
	if e.o.SSH {
		w := newSessions(e.o.Root, e.o.Hints, func(err error) { e.fault("ssh", err) })
		wg.Go(func() { w.run(ctx) })
	}
}

// advised adds to an error what to type.
func advised(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; give moggyd the log's group, in its systemd unit: SupplementaryGroups=adm", err)
	}
	return err
}

// Faults says what cannot be heard now, and why: "dovecot", the name of a log, or "ssh", to a sentence.
func (e *Ears) Faults() map[string]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.faults)
}

// fault notes that something cannot be heard; nil: it can. It logs what is new.
func (e *Ears) fault(name string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old, was := e.faults[name]
	switch {
	case err == nil && was:
		delete(e.faults, name)
		e.log.Info("heard again", "ear", name)
	case err != nil && old != err.Error():
		e.faults[name] = err.Error()
		e.log.Warn("cannot be heard", "ear", name, "err", err)
	}
}

// Counts are what came to the listener for Dovecot since the start.
type Counts struct {
	Reports   int64 // of logins, good and bad
	Malformed int64 // no such report
	Refused   int64 // without the key, or not from this machine
}

// counts are Counts while they are counted.
type counts struct{ reports, malformed, refused atomic.Int64 }

// Counts returns what was counted.
func (e *Ears) Counts() Counts {
	return Counts{Reports: e.counts.reports.Load(), Malformed: e.counts.malformed.Load(), Refused: e.counts.refused.Load()}
}
