package deploy_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A dashboard is as much of Grafana's JSON as is checked.
type dashboard struct {
	UID, Title string
	Templating struct{ List []variable }
	Panels     []panel
}

type variable struct {
	Name, Type string
	AllValue   string
	Definition string
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               datasource
	GridPos                  struct{ H, W, X, Y int }
	Targets                  []target
	FieldConfig              struct {
		Defaults struct {
			Unit       string
			Thresholds struct {
				Steps []struct {
					Color string
					Value *float64
				}
			}
		}
	}
}

type datasource struct{ Type, UID string }

type target struct {
	RefID, Expr, LegendFormat string
	Datasource                datasource
}

func load(t testing.TB) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "grafana/moggy.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// expr is a target's expression as Prometheus gets it, with Grafana's variables filled in.
func (x target) expr() string {
	return strings.NewReplacer("$__rate_interval", "1m", "$__range", "1d", "$instance", ".*").Replace(x.Expr)
}

// units are those of Grafana that the panels use.
var units = []string{"short", "s", "cpm", "percentunit"}

func TestDashboardIsWhole(t *testing.T) {
	d := load(t)
	rows, panels := 0, 0
	var ids []int
	var titles []string
	for _, p := range d.Panels {
		ids, titles = append(ids, p.ID), append(titles, p.Title)
		if p.Type == "row" {
			rows++
			continue
		}
		panels++
		p.check(t)
	}
	slices.Sort(ids)
	slices.Sort(titles)
	if rows != 4 || panels < 12 || len(slices.Compact(ids)) != rows+panels || len(slices.Compact(titles)) != rows+panels {
		t.Errorf("%d rows and %d panels, or two of one id or title", rows, panels)
	}
	if d.UID != "moggy" || d.Title != "moggy" {
		t.Errorf("uid %q, title %q", d.UID, d.Title)
	}
}

// check looks whether a panel says all that somebody needs who sees it for the first time.
func (p panel) check(t *testing.T) {
	t.Helper()
	ours := datasource{"prometheus", "${datasource}"}
	if len(p.Description) < 40 || !slices.Contains(units, p.FieldConfig.Defaults.Unit) || p.Datasource != ours || len(p.Targets) == 0 {
		t.Errorf("%s: description, unit, data source or targets are not in order", p.Title)
	}
	steps := p.FieldConfig.Defaults.Thresholds.Steps
	if len(steps) == 0 || steps[0].Value != nil {
		t.Errorf("%s: thresholds do not begin at the bottom", p.Title)
	}
	if p.Type == "stat" && len(steps) < 2 {
		t.Errorf("%s: a number nobody can judge", p.Title)
	}
	for _, x := range p.Targets {
		if x.Datasource != ours || x.LegendFormat == "" || x.RefID == "" {
			t.Errorf("%s: target %s without data source or legend", p.Title, x.RefID)
		}
	}
	for _, command := range typed.FindAllString(p.Description, -1) {
		if strings.Contains(command, " ") {
			checkCommand(t, command)
		}
	}
}

func TestDashboardNamesSeriesThatExist(t *testing.T) {
	all := known(t)
	legend := regexp.MustCompile(`\{\{(\w+)\}\}`)
	for _, p := range load(t).Panels {
		for _, x := range p.Targets {
			where := p.Title + " " + x.RefID
			labels := all.check(t, where, x.expr())
			for _, m := range legend.FindAllStringSubmatch(x.LegendFormat, -1) {
				if !slices.Contains(labels, m[1]) {
					t.Errorf("%s: the legend has %s, its series have not", where, m[1])
				}
			}
			if strings.Count(x.Expr, `instance=~"$instance"`) != len(selectorText.FindAllString(x.Expr, -1)) {
				t.Errorf("%s: not every series is of the instances that were chosen", where)
			}
		}
	}
}

func TestDashboardVariables(t *testing.T) {
	vars := make(map[string]variable)
	for _, v := range load(t).Templating.List {
		vars[v.Name] = v
	}
	if len(vars) != 2 || vars["datasource"].Type != "datasource" || vars["instance"].Type != "query" || vars["instance"].AllValue != ".*" {
		t.Errorf("%+v", vars)
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(vars["instance"].Definition, "label_values("), ",")
	known(t).check(t, "variable instance", name)
}

func TestPanelsDoNotOverlap(t *testing.T) {
	taken := make(map[[2]int]string)
	for _, p := range load(t).Panels {
		g := p.GridPos
		if g.X < 0 || g.W < 1 || g.X+g.W > 24 || g.H < 1 {
			t.Errorf("%s: %+v is outside the 24 columns", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestPanelsPassPromtool has promtool read every expression, as a rule that records it.
func TestPanelsPassPromtool(t *testing.T) {
	need(t, "promtool")
	type recording struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var all []recording
	for _, p := range load(t).Panels {
		for _, x := range p.Targets {
			all = append(all, recording{fmt.Sprintf("panel:%d:%s", p.ID, x.RefID), x.expr()})
		}
	}
	file := map[string]any{"groups": []any{map[string]any{"name": "panels", "rules": all}}}
	text, err := json.Marshal(file) // which is YAML, too
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "panels.yml", string(text))
	if out := run(t, dir, "promtool", "check", "rules", "panels.yml"); !strings.Contains(out, fmt.Sprintf("%d rules found", len(all))) {
		t.Errorf("of %d expressions: %s", len(all), out)
	}
}

// TestProvisioning: Grafana finds the dashboard where docker-compose.yml puts it, and Prometheus by its service.
func TestProvisioning(t *testing.T) {
	compose := read(t, "../docker-compose.yml")
	for file, line := range map[string]string{
		"grafana/provisioning/dashboards/moggy.yml":  "path: /var/lib/grafana/dashboards",
		"grafana/provisioning/datasources/moggy.yml": "url: http://prometheus:9090",
	} {
		if !strings.Contains(read(t, file), line) {
			t.Errorf("%s: no %q", file, line)
		}
	}
	for _, line := range []string{
		"- ./deploy/grafana/provisioning:/etc/grafana/provisioning:ro", "- ./deploy/grafana/moggy.json:/var/lib/grafana/dashboards/moggy.json:ro",
		"\n  prometheus:\n",
	} {
		if !strings.Contains(compose, line) {
			t.Errorf("docker-compose.yml: no %q", line)
		}
	}
}
