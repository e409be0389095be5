package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"moggy/verdict/journal"
	"moggy/whitelist"
)

// checkClass says no to a class that there is not: nobody would ever be of it, and
// the silence would be taken for an answer. An empty one is none asked for.
func (t *tool) checkClass(ctx context.Context, class string) error {
	if class == "" {
		return nil
	}
	cfg, err := t.config(ctx)
	if err != nil {
		return err
	}
	classes := []string{}
	for _, k := range whitelist.Kinds() {
		classes = append(classes, string(k.Class))
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Classes)) {
		if !slices.Contains(classes, name) {
			classes = append(classes, name)
		}
	}
	classes = append(classes, string(journal.Denied))
	if !slices.Contains(classes, class) {
		return fmt.Errorf("there is no class %q; choose %s", class, strings.Join(classes, ", "))
	}
	return nil
}
