package config

import (
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	manual  = "../../moggyd/moggy.toml.5"
	example = "../../../deploy/moggy.toml"
)

// key is one that a file may hold.
type key struct {
	section string // as in the manual: [trap], [[listener]], [class.NAME]
	name    string
	value   string // its default as TOML, empty if it has none
}

// keysBelow returns all keys of v, a struct, and of its sections.
func keysBelow(v reflect.Value, path, section string) []key {
	var keys []key
	for f, fv := range v.Fields() {
		name := f.Tag.Get("toml")
		sub := strings.TrimPrefix(path+"."+name, ".")
		switch {
		case name == "-":
		case isRows(f.Type):
			row := reflect.New(f.Type.Elem())
			row.Interface().(defaulter).setDefaults()
			keys = append(keys, keysBelow(row.Elem(), sub, "[["+sub+"]]")...)
		case f.Type.Kind() == reflect.Map:
			keys = append(keys, keysBelow(reflect.New(f.Type.Elem().Elem()).Elem(), sub, "["+sub+".NAME]")...)
		case isSection(f.Type):
			keys = append(keys, keysBelow(fv, sub, "["+sub+"]")...)
		default:
			keys = append(keys, key{section, name, written(section, name, fv)})
		}
	}
	return keys
}

// changing are keys whose default depends on others, or is too long for a line.
var changing = []string{"hostname", "state_dir", "crawlers", "names"}

// written returns v as TOML, empty if there is no default or none that is the
// same everywhere.
func written(section, name string, v reflect.Value) string {
	if strings.HasPrefix(section, "[class") || slices.Contains(changing, name) {
		return ""
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		if x == idleByKind {
			x = idleSMTP
		}
		if x == time.Minute {
			return `"60s"`
		}
		return fmt.Sprintf("%q", formatDuration(x))
	case Size:
		return fmt.Sprintf(`"%dMB"`, x/megabyte)
	case slog.Level:
		return fmt.Sprintf("%q", strings.ToLower(x.String()))
	case bool:
		return fmt.Sprint(x)
	case []string:
		return strings.ReplaceAll(fmt.Sprintf("%q", x), " ", ", ")
	case []Range:
		return fmt.Sprintf(`["%s-%s"]`, x[0].From, x[0].To)
	case string:
		return strings.TrimPrefix(fmt.Sprintf("%q", x), `""`)
	case int:
		if name == "weight" {
			return ""
		}
		return fmt.Sprint(x)
	default:
		if v.Kind() == reflect.Slice {
			return "[]"
		}
		return ""
	}
}

func TestManual(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile(`Qq (\S+)`).ReplaceAllString(string(text), `"$1"`)
	plain = regexp.MustCompile(`Bq Bq (\S+)`).ReplaceAllString(plain, `[[$1]]`)
	plain = regexp.MustCompile(`Bq ?(\S*)`).ReplaceAllString(plain, `[$1]`)
	chapters := strings.Split(plain, "\n.Ss ")
	for _, k := range keysBelow(reflect.ValueOf(Default()).Elem(), "", "Top level") {
		at := slices.IndexFunc(chapters, func(c string) bool { return strings.HasPrefix(c, k.section+"\n") })
		if at < 0 {
			t.Errorf("%s has no chapter %s", manual, k.section)
			continue
		}
		item := ".It Ic " + k.name
		if k.value != "" {
			item += " = " + k.value + "\n"
		}
		if !strings.Contains(chapters[at], item) && !strings.Contains(chapters[at], ", Ic "+k.name+"\n") {
			t.Errorf("%s, %s: no line %q", manual, k.section, item)
		}
	}
}

// The built-in crawlers are too many for the line of their key.
func TestManualCrawlers(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, _ := strings.Cut(string(text), "\n.Ss Bq crawlers\n")
	chapter, _, _ = strings.Cut(chapter, "\n.Ss ")
	for _, name := range crawlerNames() {
		if !strings.Contains(chapter, "\n.Li "+name+"\n") && !strings.Contains(chapter, "\n.Li "+name+" ,\n") && !strings.Contains(chapter, "\n.Li "+name+" .\n") {
			t.Errorf("%s, [crawlers]: no %s", manual, name)
		}
	}
}

func TestExample(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Parse(example, text); err != nil || len(c.Warnings) > 0 {
		t.Errorf("as it is: %v, %v", err, c)
	}
	full := regexp.MustCompile(`(?m)^#([a-z["\]])`).ReplaceAll(text, []byte("$1"))
	c, err := parse(example, full, 0, nil)
	if err != nil {
		t.Fatalf("with all that is commented out: %v", err)
	}
	want := Default()
	want.Hostname, want.StateDir, want.Listeners, want.Classes = c.Hostname, c.StateDir, c.Listeners, c.Classes
	want.DNSBL.Lists = c.DNSBL.Lists
	want.DNSBL.Servers, want.Trap.Addresses = c.DNSBL.Servers[:0], c.Trap.Addresses[:0]
	want.Hints.Dovecot, want.Hints.DovecotKey, want.Hints.Logs = c.Hints.Dovecot, c.Hints.DovecotKey, c.Hints.Logs
	want.Good.NFT = c.Good.NFT
	if diff := cmp.Diff(want, c, exact, exactNets); diff != "" {
		t.Errorf("what is commented out is not the default (-want +got):\n%s", diff)
	}
	for _, k := range keysBelow(reflect.ValueOf(Default()).Elem(), "", "Top level") {
		if !strings.Contains("\n"+string(full), "\n"+k.name+" = ") {
			t.Errorf("%s: no line for %s of %s", example, k.name, k.section)
		}
	}
}
