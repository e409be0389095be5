package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"moggy/verdict"
)

// manualRules is the rule chapter of moggyd.8, made from the table.
func manualRules() string {
	var b strings.Builder
	for _, stage := range verdict.Stages() {
		fmt.Fprintf(&b, ".Ss Stage %s\n.Bl -tag -width Ds\n", stage)
		for _, r := range verdict.Rules() {
			for _, s := range r.Stages {
				if s == stage {
					fmt.Fprintf(&b, ".It Cm %s Pq %s\n%s\n", r.Name, r.Action, roff(r.Doc))
				}
			}
		}
		b.WriteString(".El\n")
	}
	return b.String()
}

// roff puts each sentence on a line of its own, as manual pages have it.
func roff(doc string) string { return strings.NewReplacer(": ", ":\n", ". ", ".\n").Replace(doc) }

func TestManualRules(t *testing.T) {
	page, err := os.ReadFile("moggyd.8")
	if err != nil {
		t.Fatal(err)
	}
	want := manualRules()
	t.Log("\n" + want)
	if !strings.Contains(string(page), want) {
		t.Error("the rule chapter of moggyd.8 is not the table of package verdict; `go test -v -run TestManualRules` prints it")
	}
}
