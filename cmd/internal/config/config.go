// Package config reads moggy.toml and says what is wrong with it.
//
// It knows the keys of the file, their units, bounds and defaults, and which
// of them contradict one another; every fault it finds names its file and line
// and ends with what to type, and one run finds them all. It does not know
// what the values are for: it opens, listens on, resolves and connects to
// nothing, and imports no other package of the project. The daemon maps these
// options to those of the packages that act on them.
//
// The file is read with go-toml's parser and not with its decoder, because the
// decoder stops at the first value of a wrong type and forgets where a good
// one stood.
package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// The words a file may use where only a few are known.
const (
	ModeEnforce = "enforce" // judge and act
	ModeObserve = "observe" // judge and record, let everything through

	KindSMTP   = "smtp"   // strangers are talked to
	KindStream = "stream" // class and budget only

	ForwardProxyV1 = "proxy-v1" // PROXY header as text
	ForwardProxyV2 = "proxy-v2" // PROXY header as bytes
	ForwardXClient = "xclient"  // Postfix's XCLIENT command, smtp only
	ForwardNone    = "none"     // the backend sees moggy's address

	StoreEmbedded = "embedded" // a file in StateDir

	OriginDNS     = "dns"     // SPF, else the confirmed reverse name, else the network
	OriginNetwork = "network" // the /24 or /64 alone; DNS is not asked

	LogJournal = "journal" // in hints.logs: the systemd journal

	LocalAuto = "auto" // in local_networks: the directly connected private networks
)

// Config is a whole moggy.toml, checked, with defaults where it says nothing.
// Treat it as immutable.
type Config struct {
	Hostname      string        `toml:"hostname" eg:"mx.example.org"`
	StateDir      string        `toml:"state_dir" eg:"/var/lib/moggy"`
	Mode          string        `toml:"mode" choose:"enforce,observe" eg:"enforce"`
	Grace         time.Duration `toml:"grace" eg:"30s"`           // given to carried connections at the end
	LocalNetworks []string      `toml:"local_networks" eg:"auto"` // see Local

	Store     Store             `toml:"store"`
	Listeners []Listener        `toml:"listener"` // never empty
	Greylist  Greylist          `toml:"greylist"`
	Talk      Talk              `toml:"talk"`
	Tarpit    Tarpit            `toml:"tarpit"`
	Trap      Trap              `toml:"trap"`
	DNSBL     DNSBL             `toml:"dnsbl"`
	Classes   map[string]*Class `toml:"class"` // by name; nil when the file has none
	Hints     Hints             `toml:"hints"`
	Crawlers  Crawlers          `toml:"crawlers"`
	Foreign   Foreign           `toml:"foreign"`
	Good      Good              `toml:"good"`
	Admin     Admin             `toml:"admin"`
	Journal   Journal           `toml:"journal"`
	Log       Log               `toml:"log"`

	// Warnings are sentences, each with its FILE:LINE, about values that are
	// obeyed although they are probably not what was meant.
	Warnings []string `toml:"-"`
}

// Store says where entries, triplets and usage are kept.
type Store struct {
	// URL is "embedded", or redis://, rediss://, redis+sentinel:// or
	// redis+cluster:// with one or more hosts, separated by commas. It may
	// hold a password: do not print it.
	URL string `toml:"url" eg:"embedded" secret:"yes"`
}

// Listener is one address that is accepted on, and where it leads.
type Listener struct {
	Name       string         `toml:"name" eg:"smtp"` // unique; a metric label
	Address    string         `toml:"address" eg:"0.0.0.0:25"`
	Kind       string         `toml:"kind" choose:"smtp,stream" eg:"smtp"`
	Crawlers   bool           `toml:"crawlers" eg:"true"`           // stream only: confirmed crawlers are a class here
	Backend    string         `toml:"backend" eg:"127.0.0.1:10025"` // host and port, both given
	Forward    string         `toml:"forward" choose:"proxy-v1,proxy-v2,xclient,none" eg:"proxy-v2"`
	Source     netip.Addr     `toml:"source" eg:"127.0.0.2"`       // towards the backend; not valid: the system chooses
	TrustProxy []netip.Prefix `toml:"trust_proxy" eg:"10.0.0.0/8"` // masked
	TLSCert    string         `toml:"tls_cert" eg:"/etc/ssl/mx.pem"`
	TLSKey     string         `toml:"tls_key" eg:"/etc/ssl/mx.key"`
	Idle       time.Duration  `toml:"idle" eg:"10m"` // of a carried connection, both directions silent
}

// Greylist says how long a stranger waits: Pass <= PassUnnamed < Window <= Remember.
type Greylist struct {
	Pass        time.Duration `toml:"pass" eg:"4m"`
	PassUnnamed time.Duration `toml:"pass_unnamed" eg:"25m"`
	Code        int           `toml:"code" choose:"450,451" eg:"451"` // RFC 6647 prefers 450
	Window      time.Duration `toml:"window" eg:"2d"`
	Remember    time.Duration `toml:"remember" eg:"36d"`
	Origin      string        `toml:"origin" choose:"dns,network" eg:"dns"` // how it is found out who is behind a stranger
}

// Talk bounds the dialogue with a stranger.
type Talk struct {
	Timeout    time.Duration `toml:"timeout" eg:"60s"`    // a whole command
	Recipients int           `toml:"recipients" eg:"100"` // RFC 5321 section 4.5.3.1.8: at least 100
	Errors     int           `toml:"errors" eg:"10"`      // then 421
}

// Tarpit says how slowly moggy speaks, and to how many at once.
type Tarpit struct {
	Stutter time.Duration `toml:"stutter" eg:"10s"` // 0: not at all
	Gap     time.Duration `toml:"gap" eg:"1s"`      // between two bytes, never 0
	Slots   int           `toml:"slots" eg:"0"`     // 0: 75 % of descriptors
}

// Trap lists recipients that no honest sender knows.
type Trap struct {
	Addresses []string      `toml:"addresses" eg:"trap@example.org"` // local@domain
	TTL       time.Duration `toml:"ttl" eg:"24h"`
}

// DNSBL says whom to ask about strangers.
type DNSBL struct {
	Threshold int              `toml:"threshold" eg:"3"`          // sum of weights that makes a peer listed
	Timeout   time.Duration    `toml:"timeout" eg:"2s"`           // for all lists together
	Servers   []netip.AddrPort `toml:"servers" eg:"127.0.0.1:53"` // none: /etc/resolv.conf
	Lists     []DNSList        `toml:"list"`
}

// DNSList is one DNS list.
type DNSList struct {
	Zone   string  `toml:"zone" eg:"zen.spamhaus.org"` // may hold a key, and is never shown
	Name   string  `toml:"name" eg:"zen"`              // shown in its place; "": the zone without what looks like a key
	Weight int     `toml:"weight" eg:"3"`              // never 0; negative: an allow list
	Codes  []Range `toml:"codes" eg:"127.0.0.2-127.0.0.11"`
}

// Class overrides the budget of a class, or adds one: a class the file made up
// is a known one. A zero Rate, Burst, Open or Recipients and a nil Wait were
// not given. Both rates are whole numbers per minute.
type Class struct {
	Rate       Rate           `toml:"rate" eg:"600/min"`
	Burst      int            `toml:"burst" eg:"300"`
	Open       int            `toml:"open" eg:"500"`
	Recipients Rate           `toml:"recipients" eg:"30/min"` // new ones; class stranger only
	Wait       *time.Duration `toml:"wait" eg:"10s"`          // 0: no waiting in line
}

// Hints says where it is learned who logged in, and whom our users write to.
type Hints struct {
	// Dovecot is the loopback address, host and port, of the endpoint for
	// Dovecot's auth policy; "": none.
	Dovecot string `toml:"dovecot" eg:"127.0.0.1:9143"`
	// DovecotKey is what Dovecot has to send as X-API-Key; "": nothing. Do
	// not print it.
	DovecotKey string   `toml:"dovecot_key" eg:"long-and-random" secret:"yes"`
	Logs       []string `toml:"logs" eg:"/var/log/mail.log"` // absolute paths, or LogJournal
	SSH        bool     `toml:"ssh" eg:"true"`               // whose address has an ssh session is own
}

// Crawlers says who are search engines.
type Crawlers struct {
	// Names are domains in lower case. An address whose confirmed reverse
	// name is one of them or below one is a crawler; none: nobody is.
	Names []string `toml:"names" eg:"googlebot.com"`
}

// Foreign says how blocks outside moggy are looked for.
type Foreign struct {
	Every time.Duration `toml:"every" eg:"1m"` // 0: only when asked
}

// Good says where those who are known to be good are written to.
type Good struct {
	NFT []string `toml:"nft" eg:"inet guard"` // nftables tables, "family name"
}

// Admin is where metrics and health are.
type Admin struct {
	Address string `toml:"address" eg:"127.0.0.1:9925"`
}

// Journal bounds the record of decisions.
type Journal struct {
	Size Size `toml:"size" eg:"256MB"` // of all its files together
}

// Log says how much is written to standard error.
type Log struct {
	Level slog.Level `toml:"level" choose:"debug,info,warn,error" eg:"info"`
}

// Observe reports whether verdicts are only recorded.
func (c *Config) Observe() bool { return c.Mode == ModeObserve }

// Local returns what local_networks says: whether the directly connected
// private networks count, and the networks written out, masked.
func (c *Config) Local() (auto bool, networks []netip.Prefix) {
	for _, text := range c.LocalNetworks {
		if text == LocalAuto {
			auto = true
		} else if p, err := netip.ParsePrefix(text); err == nil {
			networks = append(networks, p.Masked())
		}
	}
	return auto, networks
}
