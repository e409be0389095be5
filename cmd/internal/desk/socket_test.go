package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestSocketIsForItsOwnerAlone(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info := must(os.Lstat(path)); info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if left := must(os.ReadDir(filepath.Dir(path))); len(left) != 1 {
		t.Errorf("beside the socket there are %v", left)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another moggyd answers") {
		t.Errorf("a second daemon: %v", err)
	}
	l.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there after Close: %v", err)
	}
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrDown) {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	dead := must(net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}))
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrDown) {
		t.Fatalf("a socket nobody listens on: %v", err)
	}
	first := must(Listen(path))
	os.Remove(path)
	second := must(Listen(path))
	defer second.Close()
	first.Close() // must not take the second one's file
	conn, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestSocketWithALongName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(filepath.Join(dir, "control.sock")); err == nil || !strings.Contains(err.Error(), "choose a shorter state_dir") {
		t.Errorf("%v", err)
	}
}

// post sends a body to a served desk, and returns the answer.
func post(t *testing.T, c *Client, p string, body io.Reader) (int, Error) {
	t.Helper()
	resp, err := c.http.Post("http://moggyd"+p, "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var e Error
	json.NewDecoder(resp.Body).Decode(&e)
	return resp.StatusCode, e
}

func TestServeRefuses(t *testing.T) {
	c := serve(t, newHouse(t).Local)
	for name, tc := range map[string]struct {
		path string
		body string
		code int
	}{
		"a field it does not know": {"/forget", `{"net":"192.0.2.0/24","older_than":"1d"}`, http.StatusBadRequest},
		"no JSON":                  {"/forget", `{`, http.StatusBadRequest},
		"far too much":             {"/put-trap", `{"address":"` + strings.Repeat("a", maxRequest) + `"}`, http.StatusBadRequest},
		"a wrong use":              {"/forget", `{}`, http.StatusUnprocessableEntity},
		"what it does not know":    {"/explode", `{}`, http.StatusNotFound},
	} {
		if code, e := post(t, c, tc.path, bytes.NewReader([]byte(tc.body))); code != tc.code || code != http.StatusNotFound && e.Kind != Usage {
			t.Errorf("%s: %d %+v", name, code, e)
		}
	}
	_, err := ask[StatusFilter, Status](t.Context(), c, "/explode", StatusFilter{})
	if KindOf(err) != Fault || !strings.Contains(err.Error(), "another version") {
		t.Errorf("a daemon that does not know the question: %v", err)
	}
}

// slowDesk answers when it is told to.
type slowDesk struct {
	Desk
	asked, answer chan struct{}
}

func (d *slowDesk) Status(context.Context, StatusFilter) (Status, error) {
	close(d.asked)
	<-d.answer
	return Status{Hostname: "slow"}, nil
}

// TestServeEndsWithItsAnswers stops a server while it answers.
func TestServeEndsWithItsAnswers(t *testing.T) {
	d := &slowDesk{newHouse(t).Local, make(chan struct{}), make(chan struct{})}
	l := must(Listen(filepath.Join(t.TempDir(), "s")))
	ctx, stop := context.WithCancel(t.Context())
	served, said := make(chan error), make(chan string)
	go func() { served <- Serve(ctx, l, d) }()
	go func() {
		s, err := NewClient(l.(*socket).path).Status(context.Background(), StatusFilter{})
		if err != nil {
			said <- err.Error()
		}
		said <- s.Hostname
	}()
	<-d.asked
	stop()
	select {
	case <-served:
		t.Fatal("Serve returned while it answered")
	default:
	}
	close(d.answer)
	if text := <-said; text != "slow" {
		t.Errorf("the answer that was under way: %q", text)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
