package journal

import (
	"log/slog"
	"strconv"
	"strings"
	"time"

	"moggy/verdict"
	"moggy/whitelist"
)

// LogAttrs are the words of the record's log line, the same that `moggy why`
// uses, in their fixed order: one line a decision, at level Info. Every line of
// a peer that was not let through says in do= what an operator can type.
func (r Record) LogAttrs() []slog.Attr {
	if r.Event == EventNoted {
		return words{}.add("note", r.Rule).add("why", r.Why)
	}
	return r.remedies(r.figures(r.names(words{})))
}

// words are the attributes of a line; empty ones are left out.
type words []slog.Attr

func (w words) add(key, value string) words {
	if value == "" {
		return w
	}
	return append(w, slog.String(key, value))
}

func (w words) yes(key string, is bool) words {
	if !is {
		return w
	}
	return w.add(key, "yes")
}

func (w words) seconds(key string, s float64) words {
	if s == 0 {
		return w
	}
	return w.add(key, strconv.FormatFloat(s, 'f', -1, 64)+"s")
}

func (w words) count(key string, n int64) words {
	if n == 0 {
		return w
	}
	return append(w, slog.Int64(key, n))
}

// names say who it is, what is done and by which rule.
func (r *Record) names(w words) words {
	return w.add("conn", r.Ref).add("src", r.address()).add("listener", r.Listener).
		add("class", string(r.Class)).add("act", r.Action).add("why", r.Rule).
		add("evidence", r.evidence()).add("origin", r.Origin).yes("early", r.Early).
		add("helo", r.Helo).add("from", r.From).add("to", r.To)
}

// figures say what it costs whom.
func (r *Record) figures(w words) words {
	return w.count("code", int64(r.Code)).seconds("wait", r.Wait).add("numbers", r.Why).
		add("used", r.Used).add("open", r.Open).seconds("queued", r.Queued).yes("harm", r.Harm).
		add("degraded", joined(r.Degraded)).
		add("end", string(r.Outcome)).seconds("held", r.Held).
		count("in", r.In).count("out", r.Out).add("answer", r.Answer)
}

// remedies say what comes next, and what can be typed to change it.
func (r *Record) remedies(w words) words {
	if r.Passed() {
		return w
	}
	return w.add("next", r.next()).add("do", r.Remedy())
}

// Passed reports whether the rules themselves let the peer through.
func (r *Record) Passed() bool {
	return r.Action == string(verdict.Carry) || r.Action == string(verdict.HandOver)
}

// Remedy is what an operator can type to change the decision for this peer; ""
// where there is nothing to type.
func (r *Record) Remedy() string { return verdict.Remedy(r.Rule, r.Class, r.address()) }

func (r *Record) address() string {
	if !r.Peer.IsValid() {
		return ""
	}
	return r.Peer.Addr().String()
}

func (r *Record) evidence() string {
	if r.Evidence == whitelist.Nothing {
		return ""
	}
	return string(r.Evidence)
}

// next is who can pass from when on: "any host of example.org (spf) after 21:06:11Z".
func (r *Record) next() string {
	if r.Wait == 0 || r.Origin == "" {
		return ""
	}
	after := r.Time.Add(time.Duration(r.Wait * float64(time.Second)))
	return "any host of " + r.Origin + " after " + after.UTC().Format("15:04:05Z")
}

func joined(deps []verdict.Dependency) string {
	names := make([]string, len(deps))
	for i, d := range deps {
		names[i] = string(d)
	}
	return strings.Join(names, ",")
}
