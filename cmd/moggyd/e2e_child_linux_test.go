package main_test

import "syscall"

// child has the kernel end a daemon whose test ended without a chance to do so.
func child() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
