package main

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// onlyImporter says which of our packages may import a library; nobody else may.
var onlyImporter = map[string][]string{
	"github.com/miekg/dns":                           {"moggy/dnsbl/resolver"},
	"github.com/prometheus/client_golang/prometheus": {"moggy/metrics"},
	"github.com/redis/go-redis/v9":                   {"moggy/store/redis"},
	"github.com/urfave/cli/v2":                       {"moggy/cmd/moggy"},
	"github.com/pelletier/go-toml/v2":                {"moggy/cmd/internal/config"},
	"go.etcd.io/bbolt":                               {"moggy/store/bolt"},
	"github.com/gaissmai/bart":                       {"moggy/whitelist"},
	"github.com/pires/go-proxyproto":                 {"moggy/proxy/relay"},
	"gopkg.in/natefinch/lumberjack.v2":               {"moggy/verdict/journal"},
	"github.com/maypok86/otter/v2":                   {"moggy/dnsbl/resolver"},
	"blitiri.com.ar/go/spf":                          {"moggy/greylist/origin"},
	"golang.org/x/net/publicsuffix":                  {"moggy/greylist/origin"},
}

// pure packages decide: they must not reach the network, not even by way of
// what they import.
var pure = []string{"moggy/verdict", "moggy/whitelist/budget", "moggy/whitelist/hints", "moggy/whitelist/foreign", "moggy/dnsbl", "moggy/greylist", "moggy/whitelist", "moggy/proxy/dialogue"}

// leaves import nothing of ours.
var leaves = []string{"moggy/greylist", "moggy/dnsbl", "moggy/dnsbl/resolver", "moggy/whitelist", "moggy/proxy/dialogue", "moggy/proxy/tarpit", "moggy/proxy/relay"}

// pkg is what `go list` says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func packages(t *testing.T) (all []pkg) {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "moggy/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestArchitecture(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			checkImport(t, p.ImportPath, imported)
		}
		if slices.Contains(pure, p.ImportPath) && slices.Contains(p.Deps, "net") {
			t.Errorf("%s decides, and depends on package net", p.ImportPath)
		}
	}
}

func checkImport(t *testing.T, from, imported string) {
	if allowed, ok := onlyImporter[imported]; ok && !slices.Contains(allowed, from) {
		t.Errorf("%s imports %s; only %v may", from, imported, allowed)
	}
	ours := strings.HasPrefix(imported, "moggy/")
	if ours && slices.Contains(leaves, from) {
		t.Errorf("%s is a leaf, and imports %s", from, imported)
	}
	if strings.HasPrefix(imported, "moggy/cmd/") && !strings.HasPrefix(from, "moggy/cmd/") {
		t.Errorf("%s imports %s from below", from, imported)
	}
	if imported == "moggy/proxy" && !strings.HasPrefix(from, "moggy/cmd/") {
		t.Errorf("%s imports the conductor from below", from)
	}
	if strings.HasPrefix(imported, "moggy/store/") && !strings.HasPrefix(from, "moggy/cmd/") && !strings.HasPrefix(from, "moggy/store/") {
		t.Errorf("%s imports a store, and not the interface beside its domain", from)
	}
}
