package main

import (
	"slices"
	"syscall"

	"moggy/cmd/internal/config"
)

// memoryOf is what a held stranger costs us, in bytes, by measurement and with
// room to spare.
const memoryOf = 32 << 10

// slots is how many strangers may be held: what the operator says, or three
// quarters of the descriptors, half where clients of stream listeners need some
// too, but never more than fit into an eighth of the memory.
func slots(cfg *config.Config) int {
	if cfg.Tarpit.Slots > 0 {
		return cfg.Tarpit.Slots
	}
	n := descriptors() / 2
	if !streams(cfg) {
		n = descriptors() / 4 * 3
	}
	if memory := totalMemory(); memory > 0 {
		n = min(n, int(memory/8/memoryOf))
	}
	return max(n, 1)
}

// streams reports whether there are listeners whose clients are carried unknown.
func streams(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.Listeners, func(l config.Listener) bool { return l.Kind == config.KindStream })
}

// visitors is how many clients of stream listeners that nothing is known of are
// carried at a time, two descriptors each: with the strangers' half that makes
// three quarters, and the last is left for the known.
func visitors() int { return max(descriptors()/8, 1) }

// descriptors is how many files this process may open. The Go runtime has
// raised the limit as far as it goes.
func descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(uint64(limit.Cur), 1<<20))
}
