//go:build !linux

package names

import "syscall"

// bound is nothing elsewhere: a test that is killed leaves its servers behind.
func bound() *syscall.SysProcAttr { return nil }
