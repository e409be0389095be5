package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// reorder puts flags where the library finds them: it reads none behind the
// first argument, and those of the program before the verb alone. People write
// them anywhere.
func reorder(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return args
	}
	s := sorter{app: app, verbs: app.Commands}
	s.read(args[1:])
	out := append([]string{args[0]}, s.global...)
	out = append(out, s.path...)
	out = append(out, s.flags...)
	if len(s.rest) > 0 {
		out = append(append(out, "--"), s.rest...)
	}
	return out
}

// sorter puts the words of a command line into their heaps.
type sorter struct {
	app   *cli.App
	verbs []*cli.Command // that can come next
	verb  *cli.Command   // that came last

	global, path, flags, rest []string
}

func (s *sorter) read(args []string) {
	for len(args) > 0 {
		word := args[0]
		n := 1
		switch {
		case word == "--":
			s.rest = append(s.rest, args[1:]...)
			return
		case len(word) > 1 && word[0] == '-':
			n = s.flag(args)
		default:
			s.word(word)
		}
		args = args[n:]
	}
}

// word takes a verb, or an argument.
func (s *sorter) word(word string) {
	at := slices.IndexFunc(s.verbs, func(v *cli.Command) bool { return v.HasName(word) })
	if at < 0 || len(s.rest) > 0 {
		s.rest = append(s.rest, word)
		return
	}
	s.path = append(s.path, word)
	s.verb, s.verbs = s.verbs[at], s.verbs[at].Subcommands
}

// flag takes a flag with its value, and returns how many words these are.
func (s *sorter) flag(args []string) int {
	name, _, valued := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
	heap, f := &s.flags, find(s.flagsOfVerb(), name)
	if f == nil {
		if f = find(s.app.Flags, name); f != nil || s.verb == nil {
			heap = &s.global
		}
	}
	n := 1
	if _, isBool := f.(*cli.BoolFlag); f != nil && !isBool && !valued && len(args) > 1 {
		n = 2
	}
	*heap = append(*heap, args[:n]...)
	return n
}

func (s *sorter) flagsOfVerb() []cli.Flag {
	if s.verb == nil {
		return nil
	}
	return s.verb.Flags
}

func find(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}
