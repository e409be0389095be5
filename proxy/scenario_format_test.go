package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"moggy/whitelist"
)

// A scenario is traffic to be played in virtual time, and what is expected of it
// (format moggy-scenarios/1). All times are seconds from its start.
type scenario struct {
	ID          string
	Title       string
	Source      string
	Covers      []string
	World       world
	Clients     []client
	Connections []connection
	Messages    []message
	Faults      []fault
	Expect      []expectation
}

// A client is who is behind connections and messages: the proxy never sees it.
type client struct {
	ID    string
	Good  bool
	Truth string // a class of CLASSES.md, or "unknown"
}

// A connection happens whatever becomes of the others.
type connection struct {
	T      float64
	Client string
	Src    netip.Addr
	Port   uint16
	Hold   *float64 // that the client stays, from the banner on; default 2
	Login  *login
}

type login struct {
	User string
	OK   bool
	PW   string
}

// A message is tried until it is taken or refused for good.
type message struct {
	ID, Client, Helo, From string
	To                     []string
	Bytes                  int
	Session                float64 // what the sender sits through beyond the stutter of a stranger's banner
	Attempts               []attempt
}

type attempt struct {
	T   float64
	Src netip.Addr
}

// A fault is something that goes wrong, or is put right.
type fault struct {
	T     float64
	Kind  string
	Table string     // for foreign_table_add
	Addr  netip.Addr // for foreign_table_add
}

type expectation struct {
	Client, Metric, Op string
	Value              any
}

// A cidr is a network, or a bare address.
type cidr struct{ netip.Prefix }

func (c *cidr) UnmarshalText(text []byte) (err error) {
	c.Prefix, err = whitelist.ParseNet(string(text))
	return err
}

// readScenarios reads a file strictly: what it says and the runner does not
// understand is an error.
func readScenarios(name string) ([]*scenario, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	all, err := parseScenarios(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

func parseScenarios(text []byte) ([]*scenario, error) {
	var file struct {
		Format    string
		Time      string
		Semantics json.RawMessage
		Scenarios []*scenario
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something comes behind the scenarios")
	}
	if file.Format != "moggy-scenarios/1" {
		return nil, fmt.Errorf("format %q", file.Format)
	}
	var wrong []error
	ids := make(map[string]bool)
	for _, sc := range file.Scenarios {
		for _, w := range sc.wrong() {
			wrong = append(wrong, fmt.Errorf("scenario %q: %s", sc.ID, w))
		}
		if ids[sc.ID] {
			wrong = append(wrong, fmt.Errorf("there are two scenarios %q", sc.ID))
		}
		ids[sc.ID] = true
	}
	return file.Scenarios, errors.Join(wrong...)
}

// wrong says what of a scenario cannot be played or checked.
func (sc *scenario) wrong() (wrong []string) {
	complain := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	for i, c := range sc.Connections {
		if c.Client == "" || !c.Src.IsValid() || c.Port == 0 || c.T < 0 {
			complain("connection %d needs client, src, port and a time t that is not before the start", i)
		}
	}
	for _, m := range sc.Messages {
		if m.Client == "" || len(m.To) == 0 || slices.ContainsFunc(m.Attempts, func(a attempt) bool { return !a.Src.IsValid() || a.T < 0 }) {
			complain("message %q needs client, to, and attempts with a src and a time t that is not before the start", m.ID)
		}
	}
	for _, f := range sc.Faults {
		if _, ok := faults[f.Kind]; !ok || f.T < 0 {
			complain("fault %q at %v: unknown, or before the start", f.Kind, f.T)
		}
		if f.Kind == "foreign_table_add" && !f.Addr.IsValid() {
			complain("foreign_table_add needs addr")
		}
	}
	for _, e := range sc.Expect {
		if err := e.check(); err != nil {
			complain("%v", err)
		}
		if !sc.names(e.Client) {
			complain("expectation of %q, who is nobody", e.Client)
		}
	}
	return append(wrong, sc.World.wrong()...)
}

// names reports whether somebody of that name does anything, or is listed.
func (sc *scenario) names(id string) bool {
	return id == "*" ||
		slices.ContainsFunc(sc.Clients, func(c client) bool { return c.ID == id }) ||
		slices.ContainsFunc(sc.Connections, func(c connection) bool { return c.Client == id }) ||
		slices.ContainsFunc(sc.Messages, func(m message) bool { return m.Client == id })
}

// check says whether an expectation can be checked at all.
func (e *expectation) check() error {
	_, number := e.Value.(float64)
	_, text := e.Value.(string)
	_, metric := metricsOf[e.Metric]
	_, compared := comparisons[e.Op]
	switch {
	case e.Metric == "alert" && e.Op == "has" && text:
		return nil
	case e.Metric == "alert_within" && compared && number, metric && compared && number:
		return nil
	}
	return fmt.Errorf("expectation %q %q %v is none that can be checked", e.Metric, e.Op, e.Value)
}

// harmless are the classes of those who must never come to harm.
var harmless = []string{"own", "user", "crawler", "peer", "probe", "correspondent"}

// unharmed are the clients that must never come to harm.
func (sc *scenario) unharmed() (ids []string) {
	for _, c := range sc.Clients {
		if slices.Contains(harmless, c.Truth) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// good reports whether a client is one that should get through.
func (sc *scenario) good(id string) bool {
	return slices.ContainsFunc(sc.Clients, func(c client) bool { return c.ID == id && c.Good })
}

// ports are the ports that are listened at: those that occur, and 25. Port 22 is
// not ours.
func (sc *scenario) ports() []uint16 {
	ports := []uint16{25}
	for _, c := range sc.Connections {
		if c.Port != sshPort && !slices.Contains(ports, c.Port) {
			ports = append(ports, c.Port)
		}
	}
	return ports
}

// sshPort is sshd's own.
const sshPort = 22

// list joins words for a table; "-" if there are none.
func list(words []string) string {
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, " ")
}
