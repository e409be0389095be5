package firewall

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// walked is the walk through a ruleset of testdata.
func walked(t *testing.T, name string, iptables bool) *walk {
	t.Helper()
	words := []byte(nil)
	if text := strings.TrimSuffix(name, ".json") + ".txt"; !strings.HasPrefix(name, "iptables") {
		words = testdata(t, text)
	}
	set, err := parseNFT(testdata(t, name), nftTexts(words), iptables, now)
	if err != nil {
		t.Fatal(err)
	}
	return set.walkAll()
}

func TestNFTGuide(t *testing.T) {
	w := walked(t, "nft-1.0.6/guide.json", true)
	same(t, said(w.blocks), `
198.51.100.7/32 nft set inet guard abusers < nft delete element inet guard abusers { 198.51.100.7 }
203.0.113.9/32 nft set inet guard abusers < nft delete element inet guard abusers { 203.0.113.9 }`)
	b := w.blocks[0]
	want := "inet guard in handle 6: ct state new tcp dport { 25, 443, 465, 587, 993, 995 } add @rate { ip saddr limit rate over 3/second burst 15 packets } add @abusers { ip saddr } counter drop; dropped by inet guard in handle 4"
	if b.Rule != want {
		t.Errorf("rule %q", b.Rule)
	}
	if now.Sub(b.Since) != 10*time.Minute || b.Until.Sub(now) != 23*time.Hour+50*time.Minute {
		t.Errorf("since %s until %s", b.Since, b.Until)
	}
	if b := w.blocks[1]; now.Sub(b.Since) != time.Hour || b.Until.Sub(now) != time.Hour {
		t.Errorf("with a time-out of its own: since %s until %s", b.Since, b.Until)
	}
	if !strings.Contains(b.Hint, "moggy doctor says what to put before that rule") {
		t.Errorf("hint %q", b.Hint)
	}
}

func TestNFTMany(t *testing.T) {
	w := walked(t, "nft-1.0.6/many.json", true)
	same(t, said(w.blocks), `
198.51.100.40/32 nft set inet misc early < nft delete element inet misc early { 198.51.100.40 }
198.51.100.41/32 nft set inet misc late < nft delete element inet misc late { 198.51.100.41 }
192.0.2.10/31 nft set inet misc nets <
192.0.2.12/31 nft set inet misc nets <
192.0.2.200/32 nft set inet misc nets < nft delete element inet misc nets { 192.0.2.200 }
203.0.113.0/24 nft set inet misc nets <
2001:db8:bad::/48 nft set inet misc nets6 <
198.51.100.9/32 nft set inet misc pairs < nft delete element inet misc pairs { 198.51.100.9 . 25 }
198.51.100.8/32 nft set inet misc jumped < nft delete element inet misc jumped { 198.51.100.8 }
198.51.100.10/32 nft map inet misc verdicts < nft delete element inet misc verdicts { 198.51.100.10 }
198.51.100.12/32 nft map inet misc verdicts < nft delete element inet misc verdicts { 198.51.100.12 }
192.0.2.30/32 nft rule inet misc in handle 39 <
192.0.2.7/32 nft rule inet misc in handle 40 < nft delete rule inet misc in handle 40
2001:db8::7/128 nft rule inet misc in handle 41 < nft delete rule inet misc in handle 41
192.0.2.20/32 nft rule inet misc in handle 43 <
192.0.2.21/32 nft rule inet misc in handle 43 <
192.0.2.128/25 nft rule inet misc in handle 44 <`)
	for addr, want := range map[string]string{
		"203.0.113.5":  "it blocks more than one address; by hand: nft delete element inet misc nets '{ 203.0.113.0/24 }'",
		"192.0.2.11":   "it blocks more than one address; by hand: nft delete element inet misc nets '{ 192.0.2.10-192.0.2.13 }'",
		"192.0.2.20":   "the rule names more than one address; by hand: nft -a list chain inet misc in",
		"192.0.2.7":    "a person or a program wrote this rule, and may write it again",
		"198.51.100.9": "",
	} {
		if b := about(t, w.blocks, addr); b.Hint != want {
			t.Errorf("%s: hint %q", addr, b.Hint)
		}
	}
	if b := about(t, w.blocks, "192.0.2.7"); b.Rule != `inet misc in handle 40: ip saddr 192.0.2.7 drop comment "by hand, 2026"` {
		t.Errorf("rule %q", b.Rule)
	}
}

func TestNFTFindings(t *testing.T) {
	found := append(walked(t, "nft-1.0.6/guide.json", true).findings("nft"), walked(t, "nft-1.0.6/many.json", true).findings("nft")...)
	var got []string
	for _, f := range found {
		got = append(got, strings.Join([]string{f.Counts, f.Bans, f.Before}, " | "))
	}
	let := func(table, ports string) string {
		insert := "nft insert rule inet " + table + " in tcp dport { " + ports + " } "
		return insert + "ip saddr @moggy_good accept; " + insert + "ip6 saddr @moggy_good6 accept"
	}
	same(t, got, `
limit rate over 3/second burst 15 | set inet guard abusers | `+let("guard", "25, 443, 465, 587, 993, 995")+`
limit rate over 10/minute burst 5 |  | `+let("misc", "993")+`
ct count over 20 |  | `+let("misc", "80, 443")+`
ct count over 20 |  | `+let("misc", "443"))
	if f := found[0]; f.Accounts != 6 || f.Guarded || !strings.HasSuffix(f.String(), "counts client ports: limit rate over 3/second burst 15 trips at 6 accounts x 3 connections") {
		t.Errorf("%+v", f)
	}
	if f := found[1]; f.Accounts != 2 || !f.Guarded {
		t.Errorf("%+v", f)
	}
}

// TestNFTOfIPTables: what iptables says better it is left to say.
func TestNFTOfIPTables(t *testing.T) {
	if w := walked(t, "iptables-1.8.9/nft-ruleset.json", true); len(w.blocks) != 0 {
		t.Errorf("%q", said(w.blocks))
	}
	same(t, said(walked(t, "iptables-1.8.9/nft-ruleset.json", false).blocks), `
198.51.100.40/32 nft rule ip filter guard handle 26 < nft delete rule ip filter guard handle 26
198.51.100.41/32 nft rule ip filter guard handle 27 < nft delete rule ip filter guard handle 27`)
}

func TestNFTOdd(t *testing.T) {
	for _, out := range []string{"", "{}", `{"nftables": 1}`, `{"nftables": [`, `{"nftables": [{"set": 1}]}`, "Error: no"} {
		if _, err := parseNFT([]byte(out), nil, true, now); err == nil {
			t.Errorf("%q was taken", out)
		}
	}
	odd := `{"nftables": [{"chain": {"family":"ip","table":"t","name":"c","hook":"input"}},
		{"set": {"family":"ip","table":"t","name":"s; x","elem":["192.0.2.7", "x", {"elem":{}}, {"range":["1","2"]}, {"prefix":{"addr":"192.0.2.0","len":99}}, {"concat":[]}, 5]}},
		{"rule": {"family":"ip","table":"t","chain":"c","handle":1,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"@s; x"}},{"drop":null}]}},
		{"rule": {"family":"ip","table":"t","chain":"c","handle":2,"expr":[{"match":[]},{"vmap":3},{"set":"x"},{"meter":null},{"jump":{"target":"c"}}]}}]}`
	set, err := parseNFT([]byte(odd), nil, true, now)
	if err != nil {
		t.Fatal(err)
	}
	same(t, said(set.walkAll().blocks), "192.0.2.7/32 nft set ip t s; x <")
}

func FuzzNFT(f *testing.F) {
	f.Add(testdata(f, "nft-1.0.6/guide.json"))
	f.Add(testdata(f, "nft-1.0.6/many.json"))
	f.Fuzz(func(t *testing.T, out []byte) {
		set, _ := parseNFT(out, nil, true, now)
		w := set.walkAll()
		w.findings("nft")
		for _, b := range w.blocks {
			if !b.Net.IsValid() || len(b.Rule) > 3*maxText {
				t.Errorf("%+v", b)
			}
		}
	})
}

func BenchmarkNFT100k(b *testing.B) {
	var out bytes.Buffer
	out.WriteString(`{"nftables": [{"chain": {"family":"ip","table":"t","name":"c","hook":"input"}}, {"set": {"family":"ip","table":"t","name":"s","timeout":86400,"elem":[`)
	for i := range 100_000 {
		if i > 0 {
			out.WriteString(", ")
		}
		fmt.Fprintf(&out, `{"elem": {"val": "10.%d.%d.%d", "expires": 86390}}`, i>>16, i>>8&255, i&255)
	}
	out.WriteString(`]}}, {"rule": {"family":"ip","table":"t","chain":"c","handle":1,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"@s"}},{"drop":null}]}}]}`)
	b.ReportAllocs()
	for b.Loop() {
		set, err := parseNFT(out.Bytes(), nil, true, now)
		if err != nil || len(set.walkAll().blocks) != 100_000 {
			b.Fatal(err)
		}
	}
}
