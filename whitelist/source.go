package whitelist

import "slices"

// A Source says where an entry comes from. It is the evidence for the class of
// the addresses in it.
type Source string

// The sources, the strongest evidence first. What a weaker one says of an
// address does not count where a stronger one says something.
const (
	Operator Source = "operator" // a person typed it: acts at once and beats all else
	Session  Source = "ssh"      // the operator's own session came from there
	Local    Source = "local"    // a directly connected private network, or local_networks
	Login    Source = "login"    // somebody logged in from there
	Crawling Source = "crawler"  // its name is that of a crawler, and leads back to it
	Passed   Source = "passed"   // came back through the greylist
	Wrote    Source = "wrote"    // takes the mail of a domain our users wrote to
	Trapped  Source = "trap"     // named a trap
	Guessing Source = "guess"    // tried many passwords and knew none
	Nothing  Source = "nothing"  // no entry at all
)

// sources is the order behind [Sources]; nothing changes it.
var sources = [...]Source{Operator, Session, Local, Login, Crawling, Passed, Wrote, Trapped, Guessing}

// Sources returns the sources of entries, the strongest first; Nothing is none of them.
func Sources() []Source { return append([]Source(nil), sources[:]...) }

// rank is the place of a source among [Sources]; that of any other word is behind them.
func (s Source) rank() int {
	if i := slices.Index(sources[:], s); i >= 0 {
		return i
	}
	return len(sources)
}

// Said reports whether entries of source s are a person's, and not learned.
func (s Source) Said() bool { return s == Operator }

// Learned reports whether moggy finds out entries of source s by itself and
// keeps them: neither a person's, nor what the machine's own networks say.
func (s Source) Learned() bool {
	return s != Operator && s != Local && s.rank() < len(sources)
}

// MaxLearned bounds the entries of one learned source. When it is reached new
// ones are not remembered: their peers are what they would be without. Nobody
// who is known already is forgotten for them, and a flood of one kind crowds
// out no other kind.
func MaxLearned(s Source) int {
	switch {
	case s == Passed:
		return 1_000_000
	case s.Learned():
		return 100_000
	}
	return 0
}

// A Service is what a listener serves; it says which evidence counts there.
type Service string

// The services.
const (
	Anywhere Service = ""       // all evidence counts: the question "is it good?"; see [Source.Counts]
	Mail     Service = "mail"   // kind smtp: strangers are talked to
	Client   Service = "client" // kind stream: mail programs (465, 587, 993, 995, 143, 110)
	Web      Service = "web"    // kind stream in front of a web server (80, 443): crawlers come
)

// A set is some of the sources: a bit for each, by its rank.
type set uint16

const (
	crawling set = 1 << (iota + 4)
	passed
	wrote
	trapped
	guessing
	every set = 1<<len(sources) - 1

	// doubtful sources speak for a machine and not for a person: where nobody says
	// which service is meant, what speaks against the address counts for more.
	doubtful = crawling | passed | wrote
)

// asks are the sources that count at a service.
func (at Service) asks() set {
	switch at {
	case Mail:
		return every &^ (crawling | guessing)
	case Client:
		return every &^ (crawling | passed | wrote | trapped)
	case Web:
		return every &^ (passed | wrote | trapped)
	}
	return every
}

// Counts reports whether evidence of source s counts at a service. What a mail
// host did says nothing about a mail program at its address, and the other way
// round; what persons, sessions, local networks and logins say counts everywhere.
// [Anywhere] traps and guessing beat what crawlers and mail hosts are trusted for:
// who passed once and tries passwords now is not good.
func (s Source) Counts(at Service) bool { return at.asks()&(1<<s.rank()) != 0 }

// nobody is the class of an address of which nothing is known at a service.
func (at Service) nobody() Class {
	if at == Client || at == Web {
		return MUA
	}
	return Stranger
}
