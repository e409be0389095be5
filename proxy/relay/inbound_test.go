package relay

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	v4Body = "c6130708" + "c6120001" + "9c40" + "0019"
	rest   = "EHLO mx.test\r\n"
)

// unhex is a header of version 2 as a string.
func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

var inboundTests = []struct {
	name, text string
	want       string // the peer; "own"; "" for a header that is refused
}{
	{"v1", "PROXY TCP4 198.19.7.8 198.18.0.1 40000 25\r\n", "198.19.7.8:40000"},
	{"v1 IPv6", "PROXY TCP6 2001:db8:77::1 2001:db8::1 40000 25\r\n", "[2001:db8:77::1]:40000"},
	{"v1 mapped", "PROXY TCP6 ::ffff:198.19.7.8 ::ffff:198.18.0.1 40000 25\r\n", "198.19.7.8:40000"},
	{"v1 unknown", "PROXY UNKNOWN\r\n", "own"},
	{"v1 unknown with addresses", "PROXY UNKNOWN ffff:f...f:ffff 65535 65535\r\n", "own"},
	{"v2", unhex(v2 + "2111000c" + v4Body), "198.19.7.8:40000"},
	{"v2 with more behind", unhex(v2 + "21110013" + v4Body + "04000461626364"), "198.19.7.8:40000"},
	{"v2 local", unhex(v2 + "20000000"), "own"},
	{"v2 local with addresses", unhex(v2 + "2011000c" + v4Body), "own"},

	{"LF alone", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", ""},
	{"no port", "PROXY TCP4 198.19.1.1 198.18.0.1 65536 25\r\n", ""},
	{"wrong family", "PROXY TCP4 2001:db8::1 198.18.0.1 1 25\r\n", ""},
	{"port with a zero", "PROXY TCP4 198.19.1.1 198.18.0.1 01 25\r\n", ""},
	{"too long", "PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n", ""},
	{"no header", rest, ""},
	{"v2, unknown command", unhex(v2 + "2f11000c" + v4Body), ""},
	{"v2, short", unhex(v2 + "21110004" + "01020304"), ""},
	{"v2, endless", unhex(v2+"2111ffff") + strings.Repeat("\x00", 1000), ""},
	{"v2, a file", unhex(v2 + "213100d8" + strings.Repeat("00", 216)), ""},
	{"v2, UDP", unhex(v2 + "2112000c" + v4Body), ""},
	{"v2, from nowhere", unhex(v2 + "2111000c" + "00000000" + "c6120001" + "9c40" + "0019"), ""},
	{"v2, no address", unhex(v2 + "21000000"), ""},
}

func TestReadHeader(t *testing.T) {
	for _, test := range inboundTests {
		t.Run(test.name, func(t *testing.T) {
			for _, piece := range []int{1, 7, 1 << 16} {
				got, left, err := readPieces(test.text+rest, piece)
				switch {
				case test.want == "" && !errors.Is(err, ErrHeader):
					t.Errorf("in pieces of %d: %v, %v", piece, got, err)
				case test.want == "own" && (!got.Own || err != nil), test.want != "own" && test.want != "" && got.Peer.String() != test.want:
					t.Errorf("in pieces of %d: %+v, %v", piece, got, err)
				case test.want != "" && left != rest:
					t.Errorf("in pieces of %d: %q is left", piece, left)
				}
			}
		})
	}
}

// readPieces sends text in pieces, and returns what its header says and what is left behind it.
func readPieces(text string, piece int) (Announced, string, error) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		defer theirs.Close()
		for b := []byte(text); len(b) > 0; b = b[min(piece, len(b)):] {
			theirs.Write(b[:min(piece, len(b))])
		}
	}()
	got, err := ReadHeader(ours, time.Minute)
	if err != nil {
		return got, "", err
	}
	left, _ := io.ReadAll(ours)
	return got, string(left), nil
}

// A header that does not come to its end is not waited for.
func TestReadHeaderIsPatientForSoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		var sent sync.WaitGroup
		sent.Go(func() {
			for _, b := range []byte("PROXY TCP4 198.19.7.8") {
				theirs.Write([]byte{b})
				time.Sleep(time.Second) // virtual
			}
		})
		defer sent.Wait()
		defer ours.Close()
		began := time.Now()
		if _, err := ReadHeader(ours, 5*time.Second); !errors.Is(err, ErrHeader) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func FuzzReadHeader(f *testing.F) {
	for _, test := range inboundTests {
		f.Add([]byte(test.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := cutHeader(bytes.NewReader(text))
		if err != nil {
			return
		}
		if !bytes.HasPrefix(text, b) {
			t.Fatalf("%q cut from %q", b, text)
		}
		if a, err := parseHeader(b); err == nil && !a.Own && !a.Peer.IsValid() {
			t.Errorf("%q: a peer without an address", b)
		}
	})
}
