package peers

import (
	"errors"
	"os/exec"
	"testing"
)

// Swaks runs swaks with the arguments and returns all it printed and its exit status: 0 when the peer accepted
// everything, see EXIT CODES in swaks(1) for the rest.
func Swaks(t testing.TB, args ...string) (output string, exit int) {
	t.Helper()
	Need(t, "swaks")
	out, err := exec.CommandContext(t.Context(), "swaks", args...).CombinedOutput()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), failed.ExitCode()
	}
	if err != nil {
		t.Fatalf("swaks %q: %v", args, err)
	}
	return string(out), 0
}
