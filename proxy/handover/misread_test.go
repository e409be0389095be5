package handover

import (
	"errors"
	"strings"
	"testing"

	"moggy/proxy/relay"
)

func TestAskMisread(t *testing.T) {
	for _, test := range []struct {
		form    relay.Form
		reply   string
		misread bool
	}{
		{relay.ProxyV1, "500 5.5.2 Error: command not recognized\r\n", true},
		{relay.ProxyV1, "502 5.5.1 what\r\n", true},
		{relay.ProxyV1, "503 5.5.1 what\r\n", true},
		{relay.ProxyV1, "501 not a name\r\n", false},
		{relay.ProxyV1, "550 not your name\r\n", false},
		{relay.ProxyV1, "421 not now\r\n", false},
		{relay.None, "502 no\r\n", false},
	} {
		first := step{"", "220 mx\r\n"}
		if test.form == relay.ProxyV1 {
			first.want = "PROXY TCP4 127.0.0.1 127.0.0.1 *"
		}
		b := play(t, test.form, false, first, step{"EHLO moggy.example", test.reply})
		_, err := Ask(t.Context(), b.Backend, ourName)
		_, refused := errors.AsType[*Refused](err)
		if errors.Is(err, ErrMisread) != test.misread || refused == test.misread {
			t.Errorf("%s answered with %q: %v", test.form, test.reply, err)
		}
		if test.misread && !strings.Contains(err.Error(), `forward = "proxy-v1"`) {
			t.Errorf("%v: does not say what sends the header", err)
		}
		b.hung(t)
	}
}

// A stranger is not told what was said to the header.
func TestOpenMisread(t *testing.T) {
	b := play(t, relay.ProxyV2, false, answering(1, "500 5.5.2 bad syntax\r\n")...)
	_, err := Open(t.Context(), b.Backend, Options{}, peer, local, envelope, rcpt)
	if _, ok := errors.AsType[*Refused](err); ok || !errors.Is(err, ErrMisread) {
		t.Errorf("got %v", err)
	}
	b.hung(t)
}

func TestUngreeted(t *testing.T) {
	for form, advice := range map[relay.Form]string{
		relay.None:    `set forward = "proxy-v2"`,
		relay.XClient: `set forward = "proxy-v2"`,
		relay.ProxyV1: `set forward = "proxy-v2"`,
		relay.ProxyV2: `name the port where it does as backend`,
	} {
		if got := ungreeted(form); !strings.HasSuffix(got, advice) {
			t.Errorf("%s: %s", form, got)
		}
	}
	b := play(t, relay.None, true, step{})
	if _, err := Ask(t.Context(), b.Backend, ourName); err == nil || !strings.HasSuffix(err.Error(), ungreeted(relay.None)) {
		t.Errorf("closed at once: %v", err)
	}
}
