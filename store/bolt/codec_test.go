package bolt

import (
	"context"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"moggy/greylist"
)

func word(b []byte) string { return string(b) }

// samples are rows of every kind.
func samples() [][]byte {
	x, long := nth(1, epoch()), nth(1, epoch())
	x.Peer = netip.MustParseAddr("2001:db8::1")
	long.Sender, long.Origin.Kind = strings.Repeat("x", 1000)+"@example.org", greylist.Domain
	st := greylist.State{First: epoch(), Last: epoch().Add(time.Hour), Tries: 1<<32 - 1}
	e := entry("192.0.2.0/24")
	e.Note, e.Deny, e.Expires, e.Used, e.Renew = "note\x00", true, epoch(), epoch(), time.Hour
	return [][]byte{encodeTriplet(&x, st), encodeTriplet(&long, st), encodeEntry(e),
		encodeOrigin(x.Origin, greylist.Known{Since: epoch(), Used: epoch()}, time.Hour),
		encodeTrap(greylist.Trap{Address: "a@example.org", Note: "x", Added: epoch()})}
}

// FuzzDecode feeds every decoder with anything: no panic, and what is taken for
// a row is one.
func FuzzDecode(f *testing.F) {
	for _, row := range samples() {
		f.Add(row)
		f.Add(row[:len(row)-1])
		f.Add(append(slices.Clone(row), 0))
		f.Add(append([]byte{rowVersion + 1}, row[1:]...))
	}
	f.Add([]byte{})
	f.Add([]byte{1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80})
	f.Fuzz(func(t *testing.T, row []byte) {
		expiry(row)
		if r, ok := decodeTriplet(row); ok {
			if got := r.row(); r.state.Tries == 0 || len(got.Sender) > maxText || len(got.Recipient) > maxText || len(got.Origin.Name) > maxText {
				t.Errorf("%x: %+v", row, got)
			}
			r.is(nth(1, epoch()).Triplet)
		}
		if r, ok := decodeOrigin(row); ok {
			again := encodeOrigin(r.row().Origin, r.known, 0)
			if r2, ok := decodeOrigin(again); len(r.name.sum) == 0 && (!ok || r2.row() != r.row()) {
				t.Errorf("%x: %+v, then %+v", row, r.row(), r2.row())
			}
		}
		if e, ok := decodeEntry(row, word); ok {
			if e2, ok := decodeEntry(encodeEntry(e), word); !ok || e2 != e {
				t.Errorf("%x: %+v, then %+v", row, e, e2)
			}
		}
		if x, ok := decodeTrap(nil, row); ok {
			if x2, ok := decodeTrap(nil, encodeTrap(x)); !ok || x2 != x {
				t.Errorf("%x: %+v, then %+v", row, x, x2)
			}
		}
		if net, ok := decodeEntryKey(row); ok && !net.IsValid() {
			t.Errorf("%x: %v", row, net)
		}
		currentKey([]byte("l4\x01\x02\x03\x04\x20"), row)
	})
}

// FuzzText: what a text was made of it is, and little else.
func FuzzText(f *testing.F) {
	f.Add("Alice@Example.org", "Alice@example.ORG")
	f.Add(strings.Repeat("x", 400), strings.Repeat("x", 399)+"y")
	f.Fuzz(func(t *testing.T, a, b string) {
		r := &reader{b: appendText(nil, a)}
		text := r.text()
		if !r.done() || !text.is(a) {
			t.Fatalf("%q is not itself", a)
		}
		if text.is(b) && !strings.EqualFold(a, b) {
			t.Errorf("%q is %q", a, b)
		}
		at := strings.LastIndexByte(a, '@') + 1
		if len(a) <= maxText && !text.is(a[:at]+asciiUpper(a[at:])) {
			t.Errorf("%q is not itself in capitals", a)
		}
	})
}

func asciiUpper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// TestRowsStayReadable: a file lives longer than the program that wrote it. A
// row that has to change gets another version, and the old one stays here.
func TestRowsStayReadable(t *testing.T) {
	for i, want := range map[int]string{
		0: "0180888eb9966780a8a894956780e2df979567ffffffff0f1020010db8000000000000000000000001030c3139322e30" +
			"2e322e302f323411616c696365406578616d706c652e6f7267117262616161406578616d706c652e6e6574",
		2: "010180a8a894956780a8a894956780a8a894956780bab7030470656572086f70657261746f72056e6f746500",
		3: "0180e2df97956780a8a894956780a8a8949567030c3139322e302e322e302f3234",
		4: "0180a8a89495670178",
	} {
		if got := hex.EncodeToString(samples()[i]); got != want {
			t.Errorf("row %d\n was %s\n is  %s", i, want, got)
		}
	}
}

// TestUnreadableRows are taken for absent, and counted.
func TestUnreadableRows(t *testing.T) {
	ctx := context.Background()
	s := fresh(t, Options{})
	x := nth(1, epoch())
	tk, ok := x.Triplet.Key(), x.Origin.Key()
	s.writing.Lock()
	must(t, s.update(func(tx *bbolt.Tx) error {
		for _, row := range []struct {
			t   table
			key string
		}{{triplets, string(tk[:])}, {origins, string(ok[:])}, {origins, "short"}, {traps, "a@b"}, {entries, "x"}, {entries, "l4\x01\x02\x03\x04\xff"}} {
			must(t, tx.Bucket(row.t.name()).Put([]byte(row.key), []byte{rowVersion + 1, 2, 3}))
		}
		return nil
	}))
	s.writing.Unlock()
	if r := try(t, s, x); r.Outcome != greylist.FirstSeen {
		t.Errorf("%+v", r)
	}
	if n := s.Stats().Damaged; n != 2 {
		t.Errorf("%d counted", n)
	}
	for range s.Entries(ctx) {
		t.Error("an entry")
	}
	for range s.Traps(ctx) {
		t.Error("a trap")
	}
	for range s.Origins(ctx, epoch()) {
		t.Error("an origin")
	}
	if n := s.Stats().Damaged; n != 2+5 {
		t.Errorf("%d counted", n)
	}
	must(t, s.Sync())
	if r := try(t, s, x); r.Outcome != greylist.TooEarly {
		t.Errorf("written over: %+v", r)
	}
}

// TestCollision: a key that stands for something else is not seen.
func TestCollision(t *testing.T) {
	s := fresh(t, Options{})
	x, y := nth(1, epoch()), nth(2, epoch())
	yk := y.Triplet.Key()
	st, _ := greylist.Next(greylist.State{}, epoch(), 0, timers())
	s.keep(triplets, string(yk[:]), encodeTriplet(&x, st), true)
	ok := y.Origin.Key()
	s.keep(origins, string(ok[:]), encodeOrigin(greylist.Origin{Name: "other"}, greylist.Known{Since: epoch(), Used: epoch()}, time.Hour), true)
	if r := try(t, s, y); r.Outcome != greylist.FirstSeen {
		t.Errorf("%+v", r)
	}
	if r := try(t, s, y); r.Outcome != greylist.TooEarly {
		t.Errorf("%+v", r)
	}
}
