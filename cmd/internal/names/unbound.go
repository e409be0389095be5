package names

import (
	_ "embed"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"text/template"
)

//go:embed unbound.conf
var unboundConf string

// UnboundOptions say what unbound knows. Whatever else it is asked for, it says that there is no such name.
type UnboundOptions struct {
	// Zones are the texts of master files by the names of zones, "example.test". Each begins with an SOA and an NS
	// record; relative names end in the zone's. unbound resolves names in them as if it had asked their servers: it
	// follows aliases, fills its cache and counts TTLs down.
	Zones map[string]string
	// Lists are zones for which another server is asked, as [Rbldnsd] is one.
	Lists map[string]netip.AddrPort
}

// Unbound starts unbound as a recursive server over UDP and TCP.
func Unbound(t testing.TB, o UnboundOptions) *Server {
	t.Helper()
	names := slices.Concat(slices.Sorted(maps.Keys(o.Zones)), slices.Sorted(maps.Keys(o.Lists)))
	if len(names) == 0 {
		t.Fatal("unbound that knows nothing")
	}
	s := newServer(t, "unbound", "ready.invalid") // a name that needs nobody else
	for zone, text := range o.Zones {
		s.write(zone+".zone", "$ORIGIN "+zone+".\n$TTL 60\n"+text)
	}
	var conf strings.Builder
	settings := struct {
		UnboundOptions
		Dir  string
		Addr netip.AddrPort
		All  []string
	}{o, s.dir, s.Addr, names}
	if err := template.Must(template.New("unbound.conf").Parse(unboundConf)).Execute(&conf, settings); err != nil {
		t.Fatal(err)
	}
	s.write("root.zone", ". 60 SOA ns.invalid. root.invalid. 1 600 300 86400 45\n. 60 NS ns.invalid.\n")
	s.write("unbound.conf", conf.String())
	s.argv = []string{paths["unbound"], "-d", "-p", "-c", s.path("unbound.conf")}
	s.Start()
	return s
}
