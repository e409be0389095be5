package desk

import "time"

// Health is what the parts of a running daemon say of themselves. Sentences are
// for persons, and end with what to type where there is something.
type Health struct {
	Login      time.Time `json:"login,omitzero"`        // the last login report; zero: none yet
	HintFaults []string  `json:"hint_faults,omitempty"` // what keeps hints from being heard
	GoodFaults []string  `json:"good_faults,omitempty"` // what keeps the sets of the good from being in step
	Config     Config    `json:"config"`
}

// Config says how the configuration that runs compares with its file.
type Config struct {
	File    string    `json:"file,omitempty"`    // "": the built-in defaults, or not known
	Loaded  time.Time `json:"loaded,omitzero"`   // what is in force was read then
	Refused string    `json:"refused,omitempty"` // why the last reload was refused; "": it was not
	Restart []string  `json:"restart,omitempty"` // keys whose change waits for a restart
}

func (l *Local) health() Health {
	if l.Health == nil {
		return Health{}
	}
	return l.Health()
}
