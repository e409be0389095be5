package main_test

import (
	"encoding/json"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
	"moggy/verdict/journal"
)

// Who calls the fleet; the networks are those of peers.Inside.
const (
	composeStranger = "203.0.113.7"
	composeLater    = "198.51.100.7" // a stranger who comes when Redis is away
	composeFriend   = "198.51.100.66"
)

// TestComposeRuns starts what docker-compose.yml starts, but Grafana: the programs themselves with the files that are
// shipped, each in a network of its own, with the addresses and names that an engine would give them. Nothing is pulled
// or built; the mail server is a plain Postfix.
func TestComposeRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a fleet")
	}
	peers.Need(t, "namespace", "postfix")
	for _, program := range []string{"redis-server", "redis-cli", "haproxy", "prometheus", "bash"} {
		_, err := exec.LookPath(program)
		peers.Demand(t, program, err)
	}
	t.Setenv("CGO_ENABLED", "0") // as Dockerfile builds them: there is no library in their root
	p := built(t)
	if !peers.Inside(t, builtEnv+"="+filepath.Dir(p.moggyd)) {
		return
	}
	f := openComposed(t, p)
	f.allHealthy()
	f.twoDoors()
	f.oneList()
	f.nothingAlarms()
	f.doorDies()
	f.redisDies()
	f.onlyPeers()
}

// composed is the fleet.
type composed struct {
	programs
	t          *testing.T
	plan       plan
	redis      *service
	haproxy    *service
	prometheus *box
	doors      [2]*composeDoor
	front      *daemon // only a way to call: haproxy is nearest to the world
}

// openComposed starts everything, in the order of docker-compose.yml.
func openComposed(t *testing.T, p programs) *composed {
	t.Helper()
	f := &composed{programs: p, t: t, plan: readPlan(t)}
	if err := os.MkdirAll(composeDir, 0o755); err != nil {
		t.Fatal(err)
	}
	f.plan.bridges(t)
	f.prepare()
	f.startRedis()
	f.startMTA()
	f.doors = [2]*composeDoor{f.startDoor("moggy1"), f.startDoor("moggy2")}
	f.startHaproxy()
	f.startPrometheus()
	f.front = &daemon{t: t, conf: conf{Mail: f.plan.addr("haproxy", "front").String() + ":25", Pass: "1s"}}
	return f
}

// allHealthy waits until the health checks of Dockerfile and docker-compose.yml say so, and haproxy has both doors.
func (f *composed) allHealthy() {
	f.t.Helper()
	for _, d := range f.doors {
		f.until("the check of the image is content", func() bool { _, err := d.exec(f.imageCheck()...); return err == nil })
	}
	f.until("haproxy is healthy", func() bool { return f.healthy(f.t) == nil })
	for _, backend := range []string{"smtp", "submission", "imaps"} {
		for _, d := range []string{"moggy1", "moggy2"} {
			f.haproxySays(backend+"/"+d, "UP")
		}
	}
}

// imageCheck is the command of the health check in Dockerfile.
func (f *composed) imageCheck() (argv []string) {
	f.t.Helper()
	text := f.plan.find(f.t, shipped(f.t, "Dockerfile"), `(?m)^HEALTHCHECK .* CMD (\[.*\])$`)
	if err := json.Unmarshal([]byte(text), &argv); err != nil {
		f.t.Fatal(err)
	}
	return argv
}

// haproxySays waits until that is what haproxy has said last of a door.
func (f *composed) haproxySays(server, state string) {
	f.t.Helper()
	said := regexp.MustCompile(`Server ` + server + ` .*is (UP|DOWN)`)
	f.until("haproxy says that "+server+" is "+state, func() bool {
		all := said.FindAllStringSubmatch(f.haproxy.said(), -1)
		return len(all) > 0 && all[len(all)-1][1] == state
	})
}

// twoDoors has a stranger deferred at one door, and its retry passes at the other. The mail server sees who it is.
func (f *composed) twoDoors() {
	f.t.Helper()
	first := f.front.call(composeStranger)
	first.recipient(to, 451)
	// It stays, so that haproxy leads the next one to the other door.
	f.front.mature()
	f.front.answers(composeStranger, from, to, 0)
	first.leave()
	f.until("one door deferred, and the other let in", func() bool {
		a, b := f.doors[0].records(), f.doors[1].records()
		return slices.ContainsFunc(a, decidedBy("first-seen")) && slices.ContainsFunc(b, decidedBy("returned")) ||
			slices.ContainsFunc(b, decidedBy("first-seen")) && slices.ContainsFunc(a, decidedBy("returned"))
	})
	f.until("Postfix has seen "+composeStranger, func() bool {
		return regexp.MustCompile(`postfix/moggy/smtpd.* client=unknown\[` + composeStranger + `\]`).MatchString(mailLog())
	})
}

// decidedBy matches what was decided by a rule.
func decidedBy(rule string) func(journal.Record) bool {
	return func(r journal.Record) bool { return r.Event == journal.EventDecided && r.Rule == rule }
}

// oneList makes an entry at one door: within a second it is in force at the other, and at both the friend is carried.
func (f *composed) oneList() {
	f.t.Helper()
	if said, err := f.doors[0].exec("/usr/bin/moggy", "allow", "add", composeFriend); err != nil {
		f.t.Fatalf("%v: %s", err, said)
	}
	began := time.Now()
	f.until("the other door has the entry", func() bool {
		said, _ := f.doors[1].exec("/usr/bin/moggy", "allow", "ls")
		return strings.Contains(said, composeFriend)
	})
	if took := time.Since(began); took > time.Second {
		f.t.Errorf("the entry was in force at the other door after %v", took)
	}
	f.bothCarry(2*time.Second, f.doors[0], f.doors[1])
}

// bothCarry has the friend connect twice at a time. Within so long it hears the mail server, and these doors carried it.
func (f *composed) bothCarry(soon time.Duration, doors ...*composeDoor) {
	f.t.Helper()
	before := make(map[*composeDoor]int)
	for _, d := range doors {
		before[d] = d.carries()
	}
	began := time.Now()
	a, b := f.front.call(composeFriend), f.front.call(composeFriend)
	for _, c := range []*caller{a, b} {
		if banner := c.hear(220); !strings.HasSuffix(banner, " ESMTP Postfix") {
			f.t.Errorf("the friend was not carried, and heard %q", banner)
		}
	}
	if took := time.Since(began); took > soon {
		f.t.Errorf("a friend was carried after %v", took)
	}
	for _, d := range doors {
		f.until("it was carried here", func() bool { return d.carries() == before[d]+2/len(doors) })
	}
	a.leave()
	b.leave()
}

// carries is how often a door has let the friend in.
func (d *composeDoor) carries() (n int) {
	for _, r := range d.records() {
		if decidedBy("known")(r) && r.Peer.Addr() == netip.MustParseAddr(composeFriend) {
			n++
		}
	}
	return n
}

// nothingAlarms wants Prometheus to see both doors, and when it has asked every rule since, that no alert is even near.
func (f *composed) nothingAlarms() {
	f.t.Helper()
	f.until("Prometheus sees both doors", func() bool { return f.up("moggy1") && f.up("moggy2") })
	seen := time.Now()
	f.until("every rule was asked", func() bool { return f.asked(seen) })
	if got := f.alerts(); len(got) > 0 {
		f.t.Errorf("at rest there are alerts: %v", got)
	}
}

// up tells whether Prometheus got the series of a door when it last asked.
func (f *composed) up(door string) bool {
	return f.value(`up{job="moggy", instance="`+door+`"}`) == "1"
}

// value is what Prometheus says to a query that has one answer; "" when there is none, or more.
func (f *composed) value(query string) string {
	var a struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if !f.asks("query?query="+url.QueryEscape(query), &a) || len(a.Data.Result) != 1 {
		return ""
	}
	text, _ := a.Data.Result[0].Value[1].(string)
	return text
}

// asked tells whether all rules were asked since then, and could be.
func (f *composed) asked(since time.Time) bool {
	type group struct {
		LastEvaluation time.Time
		Rules          []struct{ Health string }
	}
	var a struct{ Data struct{ Groups []group } }
	if !f.asks("rules", &a) {
		return false
	}
	for _, g := range a.Data.Groups {
		for _, r := range g.Rules {
			if r.Health != "ok" || !g.LastEvaluation.After(since) {
				return false
			}
		}
	}
	return len(a.Data.Groups) > 0
}

// alerts are those that fire or are about to, each with its door.
func (f *composed) alerts() (all []string) {
	var a struct {
		Data struct {
			Alerts []struct{ Labels map[string]string }
		}
	}
	f.until("Prometheus tells of alerts", func() bool { return f.asks("alerts", &a) })
	for _, alert := range a.Data.Alerts {
		all = append(all, alert.Labels["alertname"]+" "+alert.Labels["instance"])
	}
	return all
}

// alarms waits for an alert that is about to fire.
func (f *composed) alarms(alert string) {
	f.t.Helper()
	f.until("there is "+alert, func() bool { return slices.Contains(f.alerts(), alert) })
}

// doorDies kills a door, as it is when its machine is gone: who comes is led to the other, before haproxy knows.
func (f *composed) doorDies() {
	f.t.Helper()
	f.doors[0].run.kill()
	f.doors[0].run.vanish(f.plan)
	f.bothCarry(4*time.Second, f.doors[1])
	f.haproxySays("smtp/moggy1", "DOWN")
	f.alarms("MoggyDown moggy1")
}

// redisDies kills Redis: nobody known waits, strangers are judged from memory, a person's entry is refused rather than
// lost, and nobody restarts moggyd for it.
func (f *composed) redisDies() {
	f.t.Helper()
	f.redis.kill()
	f.redis.vanish(f.plan)
	f.bothCarry(time.Second, f.doors[1])
	f.front.answers(composeLater, from, to, 451)
	f.alarms("MoggyStoreDown moggy2")
	if said, err := f.doors[1].exec("/usr/bin/moggy", "allow", "add", composeLater); err == nil {
		f.t.Errorf("an entry was taken without Redis: %s", said)
	}
	if said, err := f.doors[1].exec(f.imageCheck()...); err != nil {
		f.t.Errorf("the health check wants Redis: %v: %s", err, said)
	}
	f.bothCarry(time.Second, f.doors[1])
}

// onlyPeers wants the journals to name who called, and nobody else: haproxy has looked every two seconds all the while
// whether the doors are there, and has said so.
func (f *composed) onlyPeers() {
	f.t.Helper()
	got := make(map[string]bool)
	for _, d := range f.doors {
		for _, r := range d.records() {
			if r.Peer.IsValid() {
				got[r.Peer.Addr().String()] = true
			}
		}
	}
	want := []string{composeFriend, composeLater, composeStranger}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		f.t.Errorf("the journals name %v, not %v", names, want)
	}
	if n := f.value(`sum(moggy_proxy_header_errors_total{instance="moggy2"})`); n != "0" {
		f.t.Errorf("%s connections began without a header", n)
	}
}
