package handover

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// TestGuard plays what a peer (<) and its backend (>) say; a step that ends in ! is
// the one that has to be cut off.
func TestGuard(t *testing.T) {
	tests := []struct {
		name  string
		early string
		steps []string
	}{
		{"a mail", "", []string{"<EHLO x\r\n", ">250 mx\r\n", "<MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
			">250 ok\r\n250 ok\r\n354 go\r\n", "<XCLIENT ADDR=127.0.0.1\r\n..\r\n.\r\n", ">250 ok\r\n", "<QUIT\r\n"}},
		{"XCLIENT", "", []string{"<EHLO x\r\n", "<XCLIENT ADDR=127.0.0.1\r\n!"}},
		{"in small letters, after white space", "", []string{"< \txclient addr=127.0.0.1\r\n!"}},
		{"XFORWARD", "", []string{"<XFORWARD ADDR=127.0.0.1\r\n!"}},
		{"behind another command", "", []string{"<NOOP\r\nXCLIENT A\r\n!"}},
		{"behind a bare LF", "", []string{"<NOOP\nXCLIENT A\r\n!"}},
		{"in what came early", "RSET\r\nXCLIENT A\r\n", []string{"<!"}},
		{"byte by byte", "", []string{"<X", "<CLIEN", "<T!"}},
		{"after DATA was refused", "", []string{"<DATA\r\n", ">503 no\r\n", "<XCLIENT A\r\n!"}},
		{"after the message", "", []string{"<DATA\r\n", ">354 go\r\n", "<x\r\n.\r\nXCLIENT A\r\n!"}},
		{"after a dot that some backends take for the end", "", []string{">354 go\r\n", "<x\n.\nXCLIENT A\r\n!"}},
		{"a reply that only looks like 354", "", []string{">250-x\r\n250 354 \r\n", "<XCLIENT A\r\n!"}},
		{"354 in two pieces", "", []string{">35", ">4 go\r\n", "<XCLIENT A\r\n"}},
		{"not quite XCLIENT", "", []string{"<XCLIEN A\r\nAXCLIENT\r\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			near, far := net.Pipe()
			defer near.Close()
			defer far.Close()
			g := Guard(near, []byte(tt.early))
			for _, step := range tt.steps {
				text, cut := strings.CutSuffix(step[1:], "!")
				if err := guardStep(g, far, step[0], text); errors.Is(err, ErrXClient) != cut {
					t.Fatalf("%q: error %v, want it cut off: %v", step, err, cut)
				}
			}
		})
	}
}

func guardStep(g, far net.Conn, dir byte, text string) error {
	b := make([]byte, 4096)
	if dir == '>' {
		go io.ReadAtLeast(far, b, len(text))
		_, err := io.WriteString(g, text)
		return err
	}
	if text != "" {
		go io.WriteString(far, text)
	}
	_, err := g.Read(b)
	return err
}
