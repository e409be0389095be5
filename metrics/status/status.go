// Package status shows how the house stands to people: one web page, which begins
// with the answer in words. Package metrics shows the same to programs.
//
// It knows the words, their order (the worst first) and how a page is made of
// them: without scripts, without anything from elsewhere, with every string taken
// for hostile. It changes nothing and has no button: what can be done is printed
// as the command to type. It does not know where anything comes from: a [Page] is
// filled by whoever has the house.
package status

import (
	"net/netip"
	"time"

	"moggy/metrics/status/tally"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// A Page is all that is shown. Strings in it may be anybody's. Times are shown in
// the zone of Now. What does not fit is left out, and the page says so.
type Page struct {
	Now      time.Time
	Hostname string
	Version  string
	Started  time.Time
	Observe  bool // mode observe: everybody is let through
	Visitor  Visitor

	Doors   []Door
	Alarms  []Alarm // that stand
	Outside Outside
	Day     tally.Day
	Here    []Group // in the order in which they are shown
	Top     []Use   // the most used first

	Slots   Slots
	Store   Store
	Lists   []List
	Hints   Hints
	Good    Good
	Journal Journal
	Config  Config
}

// A Visitor is who looks at the page.
type Visitor struct {
	Addr     netip.Addr // not valid: he comes by way of this machine
	Class    whitelist.Class
	Evidence whitelist.Source
	Deny     bool    // a person denied him
	Listed   bool    // he is held for what he did
	Blocks   []Block // that keep him out elsewhere
}

// A Door is a listener and the backend behind it.
type Door struct {
	Name    string
	Address string
	Backend string
	Forward string // how the backend learns the peer's address; "none": it does not
	Fault   string // why it cannot be used; "": it can
}

// An Alarm is something that is wrong with the set-up.
type Alarm struct {
	Name  string // as the log has it, such as "harm"
	Why   string
	Since time.Time
	Do    string // what to type; "": Why says it
}

// Outside is what was seen of blocks outside moggy.
type Outside struct {
	Looked time.Time // zero: nobody has looked yet
	Every  bool      // somebody looks again and again
	Hits   []Block   // known-good addresses that are blocked
	More   int       // hits beyond those
	Read   []string  // what could be read
	Unread []string  // what could not, and why
}

// A Block keeps a known-good address out.
type Block struct {
	Addr     netip.Addr // to take out
	Class    whitelist.Class
	Evidence whitelist.Source
	By       string // "nft"
	Where    string // "set inet guard abusers"
	Rule     string // "": not known
	Since    time.Time
	First    time.Time // when it was first seen
	Lift     bool      // `moggy unblock` can take it out
	Hint     string    // what to do by hand
}

// A Group is open connections of one class with which the same is done.
type Group struct {
	State   string // "talk", "hold", "wait", "carry"
	Class   whitelist.Class
	N       int
	Oldest  time.Time
	Example string // the address of the oldest
	Ref     string // its receipt code
	Rule    string // that decided about it
}

// A Use is what somebody uses of his budget.
type Use struct {
	Who      string // an address, a network, or an origin
	Class    whitelist.Class
	Evidence whitelist.Source
	Usage    budget.Usage
}

// Slots are the places for strangers.
type Slots struct{ Held, All int }

// Store is how the store does.
type Store struct {
	Name     string // "embedded, /var/lib/moggy/moggy.db"
	Fault    string // "": it works
	Do       string // about the fault
	Triplets int64
	Origins  int64
	Dropped  int64 // rows there was no room for
	Damaged  int64 // rows that made no sense
}

// A List is how a DNS list does.
type List struct {
	Name   string
	Weight int
	State  string // "working"
	Works  bool   // it counts, but for a doubt that is being looked into
	Asked  uint64
	Hits   uint64
	Why    string // why it does not work
}

// Hints are where it is learned who logged in.
type Hints struct {
	From   []string // "dovecot at 127.0.0.1:9143"
	Logins bool     // one of them tells of logins
	Last   time.Time
	Faults []string
}

// Good are the sets in which the known-good are kept for firewalls.
type Good struct {
	Sets   []string // tables; none: nothing is kept
	Faults []string
}

// Journal is how the journal does.
type Journal struct {
	Dir     string
	Bytes   int64
	Files   int
	Dropped int64 // records that were not written
}

// Config says how what is in force compares with its file.
type Config struct {
	File    string // "": the built-in defaults
	Loaded  time.Time
	Refused string   // why the last reload was refused; "": it was not
	Restart []string // keys whose change waits for a restart
}

// What is shown of each kind at most.
const (
	maxDoors  = 20
	maxBlocks = 20
	maxGroups = 30
	maxUses   = 10
	maxLists  = 20
	maxText   = 300 // characters of one string
)
