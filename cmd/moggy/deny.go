package main

import (
	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
)

func (t *tool) denyVerb() *cli.Command {
	return &cli.Command{Name: "deny", Usage: "who is refused", Subcommands: []*cli.Command{
		{Name: "add", Usage: "refuse every mail with 550", ArgsUsage: "ADDRESS… [--ttl 90d] [--note TEXT]",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "ttl", Value: "90d", Usage: "until `TIME` is over: 90d, 12h, never"},
				noteFlag(), forceFlag(),
			},
			Action: func(c *cli.Context) error { return t.put(c, desk.EntryPut{Deny: true}) }},
		{Name: "rm", Usage: "refuse no longer", ArgsUsage: "ADDRESS…",
			Action: func(c *cli.Context) error { return t.remove(c, true) }},
		{Name: "ls", Usage: "list who is refused", ArgsUsage: "[ADDRESS] [--learned]",
			Flags: listFlags("those who named a trap or tried many passwords, and are slowed"), Action: func(c *cli.Context) error { return t.entries(c, true) }},
	}}
}
