package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"moggy/cmd/internal/desk"
	"moggy/dnsbl"
	"moggy/metrics"
	"moggy/proxy"
	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
)

// What of the journal is looked at.
const (
	fewConnections  = 10  // say nothing
	lastConnections = 60  // to see whether addresses are real
	lastRecords     = 600 // to find those
	hintsWithin     = 26 * time.Hour
	maxClients      = 200_000 // records
)

// clients checks that the addresses of clients are theirs: behind a gateway that
// hides them nothing that is learned or counted is right.
func (x *examination) clients() {
	i := slices.IndexFunc(x.status.Alarms, func(a proxy.Alarm) bool { return a.Name == proxy.AlarmName(metrics.SourceLost) })
	if i >= 0 {
		x.add(fail, "clients", "clients' addresses are not real: "+printable(x.status.Alarms[i].Why))
		return
	}
	records, err := x.find(x.ctx, journal.Query{Limit: lastRecords})
	if err != nil {
		x.add(warn, "clients", sentences(err.Error()))
		return
	}
	met := peers(records, nil)
	met = met[max(0, len(met)-lastConnections):]
	distinct := make(map[netip.Addr]bool)
	for _, a := range met {
		distinct[a] = true
	}
	switch {
	case len(met) == 0:
		x.add(fine, "clients", "nobody has connected yet")
	case len(met) < fewConnections:
		x.add(fine, "clients", fmt.Sprintf("%s from %s: too few to tell whether addresses are real", count(len(met), "connection"), count(len(distinct), "address")))
	case len(distinct) == 1 && len(met) >= lastConnections/2 && met[0].IsPrivate():
		x.add(warn, "clients", fmt.Sprintf("the last %d connections all came from %s: is it a gateway that hides who really comes?", len(met), met[0]),
			"have it speak the PROXY protocol, or forward packets without rewriting their source")
	default:
		x.add(fine, "clients", fmt.Sprintf("clients' addresses are real: %d distinct in the last %s", len(distinct), count(len(met), "connection")))
	}
}

// peers are who connected, in their order; on the listeners named, nil: on all.
func peers(records []journal.Record, listeners []string) (all []netip.Addr) {
	for _, r := range records {
		if r.Event == journal.EventDecided && r.Stage == verdict.Connect && r.Peer.IsValid() && (listeners == nil || slices.Contains(listeners, r.Listener)) {
			all = append(all, r.Peer.Addr())
		}
	}
	return all
}

// hints checks that somebody tells who logged in. Without that a user is nobody.
func (x *examination) hints() {
	for _, fault := range x.status.Health.HintFaults {
		x.add(warn, "hints", printable(fault))
	}
	var doors []string
	for _, l := range x.status.Listeners {
		if l.Service == whitelist.Client {
			doors = append(doors, l.Name)
		}
	}
	if len(doors) == 0 {
		return
	}
	at, last := x.status.Hints, x.status.Health.Login
	switch {
	case !at.Logins():
		x.add(warn, "hints", "nobody tells moggy who logs in, so clients of "+printable(strings.Join(doors, ", "))+" stay unknown", reportLines(at)...)
	case !x.status.Daemon:
	case x.now().Sub(last) <= hintsWithin:
		x.add(fine, "hints", "the last report of a login came "+x.ago(last))
	default:
		x.unreported(doors, at)
	}
}

// unreported says how many clients there were of whose logins nothing was heard.
func (x *examination) unreported(doors []string, at desk.HintSources) {
	records, err := x.find(x.ctx, journal.Query{Since: x.now().Add(-hintsWithin), Limit: maxClients})
	if err != nil {
		x.add(warn, "hints", sentences(err.Error()))
		return
	}
	distinct := make(map[netip.Addr]bool)
	for _, a := range peers(records, doors) {
		distinct[a] = true
	}
	if len(distinct) == 0 {
		x.add(fine, "hints", "no report of a login, and no client that could log in, in "+span(hintsWithin))
		return
	}
	do := []string{"see that moggyd may read " + printable(strings.Join(at.Logs, ", "))}
	if at.Dovecot != "" {
		do = reportLines(at)
	}
	x.add(warn, "hints", fmt.Sprintf("no report of a login in %s although %s used %s", span(hintsWithin),
		count(len(distinct), "client"), printable(strings.Join(doors, ", "))), do...)
}

// reportLines are what makes Dovecot 2.3 report logins: what to write into
// dovecot.conf, and into moggy.toml where that has no address yet.
func reportLines(at desk.HintSources) (lines []string) {
	address := at.Dovecot
	if address == "" {
		address = "127.0.0.1:9143"
		lines = append(lines, fmt.Sprintf("in moggy.toml:     [hints] dovecot = %q    or logs = [\"/var/log/mail.log\"]", address))
	}
	settings := []string{
		"auth_policy_server_url = http://" + address + "/dovecot",
		"auth_policy_hash_nonce = what this prints: openssl rand -hex 16",
		"auth_policy_check_before_auth = no",
		"auth_policy_check_after_auth = no",
		"auth_policy_report_after_auth = yes",
		"auth_policy_server_timeout_msecs = 200",
		"auth_policy_request_attributes = remote=%{rip} login=%{requested_username} protocol=%s pwhash=%{hashed_password}",
	}
	if at.Key {
		settings = append(settings, "auth_policy_server_api_header = X-API-Key:what stands as dovecot_key in moggy.toml")
	}
	for _, line := range settings {
		lines = append(lines, "in dovecot.conf:   "+printable(line))
	}
	return lines
}

// lists checks the DNS lists.
func (x *examination) lists() {
	var a desk.ListsAnswer
	err := x.quietly(func(ctx context.Context, d desk.Desk) (err error) {
		a, err = d.Lists(ctx, desk.ListsFilter{})
		return err
	})
	switch {
	case desk.KindOf(err) == desk.No && err != nil:
		return // there are none
	case err != nil:
		x.add(warn, "dns lists", sentences(err.Error()))
		return
	}
	working := 0
	for _, s := range a.Lists {
		if works(s) {
			working++
			continue
		}
		x.add(warn, "dns lists", fmt.Sprintf("DNS list %s is %s and does not count: %s", printable(s.Name), s.State, listWhy(s)), remediesOrLook(s)...)
	}
	if working > 0 {
		x.add(fine, "dns lists", count(working, "DNS list")+" had the test points right")
	}
}

func remediesOrLook(s dnsbl.Status) []string {
	if do := remedies(s); len(do) > 0 {
		return do
	}
	return []string{"moggy lists"}
}
