// Package whitelist knows who is family: the classes of clients, the entries
// that put addresses into them, and the List that answers for an address from
// memory.
//
// It does not know SMTP, budgets, DNS or how entries are kept: a [Store] keeps
// them, and packages below store implement it.
package whitelist

// A Class is what a peer is to us.
type Class string

// The classes that moggy comes with, the most trusted first.
const (
	Own           Class = "own"
	User          Class = "user"
	Crawler       Class = "crawler"
	Probe         Class = "probe"
	Correspondent Class = "correspondent"
	Peer          Class = "peer"
	Pool          Class = "pool"
	MUA           Class = "mua"
	Stranger      Class = "stranger"
	Listed        Class = "listed"
	Guesser       Class = "guesser"
)

// A Kind describes a class.
type Kind struct {
	Class Class
	Known bool   // a known peer is carried, never talked to, never held
	Doc   string // one sentence, for people
}

// kinds is the table behind [Kinds]; nothing changes it.
var kinds = [...]Kind{
	{Own, true, "this machine, its private networks, its operator"},
	{User, true, "logged in within the last 30 days"},
	{Crawler, true, "a search engine, by its confirmed name"},
	{Probe, true, "monitoring that the operator named"},
	{Correspondent, true, "takes the mail of a domain our users wrote to within the last 60 days"},
	{Peer, true, "passed before, or let in by the operator"},
	{Pool, true, "an address of an origin that passed before"},
	{MUA, false, "on a port of mail programs or the web, where nobody has logged in from yet"},
	{Stranger, false, "nothing is known"},
	{Listed, false, "named a trap, or stands on a list"},
	{Guesser, false, "tried many passwords within minutes, and knew none"},
}

// Kinds returns the built-in classes, the most trusted first.
func Kinds() []Kind { return append([]Kind(nil), kinds[:]...) }

// Known reports whether a peer of class c is carried without being talked to.
// A class that the operator made up is known: nobody names a class for strangers.
func (c Class) Known() bool {
	for i := range kinds {
		if kinds[i].Class == c {
			return kinds[i].Known
		}
	}
	return c != ""
}
