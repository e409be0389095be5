package verdict

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"moggy/proxy/dialogue"
	"moggy/whitelist"
)

// A Verdict is a decision that explains itself.
type Verdict struct {
	Action   Action         // what the rules say
	Rule     string         // the rule that decided
	Observed bool           // mode is observe: the peer is let through whatever Action says
	Reply    dialogue.Reply // what the peer is told; zero where nothing is said
	Wait     time.Duration  // for Action Wait: how long
	Why      string         // the numbers behind it, in words; "" where the rule says all
	asked    uint32         // bit i: rule i was asked
}

// Decide asks the rules of the facts' stage in their order; the first that holds
// decides. The last rule of each stage always holds.
func Decide(f *Facts, p *Policy) Verdict {
	var v Verdict
	for i := range table {
		r := &table[i]
		if !slices.Contains(r.Stages, f.Stage) {
			continue
		}
		v.asked |= 1 << i
		if r.test(f) {
			v.settle(r, f, p)
			break
		}
	}
	return v
}

func (v *Verdict) settle(r *Rule, f *Facts, p *Policy) {
	v.Action, v.Rule = r.Action, r.Name
	v.Observed = p.Observe && f.Stage != Backend && r.Name != full && v.Action != Carry && v.Action != HandOver
	if r.reply != nil {
		v.Reply = r.reply(f, p)
	}
	if v.Action == Wait {
		v.Wait = max(f.Budget.Wait, guesserWait(r.Name))
	}
	if f.Stage == Backend {
		v.Why = f.Fault
	}
	if f.Stage == Connect || f.Stage == Recipient || f.Stage == Data {
		v.Why = f.why()
	}
}

// full is the rule about room, and not about the peer: observing does not make any.
const full = "full"

// guesserWait is what the rule of that name makes a peer wait whatever its budget.
func guesserWait(rule string) time.Duration {
	if rule == "guesser" {
		return 10 * time.Second
	}
	return 0
}

// passes reports whether the peer gets to the backend by the rules themselves.
func (v *Verdict) passes() bool {
	return v.Action == Carry || v.Action == Wait || v.Action == HandOver
}

// Patience is how long a known peer may be made to wait before that is harm.
const Patience = 2 * time.Second

// Harms reports whether a known peer is refused or made to wait: what must not be.
func (v *Verdict) Harms(f *Facts) bool {
	switch v.Effective() {
	case Carry, HandOver:
		return false
	case Wait:
		return f.known() && v.Wait > Patience
	}
	return f.known()
}

// LeftToGreylist reports whether nothing but the greylist's answer is missing:
// facts without one led to the rules that come after it.
func (v *Verdict) LeftToGreylist() bool { return v.Rule == "first-seen" || v.Rule == "null-sender" }

// Effective is what is really done: in mode observe everything is let through.
func (v *Verdict) Effective() Action {
	if v.Observed {
		return Carry
	}
	return v.Action
}

// Act is the action as the log shows it: "defer", or "observe:defer".
func (v *Verdict) Act() string {
	if v.Observed {
		return "observe:" + string(v.Action)
	}
	return string(v.Action)
}

// A Step is a rule that was asked on the way to a verdict.
type Step struct {
	Rule string `json:"rule"`
	Hit  bool   `json:"hit"`
}

// Steps returns the rules that were asked, the one that decided last.
func (v *Verdict) Steps() (steps []Step) {
	for i := range table {
		if v.asked&(1<<i) != 0 {
			steps = append(steps, Step{table[i].Name, table[i].Name == v.Rule})
		}
	}
	return steps
}

// RemedyFor is what an operator can type to change the rule's decision for a
// peer; "" where there is nothing to type.
func RemedyFor(rule, peer string) string {
	for i := range table {
		if table[i].Name == rule && strings.Contains(table[i].remedy, "%s") {
			return fmt.Sprintf(table[i].remedy, peer)
		} else if table[i].Name == rule {
			return table[i].remedy
		}
	}
	return ""
}

// Remedy is RemedyFor a peer of a class: nobody is told to make a guesser, or one
// that nothing is known of, the owner of the machine.
func Remedy(rule string, class whitelist.Class, peer string) string {
	do := RemedyFor(rule, peer)
	switch {
	case do != fmt.Sprintf(afford, peer) || class.Known():
		return do
	case class == whitelist.Guesser || class == whitelist.Listed:
		return fmt.Sprintf(forgive, peer)
	}
	return fmt.Sprintf(letIn, peer)
}
