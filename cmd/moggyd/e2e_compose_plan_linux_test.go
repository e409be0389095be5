package main_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A plan is what docker-compose.yml says of networks: which there are, who is in them, and which address is given.
type plan struct {
	text  string
	nets  map[string]netip.Prefix
	in    map[string][]string
	fixed map[string]netip.Addr // by "service in network"
	gone  *sync.Map             // the services that have ended
}

// composeServices are those that are started, in the order of their addresses.
var composeServices = []string{"haproxy", "moggy1", "moggy2", "redis", "mta", "prometheus"}

// shipped returns a file of the repository.
func shipped(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// readPlan reads docker-compose.yml, as far as it is about networks.
func readPlan(t *testing.T) plan {
	t.Helper()
	comment := regexp.MustCompile(`(?m)^ *#.*\n`)
	p := plan{
		text: comment.ReplaceAllString(shipped(t, "docker-compose.yml"), ""), nets: make(map[string]netip.Prefix),
		in: make(map[string][]string), fixed: make(map[string]netip.Addr), gone: new(sync.Map),
	}
	for _, s := range composeServices {
		p.in[s] = p.networksOf(t, s)
	}
	subnet := regexp.MustCompile(`(?m)^  (\w+):\n(?:    .*\n)*?    ipam: .*subnet: ([^,}]+)`)
	for _, m := range subnet.FindAllStringSubmatch(p.text, -1) {
		p.nets[m[1]] = netip.MustParsePrefix(m[2])
	}
	for _, network := range slices.Concat(p.in["haproxy"], p.in["moggy1"], p.in["mta"], p.in["prometheus"]) {
		if _, given := p.nets[network]; !given { // Docker chooses
			p.nets[network] = netip.MustParsePrefix(fmt.Sprintf("172.31.%d.0/24", len(p.nets)))
		}
	}
	if len(p.nets) != 7 || len(p.in["moggy1"]) != 5 || len(p.in["haproxy"]) != 2 || len(p.fixed) != 3 {
		t.Fatalf("docker-compose.yml was not understood: %v, %v, %v", p.nets, p.in, p.fixed)
	}
	return p
}

// service is what docker-compose.yml says of one, with what it has in common with others.
func (p plan) service(t *testing.T, name string) string {
	t.Helper()
	text := p.find(t, p.text, `(?m)^  `+name+`:\n((?:    .*\n|\n)*)`)
	if strings.Contains(text, "<<: *moggy\n") {
		text += p.find(t, p.text, `(?m)^x-moggy: .*\n((?:  .*\n)*)`)
	}
	return text
}

// find is what a pattern finds, which has to be there.
func (p plan) find(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in docker-compose.yml", pattern)
	}
	return m[1]
}

// networksOf are the networks of a service: a list, or with an address each; in one line, or one a line.
func (p plan) networksOf(t *testing.T, service string) (all []string) {
	t.Helper()
	text := p.find(t, p.service(t, service), `(?m)^    networks:(.*\n(?:      .*\n)*)`)
	text = strings.ReplaceAll(text, "<<: *doors", p.find(t, p.text, `(?m)^x-doors: &doors \{(.*)\}$`))
	one := regexp.MustCompile(`(\w+)(?:: \{(?:ipv4_address: ([\d.]+))?\})?[,\]}\n]`)
	for _, m := range one.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
		if m[2] != "" {
			p.fixed[service+" in "+m[1]] = netip.MustParseAddr(m[2])
		}
	}
	return all
}

func (p plan) shares(service, network string) bool { return slices.Contains(p.in[service], network) }

// addr is the address of a service in a network: what docker-compose.yml says, or one from .8 on, as ip_range wants it.
func (p plan) addr(service, network string) netip.Addr {
	if a, ok := p.fixed[service+" in "+network]; ok {
		return a
	}
	a := p.nets[network].Addr().As4()
	a[3] += byte(8 + slices.Index(composeServices, service))
	return netip.AddrFrom4(a)
}
