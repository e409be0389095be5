package journal

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

// Each record that is not dropped is told of, in order, by the writer: also one that
// the disk refuses, and what waits when the journal is closed.
func TestTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{gate: make(chan struct{}), err: errors.New("no space left on device")}
		var told []string
		j := start(s, Options{Queue: 10, Told: func(r Record) { told = append(told, r.Ref) }}, false)
		j.Append(numbered(0))
		synctest.Wait() // the writer is stuck with the first
		var want []string
		for i := range 25 {
			j.Append(numbered(1 + i))
		}
		for i := range 1 + 10 {
			want = append(want, fmt.Sprintf("%06d", i))
		}
		if j.Dropped() != 15 || !slices.Equal(told, want[:1]) {
			t.Errorf("%d dropped, told of %v: not by the writer", j.Dropped(), told)
		}
		close(s.gate)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(told, want) {
			t.Errorf("told of %v, want %v", told, want)
		}
	})
}
