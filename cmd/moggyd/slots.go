package main

import (
	"syscall"

	"moggy/cmd/internal/config"
)

// memoryOf is what a held stranger costs us, in bytes, by measurement and with
// room to spare.
const memoryOf = 32 << 10

// slots is how many strangers may be held: what the operator says, or three
// quarters of the descriptors, but never more than fit into an eighth of the
// memory.
func slots(cfg *config.Config) int {
	if cfg.Tarpit.Slots > 0 {
		return cfg.Tarpit.Slots
	}
	n := descriptors() / 4 * 3
	if memory := totalMemory(); memory > 0 {
		n = min(n, int(memory/8/memoryOf))
	}
	return max(n, 1)
}

// descriptors is how many files this process may open. The Go runtime has
// raised the limit as far as it goes.
func descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(uint64(limit.Cur), 1<<20))
}
