package journal

import (
	"bytes"
	"encoding/json"
	"io"
	"time"
)

// maxBatch is where the writer stops gathering records for one write, in bytes.
const maxBatch = 64 << 10

// write is the writer: one write for all that waits, then none until more comes.
func (j *Journal) write(torn bool) {
	defer close(j.written)
	b := newBatch(torn)
	var said time.Time
	for r := range j.queue {
		j.add(b, r)
		j.gather(b)
		lost, err := b.flush(j.sink)
		j.dropped.Add(lost)
		if err != nil && time.Since(said) > time.Minute {
			said = time.Now()
			j.log.Error("decisions are not recorded", "error", err, "dropped", j.Dropped(), "do", "df -h "+j.dir)
		}
	}
}

// gather adds what waits in the queue, as far as one write takes it.
func (j *Journal) gather(b *batch) {
	for b.buf.Len() < maxBatch {
		select {
		case r, ok := <-j.queue:
			if !ok {
				return
			}
			j.add(b, r)
		default:
			return
		}
	}
}

// add takes a record into a write, and tells of it.
func (j *Journal) add(b *batch, r *Record) {
	b.add(r)
	j.told(*r)
}

// A batch is the lines of one write.
type batch struct {
	buf     bytes.Buffer
	json    *json.Encoder // into buf
	records int64         // in buf
	lost    int64         // that could not be encoded
	torn    bool          // the file may end within a line
}

func newBatch(torn bool) *batch {
	b := &batch{torn: torn}
	b.json = json.NewEncoder(&b.buf)
	b.json.SetEscapeHTML(false)
	return b
}

// add appends the line of r. Only a time beyond the year 9999 cannot be encoded.
func (b *batch) add(r *Record) {
	if b.torn && b.buf.Len() == 0 {
		b.buf.WriteByte('\n')
	}
	if b.json.Encode(r) != nil {
		b.lost++
		return
	}
	b.records++
}

// flush writes the lines with one write, and begins anew. It returns how many
// records were lost; of a write that failed half way, all of them count.
func (b *batch) flush(w io.Writer) (lost int64, err error) {
	lost = b.lost
	if b.records > 0 {
		_, err = w.Write(b.buf.Bytes())
		if b.torn = err != nil; b.torn {
			lost += b.records
		}
	}
	b.buf.Reset()
	b.records, b.lost = 0, 0
	return lost, err
}
