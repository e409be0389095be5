package peers

import (
	"fmt"
	"os"
	"testing"
)

// The users that unpacked programs insist on. They exist in the program's own /etc only.
const (
	smtpdUser  = 5801 // opensmtpd
	queueUser  = 5802 // opensmtpq
	eximUser   = 5803 // Debian-exim
	keeperUser = 5804 // keeper, to whom OpenSMTPD delivers
)

// newUnpacked makes the directory of a program that install.sh has unpacked, with what it sees of the machine.
func newUnpacked(t testing.TB, name string) *program {
	t.Helper()
	p := newProgram(t, name)
	dir, err := tree(name)
	if err != nil {
		t.Fatal(err)
	}
	p.tree = dir
	for _, sub := range []string{"lib", "spool", "run"} {
		p.mkdir(p.path("ns", sub), 0)
	}
	p.write("ns/etc/passwd", machine(t, "/etc/passwd")+fmt.Sprintf(
		"opensmtpd:x:%d:%[1]d::/var/lib/opensmtpd/empty:/usr/sbin/nologin\n"+
			"opensmtpq:x:%d:%[2]d::/var/lib/opensmtpd/empty:/usr/sbin/nologin\n"+
			"Debian-exim:x:%d:%[3]d::/var/spool/exim4:/usr/sbin/nologin\n"+
			"keeper:x:%d:%[4]d::%s:/bin/sh\n", smtpdUser, queueUser, eximUser, keeperUser, p.dir))
	p.write("ns/etc/group", machine(t, "/etc/group")+fmt.Sprintf(
		"opensmtpd:x:%d:\nopensmtpq:x:%d:\nDebian-exim:x:%d:\nkeeper:x:%d:\n", smtpdUser, queueUser, eximUser, keeperUser))
	p.write("ns/etc/hosts", "127.0.0.1 localhost mx.test sender.test\n")
	p.write("ns/etc/resolv.conf", "nameserver 127.0.0.153\n") // nobody: these tests look nothing up
	p.write("ns/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
	return p
}

// machine reads a file of the machine.
func machine(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
