package desk

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"moggy/dnsbl"
	"moggy/greylist"
	"moggy/greylist/origin"
	"moggy/proxy/dialogue"
	"moggy/verdict"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// A Question is a peer that might come, and what it might say.
type Question struct {
	Addr     netip.Addr `json:"addr"`
	Listener string     `json:"listener,omitempty"` // its name or port; "": the first
	Helo     string     `json:"helo,omitempty"`
	Mail     *Mail      `json:"mail,omitempty"` // nil: nothing is asked about a mail
}

// Mail is an envelope.
type Mail struct {
	From string `json:"from"` // "" is the null sender
	To   string `json:"to"`
}

// A Trial is what would become of a peer.
type Trial struct {
	Addr     netip.Addr `json:"addr"`
	Listener string     `json:"listener"`
	Standing Standing   `json:"standing"`

	Service  whitelist.Service   `json:"service"`
	Findings []whitelist.Finding `json:"findings"`          // the evidence, the strongest first
	Budget   budget.Usage        `json:"budget"`            // with this connection
	Wait     float64             `json:"wait,omitempty"`    // seconds in line before the backend gets it
	Crawler  *CrawlerName        `json:"crawler,omitempty"` // what its name says; nil: that was not asked

	Passes    bool         `json:"passes"`              // the backend gets it now
	Connect   Decision     `json:"connect"`             // about the connection
	Recipient *Decision    `json:"recipient,omitempty"` // about the mail
	Lists     *dnsbl.Score `json:"lists,omitempty"`     // what the DNS lists say; nil: they would not be asked, or there are none
	Grey      *Grey        `json:"grey,omitempty"`      // what the greylist says; nil: it would not be asked
	Do        string       `json:"do,omitempty"`        // what to type to change it
	Daemon    bool         `json:"daemon"`              // moggyd runs; without it nobody gets in
	Fault     string       `json:"fault,omitempty"`     // why the server behind the listener cannot be used
}

// A CrawlerName is the confirmed reverse name of a client of a web server.
type CrawlerName struct {
	Name   string `json:"name,omitempty"`   // "": none is confirmed
	Engine bool   `json:"engine,omitempty"` // it is one of a search engine
	Unsure bool   `json:"unsure,omitempty"` // DNS did not answer
}

// A Decision is a verdict as persons see it.
type Decision struct {
	Action   verdict.Action       `json:"action"`
	Observed bool                 `json:"observed,omitempty"` // let through all the same: mode is observe
	Rule     string               `json:"rule"`
	Doc      string               `json:"doc"` // what the rule is
	Why      string               `json:"why,omitempty"`
	Reply    string               `json:"reply,omitempty"` // what the peer would be told
	Steps    []verdict.Step       `json:"steps"`           // the rules that were asked
	Degraded []verdict.Dependency `json:"degraded,omitempty"`
}

// Grey is what the greylist says of a try.
type Grey struct {
	Origin  greylist.Origin  `json:"origin"`
	Poorer  bool             `json:"poorer,omitempty"`  // DNS did not answer: the origin may be another one next time
	Outcome greylist.Outcome `json:"outcome,omitempty"` // "": it would not be asked
	First   time.Time        `json:"first,omitzero"`
	Tries   uint32           `json:"tries,omitempty"`
	Wait    float64          `json:"wait"` // seconds until a retry can pass
}

// Try implements Desk. It runs the rules of the proxy on facts that are
// gathered as the proxy gathers them, and leaves no trace but in the figures of
// the DNS lists.
func (l *Local) Try(ctx context.Context, q Question) (Trial, error) {
	door, err := l.door(q.Listener, q.Mail != nil)
	if err != nil {
		return Trial{}, err
	}
	if !q.Addr.IsValid() {
		return Trial{}, wrongUse("no address; give 192.0.2.7")
	}
	policy := l.Settings().Policy
	f := verdict.Facts{Listener: door.Name, Service: door.Service, Peer: netip.AddrPortFrom(whitelist.CanonicalAddr(q.Addr), 0), Helo: q.Helo}
	v := l.connect(&f, &policy)
	out := Trial{Addr: f.Peer.Addr(), Listener: door.Name, Standing: standingOf(f.Standing),
		Service: door.Service, Findings: l.Judge.Book.List().Evidence(f.Peer.Addr(), f.Service, l.now()), Budget: f.Budget,
		Connect: decisionOf(&f, &v), Passes: passes(&v), Do: remedy(&v, &f)}
	if out.Daemon = l.Daemon != nil; out.Daemon {
		out.Fault = faultText(l.Daemon.Ready()[door.Name])
	}
	if v.Effective() == verdict.Wait {
		out.Wait = v.Wait.Seconds()
	}
	if f.Service == whitelist.Web && f.Standing.Evidence == whitelist.Nothing {
		out.Crawler = l.crawler(ctx, out.Addr)
	}
	if v.Action == verdict.Talk { // who is held is not judged by what the lists say
		if out.Lists, err = l.askLists(ctx, &f); err != nil {
			return Trial{}, err
		}
	}
	switch {
	case q.Mail != nil && (v.Action == verdict.Talk || v.Action == verdict.Hold):
		l.mail(ctx, &out, q.Mail, &f, &policy)
	case v.Action == verdict.Talk:
		l.anyMail(ctx, &out, &f)
	}
	return out, nil
}

func faultText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// door finds a listener by its name or its port.
func (l *Local) door(asked string, mail bool) (Listener, error) {
	doors := l.Settings().Listeners
	var names []string
	for _, d := range doors {
		_, port, err := net.SplitHostPort(d.Address)
		if asked == "" && (!mail || d.Service == whitelist.Mail) || d.Name == asked || err == nil && port == asked {
			return d, nil
		}
		names = append(names, d.Name)
	}
	return Listener{}, wrongUse("there is no listener %q; choose %s", asked, list(names))
}

// connect is proxy.Judge.Connect without leaving a trace.
func (l *Local) connect(f *verdict.Facts, p *verdict.Policy) verdict.Verdict {
	f.Stage = verdict.Connect
	f.Standing = l.Judge.Book.List().Look(f.Peer.Addr(), f.Service, l.now())
	if f.Gateway = l.Daemon != nil && l.Daemon.Hides(f.Peer.Addr(), f.Standing); !f.Gateway {
		f.Budget = l.budget(f.Standing.Class, f.Peer.Addr())
	}
	if n := l.figures(); n.Slots > 0 {
		f.Full = n.Held >= n.Slots
	}
	return verdict.Decide(f, p)
}

// namePatience is how long a name may take to be found out.
const namePatience = 5 * time.Second

// crawler asks who a client of a web server is by its name; nil where nobody would.
func (l *Local) crawler(ctx context.Context, addr netip.Addr) *CrawlerName {
	c := l.Judge.Crawlers
	if c == nil || c.Confirmed == nil || len(c.Names) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, namePatience)
	defer cancel()
	name, ok, degraded := c.Confirmed(ctx, addr)
	out := &CrawlerName{Unsure: degraded && !ok}
	if ok {
		out.Name = name
		out.Engine = slices.ContainsFunc(c.Names, func(domain string) bool { return strings.HasSuffix(name, "."+domain) })
	}
	return out
}

// mail adds what would become of a mail.
func (l *Local) mail(ctx context.Context, out *Trial, m *Mail, f *verdict.Facts, p *verdict.Policy) {
	f.Sender = dialogue.Path{Text: m.From}.Mailbox()
	f.Recipient = dialogue.Path{Text: m.To}.Mailbox()
	v := l.Judge.Recipient(ctx, f, p, l.Judge.Peek, l.now())
	d := decisionOf(f, &v)
	out.Recipient, out.Passes, out.Do = &d, passes(&v), remedy(&v, f)
	switch {
	case f.Origin.Name != "":
		out.Grey = &Grey{Origin: f.Origin}
		out.Grey.told(f.Grey)
	case v.Rule == "dns-listed" || v.Rule == "dns-allowed":
		out.Grey = l.originOf(ctx, f) // an operator asks next who that is
	}
}

// anyMail adds what would become of any mail, because of what is known of the
// address or of its origin.
func (l *Local) anyMail(ctx context.Context, out *Trial, f *verdict.Facts) {
	out.Grey = l.originOf(ctx, f)
	rule := ""
	switch {
	case f.DNS.Allowed():
		rule = "dns-allowed"
	case f.DNS.Listed():
		rule = "dns-listed"
	default:
		l.peek(ctx, out.Grey, f)
		if out.Grey.Outcome == greylist.OriginKnown {
			rule = "origin-known"
		}
	}
	if rule != "" {
		out.Passes, out.Do = rule != "dns-listed", verdict.RemedyFor(rule, out.Addr.String())
	}
}

// originOf says who is behind a peer.
func (l *Local) originOf(ctx context.Context, f *verdict.Facts) *Grey {
	o, poorer := l.Judge.Finder.Find(ctx, origin.Question{Peer: f.Peer.Addr(), Helo: f.Helo, Sender: f.Sender})
	return &Grey{Origin: o, Poorer: poorer}
}

// peek adds what the greylist says of a mail that has not been named.
func (l *Local) peek(ctx context.Context, g *Grey, f *verdict.Facts) {
	r, err := l.Judge.Greylist.Peek(ctx, greylist.Try{Triplet: greylist.Triplet{Origin: g.Origin},
		Peer: f.Peer.Addr(), Now: l.now(), Timers: *l.Judge.Timers.Load()})
	if err == nil {
		g.told(r)
	}
}

// told notes what the greylist said.
func (g *Grey) told(r greylist.Result) {
	g.Outcome, g.First, g.Tries, g.Wait = r.Outcome, r.First.UTC(), r.Tries, r.Wait.Seconds()
}

func decisionOf(f *verdict.Facts, v *verdict.Verdict) Decision {
	d := Decision{Action: v.Action, Observed: v.Observed, Rule: v.Rule, Why: v.Why,
		Reply: v.Reply.String(), Steps: v.Steps(), Degraded: f.Degraded}
	for _, r := range verdict.Rules() {
		if r.Name == v.Rule {
			d.Doc = r.Doc
		}
	}
	return d
}

func passes(v *verdict.Verdict) bool {
	a := v.Effective()
	return a == verdict.Carry || a == verdict.Wait || a == verdict.HandOver
}

// remedy is what can be typed to change a verdict. A person's entry is named as
// it stands in the list.
func remedy(v *verdict.Verdict, f *verdict.Facts) string {
	s := f.Standing
	switch {
	case s.Evidence == whitelist.Local && s.Class.Known():
		return "" // only the configuration can
	case s.Evidence == whitelist.Trapped || s.Evidence == whitelist.Guessing:
		return "moggy pardon " + f.Peer.Addr().String()
	case s.Deny && !s.Entry.Net.IsSingleIP():
		return "moggy allow add " + f.Peer.Addr().String() + " --note WHY"
	case s.Evidence != whitelist.Nothing && (s.Deny || s.Class.Known()):
		return verdict.RemedyFor(v.Rule, Text(s.Entry.Net))
	}
	return verdict.Remedy(v.Rule, s.Class, f.Peer.Addr().String())
}
