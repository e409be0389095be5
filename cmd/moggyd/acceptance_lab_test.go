package main

import (
	"cmp"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
)

// labConfig is the configuration of moggyd in a lab; its times are those of
// labProfile. %q is the state directory.
const labConfig = `
hostname = "mx.local.test"
state_dir = %q
grace = "1s"
[[listener]]
name = "smtp"
address = "198.18.0.1:2525"
backend = "198.18.0.2:2525"
[[listener]]
name = "smtp6"
address = "[2001:db8::1]:2525"
backend = "198.18.0.2:2525"
[greylist]
origin = "network"
pass = "2s"
pass_unnamed = "2s"
window = "25s"
[talk]
timeout = "10s"
[tarpit]
stutter = "1s"
gap = "50ms"
slots = 300
[trap]
addresses = ["trap@local.test"]
ttl = "5m"
[admin]
address = "127.0.0.1:9925"
`

// trusted are the peers that are let in by an entry.
var trusted, trusted6 = []string{"198.18.1.10", "198.18.1.11", "198.18.1.12"}, []string{"2001:db8:1::10"}

// moggyToml is the configuration of a setup.
func (s setup) moggyToml(state string) string {
	text := fmt.Sprintf(labConfig, state)
	if s.proxy {
		text += "[[listener]]\nname = \"proxy\"\naddress = \"198.18.0.1:2526\"\nbackend = \"198.18.0.2:2525\"\ntrust_proxy = [\"198.18.1.0/24\"]\n"
	}
	if s.zones == nil {
		return text
	}
	text = strings.Replace(text, `origin = "network"`, `origin = "dns"`, 1)
	text += fmt.Sprintf("[dnsbl]\nservers = [%q]\n", labDNS)
	for _, zone := range s.zones {
		zone, weight, _ := strings.Cut(zone, "=")
		text += fmt.Sprintf("[[dnsbl.list]]\nzone = %q\nweight = %s\ncodes = [\"127.0.0.2-127.0.20.3\"]\n", zone, cmp.Or(weight, "3"))
	}
	return text
}

// labDNS is where the name server of the labs answers.
const labDNS = "198.18.0.53:53"

// startDNS starts the name server, and waits until it does.
func (l *lab) startDNS() {
	l.t.Helper()
	p := start(l.t, "the name server", l.path("dns.log"), l.command("python3", filepath.Join(acceptance, "fakedns.py"), labDNS))
	p.until("waiting for its port", func() bool { return l.command("python3", "-c", askDNS).Run() == nil })
}

// askDNS connects to the name server.
const askDNS = `import socket; socket.create_connection(("198.18.0.53", 53), 1)`

// labProfile tells the player what labConfig says.
func labProfile(s setup) map[string]any {
	can := []string{"trap"}
	if s.tls {
		can = append(can, "starttls")
	}
	return map[string]any{
		"server_name":   "mx.local.test",
		"greet_wait":    1,
		"reply_max":     8, // the longest reply to a listed peer, EHLO's, at a byte in 50 ms
		"grey_delay":    2,
		"grey_window":   25,
		"cmd_timeout":   10,
		"dnsbl_timeout": 2,
		"conn_limit":    10, // open at once, of class stranger
		"trusted":       trusted,
		"trusted6":      trusted6,
		"proxy_timeout": 5,
		"ports":         map[string]string{"smtp6": "[2001:db8::1]:2525", "metrics": "127.0.0.1:9925", "proxy": "198.18.0.1:2526"},
		"can":           can,
		"flags": map[string]any{
			"pregreet": map[string]string{"log": ` src={src} .*early=yes`},
			"bot":      map[string]string{"log": ` src={src} .*why=(not-smtp|errors)`},
		},
	}
}

// trust lets the trusted peers in.
func (l *lab) trust(programs string) {
	l.t.Helper()
	argv := []string{"-c", l.path(configFile), "allow", "add", "--note", "acceptance"}
	argv = append(append(argv, trusted...), trusted6...)
	if out, err := exec.Command(filepath.Join(programs, "moggy"), argv...).CombinedOutput(); err != nil {
		l.t.Fatalf("moggy allow add: %v\n%s", err, out)
	}
}

// startSink starts the recording backend, and waits until it answers.
func (l *lab) startSink(s setup) {
	l.t.Helper()
	argv := []string{"python3", filepath.Join(acceptance, "sink.py"), "198.18.0.2:2525", "--proxy", "any",
		"--ctl", l.path("backend"), "--reject-rcpt", "relay-test[.]invalid"} // no open relay
	if s.tls {
		argv = append(argv, "--cert", selfSigned(l.t, l.path("cert.pem")))
	}
	p := start(l.t, "the backend", l.path("sink.log"), l.command(append(argv, s.sink...)...))
	p.until("waiting for its control socket", func() bool {
		conn, err := net.Dial("unix", l.path("backend"))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}
