package proxy

import (
	"context"
	"errors"
	"fmt"

	"moggy/proxy/dialogue"
)

// A Tongue is what a stream listener's protocol has for a refusal before anything
// else was said. Most streams begin with TLS and have nothing.
type Tongue string

// The tongues.
const (
	Silent Tongue = ""     // TLS, or not known: the connection is closed
	SMTP   Tongue = "smtp" // 421 (RFC 5321 §3.8)
	IMAP   Tongue = "imap" // * BYE [UNAVAILABLE] (RFC 9051 §7.1.5, RFC 5530 §3)
	POP3   Tongue = "pop3" // -ERR [SYS/TEMP] (RFC 3206 §4)
)

// TongueOf is what is spoken at a port by convention.
func TongueOf(port uint16) Tongue {
	switch port {
	case 25, 587:
		return SMTP
	case 143:
		return IMAP
	case 110:
		return POP3
	}
	return Silent
}

// put is a refusal in that tongue; empty where there is none.
func (t Tongue) put(r dialogue.Reply) []byte {
	switch t {
	case SMTP:
		return r.Append(nil)
	case IMAP:
		return []byte("* BYE [UNAVAILABLE] " + r.Text + "\r\n")
	case POP3:
		return []byte("-ERR [SYS/TEMP] " + r.Text + "\r\n")
	}
	return nil
}

// knock sees whether somebody answers behind a stream listener. It says nothing
// there: the protocol is not ours to speak.
func (d *door) knock(ctx context.Context) {
	was := d.state()
	conn, err := d.Backend.DialLocal(ctx)
	if err == nil {
		err = conn.Close()
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return // moggyd ends, and knows nothing new of the backend
	}
	now := backendState{}
	if err != nil {
		now.fault = fmt.Errorf("nobody answers: %w", err)
	}
	d.backend.Store(&now)
	d.tell(was, &now)
}
