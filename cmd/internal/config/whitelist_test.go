package config_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"moggy/cmd/internal/config"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// Package config imports nothing of the project; its list of classes is held
// against the one that counts here.
func TestBuiltIn(t *testing.T) {
	var want []string
	for _, kind := range whitelist.Kinds() {
		want = append(want, string(kind.Class))
	}
	if got := config.BuiltIn(); !slices.Equal(got, want) {
		t.Errorf("classes are %q, package whitelist has %q", got, want)
	}
}

// The table of classes in the manual has the built-in budgets, without the
// recipients that are never counted.
func TestManualBudgets(t *testing.T) {
	const manual = "../../moggyd/moggy.toml.5"
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	for class, l := range budget.Defaults() {
		recipients := "-"
		if class == whitelist.Stranger {
			recipients = fmt.Sprint(l.Recipients)
		}
		row := fmt.Sprintf(".It %s Ta %d Ta %d Ta %d Ta %s Ta %s\n", class, l.Rate, l.Burst, l.Open, l.Wait, recipients)
		if !strings.Contains(string(text), row) {
			t.Errorf("%s: no row %q", manual, row)
		}
	}
}
