package relay

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// certificate returns a certificate that nobody need believe.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secured returns both ends of a TLS connection over c, the server's on our side.
func secured(t *testing.T, client, server net.Conn) (peer, inner *tls.Conn) {
	t.Helper()
	peer = tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	inner = tls.Server(server, &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
	shaken := make(chan error, 1)
	go func() { shaken <- inner.Handshake() }()
	if err := errors.Join(peer.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	return peer, inner
}

func TestCarryTLS(t *testing.T) {
	l := listen(t)
	client, server := pair(t, l)
	outer, backend := pair(t, l)
	peer, inner := secured(t, client, server)
	done := make(chan Result, 1)
	go func() { done <- Carry(t.Context(), inner, outer, Options{}) }()

	request, answer := stream('u', 8<<20), stream('d', 8<<20)
	go func() { peer.Write(request); peer.CloseWrite() }()
	receive(t, backend, request)
	go func() { backend.Write(answer); backend.CloseWrite() }()
	receive(t, peer, answer)
	check(t, <-done, PeerClosed, len(request), len(answer))
}

// A TLS connection whose write has once timed out never writes again. So a deadline of
// one direction, that passes while the other keeps the connection alive, must not be in
// the way of what comes later.
func TestCarryTLSOutlivesDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		outer, backend := net.Pipe()
		peer, inner := secured(t, client, server)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan Result, 1)
		go func() { done <- Carry(ctx, inner, outer, Options{Idle: time.Minute}) }()
		for range 10 {
			<-time.After(40 * time.Second)
			peer.Write([]byte("more"))
			io.ReadFull(backend, make([]byte, 4))
		}
		go io.WriteString(backend, "250 ok\r\n")
		got := make([]byte, 8)
		if _, err := io.ReadFull(peer, got); err != nil || string(got) != "250 ok\r\n" {
			t.Errorf("got %q, %v", got, err)
		}
		go io.Copy(io.Discard, peer) // as a farewell wants to be read
		cancel()
		check(t, <-done, Cancelled, 40, 8)
		peer.Close()
		backend.Close()
	})
}

// A byte of either direction keeps both alive, and the last one ends them in time.
func TestCarryIdleExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, inner := net.Pipe()
		outer, backend := net.Pipe()
		began := time.Now()
		done := make(chan Result, 1)
		go func() { done <- Carry(t.Context(), inner, outer, Options{Idle: time.Minute}) }()
		for range 10 {
			<-time.After(50 * time.Second)
			io.WriteString(backend, "x")
			io.ReadFull(peer, make([]byte, 1))
		}
		check(t, <-done, Idle, 0, 10)
		if took, want := time.Since(began), 10*50*time.Second+time.Minute; took != want {
			t.Errorf("ended after %s, want %s", took, want)
		}
	})
}
