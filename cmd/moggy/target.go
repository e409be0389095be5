package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"moggy/cmd/internal/desk"
	"moggy/cmd/internal/keep"
	"moggy/proxy/dialogue"
	"moggy/verdict/journal"
	"moggy/whitelist"
)

// A target is what an address argument names.
type target struct {
	text    string         // as it is shown
	nets    []netip.Prefix // none for a mailbox or an origin
	mailbox string         // "@example.org": any of the domain
	ref     string
	origin  string
	host    string // the name that nets were looked up by
}

// What an argument may be besides an address, a network, a host name, "me" and,
// for its address, a ref.
const (
	mayMailbox = 1 << iota
	mayOrigin
	mayRef // the ref itself is asked for, and not its address alone
)

// target reads an address argument.
func (t *tool) target(ctx context.Context, text string, may int) (target, error) {
	ref, isRef := journal.ParseRef(text)
	addr, isAddr := address(text)
	switch {
	case text == "":
		return target{}, errors.New("no address; give 192.0.2.7, 192.0.2.0/24, a host name or me")
	case text == "me":
		return t.me()
	case isAddr:
		return target{text: desk.Text(addr), nets: []netip.Prefix{addr}}, nil
	case strings.Contains(text, "@"):
		return mailboxTarget(text, may)
	case isRef:
		if out, err := t.byRef(ctx, ref, may); err != nil || out.text != "" {
			return out, err
		}
	case strings.Contains(text, "/"):
		return target{}, fmt.Errorf("%q is no network; give 192.0.2.0/24", text)
	case may&mayOrigin != 0 && strings.Contains(text, "."):
		return target{text: text, origin: strings.ToLower(text)}, nil
	}
	return t.byName(ctx, text, isRef)
}

// address reads an address or a network, as logs write them too.
func address(text string) (netip.Prefix, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		text = ap.Addr().String()
	}
	p, err := whitelist.ParseNet(strings.Trim(text, "[]"))
	return p, err == nil
}

// me is where the operator's ssh session comes from.
func (t *tool) me() (target, error) {
	for _, name := range []string{"SSH_CLIENT", "SSH_CONNECTION"} {
		first, _, _ := strings.Cut(t.env(name), " ")
		if p, ok := address(first); ok {
			return target{text: desk.Text(p) + " (your ssh session)", nets: []netip.Prefix{p}}, nil
		}
	}
	return target{}, errors.New("me is where your ssh session comes from, and $SSH_CLIENT is not set; sudo drops it: type sudo --preserve-env=SSH_CLIENT moggy …, or name the address")
}

func mailboxTarget(text string, may int) (target, error) {
	if may&mayMailbox == 0 {
		return target{}, fmt.Errorf("%q is a mail address; give 192.0.2.7, 192.0.2.0/24 or a host name", text)
	}
	return target{text: text, mailbox: mailbox(text)}, nil
}

// mailbox is a mail address as the proxy keeps it; "<>" is the null sender.
func mailbox(text string) string {
	text = strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">")
	if strings.HasPrefix(text, "@") {
		return strings.ToLower(text)
	}
	return dialogue.Path{Text: text}.Mailbox()
}

// byRef finds the address that a ref was given to; the zero target where the
// journal does not know it.
func (t *tool) byRef(ctx context.Context, ref string, may int) (target, error) {
	records, err := t.find(ctx, journal.Query{Ref: ref})
	if err != nil || len(records) == 0 {
		return target{}, err
	}
	addr := records[0].Peer.Addr()
	out := target{text: addr.String(), nets: []netip.Prefix{netip.PrefixFrom(addr, addr.BitLen())}}
	if may&mayRef != 0 {
		out.text, out.ref = ref, ref
	}
	return out, nil
}

// resolveTimeout is how long a host name may take to be looked up.
const resolveTimeout = 3 * time.Second

// byName looks a host name up.
func (t *tool) byName(ctx context.Context, host string, orRef bool) (target, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addrs, err := t.resolve(ctx, host)
	missing, ok := errors.AsType[*net.DNSError](err)
	switch {
	case ok && missing.IsNotFound && orRef:
		return target{}, fmt.Errorf("%s is neither a ref in the journal nor the name of a host; type: moggy why ADDRESS", host)
	case ok && missing.IsNotFound:
		return target{}, fmt.Errorf("there is no host %s; give its address", host)
	case err != nil:
		return target{}, fmt.Errorf("looking up %s: %w; give its address", host, err)
	}
	out := target{text: host, host: host}
	for _, a := range addrs {
		p := netip.PrefixFrom(whitelist.CanonicalAddr(a), whitelist.CanonicalAddr(a).BitLen())
		if !slices.Contains(out.nets, p) {
			out.nets = append(out.nets, p)
		}
	}
	return out, nil
}

// find asks the journal. Records that could be read are worth more than a
// complaint about those that could not.
func (t *tool) find(ctx context.Context, q journal.Query) ([]journal.Record, error) {
	cfg, err := t.config(ctx)
	if err != nil {
		return nil, err
	}
	records, err := journal.Find(desk.JournalDir(cfg.StateDir), q)
	switch {
	case errors.Is(err, journal.ErrCorrupt):
		fmt.Fprintf(t.err, "moggy: %s; the rest could be read\n", printable(err.Error()))
	case err != nil && isMissing(err):
		records = nil // nothing was decided here yet
	case err != nil:
		return nil, fmt.Errorf("%w; type: sudo moggy …", err)
	}
	if keep.Embedded(cfg) {
		return records, nil
	}
	return journal.Merge(records, t.told(ctx, q), q.Limit), nil
}

// told are the records of all doors with one memory. Where they cannot be had, those
// of this machine are worth something.
func (t *tool) told(ctx context.Context, q journal.Query) []journal.Record {
	var all desk.RecordList
	err := t.ask(ctx, func(ctx context.Context, d desk.Desk) (err error) {
		all, err = d.Records(ctx, q)
		return err
	})
	if err != nil {
		fmt.Fprintf(t.err, "moggy: what other doors decided cannot be read: %s\n", printable(err.Error()))
	}
	return all.Records
}
