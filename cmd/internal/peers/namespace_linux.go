package peers

import "syscall"

// namespaces starts a process as the first one of its own mount and process namespaces. The kernel ends every other
// process in there when the first one ends, and ends the first one when the test ends, however it ends. (That signal
// must be SIGKILL, the only one that the first process of a namespace cannot ignore.)
func namespaces() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
}

// apart starts a process in its own mount and network namespaces. It ends with the test, however that ends.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
}
