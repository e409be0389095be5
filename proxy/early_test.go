package proxy

import (
	"testing"

	"moggy/verdict/journal"
)

// A peer that spoke first is known by it, though it never came to a recipient.
func TestEarlyTalkerIsRecordedAsOne(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		l.call(stranger).say("QUIT\n", "220", "221", "<EOF>")
		records := l.records(stranger)
		if len(records) != 2 || records[0].Early || !records[1].Early || records[1].Event != journal.EventEnded {
			t.Errorf("got %+v", records)
		}
	})
}
