package foreign

import (
	"context"
	"fmt"
	"time"
)

// grace is how long a reader that was told to stop may take to do so before the
// next look goes on without it.
const grace = time.Second

// asked is a reader and the question it has not answered yet.
type asked struct {
	Reader
	since  time.Time
	answer chan reading // nil: nothing was asked; else holds the answer when it comes
	late   bool         // the look that asked went on without the answer
}

// reading is what a reader said.
type reading struct {
	name   string
	blocks []Block
	err    error
}

// read asks all readers at once and returns their answers in order.
func (w *Watch) read(ctx context.Context) []reading {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	for _, a := range w.asked {
		w.ask(ctx, a)
	}
	readings := make([]reading, len(w.asked))
	for i, a := range w.asked {
		readings[i] = a.wait(ctx)
	}
	return readings
}

// ask puts the question to a reader unless it still ponders an earlier one: a
// reader that hangs keeps one goroutine, not one for each look.
func (w *Watch) ask(ctx context.Context, a *asked) {
	if a.late {
		select {
		case <-a.answer: // to a question of long ago
			a.late = false
		case <-time.After(grace):
			return
		}
	}
	answer := make(chan reading, 1)
	a.since, a.answer = time.Now(), answer
	w.reads.Go(func() {
		blocks, err := a.Read(ctx)
		answer <- reading{a.Name(), blocks, err}
	})
}

// wait returns the answer, or says that there is none.
func (a *asked) wait(ctx context.Context) reading {
	if a.late {
		return a.silent()
	}
	select {
	case r := <-a.answer:
		return r
	case <-ctx.Done():
	}
	select { // it may have come while another reader was waited for
	case r := <-a.answer:
		return r
	default:
		a.late = true
		return a.silent()
	}
}

func (a *asked) silent() reading {
	return reading{name: a.Name(), err: fmt.Errorf("no answer since it was asked at %s", a.since.Format(time.TimeOnly))}
}
