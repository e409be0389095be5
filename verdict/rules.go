package verdict

import (
	"fmt"
	"time"

	"moggy/greylist"
	"moggy/proxy/dialogue"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// An Action is what is done with a peer.
type Action string

// The actions.
const (
	Carry    Action = "carry"     // pass it to the backend untouched
	Wait     Action = "wait"      // pass it to the backend untouched, after a while
	Talk     Action = "talk"      // hold the dialogue ourselves, slowly at first
	Hold     Action = "hold"      // keep it and speak slowly, to a refusal
	Defer    Action = "defer"     // 4yz: come back later
	Answer   Action = "answer"    // 250 for now; DATA decides
	HandOver Action = "hand-over" // give it to the backend in this same connection
	Busy     Action = "busy"      // 421: no room, or no backend
	Close    Action = "close"     // 421: this is no mail
)

// Actions returns them all.
func Actions() []Action {
	return []Action{Carry, Wait, Talk, Hold, Defer, Answer, HandOver, Busy, Close}
}

// A Rule is a row of the table.
type Rule struct {
	Name   string
	Stages []Stage
	Action Action
	Doc    string // one sentence: when it applies, and what the peer gets

	test   func(*Facts) bool
	reply  func(*Facts, *Policy) dialogue.Reply
	remedy string // what the operator can type; %s is the peer's address
}

var (
	atConnect   = []Stage{Connect}
	atCommand   = []Stage{Command}
	atRecipient = []Stage{Recipient}
	atEnvelope  = []Stage{Recipient, Data}
	atBackend   = []Stage{Backend}
)

const (
	letIn   = "moggy allow add %s --note WHY"
	forgive = "moggy pardon %s"
	undeny  = "moggy deny rm %s"
	deny    = "moggy deny add %s --note WHY"
	unallow = "moggy allow rm %s"
	look    = "moggy status"
	afford  = "moggy allow add %s --class own --note WHY" // or raise the budget of its class in the configuration
)

// table holds the rules in the order in which they are asked; the first that
// holds decides. Nothing changes it.
var table = [...]Rule{
	{"gateway", atConnect, Carry, "The address is private and makes most of the connections, so it hides who really comes: carried unjudged, with an alarm, until that ends.",
		func(f *Facts) bool { return f.Gateway && !f.Standing.Deny }, nil, "moggy doctor"},
	{"over-budget", atConnect, Busy, "The budget of its class is used up, and its place in line would be too far back: 421 with the number where the listener's protocol has words for it, else closed.",
		(*Facts).over, sayBudget, afford},
	{"in-line", atConnect, Wait, "The budget of its class is used up for now: it waits for its turn, at most the class's wait, and is carried then.",
		func(f *Facts) bool {
			return f.Budget.Wait > 0 && !f.Full && !f.Standing.Deny && (f.known() || f.streamed())
		}, nil, afford},
	{"known", atConnect, Carry, "The address is known, by an entry, a login or because it passed before: it is carried to the backend untouched.",
		(*Facts).known, nil, unallow},
	{full, atConnect, Busy, "Those who are not known hold all the slots that are theirs: 421. Known peers never meet this rule.",
		func(f *Facts) bool { return f.Full }, say(421, "4.3.2", "Too many connections, come back later"), look},
	{"denied-client", atConnect, Close, "A person denied the address, and the listener carries what is not ours to speak: closed.",
		func(f *Facts) bool { return f.streamed() && f.Standing.Deny }, nil, undeny},
	{"guesser", atConnect, Wait, "The address tried many different passwords: it waits 10 seconds, and is carried then.",
		func(f *Facts) bool { return f.streamed() && f.Standing.Class == whitelist.Guesser }, nil, forgive},
	{"client", atConnect, Carry, "A client of a listener that carries what is not ours to speak: class and budget are all that is asked, it is carried untouched.",
		(*Facts).streamed, nil, letIn},
	{"denied", atConnect, Hold, "A person denied the address: it is stuttered at, and every recipient is refused with 550.",
		func(f *Facts) bool { return f.Standing.Deny }, nil, undeny},
	{"listed", atConnect, Hold, "The address named a trap: it is stuttered at, and every recipient is deferred.",
		isListed, nil, forgive},
	{"stranger", atConnect, Talk, "Nothing is known of the address: its banner is stuttered, and moggy holds the dialogue.",
		always, nil, letIn},

	{"not-smtp", atCommand, Close, "The peer speaks another protocol, such as HTTP: 421, and the connection is closed.",
		func(f *Facts) bool { return f.NotSMTP }, say(421, "4.7.0", "This is a mail server, goodbye"), letIn},
	{"errors", atCommand, Close, "More faulty commands than [talk] errors: 421, and the connection is closed.",
		always, say(421, "4.7.0", "Too many errors, goodbye"), letIn},

	{"denied-recipient", atEnvelope, Hold, "A person denied the address: 550.",
		func(f *Facts) bool { return f.Standing.Deny }, say(550, "5.7.1", "Your address is not welcome here"), undeny},
	{"known-recipient", atRecipient, HandOver, "The address became known while we talked to it: it is handed over to the backend.",
		(*Facts).known, nil, unallow},
	{"listed-recipient", atEnvelope, Hold, "The address named a trap before: deferred.",
		isListed, say(450, "4.7.0", "Not now, come back later"), forgive},
	{"dns-allowed", atRecipient, HandOver, "DNS allow lists vouch for the address: handed over to the backend in this connection.",
		func(f *Facts) bool { return f.DNS.Allowed() }, nil, deny},
	{"trap", atEnvelope, Hold, "The recipient is a trap, and the sender no bounce: deferred; the address is listed for [trap] ttl.",
		func(f *Facts) bool { return f.Trap && !f.NullSender() }, greyReply, forgive},
	{"early", atEnvelope, Defer, "A byte came before the banner was out, which mail servers do not do: deferred, and not remembered as a try.",
		func(f *Facts) bool { return f.Early }, greyReply, letIn},
	{"dns-listed", atEnvelope, Hold, "The DNS lists that the address stands on outweigh [dnsbl] threshold: deferred.",
		func(f *Facts) bool { return f.DNS.Listed() }, say(450, "4.7.0", "Your address stands on a block list, come back when it does not"), letIn},
	{"over-recipients", atRecipient, Defer, "More new recipients in a minute than the budget of its class allows: 452, come back with the rest.",
		func(f *Facts) bool { return f.Budget.Over == budget.OverRecipients }, say(452, "4.5.3", "Too many recipients in a minute"), letIn},
	{"excessive", atEnvelope, Defer, "More recipients in one session than [talk] recipients: 452, come back with the rest.",
		func(f *Facts) bool { return f.Excessive }, say(452, "4.5.3", "Too many recipients"), letIn},
	{"over-pool", atRecipient, Busy, "The origin is known, and all its addresses together have used up the budget of class pool: 421.",
		func(f *Facts) bool { return f.grey(greylist.OriginKnown) && f.over() }, sayBudget, afford},
	{"origin-known", atRecipient, HandOver, "The origin passed before, or our users wrote to its domain: handed over to the backend in this connection.",
		func(f *Facts) bool { return f.grey(greylist.OriginKnown) }, nil, "moggy grey rm %s"},
	{"returned", atRecipient, HandOver, "The same envelope came back in time: handed over to the backend in this connection.",
		func(f *Facts) bool { return f.grey(greylist.Returned) }, nil, "moggy grey rm %s"},
	{"null-sender", atRecipient, Answer, "A bounce or a call-out (MAIL FROM:<>): 250 for now, so that call-outs succeed; DATA is deferred.",
		(*Facts).NullSender, say(250, "2.1.5", "Ok"), letIn},
	{"greylist-down", atEnvelope, Defer, "The greylist could not be asked: deferred.",
		func(f *Facts) bool { return f.GreyDown }, say(451, "4.3.0", "Try again later"), look},
	{"crowded", atEnvelope, Defer, "The same envelope came back in time, but too many newcomers of its network did within the hour: deferred; a later retry passes.",
		func(f *Facts) bool { return f.grey(greylist.Crowded) }, greyReply, letIn},
	{"too-early", atEnvelope, Defer, "The same envelope came back before [greylist] pass was over: deferred.",
		func(f *Facts) bool { return f.grey(greylist.TooEarly) }, greyReply, letIn},
	{"too-late", atEnvelope, Defer, "The same envelope came back after [greylist] window: deferred, and a first try again.",
		func(f *Facts) bool { return f.grey(greylist.TooLate) }, greyReply, letIn},
	{"first-seen", atEnvelope, Defer, "An envelope that was not seen before: deferred.",
		always, greyReply, letIn},

	{"backend-down", atBackend, Busy, "The backend did not take the connection: 421. The peer keeps what it has proved.",
		always, say(421, "4.3.2", "The mail system is not available, come back later"), look},
}

// Rules returns the table, in the order in which it is asked.
func Rules() []Rule { return append([]Rule(nil), table[:]...) }

func always(*Facts) bool { return true }

func isListed(f *Facts) bool { return f.Standing.Listed() }

// say makes a reply of fixed text; the ref is put behind it.
func say(code int, enhanced, text string) func(*Facts, *Policy) dialogue.Reply {
	return func(f *Facts, _ *Policy) dialogue.Reply {
		return dialogue.Reply{Code: code, Enhanced: enhanced, Text: withRef(text, code, f.Ref)}
	}
}

// sayBudget is the answer to who is over a budget. Its numbers are the peer's own.
func sayBudget(f *Facts, _ *Policy) dialogue.Reply {
	return dialogue.Reply{Code: 421, Enhanced: "4.7.0", Text: withRef("Too much at once: "+f.Budget.String(), 421, f.Ref)}
}

// greyReply is the greylist's answer: 4.7.0, because 4.7.1 is defined for
// permanent errors only (RFC 3463 §3.8). It does not say how long to wait:
// spammers read it when others did.
func greyReply(f *Facts, p *Policy) dialogue.Reply {
	return dialogue.Reply{Code: p.GreyCode, Enhanced: "4.7.0",
		Text: withRef("Greylisted, please try again later", p.GreyCode, f.Ref)}
}

func withRef(text string, code int, ref string) string {
	if ref == "" || code < 400 {
		return text
	}
	return text + " (ref " + ref + ")"
}

// why says in words what the budget, or lists and greylist, said.
func (f *Facts) why() string {
	grey := f.greySaid()
	switch {
	case f.Stage == Connect || f.over():
		return f.budgetSaid()
	case len(f.DNS.Hits) == 0:
		return grey
	case grey == "":
		return f.DNS.String()
	}
	return f.DNS.String() + "; " + grey
}

// budgetSaid says in words how the budget stands, where it decided.
func (f *Facts) budgetSaid() string {
	if !f.over() && f.Budget.Wait == 0 {
		return ""
	}
	return f.Budget.String()
}

// greySaid says in words what made the greylist decide as it did.
func (f *Facts) greySaid() string {
	g := f.Grey
	switch g.Outcome {
	case "":
		return ""
	case greylist.OriginKnown:
		return fmt.Sprintf("%s passed before", f.Origin)
	case greylist.Crowded:
		return fmt.Sprintf("try %d, one newcomer too many of its network", g.Tries)
	case greylist.Returned:
		return fmt.Sprintf("try %d, first at %s", g.Tries, g.First.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("try %d of %s, %s to wait", g.Tries, f.Origin, g.Wait.Round(time.Second))
}
