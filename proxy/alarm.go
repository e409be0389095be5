package proxy

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"moggy/metrics"
	"moggy/verdict"
	"moggy/verdict/journal"
)

// alarms are what is wrong with the set-up now. Alarms bound them.
type alarms struct {
	mu       sync.Mutex
	standing map[metrics.Alarm]Alarm
}

// An Alarm is something that is wrong with the set-up, as persons see it.
type Alarm struct {
	Name  string    `json:"name"` // "store-down"
	Why   string    `json:"why"`
	Since time.Time `json:"since"`
}

// AlarmName is how an alarm is called in the log, the journal and by the tool.
func AlarmName(a metrics.Alarm) string { return strings.ReplaceAll(string(a), "_", "-") }

// Alarm raises an alarm or takes it back: for the numbers, the log and the journal.
// To say again what stands is silent, but for a new reason.
func (s *Server) Alarm(a metrics.Alarm, on bool, why string) {
	now, name := time.Now(), AlarmName(a)
	s.alarms.mu.Lock()
	defer s.alarms.mu.Unlock()
	was, stood := s.alarms.standing[a]
	switch {
	case on && (!stood || was.Why != why):
		s.log.Error("alarm", "alarm", name, "why", why)
		s.journal.Append(journal.Noted(now, name, why))
		since := now
		if stood {
			since = was.Since
		}
		s.alarms.standing[a] = Alarm{name, why, since}
	case !on && stood:
		s.log.Info("alarm is over", "alarm", name, "lasted", now.Sub(was.Since).Round(time.Second))
		s.journal.Append(journal.Noted(now, name+"-over", was.Why))
		delete(s.alarms.standing, a)
	}
	s.metrics.Alarm(a, on)
}

// Alarms returns the alarms that stand, in the order of their names in metrics.
func (s *Server) Alarms() (all []Alarm) {
	s.alarms.mu.Lock()
	defer s.alarms.mu.Unlock()
	for _, a := range metrics.Alarms() {
		if standing, ok := s.alarms.standing[a]; ok {
			all = append(all, standing)
		}
	}
	return all
}

// harmed says that a known peer was refused or made to wait: the one thing that
// must not be. The alarm stands for an hour.
func (s *Server) harmed(f *verdict.Facts, v *verdict.Verdict) {
	s.log.Error("harm", "conn", f.Ref, "src", f.Peer.Addr(), "class", f.Standing.Class, "rule", v.Rule, "why", v.Why, "do", "moggy hurt")
	s.lastHarm.Store(time.Now().UnixNano())
	s.Alarm(metrics.Harm, true, "known peers were refused or made to wait; type: moggy hurt")
}

// How often the health of the house is looked at, and how long harm is an alarm.
const (
	lookEvery   = 5 * time.Second
	harmAlarmed = time.Hour
)

// lookAfter watches what no connection would notice.
func (s *Server) lookAfter(ctx context.Context) {
	var dropped int64
	for ctx.Err() == nil {
		if s.dropped != nil {
			dropped = s.tellDropped(dropped, s.dropped())
		}
		if s.healthy != nil {
			err := s.healthy()
			s.Alarm(metrics.StoreDown, err != nil, errText(err))
		}
		if at := s.lastHarm.Load(); at != 0 && time.Since(time.Unix(0, at)) > harmAlarmed {
			s.Alarm(metrics.Harm, false, "")
		}
		nap(ctx, lookEvery)
	}
}

// tellDropped raises the alarm while more records are lost than before, and returns
// how many were.
func (s *Server) tellDropped(before, n int64) int64 {
	s.Alarm(metrics.JournalFailing, n > before, fmt.Sprintf("%d records of decisions were not written since the start; see that the disk of state_dir has room and is fast enough", n))
	return n
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
