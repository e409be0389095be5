package status

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"moggy/metrics/status/tally"
	"moggy/whitelist"
)

var update = flag.Bool("update", false, "write testdata anew")

// pages are those that are looked at, and how large they may be.
var pages = map[string]struct {
	page func() Page
	most int // bytes
}{
	"well":    {well, 24 << 10},
	"story":   {story, 24 << 10},
	"down":    {down, 32 << 10},
	"hostile": {hostile, 32 << 10},
	"full":    {full, 512 << 10},
	"empty":   {func() Page { return Page{Now: now} }, 16 << 10},
}

func html5(t testing.TB, p Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func plain(t testing.TB, p Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The pages are as they were when somebody last looked at them.
func TestGolden(t *testing.T) {
	for _, name := range []string{"well", "story", "down", "hostile"} {
		page := pages[name].page
		for kind, got := range map[string]string{".html": html5(t, page()), ".txt": plain(t, page())} {
			path := filepath.Join("testdata", name+kind)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s is not as it was; look at it, and run go test -update: %s", path, diff)
			}
		}
	}
}

func TestSize(t *testing.T) {
	for name, c := range pages {
		if n := len(html5(t, c.page())); n > c.most {
			t.Errorf("%s has %d bytes", name, n)
		}
	}
}

// known are the elements that a page is made of.
var known = strings.Fields("html head meta title style body header main section footer div h1 h2 p b span small code a table thead tbody tr th td")

// attributes are those that they have.
var attributes = strings.Fields("lang charset name content http-equiv class id href role scope data-label aria-labelledby")

// Every element that is opened is closed in its place, and nothing that somebody
// said has become an element, an attribute or a link.
func TestWellFormed(t *testing.T) {
	for name, c := range pages {
		var open []string
		z := html.NewTokenizer(strings.NewReader(html5(t, c.page())))
		for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
			token := z.Token()
			switch kind {
			case html.StartTagToken:
				if token.Data != "meta" {
					open = append(open, token.Data)
				}
				checkElement(t, name, &token)
			case html.EndTagToken:
				if len(open) == 0 || open[len(open)-1] != token.Data {
					t.Fatalf("%s: </%s> closes %v", name, token.Data, open)
				}
				open = open[:len(open)-1]
			case html.CommentToken, html.SelfClosingTagToken:
				t.Errorf("%s: %s", name, token.String())
			}
		}
		if len(open) > 0 {
			t.Errorf("%s: %v are left open", name, open)
		}
	}
}

func checkElement(t *testing.T, page string, token *html.Token) {
	t.Helper()
	if !slices.Contains(known, token.Data) {
		t.Errorf("%s has an element %s", page, token.Data)
	}
	for _, a := range token.Attr {
		if !slices.Contains(attributes, a.Key) {
			t.Errorf("%s: %s has %s", page, token.Data, a.Key)
		}
		if a.Key == "href" && !slices.Contains([]string{"/metrics", "/healthz", "/readyz"}, a.Val) {
			t.Errorf("%s leads to %q", page, a.Val)
		}
		if a.Key == "class" && strings.ContainsAny(a.Val, "<>\"'&") {
			t.Errorf("%s has class %q", page, a.Val)
		}
	}
}

// texts returns what the elements of a kind contain.
func texts(n *html.Node, element string) (all []string) {
	if n.Type == html.ElementNode && n.Data == element {
		var b strings.Builder
		for d := range n.Descendants() {
			if d.Type == html.TextNode {
				b.WriteString(d.Data)
			}
		}
		all = append(all, b.String())
	}
	for c := range n.ChildNodes() {
		all = append(all, texts(c, element)...)
	}
	return all
}

// Each table says what it is about, each of its columns and rows has a head, and
// each cell tells it again where there are no columns.
func TestAccessible(t *testing.T) {
	for name, c := range pages {
		root, err := html.Parse(strings.NewReader(html5(t, c.page())))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(texts(root, "h1")); n != 1 {
			t.Errorf("%s has %d first headings", name, n)
		}
		for n := range root.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			for element, key := range map[string]string{"table": "aria-labelledby", "section": "aria-labelledby", "th": "scope", "td": "data-label", "html": "lang"} {
				if n.Data == element && attribute(n, key) == "" {
					t.Errorf("%s: %s without %s", name, element, key)
				}
			}
		}
	}
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// The style is the one that the policy lets a browser use.
func TestPolicy(t *testing.T) {
	root, err := html.Parse(strings.NewReader(html5(t, full())))
	if err != nil {
		t.Fatal(err)
	}
	styles := texts(root, "style")
	if len(styles) != 1 || strings.Contains(styles[0], "url(") || strings.Contains(styles[0], "@import") {
		t.Fatalf("styles %q", styles)
	}
	sum := sha256.Sum256([]byte(styles[0]))
	if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
		t.Errorf("%s is not in %s", want, policy)
	}
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
		t.Error(policy)
	}
}

// Nothing that is shown can move a cursor, or the words around it.
func TestPrintable(t *testing.T) {
	for name, c := range pages {
		for kind, text := range map[string]string{"html": html5(t, c.page()), "text": plain(t, c.page())} {
			for i, r := range text {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Fatalf("%s, %s: %U after %q", name, kind, r, text[max(0, i-40):i])
				}
			}
		}
	}
}

// The first line is the worst.
func TestFirstLine(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Page)
		want   string
	}{
		"well":        {func(p *Page) {}, "OK     All good: nobody known was refused or slowed in the last 24 hours"},
		"doubts":      {func(p *Page) { p.Observe = true; p.Journal.Dropped = 3 }, "OK     All good: nobody known was refused or slowed in the last 24 hours; 2 things to look at"},
		"young":       {func(p *Page) { p.Day.Bound, p.Day.From = tally.Begins, before(time.Hour) }, "OK     All good: nobody known was refused or slowed since 20:17:03 (1h ago), when the journal begins"},
		"cut":         {func(p *Page) { p.Day.Bound, p.Day.From = tally.Time, before(time.Hour) }, "OK     All good: nobody known was refused or slowed since 20:17:03 (1h ago); there was no time to read the journal further back"},
		"unread":      {func(p *Page) { p.Day.Fault = "permission denied" }, "FAULT  Whether anybody known was refused or slowed is not known"},
		"one backend": {func(p *Page) { p.Doors = p.Doors[:1]; p.Doors[0].Fault = "no answer" }, "FAULT  moggyd cannot reach its backend 127.0.0.1:10025 (listener smtp)"},
		"story":       {func(p *Page) { *p = story() }, "FAULT  YOU (198.51.100.7) ARE BLOCKED BY nft set inet guard abusers since 21:14:03 (3m ago)"},
		"both":        {func(p *Page) { *p = story(); p.Doors[1].Fault = "no answer" }, "FAULT  moggyd cannot reach 1 of its 2 backends: 127.0.0.1:10993 (listener imaps)"},
		"since when":  {func(p *Page) { *p = story(); p.Visitor.Blocks[0].Since = time.Time{} }, "FAULT  YOU (198.51.100.7) ARE BLOCKED BY nft set inet guard abusers seen since 21:14:33 (2m30s ago)"},
		"another":     {func(p *Page) { *p = story(); p.Visitor = Visitor{} }, "FAULT  1 known-good address is blocked by something else on this machine"},
		"denied":      {func(p *Page) { p.Visitor.Deny = true }, "FAULT  YOU (198.51.100.7) ARE DENIED BY moggy: a person said so"},
		"held":        {func(p *Page) { p.Visitor.Listed, p.Visitor.Evidence = true, whitelist.Guessing }, "FAULT  YOU (198.51.100.7) ARE HELD BY moggy: it tried many passwords"},
		"a stranger":  {func(p *Page) { p.Visitor = Visitor{Addr: me, Class: whitelist.Stranger, Evidence: whitelist.Nothing} }, "OK     All good: nobody known was refused or slowed in the last 24 hours"},
		"harmed": {func(p *Page) {
			*p = down()
			p.Doors[0].Fault, p.Store.Fault, p.Alarms, p.Outside.Hits = "", "", nil, nil
		},
			"FAULT  2 known peers were harmed (refused, or made to wait over 2 seconds), 14 times since 2026-11-21 23:17:03 (22h ago), when the journal begins"},
		"I was harmed": {func(p *Page) {
			p.Day.Harms, p.Day.Times, p.Day.Peers = []tally.Harm{{Peer: me, Rule: "over-budget", Listener: "imaps", Times: 1, Last: before(time.Minute)}}, 1, 1
		}, "FAULT  YOU (198.51.100.7) were refused or made to wait 1 time, last at 21:16:03 (1m ago), by rule over-budget on imaps"},
		"an alarm": {func(p *Page) {
			p.Alarms = []Alarm{{Name: "open-relay", Why: "smtp: it relays", Since: before(time.Hour)}}
		}, "FAULT  Alarm open-relay since 20:17:03 (1h ago)"},
	} {
		p := well()
		c.change(&p)
		lines := strings.Split(plain(t, p), "\n")
		if lines[2] != c.want {
			t.Errorf("%s: got %q", name, lines[2])
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", -time.Second: "1s", 59*time.Second + 600*time.Millisecond: "1m", 15*time.Minute + time.Second: "15m01s",
		3*time.Hour + 5*time.Minute: "3h05m", 52 * time.Hour: "2d4h", 48 * time.Hour: "2d", 90 * time.Minute: "1h30m"} {
		if got := span(d); got != want {
			t.Errorf("%s: %s, not %s", d, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1 000", 48120: "48 120", 1234567: "1 234 567", -1234: "-1 234", -123: "-123"} {
		if got := decimal(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 24_000: "24 kB", 3_100_000: "3.1 MB", 5e15: "5000.0 TB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

// No time is worth much: what stands in memory is rendered at once.
func BenchmarkPage(b *testing.B) {
	p := story()
	p.Visitor.Addr = netip.MustParseAddr("192.0.2.1")
	for b.Loop() {
		html5(b, p)
	}
}
