package tally

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"moggy/verdict"
	"moggy/verdict/journal"
)

// How a line begins, and how far the times of two neighbours may be the wrong way
// round.
const (
	timeKey    = `{"time":"`
	timeFormat = "2006-01-02T15:04:05"
	disorder   = time.Minute
)

// What is looked for in a line, in the order in which lines have it. None of it
// can stand within a string, where a quote has a backslash before it.
var (
	eventKey   = []byte(`,"event":"`)
	stageKey   = []byte(`,"stage":"`)
	peerKey    = []byte(`,"peer":"`)
	classKey   = []byte(`,"class":"`)
	actionKey  = []byte(`,"action":"`)
	ruleKey    = []byte(`,"rule":"`)
	outcomeKey = []byte(`,"outcome":"`)
	harmMark   = []byte(`,"harm":true`)
	lineEnd    = []byte("}\n")
)

// block counts lines that follow one another, and reports whether those before
// them may still count.
func (c *counter) block(lines []byte) (more bool) {
	first := stampOf(lines)
	var harm [][]byte
	for {
		end := bytes.IndexByte(lines, '\n') + 1
		if end == 0 {
			break // the last line of the file is not finished yet
		}
		if c.line(lines[:end]) {
			harm = append(harm, lines[:end])
		}
		lines = lines[end:]
	}
	for _, line := range slices.Backward(harm) {
		c.harms.add(line)
	}
	return first == nil || bytes.Compare(first, c.before) >= 0
}

// stampOf is the time of a line, to the second; nil: it is no record.
func stampOf(line []byte) []byte {
	rest, ok := bytes.CutPrefix(line, []byte(timeKey))
	if !ok || len(rest) < len(timeFormat) {
		return nil
	}
	return rest[:len(timeFormat)]
}

// line counts one line, and reports whether it tells of harm. One that is no
// record, or was torn by a crash, is passed over.
func (c *counter) line(line []byte) (harm bool) {
	at := stampOf(line)
	switch {
	case at == nil, !bytes.HasSuffix(line, lineEnd):
		return false
	case bytes.Compare(at, c.since) < 0:
		c.past = true
		return false
	}
	if c.oldest == nil || bytes.Compare(at, c.oldest) < 0 {
		c.oldest = append(c.oldest[:0], at...)
	}
	c.records++
	event, rest := value(line, eventKey)
	switch journal.Event(event) {
	case journal.EventDecided:
		return c.decided(rest)
	case journal.EventEnded:
		c.ended(rest)
	}
	return false
}

// value is what stands behind key up to the next quote, and what comes after. A
// line without it is all that comes after.
func value(line, key []byte) (v, rest []byte) {
	if _, after, ok := bytes.Cut(line, key); ok {
		if end := bytes.IndexByte(after, '"'); end >= 0 {
			return after[:end], after[end:]
		}
	}
	return nil, line
}

// decided counts who came, and reports whether it was harm.
func (c *counter) decided(rest []byte) (harm bool) {
	stage, rest := value(rest, stageKey)
	class, rest := value(rest, classKey)
	if verdict.Stage(stage) == verdict.Connect {
		c.class(class).Came++
	}
	if harm = bytes.Contains(rest, harmMark); harm {
		c.class(class).Harmed++
	}
	return harm
}

// ended counts what became of a connection.
func (c *counter) ended(rest []byte) {
	class, rest := value(rest, classKey)
	action, rest := value(rest, actionKey)
	outcome, _ := value(rest, outcomeKey)
	*fate(c.class(class), string(action), journal.Outcome(outcome))++
}

// fate is where a connection is counted.
func fate(row *Class, action string, o journal.Outcome) *int {
	_, observed := strings.CutPrefix(action, "observe:")
	carried := observed || verdict.Action(action) == verdict.Carry
	switch a := verdict.Action(action); {
	case o.Relayed() || carried && (o == journal.Cancelled || o == journal.Failed):
		return &row.LetIn
	case a == verdict.Hold:
		return &row.Held
	case a == verdict.Defer || a == verdict.Answer:
		return &row.Deferred
	case a == verdict.Busy || a == verdict.Close:
		return &row.Refused
	}
	return &row.Left
}
