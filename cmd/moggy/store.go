package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/cmd/internal/keep"
	"moggy/store/bolt"
)

func (t *tool) storeVerb() *cli.Command {
	return &cli.Command{Name: "store", Usage: "where things are kept", Subcommands: []*cli.Command{
		{Name: "copy", Usage: "copy all that one store keeps to another, and count it", ArgsUsage: "FROM TO", Action: t.storeCopy},
	}}
}

// storeCopy copies from a store to another; a store is named as [store] url names it.
// It says no where something that was copied is not there.
func (t *tool) storeCopy(c *cli.Context) (err error) {
	if c.NArg() != 2 || c.Args().Get(0) == c.Args().Get(1) {
		return errors.New("name two stores, from and to; each is embedded, or a URL as [store] url has it; type: moggy store copy embedded redis://127.0.0.1:6379")
	}
	cfg, err := t.config(c.Context)
	if err != nil {
		return err
	}
	var stores []keep.Store
	for _, url := range c.Args().Slice() {
		s, err := keep.OpenURL(cfg, url)
		if errors.Is(err, bolt.ErrLocked) {
			return fmt.Errorf("%w; stop moggyd first: what it would learn meanwhile would not be copied", err)
		} else if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		stores = append(stores, s)
	}
	n, err := keep.Copy(c.Context, stores[0], stores[1], desk.TimersOf(cfg), t.now())
	if err != nil {
		return err
	}
	return t.tellCopied(n)
}

func (t *tool) tellCopied(n keep.Copied) error {
	if t.json {
		if err := t.writeJSON(n); err != nil {
			return err
		}
	} else {
		words := []string{entriesText(n.Said, "of persons"), entriesText(n.Learned, "learned"), count(n.Traps, "trap"),
			count(n.Origins, "known origin"), count(n.Triplets, "deferred mail")}
		t.say("copied %s", strings.Join(words, ", "))
		if n.Missing == 0 {
			t.say("%s", t.paint(green, "all of it was read back"))
		} else {
			t.say("%s", t.paint(red, count(n.Missing, "row")+" of it could not be read back as copied; type the same again"))
		}
	}
	if n.Missing > 0 {
		return errNo
	}
	return nil
}

func entriesText(n int, which string) string {
	if n == 1 {
		return "1 entry " + which
	}
	return fmt.Sprintf("%d entries %s", n, which)
}
