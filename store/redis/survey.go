package redis

import (
	"context"
	"time"
)

// A survey is about how much there is in Redis, and when it was made.
type survey struct {
	at                time.Time
	triplets, origins int64
}

// How a survey is made: so often, from about so many keys of each server. Where
// there are no more keys, it is a count.
const (
	surveyEvery = time.Minute
	surveyKeys  = 2000
)

// estimate makes a survey if the last one is old, or always.
func (s *Store) estimate(ctx context.Context, always bool) error {
	if last := s.survey.Load(); last != nil && time.Since(last.at) < surveyEvery && !always {
		return nil
	}
	masters, err := s.client.Load().masters(ctx)
	if err != nil {
		return err
	}
	v := &survey{at: time.Now()}
	for _, m := range masters {
		a := answer{}
		if a.values, err = s.callAt(ctx, m, s.scripts.survey, nil, s.at.prefix+":t:", s.at.prefix+":o:", surveyKeys); err != nil {
			return err
		}
		if err := v.add(&a); err != nil {
			return err
		}
	}
	s.survey.Store(v)
	return nil
}

// add adds one server's sample, brought to the number of its keys.
func (v *survey) add(a *answer) error {
	size, _ := a.number()
	looked, _ := a.number()
	triplets, _ := a.number()
	origins, _ := a.number()
	if looked > 0 {
		v.triplets += triplets * size / looked
		v.origins += origins * size / looked
	}
	return a.err()
}
