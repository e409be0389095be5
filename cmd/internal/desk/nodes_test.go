package desk

import (
	"fmt"
	"testing"
	"time"
)

func TestSharedBy(t *testing.T) {
	now := time.Date(2026, 11, 22, 21, 0, 0, 0, time.Local)
	node := func(name string, ago time.Duration) Node { return Node{Name: name, Seen: now.Add(-ago)} }
	var crowd []Node
	for i := range 10 {
		crowd = append(crowd, node(fmt.Sprint("mx", i), 0))
	}
	for _, c := range []struct {
		nodes []Node
		want  string
	}{
		{nil, ""},
		{[]Node{node("mx1", 0)}, "shared by mx1"},
		{[]Node{node("mx1", time.Second), node("mx2", 20*time.Second)}, "shared by mx1, mx2"},
		{[]Node{node("mx1", 0), node("mx2", 3*time.Hour)}, "shared by mx1; missed: mx2 since 18:00"},
		{crowd, "shared by mx0, mx1, mx2, mx3, mx4, mx5, mx6, mx7 and 2 more"},
	} {
		if got := (&Figures{Nodes: c.nodes}).SharedBy(now); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
