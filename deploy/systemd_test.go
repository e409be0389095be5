package deploy_test

import (
	"regexp"
	"slices"
	"testing"
)

// TestSocketsAreTheListeners: moggyd refuses a socket that no listener is for.
func TestSocketsAreTheListeners(t *testing.T) {
	addresses := func(file, pattern string) (all []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, file), -1) {
			all = append(all, m[1])
		}
		return all
	}
	sockets := addresses("systemd/moggyd.socket", `(?m)^ListenStream=(\d+)$`)
	listeners := addresses("moggy.toml", `(?m)^address += ":(\d+)"$`)
	if len(sockets) == 0 || !slices.Equal(sockets, listeners) {
		t.Errorf("sockets at %q, listeners at %q", sockets, listeners)
	}
}
