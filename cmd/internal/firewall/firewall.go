// Package firewall speaks with the firewalls of a machine, by running their own
// programs and reading their files: it reads what nft, pf, iptables, ipset,
// fail2ban, crowdsec and hosts.deny block, finds rules that count connections
// and then ban, lifts a block on command, and gives the known-good to firewalls.
//
// It knows the programs' words and formats. It does not know who is good: the
// List does; nor who asks. It never runs a shell, never asks for privilege, and
// changes nothing but what it is told to: one block that is lifted, and the sets
// moggy_good and moggy_good6 of the tables that are named to a [Keeper].
//
// What was read from real programs, and of which version, is in testdata. pf was
// not at hand: its formats follow pfctl(8) and pf.conf(5).
package firewall

import (
	"path/filepath"
	"strings"
	"unicode"

	"moggy/whitelist/foreign"
)

// Good4 and Good6 name the sets and tables that hold the known-good, of IPv4 and
// of IPv6. pf keeps both in one table, which has the first name.
const (
	Good4 = "moggy_good"
	Good6 = "moggy_good6"
)

// ours reports whether a set is one that moggy fills.
func ours(set string) bool { return set == Good4 || set == Good6 }

// A Machine says where programs and files are. The zero Machine is this one.
type Machine struct {
	Path []string // directories of programs; nil: the system's, those of sbin too. $PATH is not asked: it may be a stranger's
	Root string   // put before the name of each file that is read; "" in earnest
}

// All returns readers of all firewalls, causes before effects: what fail2ban
// bans it bans by means of nft or iptables, and is to be lifted by fail2ban.
// Each may be used by one goroutine at a time.
func (m Machine) All() []foreign.Reader {
	return []foreign.Reader{
		&fail2ban{m: m},
		&crowdsec{m: m},
		&hostsDeny{m: m},
		&pf{m: m},
		&nft{m: m},
		&iptables{m: m},
	}
}

// file names a file of the machine.
func (m Machine) file(name string) string { return filepath.Join(m.Root, "/", name) }

// The bounds of what is read of one firewall.
const (
	maxBlocks = 200_000 // blocks of one reader
	maxText   = 400     // bytes of a rule's text, and of what a program complains
)

// line is text from outside as one line of bounded length that can be shown.
func line(text string) string {
	words := strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
	text = strings.Join(words, " ")
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// plainName reports whether a name from outside can be an argument of a program,
// and not be taken for an option or for more than one word.
func plainName(name string) bool {
	odd := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_-./:+@", r))
	}
	return name != "" && len(name) <= 128 && name[0] != '-' && !strings.ContainsFunc(name, odd)
}
