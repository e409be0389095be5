package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// maxForeign is how many messages on one socket may answer something else. Then somebody is guessing, and TCP is asked.
const maxForeign = 16

// past is a deadline that is over.
var past = time.Unix(1, 0)

// errCircumvent says why a question has to be asked again over TCP.
type errCircumvent struct{ match }

func (errCircumvent) Error() string { return "no usable answer over udp" }

// A wire asks one server one question, on a socket of its own, so from a port that nobody can guess.
type wire struct {
	log     *slog.Logger
	tcp     atomic.Uint64 // questions asked over TCP
	foreign atomic.Uint64 // messages ignored
}

// exchange asks the server: over UDP, then over TCP if that is needed. It returns when ctx ends, and errors are of type
// *Error.
func (w *wire) exchange(ctx context.Context, s *server, q question) (answer, error) {
	asked, err := newQuery(q, !s.caseless.Load())
	if err != nil {
		return answer{}, err
	}
	reply, err := w.talk(ctx, s, asked)
	if err != nil {
		return answer{}, failure(q, s.addr, err)
	}
	a, kind, err := readAnswer(reply, asked.name, asked.rrtype)
	if err != nil {
		return answer{}, q.at(s.addr, kind, err)
	}
	return a, nil
}

// talk returns the server's reply to the query.
func (w *wire) talk(ctx context.Context, s *server, q query) (*dns.Msg, error) {
	reply, err := w.overUDP(ctx, s.addr, q)
	if _, again := errors.AsType[errCircumvent](err); !again {
		return reply, err
	}
	w.tcp.Add(1)
	reply, err = overTCP(ctx, s.addr, q)
	if c, ok := errors.AsType[errCircumvent](err); !ok || c.match != caseless {
		return reply, err
	}
	// Nobody guesses his way into a TCP connection: it is the server that does not keep the case of letters.
	if s.caseless.CompareAndSwap(false, true) {
		w.log.Warn("name server does not keep the case of letters: they guard no longer against forged answers", "server", s.addr)
	}
	return reply, nil
}

// overUDP asks over UDP. What does not answer the query is counted and ignored.
func (w *wire) overUDP(ctx context.Context, to netip.AddrPort, q query) (*dns.Msg, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer limit(ctx, conn)()
	message, err := q.pack(true)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(message); err != nil {
		return nil, err
	}
	var buf [2 * udpSize]byte
	for range maxForeign {
		n, err := conn.Read(buf[:])
		if err != nil {
			return nil, err
		}
		switch reply, is := q.judge(buf[:n]); is {
		case answers:
			return reply, nil
		case foreign:
			w.foreign.Add(1)
		default:
			return nil, errCircumvent{is}
		}
	}
	return nil, errCircumvent{foreign}
}

// overTCP asks over TCP (RFC 7766). An answer that is the query's but for the case of letters comes with an error.
func overTCP(ctx context.Context, to netip.AddrPort, q query) (*dns.Msg, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer limit(ctx, conn)()
	message, err := q.pack(false)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)); err != nil {
		return nil, err
	}
	if message, err = readFrame(conn); err != nil {
		return nil, err
	}
	reply, is := q.judge(message)
	switch {
	case is == answers || is == unclear && reply != nil:
		return reply, nil
	case is == caseless:
		return reply, errCircumvent{is}
	}
	return nil, errUnreadable
}

// errUnreadable says that what came over TCP is no answer to the query.
var errUnreadable = errors.New("not an answer to the question, over tcp")

// readFrame reads one message with its length before it (RFC 1035 §4.2.2), at most 64 KB.
func readFrame(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

// limit ends the reading and writing on a connection when ctx ends, and returns what takes that back.
func limit(ctx context.Context, conn net.Conn) (release func() bool) {
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	return context.AfterFunc(ctx, func() { conn.SetDeadline(past) })
}

// failure says what an error of the network means.
func failure(q question, from netip.AddrPort, err error) *Error {
	switch {
	case errors.Is(err, errUnreadable):
		return q.at(from, Malformed, err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return q.at(from, Timeout, nil)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOBUFS):
		return q.fault(Busy, err) // for want of descriptors here: no server is to blame
	}
	return q.at(from, Unreachable, err)
}

// at is an Error of one server about the question.
func (q question) at(server netip.AddrPort, k Kind, err error) *Error {
	e := q.fault(k, err)
	e.Server = server
	return e
}
