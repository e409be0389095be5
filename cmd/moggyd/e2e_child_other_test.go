//go:build !linux

package main_test

import "syscall"

// child is for Linux only, as the mail programs are.
func child() *syscall.SysProcAttr { return nil }
