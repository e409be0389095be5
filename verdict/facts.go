// Package verdict decides what becomes of a peer.
//
// [Decide] is pure: everything it may look at is in a [Facts], everything that
// an operator can set is in a [Policy], and what it says is a [Verdict] that
// explains itself. The rules are rows of one table ([Rules]); the behaviour, the
// metric series, the manual and `moggy rules` all come from it.
package verdict

import (
	"net/netip"
	"slices"
	"time"

	"moggy/dnsbl"
	"moggy/greylist"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// A Stage is the moment in which a decision is taken.
type Stage string

// The stages, in the order in which a connection meets them.
const (
	Connect   Stage = "connect"   // accepted, nothing said yet
	Command   Stage = "command"   // a line that is no part of an envelope decides
	Recipient Stage = "recipient" // RCPT TO
	Data      Stage = "data"      // DATA or BDAT of a message whose recipients were answered 250
	Backend   Stage = "backend"   // the backend was asked to take the connection, and did not
)

// Stages returns the stages in their order.
func Stages() []Stage { return []Stage{Connect, Command, Recipient, Data, Backend} }

// Facts are everything that a decision may look at.
type Facts struct {
	Stage    Stage
	Ref      string // the receipt code, for the reply
	Listener string // its name in the configuration
	Service  whitelist.Service
	Peer     netip.AddrPort // the true address
	Standing whitelist.Standing

	Budget    budget.Usage // at Connect, of the connection; at Recipient, of what it is over, if anything
	Gateway   bool         // the address is private and makes most connections: it hides who really comes
	Full      bool         // those who are not known hold all the slots that are theirs
	Early     bool         // a byte came before the banner was out
	NotSMTP   bool         // spoke another protocol (HTTP verbs, binary)
	Excessive bool         // more recipients in one session than [talk] recipients allows

	Helo      string
	Sender    string // canonical mailbox; "" is the null sender
	Recipient string // canonical mailbox
	Trap      bool   // the recipient is a trap
	Origin    greylist.Origin
	Grey      greylist.Result // zero where the greylist was not asked
	GreyDown  bool            // the greylist could not be asked

	DNS dnsbl.Score // what the DNS lists say; zero where they were not asked

	Fault string // at Backend: why it did not take the connection

	Degraded []Dependency // what could not be asked, or answered from memory only
}

// A Dependency is something outside a decision's own memory.
type Dependency string

// The dependencies that can be degraded.
const (
	Store Dependency = "store"
	DNS   Dependency = "dns"
)

// Dependencies returns them all.
func Dependencies() []Dependency { return []Dependency{Store, DNS} }

// NullSender reports whether the mail is a bounce or a call-out (MAIL FROM:<>).
func (f *Facts) NullSender() bool { return f.Sender == "" }

// known reports whether the peer is family.
func (f *Facts) known() bool { return f.Standing.Known() }

// streamed reports whether the listener's protocol is not ours to speak.
func (f *Facts) streamed() bool { return f.Service == whitelist.Client || f.Service == whitelist.Web }

// over reports whether a budget is used up, and not even a place in line is left.
func (f *Facts) over() bool { return f.Budget.Over != "" }

// grey reports whether the greylist said o.
func (f *Facts) grey(o ...greylist.Outcome) bool { return slices.Contains(o, f.Grey.Outcome) }

// Policy is what an operator set.
type Policy struct {
	Hostname string
	Observe  bool // judge and record, let everything through
	GreyCode int  // 450 or 451
	TrapTTL  time.Duration
}
