package deploy_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// services are the services of docker-compose.yml, by name, as text.
func services(t testing.TB) map[string]string {
	t.Helper()
	_, text, _ := strings.Cut(read(t, "../docker-compose.yml"), "\nservices:\n")
	text, _, _ = strings.Cut(text, "\nnetworks:\n")
	all := make(map[string]string)
	start := regexp.MustCompile(`(?m)^  (\w+):\n`)
	at := start.FindAllStringSubmatchIndex(text, -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		all[text[m[2]:m[3]]] = text[m[1]:end]
	}
	return all
}

// settings are the variables of .env.example, filled in.
func settings(t testing.TB) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(read(t, "compose/.env.example")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			if value != "" {
				t.Errorf(".env.example has a value for %s", name)
			}
			all = append(all, name+"="+map[bool]string{true: "mx.example.org", false: "/nowhere"}[name == "MOGGY_HOSTNAME"])
		}
	}
	return all
}

// composers are the programs that read docker-compose.yml, as far as they are here.
func composers(t testing.TB) (all [][]string) {
	t.Helper()
	if _, err := try(".", "docker", "compose", "version"); err == nil {
		all = append(all, []string{"docker", "compose"})
	}
	if _, err := exec.LookPath("docker-compose"); err == nil {
		all = append(all, []string{"docker-compose"})
	}
	if len(all) == 0 {
		need(t, "docker-compose")
	}
	return all
}

func TestComposeIsAccepted(t *testing.T) {
	dir := t.TempDir()
	filled, empty := write(t, dir, "filled", strings.Join(settings(t), "\n")+"\n"), write(t, dir, "empty", "")
	for _, program := range composers(t) {
		run(t, "..", append(program, "--env-file", filled, "config", "--quiet")...)
		out, err := try("..", append(program, "--env-file", empty, "config", "--quiet")...)
		if err == nil || !strings.Contains(out, "see deploy/compose/.env.example") {
			t.Errorf("%v without .env: %v, %s", program, err, out)
		}
	}
}

func TestComposeIsDrawnTight(t *testing.T) {
	all := services(t)
	for _, name := range []string{"prepare", "haproxy", "moggy1", "moggy2", "redis", "mta", "prometheus", "grafana"} {
		if all[name] == "" {
			t.Errorf("no service %s", name)
		}
	}
	for name, text := range all {
		published := strings.Contains(text, "    ports:\n")
		if published != slices.Contains([]string{"haproxy", "grafana"}, name) {
			t.Errorf("%s: published %v", name, published)
		}
		m := regexp.MustCompile(`(?m)^    image: \S+:(\S+)$`).FindStringSubmatch(text)
		if (m == nil || m[1] == "latest") && !strings.Contains(text, "    <<: *moggy\n") {
			t.Errorf("%s: an image without a version", name)
		}
	}
	if n := strings.Count(read(t, "../docker-compose.yml"), "    build: "); n != 1 {
		t.Errorf("%d services build the image: each would replace that of the one before", n)
	}
	for line := range strings.Lines(read(t, "../docker-compose.yml")) {
		if strings.Contains(line, "_PASSWORD: ") && !strings.Contains(line, ":?see deploy/compose/.env.example}") {
			t.Errorf("a password that is not from .env: %s", line)
		}
	}
}

// TestComposeMountsWhatIsThere: a file that is not there would become an empty directory.
func TestComposeMountsWhatIsThere(t *testing.T) {
	mounts := regexp.MustCompile(`(?m)^      - (\./[^:]+):`).FindAllStringSubmatch(read(t, "../docker-compose.yml"), -1)
	for _, m := range mounts {
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Error(err)
		}
	}
	if len(mounts) < 8 {
		t.Errorf("only %d mounts were found", len(mounts))
	}
}

// TestSubnetsAreNobodyElses: Docker gives networks of its own choice out of its pools, those of other projects, too.
func TestSubnetsAreNobodyElses(t *testing.T) {
	var nets []netip.Prefix
	for _, m := range regexp.MustCompile(`subnet: ([\d./]+)`).FindAllStringSubmatch(read(t, "../docker-compose.yml"), -1) {
		nets = append(nets, netip.MustParsePrefix(m[1]))
	}
	if len(nets) != 3 {
		t.Fatalf("%d subnets: %v", len(nets), nets)
	}
	nets = append(nets, netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"))
	for i, a := range nets {
		for _, b := range nets[:i] {
			if a.Overlaps(b) {
				t.Errorf("%v and %v overlap", a, b)
			}
		}
	}
}

// TestPrometheusAsksBoth at the addresses that they have.
func TestPrometheusAsksBoth(t *testing.T) {
	config := read(t, "compose/prometheus.yml")
	for _, name := range []string{"moggy1", "moggy2"} {
		text := services(t)[name]
		m := regexp.MustCompile(`watch: {ipv4_address: ([\d.]+)}`).FindStringSubmatch(text)
		if m == nil || !strings.Contains(config, `- targets: ["`+m[1]+`:9925"]`+"\n        labels: {instance: "+name+"}\n") {
			t.Errorf("Prometheus does not ask %s, %v", name, m)
		}
		if !strings.Contains(text, "    hostname: "+name+"\n") {
			t.Errorf("%s is not called so", name)
		}
	}
}

// TestAddressesAgree: what one file says of an address or a port the others say, too.
func TestAddressesAgree(t *testing.T) {
	compose, config, door := read(t, "../docker-compose.yml"), read(t, "compose/moggy.toml"), read(t, "compose/haproxy.cfg")
	haproxy := regexp.MustCompile(`door: {ipv4_address: (\S+)}`).FindStringSubmatch(compose)[1]
	if n := strings.Count(config, `trust_proxy = ["`+haproxy+`/32"]`); n != strings.Count(config, "[[listener]]") {
		t.Errorf("%d listeners trust haproxy at %s", n, haproxy)
	}
	yard := regexp.MustCompile(`\n  yard:\n.*\n.*subnet: ([^}]+)}`).FindStringSubmatch(compose)[1]
	mta := read(t, "compose/mta/dovecot.cf") + read(t, "compose/mta/user-patches.sh")
	if !strings.Contains(mta, "haproxy_trusted_networks = "+yard+"\n") {
		t.Errorf("Dovecot does not trust network yard, %s", yard)
	}
	listeners := regexp.MustCompile(`name +=.*\naddress +=.*":(\d+)"\n(?:kind.*\n)?backend +=.*"mta:(\d+)"`).FindAllStringSubmatch(config, -1)
	if len(listeners) != 3 {
		t.Errorf("%d listeners", len(listeners))
	}
	for _, l := range listeners {
		for _, want := range []string{"bind :" + l[1] + "\n", "server moggy1 moggy1:" + l[1] + "\n", "server moggy2 moggy2:" + l[1] + "\n"} {
			if !strings.Contains(door, want) {
				t.Errorf("haproxy.cfg: no %q", want)
			}
		}
		if !strings.Contains(compose, ":"+l[1]+":"+l[1]+`"`) || !regexp.MustCompile(`'`+l[2]+`/inet=|"`+l[2]+`/inet=|port = `+l[2]).MatchString(mta) {
			t.Errorf("port %s is not published, or the mail server has no port %s", l[1], l[2])
		}
	}
}

func TestHaproxyAcceptsItsFile(t *testing.T) {
	need(t, "haproxy")
	run(t, "compose", "haproxy", "-c", "-f", "haproxy.cfg")
}

func TestPrometheusAcceptsItsFile(t *testing.T) {
	need(t, "promtool")
	dir := t.TempDir()
	write(t, dir, "rules.yml", read(t, "prom/rules.yml"))
	write(t, dir, "prometheus.yml", read(t, "compose/prometheus.yml"))
	run(t, dir, "promtool", "check", "config", "prometheus.yml")
}

// TestPostfixTakesThePatches runs what docker-mailserver runs, on a master.cf of a few lines, twice: as when the
// container is started again.
func TestPostfixTakesThePatches(t *testing.T) {
	need(t, "postconf")
	need(t, "bash")
	dir := t.TempDir()
	write(t, dir, "main.cf", "compatibility_level = 3.6\n")
	write(t, dir, "master.cf", "smtp inet n - n - 1 postscreen\nsubmission inet n - n - - smtpd\n  -o smtpd_tls_security_level=encrypt\n")
	script := `postconf() { command postconf -c "$dir" "$@"; }; touch() { :; }; chgrp() { :; }; chmod() { :; }; ` +
		`dir=$1; . compose/mta/user-patches.sh; . compose/mta/user-patches.sh; postconf -M`
	got := run(t, ".", "bash", "-c", script, "bash", dir)
	got = regexp.MustCompile(` +`).ReplaceAllString(got, " ")
	for _, want := range []string{
		"12525 inet n - n - - smtpd -o syslog_name=postfix/moggy -o smtpd_upstream_proxy_protocol=haproxy\n",
		"10587 inet n - n - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_upstream_proxy_protocol=haproxy\n",
		"submission inet n - n - - smtpd -o smtpd_tls_security_level=encrypt\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n != 4 {
		t.Errorf("%d services:\n%s", n, got)
	}
}
