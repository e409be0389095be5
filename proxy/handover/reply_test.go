package handover

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func read(s string) (Reply, string, error) {
	r := bufio.NewReaderSize(strings.NewReader(s), maxLine)
	reply, err := readReply(r)
	rest, _ := io.ReadAll(r)
	return reply, string(rest), err
}

func TestReadReply(t *testing.T) {
	full := "250 " + strings.Repeat("x", maxLine-6) + "\r\n"
	for _, test := range []struct{ in, raw, rest, text string }{
		{"220 hello\r\n", "220 hello\r\n", "", "220 hello"},
		{"220\r\n", "220\r\n", "", "220"},
		{"220 \r\n", "220 \r\n", "", "220"},
		{"450-a\r\n450-\r\n450 b\r\n", "450-a\r\n450-\r\n450 b\r\n", "", "450 a /  / b"},
		{"250-a\n250 b\nrest", "250-a\r\n250 b\r\n", "rest", "250 a / b"},
		{"250 a\r\n250 b\r\n", "250 a\r\n", "250 b\r\n", "250 a"},
		{"554 \x1b[31mred\r\n", "554 \x1b[31mred\r\n", "", "554 [31mred"},
		{full, full, "", strings.TrimSpace(full)},
	} {
		reply, rest, err := read(test.in)
		if err != nil || string(reply.Raw) != test.raw || rest != test.rest || reply.String() != test.text {
			t.Errorf("%.40q: got %.40q, %q, rest %q, %v", test.in, reply.Raw, reply, rest, err)
		}
	}
}

func TestReadReplyFails(t *testing.T) {
	for _, in := range []string{"\r\n", "25\r\n", "2500\r\n", "2a0 x\r\n", "199 x\r\n", "600 x\r\n", "250x\r\n", "250-a\r\n", "250-a\r\n450 b\r\n",
		"250 " + strings.Repeat("x", maxLine-5) + "\r\n", strings.Repeat("250-x\r\n", maxReply/7+1)} {
		if reply, _, err := read(in); err == nil {
			t.Errorf("%.40q: got %.40q", in, reply.Raw)
		}
	}
	if _, _, err := read("250 unfinished"); !errors.Is(err, io.EOF) {
		t.Errorf("unfinished: %v", err)
	}
}

func TestExtensions(t *testing.T) {
	reply, _, _ := read("250-mx\r\n250-SIZE 1\r\n250-\r\n250\r\n")
	if got, want := extensions(reply), []string{"SIZE 1", "", ""}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzReply says that a reply, whatever the backend sends, is bounded, is a reply, and is
// read from its own Raw as the same.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"220 x\r\n", "250-a\r\n250 b\r\n", "250\n", "250-a\r\n251 b\r\n", "250", "\r\n", "450-\n450-\r\n450 \x00\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		reply, err := readReply(bufio.NewReaderSize(bytes.NewReader(in), maxLine))
		if err != nil {
			if reply.Code != 0 || reply.Raw != nil {
				t.Errorf("%v, and %q", err, reply.Raw)
			}
			return
		}
		if reply.Code < 200 || reply.Code > 599 || len(reply.Raw) > maxReply || !bytes.HasSuffix(reply.Raw, []byte("\r\n")) {
			t.Errorf("code %d, %d bytes: %q", reply.Code, len(reply.Raw), reply.Raw)
		}
		if strings.ContainsAny(reply.String(), "\r\n") || len(extensions(reply)) != bytes.Count(reply.Raw, []byte("\n"))-1 {
			t.Errorf("%q is %q", reply.Raw, reply)
		}
		again, err := readReply(bufio.NewReaderSize(bytes.NewReader(reply.Raw), maxLine))
		if err != nil || again.Code != reply.Code || !bytes.Equal(again.Raw, reply.Raw) {
			t.Errorf("%q became %q, %v", reply.Raw, again.Raw, err)
		}
	})
}
