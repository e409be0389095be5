package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// stuck is a writer that takes nothing until it is let go.
type stuck struct {
	free chan struct{}
	strings.Builder
}

func (s *stuck) Write(b []byte) (int, error) {
	<-s.free
	return s.Builder.Write(b)
}

func TestLogQueueNeverBlocks(t *testing.T) {
	w := &stuck{free: make(chan struct{})}
	q := newLogQueue(w)
	for i := range 2 * logLines {
		fmt.Fprintf(q, "line %d\n", i)
	}
	close(w.free)
	q.Close()
	lines := strings.Count(w.String(), "\n")
	if lines < logLines || lines > logLines+3 || !strings.Contains(w.String(), "log lines were dropped") {
		t.Errorf("%d lines were written of %d, dropped ones named: %v",
			lines, 2*logLines, strings.Contains(w.String(), "dropped"))
	}
}

func TestLogQueueKeepsOrder(t *testing.T) {
	var w strings.Builder
	q := newLogQueue(&w)
	io.WriteString(q, "a\n")
	io.WriteString(q, "b\n")
	q.Close()
	if w.String() != "a\nb\n" {
		t.Errorf("wrote %q", w.String())
	}
}
