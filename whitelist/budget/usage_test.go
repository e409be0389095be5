package budget

import (
	"strings"
	"testing"
	"time"

	"moggy/whitelist"
)

func TestUsageString(t *testing.T) {
	user, stranger := For(nil, whitelist.User), For(nil, whitelist.Stranger)
	guide := Limit{Rate: 15, Burst: 15, Open: 10}
	tests := []struct {
		name string
		u    Usage
		want string
	}{
		{"within", Usage{Limit: user, Used: 18, Open: 15}, "18 of 300 burst, 600/min; 15 of 500 open"},
		{"waiting", Usage{Limit: user, Used: 303, Open: 15, Wait: 300 * time.Millisecond},
			"303 of 300 burst, 600/min: 3 over, its turn in 0.3 s; 15 of 500 open"},
		{"over rate", Usage{Limit: guide, Used: 16, Open: 3, Wait: 4 * time.Second, Over: OverRate},
			"16 of 15 burst, 15/min: 1 over, free in 4 s; 3 of 10 open"},
		{"over rate and the wait", Usage{Limit: user, Used: 401, Open: 15, Wait: 100 * time.Millisecond, Over: OverRate},
			"401 of 300 burst, 600/min: 101 over, would wait 10.1 s of at most 10 s, free in 0.1 s; 15 of 500 open"},
		{"over open", Usage{Limit: user, Used: 18, Open: 501, Over: OverOpen},
			"18 of 300 burst, 600/min; 501 of 500 open: 1 over"},
		{"over open, and some in line", Usage{Limit: user, Used: 303, Open: 501, Over: OverOpen},
			"303 of 300 burst, 600/min; 501 of 500 open: 1 over"},
		{"line full", Usage{Limit: user, Used: 303, Open: 15, Wait: 300 * time.Millisecond, Over: OverLine},
			"303 of 300 burst, 600/min: 3 over, its turn in 0.3 s, but the line is full; 15 of 500 open"},
		{"recipients", Usage{Limit: stranger, Used: 3, Open: 1, Recipients: 12},
			"3 of 20 burst, 20/min; 1 of 10 open; 12 of 30 new recipients, 30/min"},
		{"over recipients", Usage{Limit: stranger, Used: 3, Open: 1, Recipients: 31, Wait: 2 * time.Second, Over: OverRecipients},
			"3 of 20 burst, 20/min; 1 of 10 open; 31 of 30 new recipients, 30/min: 1 over, free in 2 s"},
		{"no limit of rate", Usage{Limit: Limit{Open: 5}, Open: 2}, "no limit of rate; 2 of 5 open"},
		{"no limit of open", Usage{Limit: Limit{Rate: 15}, Used: 1, Open: 2}, "1 of 1 burst, 15/min; 2 open"},
		{"no limit at all", Usage{}, "no limit of rate; 0 open"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.u.String(); got != test.want {
				t.Errorf("\ngot  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestSpan(t *testing.T) {
	tests := map[time.Duration]string{
		0:                       "0 s",
		1:                       "0.1 s",
		300 * time.Millisecond:  "0.3 s",
		3999 * time.Millisecond: "4 s",
		4 * time.Second:         "4 s",
		4*time.Second + 1:       "4.1 s",
		75 * time.Second:        "75 s",
		2 * time.Minute:         "2 min",
		2*time.Minute + 1:       "3 min",
	}
	for d, want := range tests {
		if got := span(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}

// TestUsageStringAsTaken reads what a meter says, not what a test made up.
func TestUsageStringAsTaken(t *testing.T) {
	m, l := NewLocal(), Limit{Rate: 15, Burst: 15, Open: 100}
	k := userKey
	for range 15 {
		m.Take(k, l, start)
	}
	const want = "16 of 15 burst, 15/min: 1 over, free in 4 s; 16 of 100 open"
	if got := m.Take(k, l, start).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What is used up is told where people look who is at his limit.
func TestSpent(t *testing.T) {
	user := Defaults()[whitelist.User]
	for want, u := range map[string]Usage{
		"":         {Limit: user, Used: 299, Open: 3},
		"waits":    {Limit: user, Used: 310, Open: 3, Wait: time.Second},
		"refused":  {Limit: user, Used: 400, Open: 3, Wait: 10 * time.Second},
		"are open": {Limit: user, Used: 3, Open: 500},
	} {
		if got := u.Spent(); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%+v: %q, want %q", u, got, want)
		}
	}
	if got := (Usage{Used: 10}).Spent(); got != "" {
		t.Errorf("without limits: %q", got)
	}
}
