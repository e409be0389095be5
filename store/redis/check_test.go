package redis

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"moggy/store/storetest"
)

// setUser makes a user with the documented rules.
func (s *server) setUser(name, password, prefix string) {
	s.t.Helper()
	args := []any{"ACL", "SETUSER", name, "reset", "on", ">" + password}
	for rule := range strings.FieldsSeq(ACL(prefix)) {
		args = append(args, rule)
	}
	s.do(args...)
}

// TestLeastPrivilege: a user with the documented rules passes the suite, uses each
// of them, and may do nothing else.
func TestLeastPrivilege(t *testing.T) {
	server := start(t)
	n := 0
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		n++
		prefix := fmt.Sprint("t", n)
		server.setUser(prefix, "p%/@:w", prefix)
		url := fmt.Sprintf("redis://%s:p%%25%%2F%%40%%3Aw@%s/0?prefix=%s", prefix, server.addr(), prefix)
		s := openAt(t, Options{URL: url, Flush: time.Millisecond, patience: calm})
		must(t, s.Check(context.Background()))
		return s
	})
	server.refuses(t, "t1", "GET", "other:x")
	for _, command := range []string{"FLUSHALL", "KEYS *", "CONFIG GET *", "ACL LIST", "DEL t1:x", "PUBLISH t1 x", "SHUTDOWN", "SCRIPT FLUSH", "MONITOR"} {
		server.refuses(t, "t1", strings.Fields(command)...)
	}
	server.usesAllRules(t)
}

// refuses wants the user to be told that it may not.
func (s *server) refuses(t *testing.T, user string, words ...string) {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: s.addr(), Username: user, Password: "p%/@:w", Protocol: 2, DisableIdentity: true})
	defer c.Close()
	var args []any
	for _, w := range words {
		args = append(args, w)
	}
	if err := c.Do(context.Background(), args...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
		t.Errorf("%v: %v", words, err)
	}
}

// usesAllRules finds rules that nothing needed. Those of a Cluster and of a
// database other than 0 are tested elsewhere.
func (s *server) usesAllRules(t *testing.T) {
	t.Helper()
	used := s.do("INFO", "commandstats").(string)
	for rule := range strings.FieldsSeq(ACL("t1")) {
		command, ok := strings.CutPrefix(rule, "+")
		if elsewhere := strings.HasPrefix(command, "cluster") || command == "asking" || command == "select"; !ok || elsewhere {
			continue
		}
		if !strings.Contains(used, "cmdstat_"+command+":") {
			t.Errorf("%s is not needed", rule)
		}
	}
}

func TestCheck(t *testing.T) {
	server := start(t)
	ctx := context.Background()
	s := openAt(t, Options{URL: server.url("m"), patience: calm})
	must(t, s.Check(ctx))
	must(t, s.Check(ctx))
	for _, k := range server.do("KEYS", "*").([]any) {
		if key := k.(string); key != "m:{e}:log" && server.do("PTTL", key).(int64) < 0 {
			t.Errorf("left %s behind", key)
		}
	}
	server.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	if err := s.Check(ctx); err == nil || !strings.Contains(err.Error(), "volatile-ttl") {
		t.Errorf("allkeys-lru: %v", err)
	}
	server.do("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
	must(t, s.Check(ctx))
	for _, command := range []string{"hscan", "pexpire", "unlink", "scan", "xadd"} {
		server.do("ACL", "SETUSER", "default", "-"+command)
		if err := s.Check(ctx); err == nil || !strings.Contains(err.Error(), "does not let its user") {
			t.Errorf("without %s: %v", command, err)
		}
		server.do("ACL", "SETUSER", "default", "+@all")
	}
	server.kill()
	if err := s.Check(ctx); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("no server: %v", err)
	}
}

// TestPasswordsAreNotShown in whatever goes wrong.
func TestPasswordsAreNotShown(t *testing.T) {
	server := start(t)
	const secret = "Geh3im"
	server.do("ACL", "SETUSER", "moggy", "on", ">other")
	server.do("ACL", "SETUSER", "default", "resetpass", ">other")
	server.pass = "other"
	var log strings.Builder
	for _, url := range []string{"redis://moggy:" + secret + "@" + server.addr(), "redis://:" + secret + "@" + server.addr(),
		"redis://moggy:" + secret + "@127.0.0.1:1", "rediss://moggy:" + secret + "@" + server.addr()} {
		s := openAt(t, Options{URL: url, Log: text(&log)})
		err := s.Check(context.Background())
		if err == nil {
			t.Errorf("%s: no error", url)
		}
		must(t, s.Close())
		fmt.Fprintln(&log, err, s.Healthy(), s.at)
	}
	if strings.Contains(log.String(), secret) {
		t.Errorf("shown:\n%s", log.String())
	}
	t.Logf("\n%s", log.String())
}

// TestTLS: with a certificate of the client's own, and not without, nor with a
// server that nobody vouches for.
func TestTLS(t *testing.T) {
	ca, cert, key := certificate(t)
	s := &server{t: t, port: freePort(t), dir: t.TempDir()}
	need(t)
	port := freePort(t)
	s.args = []string{fmt.Sprintf("--tls-port %d", port), "--tls-cert-file " + cert, "--tls-key-file " + key, "--tls-ca-cert-file " + ca}
	s.run()
	t.Cleanup(s.kill)
	at := fmt.Sprintf("rediss://127.0.0.1:%d", port)
	good := openAt(t, Options{URL: at + "?ca=" + ca + "&cert=" + cert + "&key=" + key, patience: calm})
	must(t, good.Check(context.Background()))
	for _, url := range []string{at, at + "?ca=" + ca} {
		bad := openAt(t, Options{URL: url})
		if err := bad.Check(context.Background()); err == nil {
			t.Errorf("%s: no error", url)
		} else {
			t.Log(err)
		}
	}
}

// certificate makes one that vouches for itself.
func certificate(t *testing.T) (ca, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "moggy test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	cert = file(t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	key = file(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	return filepath.Clean(cert), cert, key
}
