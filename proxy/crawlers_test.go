package proxy

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"moggy/whitelist"
)

// A register knows the names of addresses, and counts how often it is asked.
type register struct {
	mu    sync.Mutex
	names map[string]string // confirmed, by address
	down  bool
	slow  time.Duration
	asked atomic.Int32
}

func (r *register) confirmed(ctx context.Context, addr netip.Addr) (string, bool, bool) {
	time.Sleep(r.slow) // virtual
	r.asked.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	name, ok := r.names[addr.String()]
	return name, ok && !r.down, r.down
}

// inWeb is a lab with a web server, and a register.
func inWeb(t *testing.T, r *register, f func(*lab)) {
	inHouse(t, labSet{ports: []uint16{443, 993}, learn: func(l *lab, j *Judge) {
		j.Crawlers = &Crawlers{Names: []string{"googlebot.com"}, Confirmed: r.confirmed, Book: l.book}
	}}, f)
}

// class is the class of the last connection from an address.
func (l *lab) class(addr string) (c whitelist.Class) {
	for _, r := range l.records(addr) {
		c = r.Class
	}
	return c
}

const bot = "66.249.66.1"

func TestCrawlerIsKnownFromItsSecondConnection(t *testing.T) {
	r := &register{names: map[string]string{bot: "crawl-1.googlebot.com"}, slow: 3 * time.Second}
	inWeb(t, r, func(l *lab) {
		first := l.connects(443, bot, 0) // waits for no DNS
		if got := l.class(bot); got != whitelist.MUA {
			t.Errorf("at first it is %s", got)
		}
		time.Sleep(4 * time.Second) // virtual
		second := l.connects(443, bot, 0)
		if got := l.class(bot); got != whitelist.Crawler {
			t.Errorf("then it is %s", got)
		}
		mail := l.connects(993, bot, 0)
		if got := l.class(bot); got != whitelist.MUA {
			t.Errorf("at the mail it is %s", got)
		}
		closeAll(first, second, mail)
		time.Sleep(25 * time.Hour) // virtual
		l.connects(443, bot, 0).Close()
		if got := l.class(bot); got != whitelist.MUA || r.asked.Load() != 1 {
			t.Errorf("the day after it is %s, and DNS was asked %d times", got, r.asked.Load())
		}
	})
}

func TestImpostorIsNoCrawlerAndAskedAboutOnce(t *testing.T) {
	r := &register{names: map[string]string{stranger: "crawl.evilgooglebot.com"}}
	inWeb(t, r, func(l *lab) {
		for range 20 {
			l.connects(443, stranger, 0).Close()
			l.connects(443, friend, 0).Close()
		}
		if got := l.class(stranger); got != whitelist.MUA || r.asked.Load() != 2 {
			t.Errorf("it is %s, DNS was asked %d times", got, r.asked.Load())
		}
		l.loggedIn(friend)
		time.Sleep(askEvery) // virtual
		l.connects(443, friend, 0).Close()
		l.connects(443, stranger, 0).Close()
		if synctest.Wait(); r.asked.Load() != 3 {
			t.Errorf("an hour later DNS was asked %d times", r.asked.Load())
		}
	})
}

// Where DNS does not answer it is asked again at the next connection.
func TestCrawlerIsAskedAboutAgainWhenDNSIsBack(t *testing.T) {
	r := &register{names: map[string]string{bot: "crawl-1.googlebot.com"}, down: true}
	inWeb(t, r, func(l *lab) {
		for range 3 {
			l.connects(443, bot, 0).Close()
			synctest.Wait()
		}
		r.mu.Lock()
		r.down = false
		r.mu.Unlock()
		l.connects(443, bot, 0).Close()
		synctest.Wait()
		l.connects(443, bot, 0).Close()
		if got := l.class(bot); got != whitelist.Crawler || r.asked.Load() != 4 {
			t.Errorf("it is %s, DNS was asked %d times", got, r.asked.Load())
		}
	})
}

// A DNS that hangs costs no more than a few questions, and no client any time.
func TestCrawlersAreFewAtATime(t *testing.T) {
	r := &register{slow: time.Minute}
	inWeb(t, r, func(l *lab) {
		for i := range 50 {
			l.connects(443, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}).String(), 0).Close()
		}
		time.Sleep(2 * time.Minute) // virtual
		if r.asked.Load() != maxAsking {
			t.Errorf("%d questions, want %d", r.asked.Load(), maxAsking)
		}
	})
}
