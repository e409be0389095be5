package journal

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// What one door gives to the others, they read.
func TestLine(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 200 {
		rec := anyRecord(r, i)
		line := Line(rec)
		got, err := ParseLine(line)
		if err != nil || !reflect.DeepEqual(got, roundTrip(t, rec)) {
			t.Fatalf("%s: %v, %+v", line, err, got)
		}
		q := Query{Ref: rec.Ref}
		if !strings.Contains(string(line), q.Holds()) || !q.Asks(&got) || (Query{Ref: "ZZZZZZ"}).Asks(&got) {
			t.Fatalf("%s does not hold %s", line, q.Holds())
		}
	}
	if _, err := ParseLine([]byte(`{"event":`)); err == nil {
		t.Error("half a line was read")
	}
}

func TestMerge(t *testing.T) {
	at := func(s int, ref, node string) Record {
		return Record{Time: now.Add(time.Duration(s) * time.Second).UTC(), Ref: ref, Event: EventDecided, Rule: "known", Node: node,
			Peer: netip.MustParseAddrPort("192.0.2.7:1")}
	}
	rcpt := func(to, node string) Record { // two come in one packet
		r := at(3, "B", node)
		r.To = to
		return r
	}
	own := []Record{at(1, "A", ""), rcpt("x@example.org", ""), rcpt("y@example.org", "")}
	all := Merge(own, []Record{at(1, "A", "one"), at(2, "C", "two"), rcpt("x@example.org", "one"), rcpt("y@example.org", "one"), at(4, "D", "two")}, 0)
	var refs strings.Builder
	for _, r := range all {
		refs.WriteString(r.Ref + r.Node + r.To + " ")
	}
	if refs.String() != "A Ctwo Bx@example.org By@example.org Dtwo " {
		t.Errorf("merged: %s", refs.String())
	}
	if last := Merge(own, nil, 1); len(last) != 1 || last[0].Ref != "B" {
		t.Errorf("the newest one: %v", last)
	}
}
