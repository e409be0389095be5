package main

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v2"
)

// app is the tree of verbs. Each verb has a file of its own.
func (t *tool) app() *cli.App {
	return &cli.App{
		Name: "moggy", Usage: "ask the mail proxy why, and tell it whom to let in", UsageText: "moggy [-c FILE] [--json] VERB",
		Version: version(), HideHelpCommand: true, CustomAppHelpTemplate: appHelp,
		Writer: t.out, ErrWriter: t.err,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "read the configuration in `FILE`", Destination: &t.file},
			&cli.BoolFlag{Name: "json", Usage: "answer in JSON", DisableDefaultText: true, Destination: &t.json},
		},
		Commands:       t.verbs(),
		Action:         unknownVerb,
		OnUsageError:   wrongFlag,
		ExitErrHandler: func(*cli.Context, error) {}, // run tells errors
	}
}

// verbs are all verbs, in the order in which help shows them.
func (t *tool) verbs() []*cli.Command {
	return finish("",
		in("Ask", t.whyVerb(), t.tryVerb(), t.whoVerb(), t.topVerb(), t.hurtVerb(), t.goodVerb(), t.doctorVerb(),
			t.statusVerb(), t.listsVerb(), t.tailVerb(), t.rulesVerb(), t.exportVerb()),
		in("Change", t.allowVerb(), t.denyVerb(), t.pardonVerb(), t.unblockVerb(), t.trapVerb(), t.greyVerb(), t.storeVerb()))
}

func in(category string, verbs ...*cli.Command) []*cli.Command {
	for _, v := range verbs {
		v.Category = category
	}
	return verbs
}

// finish gives all verbs below path what they have in common.
func finish(path string, groups ...[]*cli.Command) (all []*cli.Command) {
	for _, verbs := range groups {
		for _, v := range verbs {
			v.OnUsageError, v.HideHelpCommand = wrongFlag, true
			v.UsageText = "moggy " + path + v.Name + " " + v.ArgsUsage
			v.CustomHelpTemplate = verbHelp
			if len(v.Subcommands) > 0 {
				v.Action, v.CustomHelpTemplate = unknownVerb, groupHelp
				finish(path+v.Name+" ", v.Subcommands)
			} else if v.ArgsUsage == "" || strings.HasPrefix(v.ArgsUsage, "[--") {
				v.Action = alone(v.Action)
			}
			all = append(all, v)
		}
	}
	return all
}

// alone is the action of a verb that takes no arguments.
func alone(action cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.Args().Present() {
			return fmt.Errorf("%q is one too many; type: %s --help", c.Args().First(), c.Command.HelpName)
		}
		return action(c)
	}
}

// unknownVerb is done where no verb was typed, or none that there is.
func unknownVerb(c *cli.Context) error {
	path, asked := c.Command.HelpName, c.Args().First()
	var names []string
	for _, v := range c.Command.Subcommands {
		names = append(names, v.Name)
	}
	verbs := strings.Join(names, "|")
	switch {
	case asked == "help":
		return fmt.Errorf("there is no verb %q; type: %s --help", asked, path)
	case asked != "":
		return fmt.Errorf("there is no verb %q; type: %s %s", asked, path, verbs)
	case c.Command.Name == c.App.Name:
		c.App.Writer = c.App.ErrWriter
		return errors.Join(errSaid, cli.ShowAppHelp(c))
	}
	return fmt.Errorf("what is to be done? type: %s %s", path, verbs)
}

// wrongFlag says what is wrong with the flags of a verb.
func wrongFlag(c *cli.Context, err error, _ bool) error {
	return fmt.Errorf("%w; type: %s --help", err, c.Command.HelpName)
}

// version is the version of the module, and the revision it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return info.Main.Version + " " + s.Value
		}
	}
	return info.Main.Version
}

const appHelp = `moggy: {{.Usage}}

usage: {{.UsageText}}
{{range .VisibleCategories}}
{{.Name}}
{{range .VisibleCommands}}  {{.Name}}{{"\t"}}{{.Usage}}
{{end}}{{end}}
Options
{{range .VisibleFlags}}  {{.}}
{{end}}
An address may be 192.0.2.7, 192.0.2.0/24, a host name, "me" (where your ssh
session comes from), or the ref of a refusal. Exit status: 0 yes or done, 1 no,
2 cannot tell or wrong usage. See moggy(1).
`

const groupHelp = `{{.HelpName}}: {{.Usage}}

{{range .VisibleCommands}}  {{.UsageText}}{{"\t"}}{{.Usage}}
{{end}}`

const verbHelp = `{{.HelpName}}: {{.Usage}}

usage: {{.UsageText}}{{if .VisibleFlags}}

Options
{{range .VisibleFlags}}  {{.}}
{{end}}{{else}}
{{end}}`
