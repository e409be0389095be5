package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	for text, want := range map[string]int{"600/min": 600, "10/s": 600, "1/min": 1, "600/h": 10, "90/h": 1, "2147483647/h": 35791394} {
		if got, err := parseRate(text); got.PerMinute() != want || err != nil {
			t.Errorf("%s is %d a minute (%v), want %d", text, got.PerMinute(), err, want)
		}
	}
	if got := (Rate{}).PerMinute(); got != 0 {
		t.Errorf("no rate is %d a minute", got)
	}
	for _, text := range []string{"", "600", "0/min", "-1/min", "1/day", "1.5/s", "/s", "1/", "9999999999/s"} {
		if got, err := parseRate(text); err == nil {
			t.Errorf("parseRate(%q) = %v", text, got)
		}
	}
}

// Crawlers come to web servers, if the file does not say who comes.
func TestCrawlersByPort(t *testing.T) {
	for _, tt := range []struct {
		kind, address, say string
		want               bool
	}{
		{"stream", ":443", "", true},
		{"stream", "192.0.2.1:80", "", true},
		{"stream", "[2001:db8::1]:443", "", true},
		{"stream", ":8443", "", false},
		{"stream", ":993", "", false},
		{"stream", ":8443", "crawlers = true", true},
		{"stream", ":443", "crawlers = false", false},
		{"smtp", ":443", "", false},
		{"smtp", ":25", "", false},
	} {
		text := fmt.Sprintf("[[listener]]\nname = \"a\"\nbackend = \"127.0.0.1:1\"\nkind = %q\naddress = %q\n%s\n", tt.kind, tt.address, tt.say)
		c, err := Parse("moggy.toml", []byte(text))
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
		} else if got := c.Listeners[0].Crawlers; got != tt.want {
			t.Errorf("%+v: crawlers is %v", tt, got)
		}
	}
}

func TestSections(t *testing.T) {
	const text = `
class.stranger = {rate = "20/min", recipients = "30/min", wait = "0s"}
crawlers.names = ["GoogleBot.com", "search.example"]
foreign.every = "0s"
good.nft = ["inet guard", "ip6 a.b"]
[hints]
dovecot = "127.0.0.1:9143"
dovecot_key = "12345678"
logs = ["journal", "/var/log/mail.log"]
ssh = false
`
	c, err := Parse("moggy.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(c.Hints, c.Crawlers, c.Foreign, c.Good, c.Classes["stranger"].Recipients.PerMinute(), *c.Classes["stranger"].Wait)
	if want := "{127.0.0.1:9143 12345678 [journal /var/log/mail.log] false} {[googlebot.com search.example]} {0s} {[inet guard ip6 a.b]} 30 0s"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if c, err := Parse("moggy.toml", []byte("crawlers.names = []")); err != nil || len(c.Crawlers.Names) != 0 || c.Foreign.Every != time.Minute || !c.Hints.SSH {
		t.Errorf("no crawlers: %+v, %v", c, err)
	}
}

// A key must not be told, neither in faults nor in warnings.
func TestKeySecret(t *testing.T) {
	for _, key := range []string{"geheim", "geheim geheim", "geheim-geheim"} {
		for _, dovecot := range []string{"", `dovecot = "127.0.0.1:9143"`} {
			c, err := parse("moggy.toml", fmt.Appendf(nil, "[hints]\ndovecot_key = %q\n%s", key, dovecot), 0o644, nil)
			said := fmt.Sprint(err)
			if err == nil {
				said = strings.Join(c.Warnings, "\n")
			}
			if said == "" || strings.Contains(said, "geheim") {
				t.Errorf("%s: %q", key, said)
			}
		}
	}
}
