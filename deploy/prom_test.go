package deploy_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A rule is an alert of prom/rules.yml.
type rule struct{ name, expr, text string }

var (
	ruleStart = regexp.MustCompile(`(?m)^      - alert: (\w+)$`)
	exprLine  = regexp.MustCompile(`(?m)^        expr: (?:\|\n((?:          .*\n)+)|(.*)\n)`)
	labelUsed = regexp.MustCompile(`\$labels\.(\w+)`)
)

// rules reads the alerts. It knows as much of YAML as rules.yml uses, and promtool knows the rest.
func rules(t testing.TB) (all []rule) {
	t.Helper()
	text := read(t, "prom/rules.yml")
	starts := ruleStart.FindAllStringSubmatchIndex(text, -1)
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		r := rule{name: text[at[2]:at[3]], text: text[at[0]:end]}
		m := exprLine.FindStringSubmatch(r.text)
		if m == nil {
			t.Fatalf("%s: no expr that can be read", r.name)
		}
		r.expr = m[1] + m[2]
		all = append(all, r)
	}
	if len(all) < 15 {
		t.Fatalf("%d alerts", len(all))
	}
	return all
}

func TestRulesNameSeriesThatExist(t *testing.T) {
	all := known(t)
	for _, r := range rules(t) {
		labels := all.check(t, r.name, r.expr)
		for _, m := range labelUsed.FindAllStringSubmatch(r.text, -1) {
			if !slices.Contains(labels, m[1]) {
				t.Errorf("%s: its text has $labels.%s, its expr has not", r.name, m[1])
			}
		}
	}
}

func TestRulesSayWhatToDo(t *testing.T) {
	run := regexp.MustCompile(`(?m)^          run: '(.*)'$`)
	for _, r := range rules(t) {
		for _, part := range []string{"          summary: '", "          description: '", "labels: {severity: "} {
			if strings.Count(r.text, part) != 1 {
				t.Errorf("%s: not one %q", r.name, strings.TrimSpace(part))
			}
		}
		if !regexp.MustCompile(`severity: (page|warn)}`).MatchString(r.text) || !strings.HasPrefix(r.name, "Moggy") {
			t.Errorf("%s: severity or name is not as the others'", r.name)
		}
		m := run.FindStringSubmatch(r.text)
		if m == nil {
			t.Errorf("%s: nothing to type", r.name)
			continue
		}
		checkCommand(t, m[1])
	}
}

// TestEveryAlarmHasItsRule: what moggyd calls an alarm does not go unheard in Prometheus.
func TestEveryAlarmHasItsRule(t *testing.T) {
	closer := map[string]string{ // more exact than the alarm
		"harm": "moggy_harm_total", "store_down": "moggy_store_up", "dnsbl_suspended": "moggy_dnsbl_suspended",
	}
	text := read(t, "prom/rules.yml")
	for _, alarm := range known(t)["moggy_alarms"]["alarm"] {
		asked := closer[alarm]
		if asked == "" {
			asked = fmt.Sprintf("moggy_alarms{alarm=%q}", alarm)
		}
		if !strings.Contains(text, asked) {
			t.Errorf("no rule for alarm %s", alarm)
		}
	}
}

// TestKnownClassesAreThoseOfHarm: the rule about budgets names every class that can come to harm.
func TestKnownClassesAreThoseOfHarm(t *testing.T) {
	for _, r := range rules(t) {
		if r.name != "MoggyBudgetRefusesKnown" {
			continue
		}
		all, _ := selectors(t, r.name, r.expr)
		got := strings.Split(all[0].matchers[0].value, "|")
		want := slices.Clone(known(t)["moggy_harm_total"]["class"])
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("the rule has classes %v, and harm %v", got, want)
		}
	}
}

func TestRulesPassPromtool(t *testing.T) {
	need(t, "promtool")
	run(t, "prom", "promtool", "check", "rules", "--lint=all", "--lint-fatal", "rules.yml")
	run(t, "prom", "promtool", "check", "config", "prometheus.yml")
	run(t, "prom", "promtool", "test", "rules", "tests.yml", "tests_days.yml")
}

// TestEveryAlertIsTried: the cases have each alert silent, and has it speak.
func TestEveryAlertIsTried(t *testing.T) {
	text := read(t, "prom/tests.yml") + read(t, "prom/tests_days.yml")
	for _, r := range rules(t) {
		silent := regexp.MustCompile(`alertname: ` + r.name + `, exp_alerts: \[\]`)
		speaks := regexp.MustCompile(`alertname: ` + r.name + `\n        exp_alerts:\n          - exp_labels`)
		if !silent.MatchString(text) || !speaks.MatchString(text) {
			t.Errorf("%s: there is no case where it is silent, or none where it speaks", r.name)
		}
	}
}

// TestNothingAlarmsAtRest gives the rules all series as they are when nothing is wrong.
func TestNothingAlarmsAtRest(t *testing.T) {
	need(t, "promtool")
	dir := t.TempDir()
	write(t, dir, "rules.yml", read(t, "prom/rules.yml"))
	var b strings.Builder
	b.WriteString("rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n")
	give := func(series, value string) {
		fmt.Fprintf(&b, "      - {series: '%s', values: '%sx120'}\n", series, value)
	}
	give(`up{job="moggy", instance="mx:9925"}`, "1")
	for line := range strings.Lines(read(t, "../metrics/testdata/series.txt")) {
		m := seriesLine.FindStringSubmatch(strings.TrimSpace(line))
		labels := strings.TrimSuffix(`job="moggy",instance="mx:9925",`+m[2], ",")
		value := line[strings.LastIndexByte(line, ' ')+1:]
		if m[1] == "moggy_config_ok" {
			value = "1" // series.txt is from before the file was read
		}
		give(m[1]+"{"+labels+"}", strings.TrimSpace(value))
	}
	b.WriteString("    alert_rule_test:\n")
	for _, r := range rules(t) {
		fmt.Fprintf(&b, "      - {eval_time: 2h, alertname: %s, exp_alerts: []}\n", r.name)
	}
	write(t, dir, "rest.yml", b.String())
	run(t, dir, "promtool", "test", "rules", "rest.yml")
}
