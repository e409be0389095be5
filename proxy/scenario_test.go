package proxy

import (
	"os"
	"testing"
	"time"
)

// TestScenarios plays testdata/scenarios.json, which came with the project's issue,
// testdata/own.json, and testdata/variations.json, which are of the same kind with
// other numbers; or the file that MOGGY_SCENARIOS names. It prints a table of what
// was expected and seen.
func TestScenarios(t *testing.T) {
	files := []string{"testdata/scenarios.json", "testdata/own.json", "testdata/variations.json"}
	if other := os.Getenv("MOGGY_SCENARIOS"); other != "" {
		files = []string{other}
	}
	for _, file := range files {
		all, err := readScenarios(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, sc := range all {
			t.Run(sc.ID, func(t *testing.T) { sc.run(t) })
		}
	}
}

// run plays a scenario and prints its part of the table.
func (sc *scenario) run(t *testing.T) {
	sc.play(t, func(rows []row) {
		t.Log("\n" + table(sc.ID, rows))
		for _, r := range rows {
			if !r.ok {
				t.Errorf("%s of %s is %s, want %s", r.metric, r.client, r.seen, r.want)
			}
		}
	})
}

// play plays a scenario and gives its part of the table to see.
func (sc *scenario) play(t *testing.T, see func([]row)) {
	s := newStage(sc)
	inHouse(t, s.labSet(), func(l *lab) {
		s.lab, s.began = l, time.Now()
		s.past()
		p := newPlay(s)
		p.run()
		see(p.check())
	})
}
