package main

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"moggy/cmd/internal/desk"
	"moggy/proxy"
	"moggy/verdict"
	"moggy/whitelist"
	"moggy/whitelist/budget"
	"moggy/whitelist/foreign"
)

// evil is what no terminal should see.
const evil = "\x1b[31m\u009b0m\u202e\x07\n"

// writer is a tool that writes to memory, at noon.
func writer(t *testing.T) (*tool, *bytes.Buffer) {
	out := new(bytes.Buffer)
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return &tool{out: out, err: out, env: func(string) string { return "" }, now: func() time.Time { return noon }}, out
}

// TestNothingEvilIsShown fills everything that others can choose.
func TestNothingEvilIsShown(t *testing.T) {
	x, out := writer(t)
	block := foreign.Block{Net: netip.MustParsePrefix("192.0.2.0/24"), By: "nft" + evil, Where: evil, Rule: evil, Hint: evil, Lift: []string{"nft", evil}}
	entry := whitelist.Entry{Net: netip.MustParsePrefix("192.0.2.7/32"), Class: whitelist.Class(evil), Source: whitelist.Login, Note: evil}
	standing := desk.Standing{Class: entry.Class, Known: true, Evidence: whitelist.Login, Entry: &entry}
	sight := desk.Sight{Time: x.now(), Blocks: []foreign.Block{block}, Unread: map[string]string{evil: evil}, Read: []string{evil},
		Hits: []desk.Hit{{Block: block, Addr: entry.Net, Standing: standing}}}
	x.tellAbout(about{title: evil, Elsewhere: sight, Now: []desk.Trial{{Listener: evil, Standing: standing, Connect: desk.Decision{Action: verdict.Hold}, Do: "do"}},
		Evidence: desk.Evidence{Addr: netip.MustParseAddr("192.0.2.7"), At: []desk.Regard{{Listeners: []string{evil}, Faults: map[string]string{evil: evil}, Standing: standing,
			Findings: []whitelist.Finding{{Source: whitelist.Login, State: whitelist.Decides, Entry: entry}}}}}})
	x.tellFree(unblocking{Left: []foreign.Block{block}, Unread: sight.Unread}, false)
	x.tellBlock(block)
	x.topTable([]desk.TopRow{{Class: whitelist.Class(evil), Origin: evil, Usage: budget.Usage{Used: 1}}})
	x.tellStuck([]stuckMail{{Stuck: desk.Stuck{Sender: evil, Recipient: evil}}}, 1)
	x.tellStatus(desk.Status{Daemon: true, Alarms: []proxy.Alarm{{Name: evil, Why: evil}}, Foreign: &sight,
		Hints: desk.HintSources{Dovecot: evil, Logs: []string{evil}}, Health: desk.Health{HintFaults: []string{evil}}})
	e := &examination{tool: x, status: &desk.Status{Daemon: true, Mode: "enforce", Alarms: []proxy.Alarm{{Name: "harm", Why: evil}}, GoodSets: []string{evil},
		Listeners: []desk.ListenerStatus{{Listener: desk.Listener{Name: evil, Backend: evil, Forward: evil}}, {Fault: evil}},
		Health:    desk.Health{GoodFaults: []string{evil}, Config: desk.Config{File: evil, Refused: evil, Restart: []string{evil}}}}}
	e.listeners()
	e.alarms()
	e.keepers()
	e.inForce(e.status.Health.Config)
	e.hit(sight.Hits)
	e.unseen(sight)
	e.tell()
	for _, r := range out.String() {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == '\u202e' {
			t.Fatalf("%q is in %q", r, out)
		}
	}
}

func TestFirstLine(t *testing.T) {
	x, _ := writer(t)
	carried := desk.Trial{Listener: "imaps", Passes: true, Connect: desk.Decision{Action: verdict.Carry}}
	grey := desk.Trial{Listener: "smtp", Connect: desk.Decision{Action: verdict.Talk}}
	held := desk.Trial{Listener: "smtp", Connect: desk.Decision{Action: verdict.Hold}}
	busy := desk.Trial{Listener: "imaps", Connect: desk.Decision{Action: verdict.Busy}}
	waits := desk.Trial{Listener: "imaps", Passes: true, Wait: 3, Connect: desk.Decision{Action: verdict.Wait}}
	denied := desk.Trial{Listener: "smtp", Standing: desk.Standing{Deny: true}, Connect: desk.Decision{Action: verdict.Hold}}
	nft, jail := foreign.Block{By: "nft"}, foreign.Block{By: "fail2ban"}
	down := about{Now: []desk.Trial{carried}, Evidence: desk.Evidence{At: []desk.Regard{{Faults: map[string]string{"imaps": "refused"}}}}}
	if got, want := x.verdictOn(down), "NOT blocked by moggy, but NO SERVER behind imaps, not blocked elsewhere"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, c := range []struct {
		now   []desk.Trial
		sight desk.Sight
		want  string
	}{
		{[]desk.Trial{carried}, desk.Sight{}, "NOT blocked by moggy, nor elsewhere"},
		{[]desk.Trial{carried}, desk.Sight{Unread: map[string]string{"nft": "no"}}, "NOT blocked by moggy, nor elsewhere as far as could be seen"},
		{[]desk.Trial{carried}, desk.Sight{Blocks: []foreign.Block{jail, nft, nft}}, "NOT blocked by moggy, BLOCKED by fail2ban, nft"},
		{[]desk.Trial{grey, carried}, desk.Sight{}, "greylisted by moggy on smtp, not blocked elsewhere"},
		{[]desk.Trial{grey}, desk.Sight{}, "greylisted by moggy, not blocked elsewhere"},
		{[]desk.Trial{held, waits}, desk.Sight{}, "HELD by moggy on smtp, not blocked elsewhere"},
		{[]desk.Trial{carried, waits}, desk.Sight{}, "NOT blocked by moggy, but it waits in line on imaps 3s, not blocked elsewhere"},
		{[]desk.Trial{held, busy}, desk.Sight{}, "TURNED AWAY by moggy for now on imaps, not blocked elsewhere"},
		{[]desk.Trial{denied, busy}, desk.Sight{}, "DENIED by moggy on smtp, not blocked elsewhere"},
		{nil, desk.Sight{Blocks: []foreign.Block{nft}}, "not known what moggy does, BLOCKED by nft"},
	} {
		if got := x.verdictOn(about{Now: c.now, Elsewhere: c.sight}); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestStateDirIn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.toml")
	for text, want := range map[string]string{
		"":                                    "",
		"state_dir = \"/a b\" # c\nmode = 1":  "/a b",
		"mode = 1\n  state_dir='/x\\y'":       `/x\y`,
		"[x]\nstate_dir = \"/a\"":             "",
		"state_dir = \"/a\nb":                 "",
		"#state_dir = \"/a\"":                 "",
		"state_dir = \"\\u0041\"\nnonsense [": "A",
		"state_dir = \"/a\" nonsense":         "",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := stateDirIn(file); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := stateDirIn(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Error(got)
	}
}

func TestReplaceKeepsTheOldFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "good")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	fault := errors.New("no luck")
	if err := replace(file, func(io.Writer) error { return fault }); !errors.Is(err, fault) {
		t.Error(err)
	}
	text, _ := os.ReadFile(file)
	left, _ := os.ReadDir(dir)
	if string(text) != "old" || len(left) != 1 {
		t.Errorf("%q, %d files", text, len(left))
	}
}
