//go:build !linux

package peers

import "syscall"

// namespaces is for Linux only. Elsewhere its caller fails at "mount --make-rprivate", and Need skips the test.
func namespaces() *syscall.SysProcAttr { return nil }

// apart is for Linux only.
func apart() *syscall.SysProcAttr { return nil }
