package dnsbl

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	all := codes("127.0.0.2", "127.0.0.11")
	wide := codes("127.0.0.0", "127.255.255.255")
	for name, c := range map[string]struct {
		codes []Range
		addrs []netip.Addr
		err   error
		want  reading
	}{
		"nothing":               {all, nil, nil, reading{answer: Clean}},
		"listed":                {all, ips("127.0.0.2"), nil, reading{Listed, ip("127.0.0.2")}},
		"the upper end":         {all, ips("127.0.0.11"), nil, reading{Listed, ip("127.0.0.11")}},
		"several":               {all, ips("127.0.0.10", "127.0.0.3", "127.0.0.4"), nil, reading{Listed, ip("127.0.0.3")}},
		"another code":          {all, ips("127.0.0.12"), nil, reading{Other, ip("127.0.0.12")}},
		"another code too":      {all, ips("127.0.0.1", "127.0.0.3"), nil, reading{Listed, ip("127.0.0.3")}},
		"over quota, dnswl":     {all, ips("127.0.10.3"), nil, reading{Other, ip("127.0.10.3")}},
		"typing error":          {wide, ips("127.255.255.252"), nil, reading{Refused, ip("127.255.255.252")}},
		"a listing and refused": {wide, ips("127.0.0.2", "127.255.255.254"), nil, reading{Refused, ip("127.255.255.254")}},
		"parked":                {all, ips("192.0.2.80"), nil, reading{Foreign, ip("192.0.2.80")}},
		"parked and more":       {wide, ips("127.0.0.2", "192.0.2.80", "127.255.255.255"), nil, reading{Foreign, ip("192.0.2.80")}},
		"foreign, in the codes": {codes("192.0.2.0", "192.0.2.255"), ips("192.0.2.80"), nil, reading{Foreign, ip("192.0.2.80")}},
		"IPv6":                  {all, ips("::1"), nil, reading{Foreign, ip("::1")}},
		"mapped":                {all, ips("::ffff:127.0.0.2"), nil, reading{Listed, ip("127.0.0.2")}},
		"not valid":             {all, []netip.Addr{{}}, nil, reading{answer: Foreign}},
		"late":                  {all, nil, fmt.Errorf("asking: %w", context.DeadlineExceeded), reading{answer: Late}},
		"late on the wire":      {all, nil, os.ErrDeadlineExceeded, reading{answer: Late}},
		"failed":                {all, ips("127.0.0.2"), errServer, reading{answer: Failed}},
	} {
		if got := read(c.codes, c.addrs, c.err); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestMeaning(t *testing.T) {
	for _, c := range []struct {
		answer     Answer
		code, want string
	}{
		{Refused, "127.255.255.252", "typing error"},
		{Refused, "127.255.255.254", "public resolvers"},
		{Refused, "127.255.255.255", "too often"},
		{Refused, "127.255.255.1", "error"},
		{Foreign, "192.0.2.80", "expired"},
		{Other, "127.0.0.12", "not among the codes"},
		{Late, "", "in time"},
		{Failed, "", "cannot"},
		{Clean, "", ""},
	} {
		code, _ := netip.ParseAddr(c.code)
		got := reading{c.answer, code}.meaning()
		if !strings.Contains(got, c.want) || !strings.HasPrefix(got, c.code) && c.code != "" {
			t.Errorf("%s %s means %q", c.answer, c.code, got)
		}
	}
}

func TestTally(t *testing.T) {
	hit := reading{Listed, ip("127.0.0.2")}
	for name, c := range map[string]struct {
		said   []said
		want   string
		listed bool
		allow  bool
	}{
		"nobody asked": {nil, "0 of 3", false, false},
		"not asked":    {[]said{{name: "a", weight: 3, state: Working}}, "0 of 3", false, false},
		"clean":        {[]said{{reading{answer: Clean}, "a", 3, Working}}, "0 of 3", false, false},
		"listed":       {[]said{{hit, "a", 3, Working}}, "3 of 3: a 127.0.0.2 (+3)", true, false},
		"not enough":   {[]said{{hit, "a", 2, Working}}, "2 of 3: a 127.0.0.2 (+2)", false, false},
		"together":     {[]said{{hit, "a", 2, Working}, {hit, "b", 1, Working}}, "3 of 3: a 127.0.0.2 (+2), b 127.0.0.2 (+1)", true, false},
		"allowed":      {[]said{{hit, "w", -3, Working}}, "-3 of 3: w 127.0.0.2 (-3)", false, true},
		"not allowed":  {[]said{{hit, "w", -2, Working}}, "-2 of 3: w 127.0.0.2 (-2)", false, false},
		"both":         {[]said{{hit, "a", 3, Working}, {hit, "w", -3, Working}}, "0 of 3: a 127.0.0.2 (+3), w 127.0.0.2 (-3)", false, false},
		"late":         {[]said{{reading{answer: Late}, "a", 3, Working}}, "0 of 3; silent: a", false, false},
		"failed":       {[]said{{reading{answer: Failed}, "a", 3, Working}}, "0 of 3; silent: a", false, false},
		"silent":       {[]said{{reading{answer: Late}, "a", 3, Silent}}, "0 of 3; silent: a", false, false},
		"suspended":    {[]said{{reading{answer: Late}, "a", 3, Suspended}}, "0 of 3; not counted: a (suspended)", false, false},
		"suspected":    {[]said{{hit, "a", 3, Suspected}}, "0 of 3; not counted: a (suspected)", false, false},
		"untested":     {[]said{{hit, "w", -3, Untested}}, "0 of 3; not counted: w (untested)", false, false},
		"refused": {[]said{{reading{Refused, ip("127.255.255.254")}, "a", 3, Suspected}},
			"0 of 3; not counted: a (suspected); no listing: a answered 127.255.255.254", false, false},
		"another code": {[]said{{reading{Other, ip("127.0.0.11")}, "a", 3, Working}, {hit, "b", 3, Working}},
			"3 of 3: b 127.0.0.2 (+3); no listing: a answered 127.0.0.11", true, false},
	} {
		s := tally(3, c.said)
		if s.String() != c.want || s.Listed() != c.listed || s.Allowed() != c.allow {
			t.Errorf("%s: %s, listed %v, allowed %v", name, s, s.Listed(), s.Allowed())
		}
		if want := len(s.Silent)+len(s.Withheld) > 0; s.Degraded() != want {
			t.Errorf("%s: degraded %v", name, s.Degraded())
		}
	}
	if s := (Score{}); s.Listed() || s.Allowed() || s.Degraded() {
		t.Error("the score of nobody says something")
	}
}

func TestHangsOn(t *testing.T) {
	for _, c := range []struct {
		total, weight int
		want          bool
	}{
		{3, 3, true}, {5, 3, true}, {6, 3, false}, {2, 2, false}, {-3, -3, true}, {-6, -3, false},
		{0, 3, true},  // it kept an allow list from letting the peer in
		{0, -3, true}, // and the other way round
		{1, -3, true}, {1, -1, false},
	} {
		if s := (Score{Total: c.total, Threshold: 3}); s.hangsOn(c.weight) != c.want {
			t.Errorf("a total of %d hangs on %d: %v", c.total, c.weight, !c.want)
		}
	}
}

func TestAlone(t *testing.T) {
	hit := func(weight int) said { return said{reading: reading{answer: Listed}, weight: weight, state: Working} }
	all := []said{hit(3), hit(-2), {weight: 3, state: Working}, {reading: reading{answer: Listed}, weight: 3, state: Suspended}}
	if !alone(all[0], all) || !alone(all[1], all) {
		t.Error("each is alone on its side")
	}
	if all = append(all, hit(1)); alone(all[0], all) || alone(all[4], all) {
		t.Error("two are not alone")
	}
}

func TestScoreJSON(t *testing.T) {
	s := tally(3, []said{{reading{Listed, ip("127.0.0.4")}, "a", 3, Working}, {reading{answer: Late}, "b", 1, Silent},
		{reading{Refused, ip("127.255.255.252")}, "c", 1, Suspected}})
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Score
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(s, back) {
		t.Errorf("%s comes back as %+v, %v", text, back, err)
	}
}

// FuzzScore: whatever records come back, errors never count, and what counts
// adds up.
func FuzzScore(f *testing.F) {
	f.Add([]byte{127, 0, 0, 2}, []byte{127, 255, 255, 254}, int8(3), int8(-3), uint8(1), uint8(1))
	f.Add([]byte{192, 0, 2, 80}, []byte{}, int8(3), int8(1), uint8(4), uint8(0))
	f.Fuzz(func(t *testing.T, a, b []byte, weightA, weightB int8, stateA, stateB uint8) {
		l := List{}.withDefaults(1)
		all := []said{
			{read(l.Codes, records(a), nil), "a", int(weightA), States()[int(stateA)%len(States())]},
			{read(l.Codes, records(b), nil), "b", int(weightB), States()[int(stateB)%len(States())]},
		}
		s, sum := tally(3, all), 0
		for _, h := range s.Hits {
			sum += h.Weight
			if c := h.Code.As4(); c[0] != 127 || c[1] != 0 || c[2] != 0 || c[3] < 2 {
				t.Errorf("%s counts", h.Code)
			}
		}
		if sum != s.Total || s.Listed() && s.Allowed() || len(s.Hits)+len(s.Silent)+len(s.Withheld) > 2 {
			t.Errorf("%+v", s)
		}
		_ = s.String()
	})
}

// records are addresses of four bytes each; what is left over is one that is none.
func records(b []byte) (all []netip.Addr) {
	for len(b) >= 4 {
		all = append(all, netip.AddrFrom4([4]byte(b)))
		b = b[4:]
	}
	if len(b) > 0 {
		all = append(all, netip.Addr{})
	}
	return all
}
