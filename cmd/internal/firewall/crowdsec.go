package firewall

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"moggy/whitelist"
	"moggy/whitelist/foreign"
)

// crowdsec reads the decisions of crowdsec, its own and those of lists that it was
// given. Its bouncers make rules of a firewall of them.
type crowdsec struct{ m Machine }

func (c *crowdsec) Name() string { return "crowdsec" }

// Read returns the decisions to ban an address or a range.
func (c *crowdsec) Read(ctx context.Context) ([]foreign.Block, error) {
	out, err := c.m.run(ctx, "cscli", "decisions", "list", "--all", "--limit", "0", "-o", "json")
	if err != nil {
		if strings.Contains(err.Error(), "connection refused") {
			return nil, fmt.Errorf("crowdsec does not run: %w", foreign.ErrAbsent)
		}
		return nil, err
	}
	return parseDecisions(out, time.Now())
}

// alert is what cscli prints of one alert: JSON, or null for no alerts at all.
type alert struct {
	Created   time.Time `json:"created_at"`
	Decisions []struct {
		Duration string `json:"duration"`
		Origin   string `json:"origin"`
		Scenario string `json:"scenario"`
		Scope    string `json:"scope"`
		Type     string `json:"type"`
		Value    string `json:"value"`
	} `json:"decisions"`
}

func parseDecisions(out []byte, now time.Time) (blocks []foreign.Block, err error) {
	var alerts []alert
	if err := json.Unmarshal(out, &alerts); err != nil {
		return nil, fmt.Errorf("crowdsec: not the JSON that was expected: %w", err)
	}
	for _, a := range alerts {
		for _, d := range a.Decisions {
			net, err := whitelist.ParseNet(d.Value)
			if err != nil || d.Type != "ban" {
				continue // of a country, or a captcha
			}
			if len(blocks) == maxBlocks {
				return blocks, fmt.Errorf("crowdsec: more than %d decisions; those beyond were not looked at", maxBlocks)
			}
			b := foreign.Block{Net: net, By: "crowdsec", Where: "decision of " + line(d.Origin), Rule: line(d.Scenario), Since: a.Created.Truncate(time.Second)}
			if left, err := time.ParseDuration(d.Duration); err == nil {
				b.Until = now.Add(left).Truncate(time.Second)
			}
			if narrow(net) {
				b.Lift = []string{"cscli", "decisions", "delete", "--ip", address(net)}
				b.Hint = "so that it does not come again: a whitelist of crowdsec's parsers"
			} else {
				b.Hint = "it blocks more than one address; by hand: cscli decisions delete --range " + net.String()
			}
			blocks = append(blocks, b)
		}
	}
	return blocks, nil
}
