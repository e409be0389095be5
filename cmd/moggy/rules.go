package main

import (
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"moggy/verdict"
)

func (t *tool) rulesVerb() *cli.Command {
	return &cli.Command{Name: "rules", Usage: "the rules, in the order in which they are asked", Action: t.rules}
}

// A ruleDoc is a rule as JSON shows it.
type ruleDoc struct {
	Rule   string          `json:"rule"`
	Stages []verdict.Stage `json:"stages"`
	Action verdict.Action  `json:"action"`
	Doc    string          `json:"doc"`
	Do     string          `json:"do,omitempty"` // for the address ADDRESS
}

func (t *tool) rules(*cli.Context) error {
	var docs []ruleDoc
	for _, r := range verdict.Rules() {
		docs = append(docs, ruleDoc{r.Name, r.Stages, r.Action, r.Doc, verdict.RemedyFor(r.Name, "ADDRESS")})
	}
	if t.json {
		return t.writeJSON(map[string]any{"rules": docs})
	}
	t.say("Of the rules of a stage, the first that holds decides.\n")
	tab := newTable("RULE", "STAGE", "ACTION", "WHEN, AND WHAT THE PEER GETS")
	tab.paint = func(column int, text string) string {
		if column == 2 {
			return t.action(text)
		}
		return text
	}
	for _, d := range docs {
		name, stages, action := d.Rule, stagesText(d.Stages), string(d.Action)
		for line := range strings.SplitSeq(wrap(d.Doc, t.columns()-50), "\n") {
			tab.row(name, stages, action, line)
			name, stages, action = "", "", ""
		}
	}
	tab.write(t.out)
	return nil
}

func stagesText(stages []verdict.Stage) string {
	names := make([]string, len(stages))
	for i, s := range stages {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// columns is the width of the terminal, as far as it is told.
func (t *tool) columns() int {
	if n, err := strconv.Atoi(t.env("COLUMNS")); err == nil && n >= 80 {
		return n
	}
	return 110
}

// wrap breaks text into lines of at most n columns where it has spaces.
func wrap(text string, n int) string {
	var b strings.Builder
	used := 0
	for word := range strings.FieldsSeq(text) {
		switch w := width(word); {
		case used == 0:
			used = w
		case used+1+w > n:
			b.WriteByte('\n')
			used = w
		default:
			b.WriteByte(' ')
			used += 1 + w
		}
		b.WriteString(word)
	}
	return b.String()
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
