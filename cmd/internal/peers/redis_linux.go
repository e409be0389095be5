package peers

import "syscall"

// untilOurEnd has the kernel end a program whose test ended without a chance to do so.
func untilOurEnd() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
