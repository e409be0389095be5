package names

import "syscall"

// bound has the kernel end a server when the test ends, however it ends.
func bound() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
