package proxy

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"moggy/metrics"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// An alarm is told when it begins, when its reason changes, and when it ends.
func TestAlarmsAreToldOnce(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		for _, a := range []struct {
			on  bool
			why string
		}{{true, "a"}, {true, "a"}, {true, "b"}, {false, ""}, {false, ""}} {
			l.server.Alarm(metrics.BlockedElse, a.on, a.why)
			time.Sleep(time.Minute) // virtual
		}
		const name = "known-good-blocked-elsewhere"
		if got := l.noted(); !slices.Equal(got, []string{name, name, name + "-over"}) {
			t.Errorf("noted %q", got)
		}
		if got := l.server.Alarms(); len(got) != 0 {
			t.Errorf("%v stand", got)
		}
	})
}

func TestAlarmsThatStand(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		began := time.Now()
		l.server.Alarm(metrics.StoreDown, true, "full")
		time.Sleep(time.Second) // virtual
		l.server.Alarm(metrics.OpenRelay, true, "all")
		l.server.Alarm(metrics.StoreDown, true, "fuller")
		want := []Alarm{{"open-relay", "all", began.Add(time.Second)}, {"store-down", "fuller", began}}
		if got := l.server.Alarms(); !slices.Equal(got, want) {
			t.Errorf("%v stand, want %v", got, want)
		}
	})
}

func TestStoreThatFailsIsAnAlarm(t *testing.T) {
	var down atomic.Bool
	inHouse(t, labSet{healthy: func() error {
		if down.Load() {
			return errors.New("disk full")
		}
		return nil
	}}, func(l *lab) {
		time.Sleep(time.Minute) // virtual
		down.Store(true)
		time.Sleep(2 * lookEvery) // virtual
		if got := l.server.Alarms(); len(got) != 1 || got[0].Name != "store-down" || got[0].Why != "disk full" {
			t.Errorf("%v stand", got)
		}
		down.Store(false)
		time.Sleep(2 * lookEvery) // virtual
		if got := l.noted(); !slices.Equal(got, []string{"store-down", "store-down-over"}) {
			t.Errorf("noted %q", got)
		}
	})
}

// A user who is refused, or waits for more than two seconds, has come to harm; that
// is an alarm for an hour.
func TestHarmIsAnAlarm(t *testing.T) {
	few := func(wait time.Duration) func(*lab, *Judge) {
		return func(_ *lab, j *Judge) {
			limits := Limits(budget.Defaults())
			limits[whitelist.User] = budget.Limit{Rate: 20, Burst: 1, Open: 20, Wait: wait}
			j.Limits.Store(&limits)
		}
	}
	for name, wait := range map[string]time.Duration{"refused": 0, "waits 3 s": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, labSet{ports: []uint16{143}, learn: few(wait)}, func(l *lab) {
				l.loggedIn(friend)
				first := l.connects(143, friend, 0)
				if got := l.server.Alarms(); len(got) != 0 {
					t.Errorf("at first %v stand", got)
				}
				second := l.waits(143, friend)
				if got := l.server.Alarms(); len(got) != 1 || got[0].Name != "harm" {
					t.Errorf("%v stand", got)
				}
				closeAll(first, second)
				time.Sleep(harmAlarmed + lookEvery) // virtual
				if got := l.noted(); !slices.Equal(got, []string{"harm", "harm-over"}) {
					t.Errorf("noted %q", got)
				}
			})
		})
	}
}

// Records that are lost are an alarm for as long as more are.
func TestLostRecordsAreAnAlarm(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		var before int64
		for _, step := range []struct {
			lost   int64
			stands bool
		}{{0, false}, {3, true}, {5, true}, {5, false}} {
			before = l.server.tellDropped(before, step.lost)
			if got := len(l.server.Alarms()) == 1; got != step.stands || before != step.lost {
				t.Errorf("%d lost: alarm %v, %d counted", step.lost, got, before)
			}
		}
	})
}
