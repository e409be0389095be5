package proxy

import (
	"fmt"
	"runtime/debug"

	"moggy/metrics"
)

// fault reports whether something was recovered from a panic in one connection's
// code, and then says so as loudly as it can: a fault of ours must not end the
// mail of everybody else.
func (s *Server) fault(conn string, recovered any) bool {
	if recovered == nil {
		return false
	}
	s.log.Error("a fault of moggy's ended a connection; please report it", "conn", conn, "fault", recovered, "stack", string(debug.Stack()))
	s.Alarm(metrics.InternalError, true, fmt.Sprintf("%s: %v", conn, recovered))
	return true
}

// background runs f beside the connections; the end of the Server waits for it. A
// fault in it ends nothing else.
func (s *Server) background(conn string, f func()) {
	s.wait.Go(func() {
		defer func() { s.fault(conn, recover()) }()
		f()
	})
}
