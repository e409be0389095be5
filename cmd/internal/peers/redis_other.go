//go:build !linux

package peers

import "syscall"

// untilOurEnd is only what the test itself does at its end.
func untilOurEnd() *syscall.SysProcAttr { return nil }
