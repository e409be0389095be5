package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"
)

// SystemFile is read when the command line names no file.
const SystemFile = "/etc/moggy/moggy.toml"

// Default returns the options of a file that says nothing: mail for
// 127.0.0.1:2525 is judged and carried to 127.0.0.1:25.
func Default() *Config {
	smtp := Listener{Name: "smtp", Address: "127.0.0.1:2525", Backend: "127.0.0.1:25"}
	smtp.setDefaults()
	c := &Config{
		Hostname:      machineName(),
		StateDir:      stateDir(os.Geteuid(), os.Getenv("STATE_DIRECTORY")),
		Mode:          ModeEnforce,
		Grace:         30 * time.Second,
		LocalNetworks: []string{LocalAuto},
		Store:         Store{URL: StoreEmbedded},
		Listeners:     []Listener{smtp},
		Greylist: Greylist{
			Pass:        4 * time.Minute,
			PassUnnamed: 25 * time.Minute,
			Code:        451,
			Window:      2 * day,
			Remember:    36 * day,
			Origin:      OriginDNS,
		},
		Talk:     Talk{Timeout: time.Minute, Recipients: 100, Errors: 10},
		Tarpit:   Tarpit{Stutter: 10 * time.Second, Gap: time.Second},
		Trap:     Trap{TTL: 24 * time.Hour},
		DNSBL:    DNSBL{Threshold: 3, Timeout: 2 * time.Second},
		Hints:    Hints{SSH: true},
		Crawlers: Crawlers{Names: crawlerNames()},
		Foreign:  Foreign{Every: time.Minute},
		Admin:    Admin{Address: "127.0.0.1:9925"},
		Journal:  Journal{Size: 256 * megabyte},
		Log:      Log{Level: slog.LevelInfo},
	}
	c.finish(newSheet(""))
	return c
}

// Find returns the file to load: flag if it is not empty, else the system's
// file if there is one. Not ok means that Default is all there is.
func Find(flag string) (path string, ok bool) { return find(flag, SystemFile) }

func find(flag, system string) (string, bool) {
	if flag != "" {
		return flag, true
	}
	if _, err := os.Stat(system); err != nil && os.IsNotExist(err) {
		return "", false
	}
	return system, true
}

func machineName() string {
	if name, err := os.Hostname(); err == nil && validDomain(name) {
		return name
	}
	return "localhost"
}

// stateDir is where the state is by default. service is what a service manager
// made for it: STATE_DIRECTORY of systemd, several with colons between.
func stateDir(euid int, service string) string {
	if dir, _, _ := strings.Cut(service, ":"); dir != "" {
		return dir
	}
	if euid == 0 {
		return "/var/lib/moggy"
	}
	return "./moggy-state"
}

// crawlerNames are the domains of which search engines say, in their own
// documentation, that the names of their crawlers end in them. Google's says so
// of googleusercontent.com too, which is left out: everybody can rent a machine
// with such a name.
func crawlerNames() []string {
	return []string{
		"googlebot.com", "google.com", // developers.google.com/crawling/docs/crawlers-fetchers/verifying-googlebot
		"search.msn.com",                        // Bing: bing.com/webmasters/help
		"applebot.apple.com",                    // support.apple.com/119829
		"yandex.ru", "yandex.net", "yandex.com", // yandex.com/support/webmaster/robot-workings
		"baidu.com", "baidu.jp", // help.baidu.com
		"petalsearch.com", // aspiegel.com/petalbot
		"qwant.com",       // help.qwant.com/bot
		"seznam.cz",       // napoveda.seznam.cz/en/seznambot-crawler
	}
}

// defaulter is a section that may occur many times, so that Default cannot
// hold its defaults.
type defaulter interface{ setDefaults() }

func (l *Listener) setDefaults() {
	l.Kind = KindSMTP
	l.Forward = ForwardProxyV2
	l.Idle = idleByKind
}

func (l *DNSList) setDefaults() {
	l.Codes = []Range{{From: netip.AddrFrom4([4]byte{127, 0, 0, 2}), To: netip.AddrFrom4([4]byte{127, 0, 0, 11})}}
}

// Idle times of carried connections. SMTP clients wait up to 10 minutes for
// the answer to their final dot (RFC 5321 section 4.5.3.2.6), servers at least
// 5 for a command (4.5.3.2.7). IMAP servers wait at least 30 (RFC 9051
// section 5.4), and IDLE is renewed every 29 (RFC 2177).
const (
	idleByKind    = -1 // until finish knows the kind
	idleSMTP      = 10 * time.Minute
	idleSMTPLeast = 5 * time.Minute
	idleStream    = 35 * time.Minute
)

// finish fills in what depends on other keys, unless the sheet has it.
func (c *Config) finish(s *sheet) {
	for i := range c.Listeners {
		l := &c.Listeners[i]
		if l.Idle == idleByKind {
			l.Idle = idleOf(l.Kind)
		}
		if !s.given(fmt.Sprintf("listener[%d].crawlers", i)) {
			l.Crawlers = l.web()
		}
	}
	for i, name := range c.Crawlers.Names {
		c.Crawlers.Names[i] = strings.ToLower(name)
	}
}

func idleOf(kind string) time.Duration {
	if kind == KindStream {
		return idleStream
	}
	return idleSMTP
}

// web reports whether l stands in front of a web server, by its port.
func (l *Listener) web() bool {
	e, err := parseEndpoint(l.Address)
	return err == nil && l.Kind == KindStream && (e.port == 80 || e.port == 443)
}
