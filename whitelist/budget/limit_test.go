package budget

import (
	"net/netip"
	"testing"
	"time"

	"moggy/whitelist"
)

func TestDefaultsNameEveryClass(t *testing.T) {
	limits := Defaults()
	for _, k := range whitelist.Kinds() {
		l, ok := limits[k.Class]
		if !ok || l.Rate <= 0 || l.Burst <= 0 || l.Open <= 0 {
			t.Errorf("%s: no limit, or one with a hole: %+v", k.Class, l)
		}
		if wants := k.Class.Known() || k.Class == whitelist.MUA; wants != (l.Wait > 0) {
			t.Errorf("%s: known or a mail program is %v, waits in line %v", k.Class, wants, l.Wait)
		}
	}
	if len(limits) != len(whitelist.Kinds()) {
		t.Errorf("%d limits for %d classes", len(limits), len(whitelist.Kinds()))
	}
}

func TestDefaultsAreTheCallersOwn(t *testing.T) {
	Defaults()[whitelist.User] = Limit{}
	if For(nil, whitelist.User) != Defaults()[whitelist.User] || Defaults()[whitelist.User].Rate != 600 {
		t.Error("who changes what Defaults returned changed the defaults")
	}
}

func TestFor(t *testing.T) {
	peer := Limit{Rate: 10, Burst: 20, Open: 30, Recipients: 40, Wait: time.Second}
	mine := map[whitelist.Class]Limit{
		whitelist.Peer: peer,
		whitelist.User: {Rate: 7},
		"newsletter":   {Rate: 1, Burst: 2, Open: 3},
	}
	standard := Defaults()
	tests := []struct {
		name   string
		limits map[whitelist.Class]Limit
		class  whitelist.Class
		want   Limit
	}{
		{"given", mine, whitelist.Peer, peer},
		{"given, and zero means zero", mine, whitelist.User, Limit{Rate: 7}},
		{"built in, not given", mine, whitelist.Guesser, standard[whitelist.Guesser]},
		{"made up, given, and zero means zero", mine, "newsletter", Limit{Rate: 1, Burst: 2, Open: 3}},
		{"made up, not given", mine, "friends", peer},
		{"made up, nothing given", nil, "friends", standard[whitelist.Peer]},
		{"denied", standard, "", standard[whitelist.Listed]},
		{"denied, nothing given", nil, "", standard[whitelist.Listed]},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := For(test.limits, test.class); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestKeyOf(t *testing.T) {
	tests := []struct {
		class whitelist.Class
		addr  string
		want  Key
	}{
		{whitelist.User, "192.0.2.7", Key{Class: whitelist.User, Net: netip.MustParsePrefix("192.0.2.7/32")}},
		{whitelist.User, "::ffff:192.0.2.7", Key{Class: whitelist.User, Net: netip.MustParsePrefix("192.0.2.7/32")}},
		{whitelist.MUA, "2001:db8::1:2:3:4", Key{Class: whitelist.MUA, Net: netip.MustParsePrefix("2001:db8::/64")}},
		{whitelist.Own, "fe80::1%eth0", Key{Class: whitelist.Own, Net: netip.MustParsePrefix("fe80::/64")}},
		{whitelist.Crawler, "2001:db8::1:2:3:4", Key{Class: whitelist.Crawler, Net: netip.MustParsePrefix("2001:db8::1:2:3:4/128")}},
		{whitelist.Crawler, "::ffff:192.0.2.7", Key{Class: whitelist.Crawler, Net: netip.MustParsePrefix("192.0.2.7/32")}},
		{"", "192.0.2.7", Key{Class: whitelist.Listed, Net: netip.MustParsePrefix("192.0.2.7/32")}},
	}
	for _, test := range tests {
		if got := KeyOf(test.class, netip.MustParseAddr(test.addr)); got != test.want {
			t.Errorf("%q %s: got %+v, want %+v", test.class, test.addr, got, test.want)
		}
	}
}
