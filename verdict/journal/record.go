// Package journal keeps records of decisions and answers for them later: why
// was this peer deferred, what became of that connection.
//
// It knows how a decision is written down, what of a peer's words may be shown,
// and how the files are bounded and read, by the daemon and without it. It does
// not know how a decision is taken (package verdict does), who is connected
// now, or what anything costs.
package journal

import (
	"encoding/json"
	"math"
	"net/netip"
	"strconv"
	"time"

	"moggy/verdict"
	"moggy/whitelist"
)

// An Event says what a Record is about.
type Event string

// The events.
const (
	EventDecided Event = "decided" // a verdict, before it is acted on
	EventEnded   Event = "ended"   // what became of the connection
	EventNoted   Event = "noted"   // something else that an operator will ask for
)

// An Outcome is how a connection ended.
type Outcome string

// The outcomes.
const (
	Carried     Outcome = "carried"      // the backend had it from the first byte to the last
	HandedOver  Outcome = "handed-over"  // we talked to it first, then the backend had it
	LetGo       Outcome = "let-go"       // deferred or refused, and gone with a QUIT
	Left        Outcome = "left"         // the peer hung up before it was told anything
	Timeout     Outcome = "timeout"      // the peer said nothing for too long
	Shed        Outcome = "shed"         // closed by us: no room, or no mail
	BackendDown Outcome = "backend-down" // the backend did not take it
	Cancelled   Outcome = "cancelled"    // the daemon stopped
	Failed      Outcome = "failed"       // an error of ours or of the network
)

// Outcomes returns them all.
func Outcomes() []Outcome {
	return []Outcome{Carried, HandedOver, LetGo, Left, Timeout, Shed, BackendDown, Cancelled, Failed}
}

// Relayed reports whether the backend had the connection in the end.
func (o Outcome) Relayed() bool { return o == Carried || o == HandedOver }

// Denied is the class a Record shows for a peer that a person denied, which has
// no class.
const Denied whitelist.Class = "denied"

// ClassOf is the class of a decision's peer, [Denied] where a person said no.
func ClassOf(f *verdict.Facts) whitelist.Class {
	if f.Standing.Deny {
		return Denied
	}
	return f.Standing.Class
}

// A Record is one line of the journal. Strings that came from a peer, or from
// the backend, are as [Printable] writes them and at most MaxText bytes long:
// show them as they are.
type Record struct {
	Time     time.Time            `json:"time"` // UTC, to the millisecond
	Ref      string               `json:"ref,omitempty"`
	Node     string               `json:"node,omitempty"` // the machine it was decided on; "" here
	Event    Event                `json:"event"`
	Stage    verdict.Stage        `json:"stage,omitempty"`
	Listener string               `json:"listener,omitempty"`
	Peer     netip.AddrPort       `json:"peer,omitzero"` // IPv4 is never IPv4-mapped IPv6
	Class    whitelist.Class      `json:"class,omitempty"`
	Evidence whitelist.Source     `json:"evidence,omitempty"`
	Action   string               `json:"action,omitempty"` // "defer", "observe:defer"
	Rule     string               `json:"rule,omitempty"`   // for EventNoted: what was noted
	Why      string               `json:"why,omitempty"`
	Steps    Steps                `json:"steps,omitempty"`
	Origin   string               `json:"origin,omitempty"` // "example.org (spf)", "192.0.2.0/24"
	Early    bool                 `json:"early,omitempty"`  // spoke before its banner was out
	Helo     string               `json:"helo,omitempty"`
	From     string               `json:"from,omitempty"` // "" is the null sender, or no sender yet
	To       string               `json:"to,omitempty"`
	Code     int                  `json:"code,omitempty"` // of the reply to the peer
	Wait     float64              `json:"wait,omitempty"` // seconds until a retry can pass
	Degraded []verdict.Dependency `json:"degraded,omitempty"`
	Used     string               `json:"used,omitempty"`   // of the burst of its class, "18/300", this connection included
	Open     string               `json:"open,omitempty"`   // at once, "15/500", this one included
	Queued   float64              `json:"queued,omitempty"` // seconds that it has to wait for its turn
	Harm     bool                 `json:"harm,omitempty"`   // a known peer was refused or made to wait

	// For EventEnded.
	Outcome Outcome `json:"outcome,omitempty"`
	Held    float64 `json:"held,omitempty"`   // seconds that moggy itself kept the peer
	In      int64   `json:"in,omitempty"`     // bytes from the peer, see End
	Out     int64   `json:"out,omitempty"`    // bytes to the peer
	Answer  string  `json:"answer,omitempty"` // the backend's own answer at a hand-over
}

// Decided makes the record of a verdict.
func Decided(now time.Time, f *verdict.Facts, v *verdict.Verdict) Record {
	r := about(now, EventDecided, f, v)
	r.Why, r.Steps = text(v.Why), v.Steps()
	r.Code, r.Wait = v.Reply.Code, seconds(f.Grey.Wait)
	r.Degraded = f.Degraded
	if f.Stage == verdict.Connect {
		r.Used, r.Open = part(f.Budget.Used, f.Budget.Limit.Burst), part(f.Budget.Open, f.Budget.Limit.Open)
	}
	r.Queued, r.Harm = seconds(v.Wait), v.Harms(f)
	return r
}

// part is "18/300"; empty where nothing was counted.
func part(n, of int) string {
	if n == 0 || of == 0 {
		return ""
	}
	return strconv.Itoa(n) + "/" + strconv.Itoa(of)
}

// An End is how a connection ended.
type End struct {
	Outcome Outcome
	Held    time.Duration // that moggy itself kept the peer, by stuttering and talking; carrying does not count
	In, Out int64         // bytes from and to the peer: carried ones if Outcome.Relayed, else those moggy read and wrote
	Answer  string        // the backend's own answer at a hand-over
}

// Ended makes the record of a connection's end; f and v are its last decision.
func Ended(now time.Time, f *verdict.Facts, v *verdict.Verdict, e End) Record {
	r := about(now, EventEnded, f, v)
	r.Outcome, r.Held = e.Outcome, seconds(e.Held)
	r.In, r.Out, r.Answer = e.In, e.Out, text(e.Answer)
	return r
}

// Noted makes the record of something that is no decision: what in one word,
// why in a sentence.
func Noted(now time.Time, what, why string) Record {
	return Record{Time: stamp(now), Event: EventNoted, Rule: text(what), Why: text(why)}
}

// about is what every record of a connection says.
func about(now time.Time, e Event, f *verdict.Facts, v *verdict.Verdict) Record {
	return Record{
		Time: stamp(now), Event: e,
		Ref: text(f.Ref), Stage: f.Stage, Listener: text(f.Listener), Peer: peerOf(f.Peer),
		Class: whitelist.Class(text(string(ClassOf(f)))), Evidence: f.Standing.Evidence,
		Action: v.Act(), Rule: v.Rule,
		Origin: originOf(f), Early: f.Early, Helo: text(f.Helo), From: text(f.Sender), To: text(f.Recipient),
	}
}

func originOf(f *verdict.Facts) string {
	if f.Origin.Name == "" {
		return ""
	}
	return text(f.Origin.String())
}

func peerOf(p netip.AddrPort) netip.AddrPort {
	if !p.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(whitelist.CanonicalAddr(p.Addr()), p.Port())
}

func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// Steps are the rules that were asked, the one that decided last. The journal
// keeps their names alone.
type Steps []verdict.Step

// MarshalJSON writes the names in their order.
func (s Steps) MarshalJSON() ([]byte, error) {
	names := make([]string, len(s))
	for i := range s {
		names[i] = s[i].Rule
	}
	return json.Marshal(names)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Steps) UnmarshalJSON(line []byte) error {
	var names []string
	if err := json.Unmarshal(line, &names); err != nil {
		return err
	}
	*s = make(Steps, len(names))
	for i, name := range names {
		(*s)[i] = verdict.Step{Rule: name, Hit: i == len(names)-1}
	}
	return nil
}
