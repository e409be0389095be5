package desk

import (
	"context"
	"slices"

	"moggy/verdict/journal"
)

// RecordList is what was decided, the oldest first.
type RecordList struct {
	Records []journal.Record `json:"records"`
}

// maxRecords bounds the records of other doors in one answer, the newest so many.
const maxRecords = 10_000

// Records implements Desk.
func (l *Local) Records(ctx context.Context, q journal.Query) (RecordList, error) {
	out := RecordList{Records: []journal.Record{}}
	if l.Store == nil {
		return out, nil
	}
	if q.Limit <= 0 || q.Limit > maxRecords {
		q.Limit = maxRecords
	}
	for line, err := range l.Store.Told(ctx, q.Since, q.Holds()) {
		if err != nil {
			return RecordList{}, err
		}
		if r, err := journal.ParseLine(line); err == nil && q.Asks(&r) {
			out.Records = append(out.Records, r)
		}
		if len(out.Records) == q.Limit {
			break
		}
	}
	slices.Reverse(out.Records)
	return out, nil
}
