package desk

import (
	"testing"
	"time"

	"moggy/greylist"
)

func TestStuck(t *testing.T) {
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	tries := map[string][]struct {
		peer string
		at   time.Duration
	}{
		"pool@a.example":   {{"198.51.100.1", 100 * time.Minute}, {"203.0.113.1", 70 * time.Minute}, {"192.0.2.1", 40 * time.Minute}},
		"hour@a.example":   {{"198.51.100.1", 100 * time.Minute}, {"203.0.113.1", 30 * time.Minute}},
		"hasty@a.example":  {{"198.51.100.1", 10 * time.Minute}, {"198.51.100.1", 9 * time.Minute}, {"198.51.100.1", 8 * time.Minute}},
		"once@a.example":   {{"198.51.100.1", 100 * time.Minute}},
		"soon@a.example":   {{"198.51.100.1", 30 * time.Minute}, {"203.0.113.1", 3 * time.Minute}},
		"passed@a.example": {{"198.51.100.1", 100 * time.Minute}, {"203.0.114.1", 30 * time.Minute}, {"203.0.113.1", 30 * time.Minute}},
	}
	h := newHouse(t)
	for from, all := range tries {
		for _, try := range all {
			h.try(t, try.peer, from, ago(try.at))
		}
	}
	if err := h.Judge.Greylist.Pass(t.Context(), greylist.Origin{Kind: greylist.Network, Name: "203.0.114.0/24"}, noon); err != nil {
		t.Fatal(err)
	}
	list := must(h.Stuck(t.Context(), StuckFilter{}))
	if list.Total != 2 || len(list.Mails) != 2 {
		t.Fatalf("%+v", list)
	}
	hour, pool := list.Mails[0], list.Mails[1]
	if pool.Sender != "pool@a.example" || pool.Tries != 3 || pool.From != 3 || len(pool.Origins) != 3 || pool.Peer.String() != "192.0.2.1" ||
		!pool.First.Equal(ago(100*time.Minute)) || !pool.Last.Equal(ago(40*time.Minute)) {
		t.Errorf("%+v", pool)
	}
	if hour.Sender != "hour@a.example" || hour.Tries != 2 {
		t.Errorf("%+v", hour)
	}
	if few := must(h.Stuck(t.Context(), StuckFilter{Limit: 1})); few.Total != 2 || len(few.Mails) != 1 || few.Mails[0].Sender != hour.Sender {
		t.Errorf("limited: %+v", few)
	}
}
