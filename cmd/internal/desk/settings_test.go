package desk

import (
	"testing"
	"time"

	"moggy/cmd/internal/config"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// What a configuration says of a class is in force as it stands there, be it zero;
// what it does not say is that of the class, or of class peer where it made one up.
func TestLimitsOf(t *testing.T) {
	zero, long := time.Duration(0), 20*time.Second
	c := config.Default()
	c.Classes = map[string]*config.Class{
		"partner": {Wait: &zero},
		"batch":   {Rate: config.Rate{Count: 1, Per: time.Second}, Burst: 7, Open: 8, Wait: &long},
		"friend":  {},
		"user":    {Wait: &zero, Open: 9},
	}
	standard := budget.Defaults()
	peer, user := standard[whitelist.Peer], standard[whitelist.User]
	waitless, batch := peer, peer
	waitless.Wait = 0
	batch.Rate, batch.Burst, batch.Open, batch.Wait = 60, 7, 8, long
	user.Open, user.Wait = 9, 0
	limits := LimitsOf(c)
	for class, want := range map[whitelist.Class]budget.Limit{
		"partner": waitless, "batch": batch, "friend": peer, "user": user, "never-named": peer, "peer": peer,
		whitelist.Listed: standard[whitelist.Listed],
	} {
		if got := budget.For(limits, class); got != want {
			t.Errorf("%s: %+v, want %+v", class, got, want)
		}
	}
}
