package main_test

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"moggy/cmd/internal/names"
	"moggy/cmd/internal/peers"
	"moggy/verdict"
	"moggy/verdict/journal"
)

// TestEndToEndDNS tries the whole path with real name servers: unbound, and rbldnsd behind it. See package names.
func TestEndToEndDNS(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real mail programs and name servers")
	}
	names.Need(t, "unbound", "rbldnsd")
	p := build(t)
	for _, c := range []struct {
		name string
		try  func(*testing.T, programs)
	}{
		{"pool", senderPool},
		{"reverse names", reverseNames},
		{"lists", dnsLists},
		{"list that lists the world", worldListed},
		{"DNS away from the start", dnsAway},
		{"DNS falls silent", dnsSilent},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.try(t, p)
		})
	}
}

// soa is how every zone begins.
const soa = "@ 60 SOA ns root 1 600 300 86400 45\n@ NS ns\nns A 127.0.0.1\n"

// senderZones are of a sender with a pool in 127.20.0.0/16, whose records lead to its provider's, and of one that
// publishes nothing.
var senderZones = map[string]string{
	peers.SenderDomain: soa + `@ TXT "v=spf1 include:spf.protection.provider.test -all"` + "\n" +
		`em7 TXT "v=spf1 include:` + peers.SenderDomain + ` -all"` + "\n",
	"provider.test": soa + `spf.protection TXT "v=spf1 ip4:192.0.2.0/24 include:spf-a.provider.test include:spf-b.provider.test -all"` + "\n" +
		`spf-a TXT "v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 -all"` + "\n" +
		`spf-b TXT "v=spf1 ip4:203.0.113.0/24 ip4:127.20.0.0/16 -all"` + "\n",
	"plain.test": soa + "@ MX 10 ns\n",
}

// pooled is the origin that the sender's records name.
const pooled = peers.SenderDomain + " (spf)"

// dnsConf is a [dnsbl] section that asks one server.
func dnsConf(server netip.AddrPort, lists ...string) string {
	text := fmt.Sprintf("[dnsbl]\nthreshold = 3\ntimeout = \"1s\"\nservers = [%q]\n", server)
	return text + strings.Join(lists, "")
}

// dnsList is a [[dnsbl.list]] section.
func dnsList(zone string, weight int, codes string) string {
	return fmt.Sprintf("[[dnsbl.list]]\nzone = %q\nweight = %d\ncodes = [%q]\n", zone, weight, codes)
}

// block is the section of the list bl.test.
func block() string { return dnsList("bl.test", 3, "127.0.0.2-127.0.0.11") }

// blockList is the list bl.test with some entries. What it says may be kept for a second.
func blockList(entries ...string) names.List {
	const head = "$TTL 1\n$SOA 1 ns.bl.test root.bl.test 1 600 300 86400 1\n:127.0.0.2:listed\n127.0.0.2\n"
	return names.List{Zone: "bl.test", Type: "ip4set", Data: head + strings.Join(entries, "\n") + "\n"}
}

// about waits for a decision by the rule about a peer, and returns the first.
func (d *daemon) about(source, rule string) journal.Record {
	d.t.Helper()
	return d.record(source+" decided by "+rule, func(r journal.Record) bool {
		return r.Event == journal.EventDecided && r.Rule == rule && r.Peer.Addr().String() == source
	})
}

// tries are the decisions about recipients of mail from a sender.
func (d *daemon) tries(from string) (all []journal.Record) {
	d.t.Helper()
	for _, r := range d.records() {
		if r.Event == journal.EventDecided && r.Stage == verdict.Recipient && r.From == from {
			all = append(all, r)
		}
	}
	return all
}

// mild wants nobody to have been refused for good, and no known peer to have been harmed.
func (d *daemon) mild() {
	d.t.Helper()
	for _, r := range d.records() {
		if r.Code >= 500 {
			d.t.Errorf("%s was answered %d by %s", r.Peer, r.Code, r.Rule)
		}
	}
	d.noHarm()
}

// works waits until a DNS list counts.
func (d *daemon) works(list string) {
	d.t.Helper()
	d.waitMetric(`moggy_dnsbl_state{list="`+list+`",state="working"}`, "1")
}

// passes wants the mail of a stranger to be deferred at first, and its retry to be taken.
func (d *daemon) passes(source string) {
	d.t.Helper()
	d.answers(source, from, to, 451)
	d.about(source, "first-seen")
	d.mature()
	d.answers(source, from, to, 0)
	d.about(source, "returned")
}

// elsewhere wants two records to be of peers in different /24 networks.
func elsewhere(t *testing.T, a, b journal.Record) {
	t.Helper()
	if net := netip.PrefixFrom(a.Peer.Addr(), 24).Masked(); net.Contains(b.Peer.Addr()) {
		t.Errorf("%s and %s are neighbours", a.Peer, b.Peer)
	}
}

// senderPool tries again from another network every time. Its SPF record makes it one sender; without a record it is
// a newcomer every time.
func senderPool(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	server := names.Unbound(t, names.UnboundOptions{Zones: senderZones})
	d := p.start(t, conf{Backend: b.Proxy, DNS: dnsConf(server.Addr)})
	w := way{daemon: d, to: b, from: peers.PostfixSender(t,
		peers.SenderOptions{Relay: d.Mail, Pool: netip.MustParsePrefix("127.20.0.0/16"), Backoff: time.Hour})}
	w.firstOfPool()
	w.nextOfPool("bounces+1-b=" + peers.Domain + "@" + peers.SenderDomain)
	w.nextOfPool("bounces+2-b=" + peers.Domain + "@em7." + peers.SenderDomain)
	w.poolOfNobody("a@plain.test")
	if got := len(b.Messages()); got != 3 {
		t.Errorf("%d messages were delivered, not 3", got)
	}
	d.mild()
}

// firstOfPool sends the first mail of the pool, which passes with its second try, in that connection.
func (w way) firstOfPool() {
	w.t.Helper()
	m := peers.Awkward(from, to)
	w.from.Send(from, to, m.Raw)
	first := w.decided("first-seen")
	w.mature()
	w.from.Retry()
	w.arrives(m, 1)
	w.inOneConnection()
	returned := w.decided("returned")
	elsewhere(w.t, first, returned)
	if first.Origin != pooled || returned.Origin != pooled || !strings.HasPrefix(returned.Why, "try 2, ") {
		w.t.Errorf("first of %s, returned of %s: %s", first.Origin, returned.Origin, returned.Why)
	}
	w.from.WaitEmpty(w.t.Context())
}

// nextOfPool sends another mail, of a sender that was never seen: it is taken at once, although not even its network is known.
func (w way) nextOfPool(from string) {
	w.t.Helper()
	have := len(w.to.Messages())
	m := peers.Awkward(from, to)
	w.from.Send(from, to, m.Raw)
	w.arrives(m, have+1)
	tries := w.tries(from)
	if len(tries) != 1 || tries[0].Rule != "origin-known" || tries[0].Origin != pooled {
		w.t.Errorf("%s was judged %+v, not once by origin-known", from, tries)
	}
	elsewhere(w.t, w.decided("returned"), tries[0])
	w.from.WaitEmpty(w.t.Context())
}

// poolOfNobody sends a mail without an SPF record: its retry comes from another network, and is the first of that.
func (w way) poolOfNobody(from string) {
	w.t.Helper()
	w.from.Send(from, to, note)
	w.until("the first try was judged", func() bool { return len(w.tries(from)) == 1 })
	w.mature()
	w.from.Retry()
	w.until("the second try was judged", func() bool { return len(w.tries(from)) == 2 })
	tries := w.tries(from)
	for _, r := range tries {
		if net := netip.PrefixFrom(r.Peer.Addr(), 24).Masked(); r.Rule != "first-seen" || r.Origin != net.String() {
			w.t.Errorf("%s was judged by %s, of %s", r.Peer, r.Rule, r.Origin)
		}
	}
	elsewhere(w.t, tries[0], tries[1])
}

// reverseZones name some hosts: two of a firm, one that only says it is, and a line of an access network.
var reverseZones = map[string]string{
	"127.in-addr.arpa": soa + `9.9.30 PTR mail.firm.test.
9.9.31 PTR out2.firm.test.
6.6.30 PTR mail.firm.test.
7.7.30 PTR 127-30-7-7.dyn.isp.test.
`,
	"firm.test": soa + "mail A 127.30.9.9\nout2 A 127.31.9.9\n",
	"isp.test":  soa + "127-30-7-7.dyn A 127.30.7.7\n",
}

// reverseNames that are confirmed name an origin, which waits for less than a network does.
func reverseNames(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	server := names.Unbound(t, names.UnboundOptions{Zones: reverseZones})
	d := p.make(t, conf{Backend: b.Proxy, DNS: dnsConf(server.Addr)})
	d.networksWait("1h")
	d.run()
	d.waitLog(`moggyd is ready`)
	const named, forged, generic = "127.30.9.9", "127.30.6.6", "127.30.7.7"
	d.answers(named, from, to, 451)
	d.answers(forged, from, to, 451)
	d.answers(generic, from, to, 451)
	d.waits(named, "firm.test (name)", 2*time.Second)
	d.waits(forged, "127.30.6.0/24", time.Hour)
	d.waits(generic, "127.30.7.0/24", time.Hour)
	d.mature()
	d.answers(forged, from, to, 451)
	d.about(forged, "too-early")
	d.answers(generic, from, to, 451)
	d.about(generic, "too-early")
	d.answers(named, from, to, 0)
	d.inOneConnection()
	d.answers("127.31.9.9", "other@"+peers.SenderDomain, to, 0)
	d.about("127.31.9.9", "origin-known")
	b.WaitMessages(t.Context(), 2)
	d.mild()
}

// networksWait has origins that are no more than a network wait for longer. The daemon does not run yet.
func (d *daemon) networksWait(pass string) {
	d.t.Helper()
	text, err := os.ReadFile(d.file("moggy.toml"))
	if err != nil {
		d.t.Fatal(err)
	}
	d.write(strings.Replace(string(text), `pass_unnamed = "`+d.Pass+`"`, `pass_unnamed = "`+pass+`"`, 1))
}

// waits wants the first mail of a peer to have been deferred for so long, as one of the origin.
func (d *daemon) waits(source, origin string, wait time.Duration) {
	d.t.Helper()
	if r := d.about(source, "first-seen"); r.Origin != origin || r.Wait != wait.Seconds() || len(r.Degraded) > 0 {
		d.t.Errorf("%s is of %s and waits for %v s (degraded %v), not of %s for %v", source, r.Origin, r.Wait, r.Degraded, origin, wait)
	}
}

// dnsLists are against some strangers and vouch for others. Known peers are not asked about.
func dnsLists(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	allow := names.List{Zone: "wl.test", Type: "ip4set", Data: ":127.0.10.0:test\n127.0.0.2\n" +
		"127.51.0.0/16 :127.0.5.2:trusted\n127.52.0.0/16 :127.0.5.0:not trusted\n127.53.0.0/16 :127.0.5.2:trusted\n"}
	lists := names.Rbldnsd(t, blockList("127.50.0.0/16", "127.53.0.0/16"), allow)
	server := names.Unbound(t, names.UnboundOptions{Lists: map[string]netip.AddrPort{"bl.test": lists.Addr, "wl.test": lists.Addr}})
	d := p.start(t, conf{Backend: b.Proxy, Gap: "10ms",
		DNS: dnsConf(server.Addr, block(), dnsList("wl.test", -3, "127.0.5.1-127.0.5.3"))})
	d.works("bl.test")
	d.works("wl.test")

	d.answers("127.50.1.1", from, to, 450)
	if r := d.about("127.50.1.1", "dns-listed"); r.Action != string(verdict.Hold) || !strings.Contains(r.Why, "bl.test 127.0.0.2 (+3)") {
		t.Errorf("a listed stranger: %s, %s", r.Action, r.Why)
	}
	d.answers("127.51.1.1", from, to, 0)
	d.about("127.51.1.1", "dns-allowed")
	d.answers("127.52.1.1", from, to, 451)
	d.about("127.52.1.1", "first-seen")
	d.answers("127.53.1.1", from, to, 451)
	d.about("127.53.1.1", "first-seen")
	d.mature()
	d.answers("127.50.1.1", from, to, 450)
	d.answers("127.52.1.1", from, to, 0)
	b.WaitMessages(t.Context(), 2)
	d.knownListed("127.50.2.2")
	b.WaitMessages(t.Context(), 3)
	d.mild()
}

// knownListed sends from a listed address that is known: it is carried, and the lists are not even asked.
func (d *daemon) knownListed(source string) {
	d.t.Helper()
	const asked = `moggy_dnsbl_answers_total{answer="listed",list="bl.test"}`
	before := d.metric(asked)
	d.tool("allow", "add", source, "--note", "listed, and a friend")
	d.atOnce(source)
	if after := d.metric(asked); after != before {
		d.t.Errorf("the list was asked about a known peer: %s listed, then %s", before, after)
	}
}

// atOnce wants mail from a known peer to be taken in less time than a stranger is stuttered at.
func (d *daemon) atOnce(source string) {
	d.t.Helper()
	began := time.Now()
	d.answers(source, from, to, 0)
	if took := time.Since(began); took > time.Second {
		d.t.Errorf("mail from %s took %v", source, took)
	}
	d.about(source, "known")
}

// worldListed is a list that begins to list everybody. It is found out by how many it lists, and then strangers fare as
// if there were no list; what it did before is named.
func worldListed(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	lists := names.Rbldnsd(t, blockList())
	server := names.Unbound(t, names.UnboundOptions{Zones: senderZones, Lists: map[string]netip.AddrPort{"bl.test": lists.Addr}})
	d := p.start(t, conf{Backend: b.Proxy, Gap: "10ms", DNS: dnsConf(server.Addr, block())})
	d.works("bl.test")
	d.passes("127.40.1.1")
	lists.Change(names.List{Zone: "bl.test", Type: "ip4set", Data: names.World})
	d.answers("127.41.1.1", from, to, 450)
	d.about("127.41.1.1", "dns-listed")
	for i := range 60 {
		d.call(fmt.Sprintf("127.42.%d.1", i)).Close()
	}
	d.waitMetric(`moggy_dnsbl_suspended{list="bl.test"}`, "1")
	d.waitMetric(`moggy_alarms{alarm="dnsbl_suspended"}`, "1")
	d.waitLog(`a DNS list is suspended and counts for nothing.*list=bl\.test reason=lists-everybody`)
	noted := d.record("that the list is suspended", func(r journal.Record) bool { return r.Rule == "dnsbl-suspended" })
	if !regexp.MustCompile(`127\.0\.0\.1 .*decisions hung on it: .*127\.41\.1\.1\b`).MatchString(noted.Why) {
		t.Errorf("the journal says only: %s", noted.Why)
	}
	d.passes("127.41.1.1")
	d.passes("127.20.1.1")
	d.answers("127.20.2.2", "other@"+peers.SenderDomain, to, 0)
	d.about("127.20.2.2", "origin-known")
	b.WaitMessages(t.Context(), 4)
	d.mild()
}

// dnsAway is no DNS when moggyd starts: it serves all the same, strangers by their networks, and finds DNS later.
func dnsAway(t *testing.T, p programs) {
	b, server := withNames(t)
	server.Stop()
	d := p.start(t, conf{Backend: b.Proxy, DNS: dnsConf(server.Addr, block())})
	d.atOnce("127.0.0.1")
	d.byNetwork("127.20.1.1")
	d.mature()
	d.answers("127.20.2.2", from, to, 451)
	d.about("127.20.2.2", "first-seen")
	d.answers("127.20.1.1", from, to, 0)
	d.about("127.20.1.1", "returned")
	server.Start()
	d.untilNamed("127.20.1.0/24")
	d.answers("127.20.3.3", from, to, 451)
	if r := d.about("127.20.3.3", "first-seen"); r.Origin != pooled {
		t.Errorf("with DNS back it is of %s, not of %s", r.Origin, pooled)
	}
	b.WaitMessages(t.Context(), 2)
	d.mild()
}

// dnsSilent is DNS that ceases to answer, and answers again: who came meanwhile is known by its network then.
func dnsSilent(t *testing.T, p programs) {
	b, server := withNames(t)
	d := p.start(t, conf{Backend: b.Proxy, DNS: dnsConf(server.Addr, block())})
	d.works("bl.test")
	server.Pause()
	d.atOnce("127.0.0.1")
	d.byNetwork("127.20.1.1")
	d.atOnce("127.0.0.1")
	server.Resume()
	d.mature()
	d.untilNamed("127.20.1.0/24")
	d.answers("127.20.1.1", from, to, 0)
	if r := d.about("127.20.1.1", "returned"); r.Origin != pooled || len(r.Degraded) > 0 {
		t.Errorf("it returned as %s (degraded %v), not as %s", r.Origin, r.Degraded, pooled)
	}
	d.answers("127.20.2.2", "other@"+peers.SenderDomain, to, 0)
	d.about("127.20.2.2", "origin-known")
	b.WaitMessages(t.Context(), 4)
	d.mild()
}

// withNames starts a backend, a list of 127.50.0.0/16, and unbound with the sender's zones in front of it.
func withNames(t *testing.T) (*peers.Backend, *names.Server) {
	t.Helper()
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	lists := names.Rbldnsd(t, blockList("127.50.0.0/16"))
	return b, names.Unbound(t, names.UnboundOptions{Zones: senderZones, Lists: map[string]netip.AddrPort{"bl.test": lists.Addr}})
}

// untilNamed waits until DNS says that strangers of a /24, one after the other, are of the pool: what could not be asked
// is not asked again for some seconds. The first mail of the network has to be mature, so that they would be let in.
func (d *daemon) untilNamed(net string) {
	d.t.Helper()
	source := netip.MustParsePrefix(net).Addr().Next()
	d.until("DNS is asked again", func() bool {
		source = source.Next()
		return strings.Contains(d.tool("try", source.String(), "--from", from, "--to", to), pooled)
	})
}

// byNetwork wants a stranger to be greylisted by its network because DNS is away, and to hear of it in time: after the
// stutter, or the lists' time if that is longer (1 s each), and what an answer is waited for (2 s).
func (d *daemon) byNetwork(source string) {
	d.t.Helper()
	const stutter, patience, slack = time.Second, 2 * time.Second, time.Second
	began := time.Now()
	d.answers(source, from, to, 451)
	if took := time.Since(began); took > stutter+patience+slack {
		d.t.Errorf("%s waited for its answer for %v", source, took)
	}
	r := d.about(source, "first-seen")
	net := netip.PrefixFrom(r.Peer.Addr(), 24).Masked()
	if r.Origin != net.String() || fmt.Sprint(r.Degraded) != "[dns]" {
		d.t.Errorf("%s is of %s, degraded %v", source, r.Origin, r.Degraded)
	}
}
