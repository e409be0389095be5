package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A setup is what some dialogues of the corpus are played against.
type setup struct {
	name   string
	config string           // the dialogues' own name for it
	plays  func(scene) bool // which dialogues of the config
	file   string           // where they are; "": where all are
	sink   []string         // flags of the backend
	broken bool             // there is no backend
	tls    bool             // the backend offers STARTTLS
	zones  []string         // DNS lists; a weight stands behind "=", default 3
	proxy  bool             // there is a listener for balancers
}

// setups are all that moggy can be put into. Where many dialogues are for one
// config, those that load the whole machine have a moggyd of their own.
var setups = []setup{
	{name: "base-alone", config: "base", plays: alone},
	{name: "base", config: "base", plays: together},
	{name: "base-tls", config: "base", plays: carriedTLS, tls: true},
	{name: "base-handover", config: "base", plays: all, file: "handover.jsonl"},
	{name: "admin", config: "admin", plays: all},
	{name: "proxyproto", config: "proxyproto", plays: all, proxy: true},
	{name: "backend-down", config: "backend-down", plays: all, broken: true},
	{name: "backend-slow", config: "backend-slow", plays: all, sink: []string{"--banner-delay", "20"}},
	{name: "backend-554", config: "backend-554", plays: all, sink: []string{"--banner", "554 5.3.2 no mail here"}},
	{name: "backend-drop-eod", config: "backend-drop-eod", plays: all, sink: []string{"--drop-at", "EOD"}},
	{name: "backend-defer", config: "backend-defer", plays: all, sink: []string{"--defer-rcpt", "defer-me"}},
	{name: "dnsbl", config: "dnsbl", plays: all, zones: []string{"bl.test", "bl2.test=1"}},
	{name: "dnswl", config: "dnswl", plays: all, zones: []string{"wl.test=-3"}},
	{name: "dnswl-quota", config: "dnswl-quota", plays: all, zones: []string{"wlq.test=-3"}},
	broken("world"), broken("park"), broken("quota"), broken("typo"), broken("excess"), broken("servfail"), broken("refused"),
	broken("slow"), broken("empty"), broken("cname"), broken("trunc"), broken("badid"), broken("esc"),
}

// broken is a setup with one DNS list, which is not as it should be.
func broken(zone string) setup {
	return setup{name: "dnsbl-" + zone, config: "dnsbl-" + zone, plays: all, zones: []string{zone + ".test"}}
}

func all(scene) bool        { return true }
func together(s scene) bool { return !s.Serial && !carriedTLS(s) }
func alone(s scene) bool    { return s.Serial && !carriedTLS(s) }

// carriedTLS reports whether the STARTTLS of a dialogue is the backend's.
func carriedTLS(s scene) bool { return slices.Contains(s.Needs, "starttls") && s.Client == "trusted" }

// TestAcceptance plays dialogues of honest and of hostile peers against a moggyd
// with a recording backend behind it, and has judged what became of them; see
// testdata/acceptance/README.md.
//
// MOGGY_ACCEPTANCE names another file of dialogues to be played, and
// MOGGY_ACCEPTANCE_CONFIG the configs, with commas, that are played and no others.
func TestAcceptance(t *testing.T) {
	needLab(t)
	programs := build(t, "moggyd", "moggy")
	for _, s := range wanted(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.corpus(t).play(t, s, programs)
		})
	}
}

// wanted are the setups to be played.
func wanted(t *testing.T) []setup {
	t.Helper()
	configs := os.Getenv("MOGGY_ACCEPTANCE_CONFIG")
	if configs == "" {
		return setups
	}
	var some []setup
	for config := range strings.SplitSeq(configs, ",") {
		had := len(some)
		for _, s := range setups {
			if s.config == config {
				some = append(some, s)
			}
		}
		if len(some) == had {
			t.Fatalf("MOGGY_ACCEPTANCE_CONFIG: there is no setup for config %q", config)
		}
	}
	return some
}

// A corpus is a file of dialogues.
type corpus struct {
	path   string
	scenes []scene
}

// A scene is what must be known of a dialogue to have it played.
type scene struct {
	ID     string
	Config string
	Client string
	Needs  []string
	Serial bool // nothing else may go on meanwhile
}

// corpus reads the setup's dialogues.
func (s setup) corpus(t *testing.T) corpus {
	t.Helper()
	other := os.Getenv("MOGGY_ACCEPTANCE")
	if other != "" && s.file != "" {
		t.Skip("other dialogues are played")
	}
	return readCorpus(t, cmp.Or(other, filepath.Join(acceptance, cmp.Or(s.file, "corpus.jsonl"))))
}

func readCorpus(t *testing.T, path string) corpus {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := corpus{path: path}
	for line := range bytes.Lines(text) {
		s := scene{Config: "base"}
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		c.scenes = append(c.scenes, s)
	}
	return c
}

// ids are the names of a setup's dialogues.
func (c corpus) ids(s setup) (ids []string) {
	for _, scene := range c.scenes {
		if scene.Config == s.config && s.plays(scene) {
			ids = append(ids, scene.ID)
		}
	}
	return ids
}

// play plays the dialogues of a setup in a lab of their own.
func (c corpus) play(t *testing.T, s setup, programs string) {
	ids := c.ids(s)
	if len(ids) == 0 {
		t.Skip("no dialogue is for this setup")
	}
	l := openLab(t)
	if !s.broken {
		l.startSink(s)
	}
	if s.zones != nil {
		l.startDNS()
	}
	daemon := startMoggyd(t, l.dir, s.moggyToml(l.path("state")), l.command, filepath.Join(programs, "moggyd"))
	l.trust(programs)
	played := l.play(s, daemon, c.path, ids, programs)
	if len(played) != len(ids) {
		t.Errorf("%d dialogues of %d were played", len(played), len(ids))
	}
	for _, d := range played {
		t.Run(d.ID, func(t *testing.T) {
			d.judge(t)
			if t.Failed() {
				t.Logf("of %s moggyd said:\n%s", d.Src, daemon.linesOf(d.Src))
			}
		})
	}
}

// play has the player play dialogues, and returns what it says of them.
func (l *lab) play(s setup, daemon *process, corpus string, ids []string, programs string) []dialogue {
	l.t.Helper()
	argv := []string{"python3", filepath.Join(acceptance, "play.py"), "198.18.0.1:2525", "--corpus", corpus,
		"--id", strings.Join(ids, ","), "--jobs", "12", "--json", l.path("result"),
		"--profile", l.write("profile", labProfile(s)), "--pid", fmt.Sprint(daemon.cmd.Process.Pid),
		"--log", daemon.log, "--metrics", "http://127.0.0.1:9925/metrics",
		"--env-cmd", strings.Join([]string{"sh", filepath.Join(acceptance, "env.sh"), programs, l.path(configFile)}, " ")}
	if !s.broken {
		argv = append(argv, "--backend", l.path("backend"))
	}
	said, err := l.command(argv...).CombinedOutput()
	exit, failed := errors.AsType[*exec.ExitError](err)
	if err != nil && !(failed && exit.ExitCode() == 1) {
		l.t.Fatalf("the player: %v\n%s", err, said)
	}
	played := l.results()
	if failed != slices.ContainsFunc(played, dialogue.failed) {
		l.t.Errorf("the player's exit status says %v, and its report otherwise", err)
	}
	return played
}

// write makes a file of JSON in the lab and returns its path.
func (l *lab) write(name string, v any) string {
	l.t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(l.path(name), text, 0o600)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return l.path(name)
}

// results reads the player's report.
func (l *lab) results() []dialogue {
	l.t.Helper()
	var report struct{ Results []dialogue }
	text, err := os.ReadFile(l.path("result"))
	if err == nil {
		err = json.Unmarshal(text, &report)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return report.Results
}

// A dialogue is what the player says of one.
type dialogue struct {
	ID      string
	Verdict string // pass, fail, skip, error
	Why     string // of skip and error
	Src     string // the peer
	Steps   []struct {
		N    int
		Kind string
		OK   *bool
		Got  string
		Why  string
	}
	Must []struct {
		Prop   string
		OK     *bool // nil: could not be measured
		Detail string
	}
}

func (d dialogue) failed() bool { return d.Verdict == "fail" || d.Verdict == "error" }

// maySkip are the reasons for which a dialogue may be left out: what moggy cannot
// do yet.
var maySkip = []string{
	"needs 'starttls'",
	"env-cmd cannot: redis ",
}

// mayMiss are the properties that need not be measured: there is no Redis, and a
// report is for people.
var mayMiss = []string{"redis_growth", "redis_expiry", "report"}

// judge says what was wrong with a dialogue.
func (d dialogue) judge(t *testing.T) {
	switch {
	case d.Verdict == "skip" && hasPrefix(d.Why, maySkip):
		t.Skip(d.Why)
	case d.Verdict == "skip" || d.Verdict == "error":
		t.Errorf("%s: %s", d.Verdict, d.Why)
	}
	for _, s := range d.Steps {
		if s.OK != nil && !*s.OK {
			t.Errorf("step %d, %s: %s; got %s", s.N, s.Kind, s.Why, s.Got)
		}
	}
	for _, m := range d.Must {
		switch {
		case m.OK == nil && !hasPrefix(m.Prop, mayMiss):
			t.Errorf("%s was not measured: %s", m.Prop, m.Detail)
		case m.OK != nil && !*m.OK:
			t.Errorf("%s: %s", m.Prop, m.Detail)
		}
	}
}

func hasPrefix(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}
