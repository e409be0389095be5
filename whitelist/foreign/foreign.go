// Package foreign finds known-good addresses that something outside moggy keeps
// out: a firewall, fail2ban, a forgotten line in hosts.deny.
//
// It knows what such a block is, crosses blocks with the List, and tells when a
// hit appears and when it goes. It does not know any firewall: a [Reader] reads
// one, and packages below cmd implement it.
package foreign

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"moggy/whitelist"
)

// A Block is something outside moggy that keeps addresses out.
type Block struct {
	Net   netip.Prefix `json:"net"`            // canonical, see whitelist.Canonical
	By    string       `json:"by"`             // "nft", "pf", "iptables", "ipset", "fail2ban", "crowdsec", "hosts.deny"
	Where string       `json:"where"`          // "set inet guard abusers", "table bruteforce", "jail sshd"
	Rule  string       `json:"rule,omitempty"` // what counted and what drops, in one line; "" unknown
	Since time.Time    `json:"since,omitzero"` // zero: not known
	Until time.Time    `json:"until,omitzero"` // zero: not known, or for good
	Lift  []string     `json:"lift,omitempty"` // program and arguments that take Net out; nil: by hand
	Hint  string       `json:"hint,omitempty"` // what to do by hand, or so that it does not come again
}

// A Reader reads what one program blocks. Read returns soon after ctx ends.
type Reader interface {
	// Name is the same at each call, and no other reader has it.
	Name() string

	// Read returns what is blocked now. With an error that is not ErrAbsent the
	// blocks are those that could be read all the same.
	Read(ctx context.Context) ([]Block, error)
}

// ErrAbsent says that the program is not on this machine, or blocks nothing
// because it does not run: no fault, and nothing to tell anybody.
var ErrAbsent = errors.New("not there")

// A Hit is a known-good address that is blocked.
type Hit struct {
	Block
	Addr     netip.Prefix       `json:"addr"`     // the known-good network, inside the block or around it
	Standing whitelist.Standing `json:"standing"` // why it is good
	First    time.Time          `json:"first"`    // when it was first seen
}

// A Report says what one look has found.
type Report struct {
	Time   time.Time         `json:"time"`             // zero: nobody has looked yet
	Hits   []Hit             `json:"hits,omitempty"`   // at most MaxHits, the strongest evidence first
	More   int               `json:"more,omitempty"`   // hits beyond those
	Unread map[string]string `json:"unread,omitempty"` // what could not be read, by the reader's name, and why; its earlier hits are kept
	Read   []string          `json:"read,omitempty"`   // the readers that read all
}

// The bounds of a Report. What is beyond is counted and not listed: who is hit
// by one block of half the Internet learns it from the first hundred.
const (
	MaxHits    = 1000 // in all
	MaxInBlock = 100  // inside one blocked network
)

// About returns those of the blocks that hold addr.
func About(blocks []Block, addr netip.Addr) (about []Block) {
	addr = whitelist.CanonicalAddr(addr)
	for _, b := range blocks {
		if b.Net.Contains(addr) {
			about = append(about, b)
		}
	}
	return about
}
