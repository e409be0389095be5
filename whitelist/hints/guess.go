package hints

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// An address that has tried this many different passwords within this time, and knew none, guesses (CLASSES.md,
// section 3, row 11). The same wrong password again and again is a telephone that was not told of the new one.
const (
	enough = 6
	within = 10 * time.Minute
)

// maxGuessing bounds the addresses that are watched. When that many have failed within ten minutes a new one takes the
// place of any other, which then starts again from nothing.
const maxGuessing = 10_000

// An attempt is one of the different things that an address tried: a hash of what was reported, for nobody needs the
// name or the password itself.
type attempt struct {
	what   uint64
	hashed bool // it is a user and a password; otherwise it is a user only
	last   time.Time
}

// guesses are the failures of the last ten minutes, by network. Of each no more attempts are kept than are needed.
type guesses struct {
	seed  maphash.Seed
	nets  map[netip.Prefix][]attempt
	swept time.Time
}

func newGuesses() guesses {
	return guesses{seed: maphash.MakeSeed(), nets: make(map[netip.Prefix][]attempt)}
}

// failed notes a failure and returns how many different things were tried from net in ten minutes: passwords, as far
// as their hashes were reported, or users where they were not. Two programs may report the same attempt, one with the
// hash and one without: so the two kinds are not added up.
func (g *guesses) failed(net netip.Prefix, l Login) int {
	g.makeRoom(net, l.Time)
	what := attempt{maphash.String(g.seed, l.Hash), true, l.Time}
	if l.Hash == "" {
		what = attempt{maphash.String(g.seed, l.User), false, l.Time}
	}
	kept := g.nets[net][:0]
	same := 1
	for _, a := range g.nets[net] {
		if old := l.Time.Sub(a.last) >= within; old || a.what == what.what && a.hashed == what.hashed {
			continue
		}
		if a.hashed == what.hashed {
			same++
		}
		kept = append(kept, a)
	}
	if kept = append(kept, what); len(kept) > 2*enough {
		kept = kept[1:] // the oldest
	}
	g.nets[net] = kept
	return same
}

// forget drops what is known of net.
func (g *guesses) forget(net netip.Prefix) { delete(g.nets, net) }

// makeRoom keeps the map within its bound. It looks through all of it at most once a minute.
func (g *guesses) makeRoom(net netip.Prefix, now time.Time) {
	if _, had := g.nets[net]; had || len(g.nets) < maxGuessing {
		return
	}
	if now.Sub(g.swept) >= again {
		g.swept = now
		for n, all := range g.nets {
			if now.Sub(all[len(all)-1].last) >= within {
				delete(g.nets, n)
			}
		}
	}
	for n := range g.nets {
		if len(g.nets) < maxGuessing {
			return
		}
		delete(g.nets, n)
	}
}
