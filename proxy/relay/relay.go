// Package relay carries a trusted connection to its backend: it connects, says
// in a PROXY header whose connection it is, and then moves bytes both ways until
// both sides have finished.
//
// It knows TCP, the PROXY protocol (haproxy's proxy-protocol.txt, versions 1 and
// 2), half-close, and what the kernel can do to move bytes without us. It does not
// know what the bytes mean: no SMTP, no TLS, no class and no verdict. The one SMTP
// way of passing an address, XCLIENT, it knows by name only, so that a Backend can
// say it; package handover speaks it.
package relay

import (
	"fmt"
	"strings"
)

// Form is the way in which a backend learns the peer's address.
type Form uint8

// The forms, as written in the setting "forward".
const (
	None    Form = iota // "none": not at all; the backend sees our own address
	ProxyV1             // "proxy-v1": one line of text before anything else
	ProxyV2             // "proxy-v2": 28 or 52 bytes before anything else
	XClient             // "xclient": by an SMTP command; nothing is written here
)

// forms are the names of the forms, by value.
var forms = [...]string{None: "none", ProxyV1: "proxy-v1", ProxyV2: "proxy-v2", XClient: "xclient"}

// String returns the form as it is written in the setting "forward".
func (f Form) String() string {
	if int(f) < len(forms) {
		return forms[f]
	}
	return fmt.Sprintf("form(%d)", uint8(f))
}

// MarshalText returns the form as it is written in the setting "forward".
func (f Form) MarshalText() ([]byte, error) {
	return []byte(f.String()), nil
}

// UnmarshalText reads a form as it is written in the setting "forward". The error
// names the choices.
func (f *Form) UnmarshalText(text []byte) error {
	for i, name := range forms {
		if name == string(text) {
			*f = Form(i)
			return nil
		}
	}
	return fmt.Errorf("unknown way to forward the address %q: use one of %s", text, strings.Join(forms[:], ", "))
}
