package main

import (
	"os"
	"strings"
	"testing"

	"moggy/store/redis"
)

// The manual's rules for the user of Redis are those that the store needs.
func TestManualACL(t *testing.T) {
	page, err := os.ReadFile("moggy.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	words := " " + strings.Join(strings.Fields(string(page)), " ") + " "
	if rules := redis.ACL("moggy"); !strings.Contains(words, " "+rules+" ") {
		t.Errorf("moggy.toml.5 does not say: %s", rules)
	}
}
