package firewall

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"moggy/whitelist"
	"moggy/whitelist/foreign"
)

// maxJails bounds how many jails are asked since when they ban: each costs some 50 ms.
const maxJails = 50

// fail2ban reads the jails of fail2ban. Whether and how a ban becomes a rule of a
// firewall is the business of a jail's action; where it does, the readers of the
// firewalls find it as well.
type fail2ban struct {
	m     Machine
	rules map[string]string // of jails: what they count. Asked for once
}

func (f *fail2ban) Name() string { return "fail2ban" }

func (f *fail2ban) client(ctx context.Context, args ...string) (string, error) {
	out, err := f.m.run(ctx, "fail2ban-client", args...)
	if err != nil && strings.Contains(err.Error(), "Is fail2ban running?") {
		return "", fmt.Errorf("fail2ban does not run: %w", foreign.ErrAbsent)
	}
	return string(out), err
}

// Read returns what the jails ban.
func (f *fail2ban) Read(ctx context.Context) (blocks []foreign.Block, err error) {
	out, err := f.client(ctx, "banned")
	if err != nil {
		return nil, err
	}
	jails, err := parseBanned(out)
	for i, j := range jails {
		if len(j.banned) == 0 || !plainName(j.name) {
			continue
		}
		times, rule := "", ""
		if i < maxJails {
			times, _ = f.client(ctx, "get", j.name, "banip", "--with-time") // without it no time is known
			rule = f.rule(ctx, j.name)
		}
		bans := parseBans(times)
		for _, net := range j.banned {
			if len(blocks) == maxBlocks {
				return blocks, fmt.Errorf("fail2ban: more than %d bans; those beyond were not looked at", maxBlocks)
			}
			b := foreign.Block{Net: net, By: "fail2ban", Where: "jail " + j.name, Rule: rule, Hint: "so that it does not come again: ignorecommand = moggy good <ip>"}
			b.Since, b.Until = bans[net].since, bans[net].until
			b.Lift = []string{"fail2ban-client", "set", j.name, "unbanip", address(net)}
			blocks = append(blocks, b)
		}
	}
	return blocks, err
}

// address is a network as fail2ban and crowdsec name it: without the length where it is one address.
func address(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// rule says what a jail counts.
func (f *fail2ban) rule(ctx context.Context, jail string) string {
	if rule, known := f.rules[jail]; known {
		return rule
	}
	retries, err := f.client(ctx, "get", jail, "maxretry")
	within, err2 := f.client(ctx, "get", jail, "findtime")
	if errors.Join(err, err2) != nil || len(f.rules) >= maxJails {
		return ""
	}
	if f.rules == nil {
		f.rules = make(map[string]string)
	}
	f.rules[jail] = fmt.Sprintf("maxretry %s, findtime %s s", line(retries), line(within))
	return f.rules[jail]
}

// jail is one jail and whom it bans.
type jail struct {
	name   string
	banned []netip.Prefix
}

// parseBanned reads what `fail2ban-client banned` prints, Python's way to write a
// list: [{'sshd': ['192.0.2.7', '2001:db8::7']}, {'postfix': []}]
func parseBanned(out string) (jails []jail, err error) {
	out = strings.TrimSpace(out)
	if !strings.HasPrefix(out, "[") {
		return nil, fmt.Errorf("fail2ban: not a list of jails: %s", line(out))
	}
	for part := range strings.SplitSeq(out, "{") {
		name, rest, ok := strings.Cut(part, ":")
		name = strings.Trim(name, ` '"[`)
		if !ok || name == "" {
			continue
		}
		j := jail{name: name}
		for word := range strings.FieldsFuncSeq(rest, func(r rune) bool { return strings.ContainsRune(`'", []{}`, r) }) {
			if net, err := whitelist.ParseNet(word); err == nil {
				j.banned = append(j.banned, net)
			}
		}
		jails = append(jails, j)
	}
	return jails, nil
}

// ban is since when and until when.
type ban struct{ since, until time.Time }

// parseBans reads what `fail2ban-client get JAIL banip --with-time` prints, in local time:
//
//	198.51.100.7 	2026-11-23 00:54:03 + 3600 = 2026-11-23 01:54:03
//
// A ban for good lasts -1 seconds.
func parseBans(out string) map[netip.Prefix]ban {
	bans := make(map[netip.Prefix]ban)
	for text := range strings.Lines(out) {
		words := strings.Fields(text)
		if len(words) < 5 || !slices.Contains(words, "+") {
			continue
		}
		net, err := whitelist.ParseNet(words[0])
		since, err2 := time.ParseInLocation(time.DateTime, words[1]+" "+words[2], time.Local)
		if errors.Join(err, err2) != nil {
			continue
		}
		b := ban{since: since}
		if seconds, err := strconv.ParseInt(words[4], 10, 32); err == nil && seconds > 0 {
			b.until = since.Add(time.Duration(seconds) * time.Second)
		}
		bans[net] = b
	}
	return bans
}
