package config

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

const hintsPort = "127.0.0.1:9143" // in advice

func (k *checker) hints(mode fs.FileMode) {
	if k.c.Hints.Dovecot != "" {
		k.dovecot()
	}
	if k.c.Hints.DovecotKey != "" {
		k.dovecotKey(mode)
	}
	seen := make(map[string]bool)
	for i, name := range k.c.Hints.Logs {
		k.log(fmt.Sprintf("hints.logs[%d]", i), name, seen)
	}
}

// dovecot checks where login reports are taken: whoever reaches that place
// says who is a user.
func (k *checker) dovecot() {
	const key = "hints.dovecot"
	e, ok := k.endpoint(key, k.c.Hints.Dovecot, false)
	if !ok {
		return
	}
	if !e.loopback() {
		k.fault(key, "can be reached from other machines, and who reaches it can make a user of anybody; write dovecot = %q", hintsPort)
	}
	for i, l := range k.c.Listeners {
		if other, err := parseEndpoint(l.Address); err == nil && e.same(other) {
			k.fault(key, "is also that of %s; write another port", k.spoken(fmt.Sprintf("listener[%d]", i)))
		}
	}
	if other, err := parseEndpoint(k.c.Admin.Address); err == nil && e.same(other) {
		k.fault(key, "is also admin.address; write another port")
	}
}

// dovecotKey checks what is sent as the value of a header field (RFC 9110
// section 5.5), and never shows it.
func (k *checker) dovecotKey(mode fs.FileMode) {
	const key = "hints.dovecot_key"
	text := k.c.Hints.DovecotKey
	unseen := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case strings.ContainsFunc(text, unseen):
		k.fault(key, "has blanks, or others than ASCII characters, and cannot be sent in a header; write what this prints: openssl rand -hex 16")
	case len(text) < 8:
		k.fault(key, "is shorter than 8 bytes and can be guessed; write what this prints: openssl rand -hex 16")
	case k.c.Hints.Dovecot == "":
		k.fault(key, "is of no use without the address that it guards; add dovecot = %q", hintsPort)
	case mode.Perm()&0o004 != 0:
		k.warn(key, "is secret and everybody on this machine can read the file; type chmod o= %s", k.name)
	}
}

func (k *checker) log(key, name string, seen map[string]bool) {
	const example = `logs = ["/var/log/mail.log"]`
	clean := path.Clean(name)
	switch {
	case name == LogJournal:
	case !path.IsAbs(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		k.fault(key, "is neither a file, from / on, nor %q; write %s", LogJournal, example)
	case clean != name:
		k.fault(key, "is not written in its shortest form; write %q", clean)
	}
	k.once(key, name, seen)
}

// once checks that a list names something once.
func (k *checker) once(key, name string, seen map[string]bool) {
	if seen[name] {
		k.fault(key, "is there twice; remove one of the two")
	}
	seen[name] = true
}

func (k *checker) crawlers() {
	const example = `names = ["googlebot.com"]`
	seen := make(map[string]bool)
	for i, name := range k.c.Crawlers.Names {
		key := fmt.Sprintf("crawlers.names[%d]", i)
		switch {
		case !validDomain(name):
			k.fault(key, "is not a domain name; write %s", example)
		case !strings.Contains(name, "."):
			k.fault(key, "is a whole top-level domain, where everybody can get a name; write %s", example)
		}
		k.once(key, name, seen)
	}
	for i, l := range k.c.Listeners {
		key := fmt.Sprintf("listener[%d].crawlers", i)
		if l.Crawlers && k.given(key) && l.Kind == KindStream && len(k.c.Crawlers.Names) == 0 {
			k.warn(key, "knows no crawler, because crawlers.names is empty; remove one of the two")
		}
	}
}

func (k *checker) foreign() {
	if every := k.c.Foreign.Every; every != 0 {
		k.between("foreign.every", every, 10*time.Second, time.Hour, "")
	}
}

// nftFamilies are those of tables that can hold addresses of peers.
var nftFamilies = []string{"ip", "ip6", "inet"}

func (k *checker) good() {
	const example = `nft = ["inet guard"]`
	seen := make(map[string]bool)
	for i, text := range k.c.Good.NFT {
		key := fmt.Sprintf("good.nft[%d]", i)
		family, table, _ := strings.Cut(text, " ")
		switch {
		case !slices.Contains(nftFamilies, family):
			k.fault(key, "does not begin with a family (%s) and a space; write %s", either(nftFamilies), example)
		case !validTable(table):
			k.fault(key, "does not name a table of nftables after its family; write %s", example)
		}
		k.once(key, text, seen)
	}
}

// validTable reports whether nft takes s as a name without quotes: a letter or
// an underscore, then these, digits and / . - too. nft itself takes 255 bytes.
func validTable(s string) bool {
	letter := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' }
	other := func(r rune) bool { return !letter(r) && (r < '0' || r > '9') && !strings.ContainsRune("/.-", r) }
	return s != "" && len(s) <= 128 && letter(rune(s[0])) && !strings.ContainsFunc(s, other)
}
