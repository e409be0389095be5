package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"moggy/cmd/internal/peers"
)

// composeDir is where the files of the fleet are: nobody else sees it, see peers.Inside, and it goes with the test.
const composeDir = "/run/fleet"

// What .env says.
var composeEnv = []string{
	"MOGGY_HOSTNAME=mx.example.org", "MOGGY_REDIS_PASSWORD=moggys0secret", "REDIS_ADMIN_PASSWORD=admins0secret",
}

// haste is what moggy.toml says besides, so that nobody waits for minutes.
const haste = `
[greylist]
origin       = "network"
pass         = "1s"
pass_unnamed = "1s"

[tarpit]
stutter = "1s"
`

// volumes are the directories that services share. Names are asked for at 127.0.0.11, by all programs.
const volumes = `set -eu
deploy=$(realpath "$2")
cd "$1"
mkdir -p source moggy-config redis-config redis-data prometheus prometheus-data mta/etc mta/data
cp -R "$deploy"/compose/. source
cp "$deploy"/prom/rules.yml prometheus/
printf 'nameserver 127.0.0.11\noptions ndots:0\n' >resolv.conf
file=$(readlink -m /etc/resolv.conf)
mkdir -p "$(dirname "$file")"
[ -e "$file" ] || touch "$file"
mount --bind resolv.conf "$file"
mount -t tmpfs none /var/log
mkdir /var/log/mail
chown 999:1000 redis-data
chown 65534 prometheus-data`

// prepare makes the volumes, and runs what the service prepare runs.
func (f *composed) prepare() {
	f.t.Helper()
	f.sh(volumes, composeDir, "../../deploy")
	config := filepath.Join(composeDir, "source", "moggy.toml")
	f.write(config, shipped(f.t, "deploy/compose/moggy.toml")+haste)
	cmd := exec.CommandContext(f.t.Context(), "sh", "source/prepare.sh", "source", "moggy-config", "redis-config")
	cmd.Dir, cmd.Env = composeDir, append(os.Environ(), composeEnv...)
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("prepare.sh: %v: %s", err, out)
	}
}

// sh runs a script that has to succeed.
func (f *composed) sh(script string, args ...string) {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), "bash", append([]string{"-c", script, "bash"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("%v: %s\n%s", err, out, script)
	}
}

func (f *composed) write(path, text string) {
	f.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// until waits for something to become true; what names it.
func (f *composed) until(what string, done func() bool) {
	f.t.Helper()
	if err := peers.Poll(f.t.Context(), done); err != nil {
		f.t.Fatalf("waited in vain until %s: %v", what, err)
	}
}

// startRedis starts Redis with what prepare.sh made; only its paths are not those of the container. It is ready when
// its health check says so.
func (f *composed) startRedis() {
	f.t.Helper()
	const made = composeDir + "/redis-config"
	text, err := os.ReadFile(made + "/redis.conf")
	if err != nil {
		f.t.Fatal(err)
	}
	paths := strings.NewReplacer("/etc/redis/", made+"/", "dir /data", "dir "+composeDir+"/redis-data")
	f.write(composeDir+"/redis.conf", paths.Replace(string(text)))
	b := f.box("redis")
	f.redis = b.start(b.command(runAs{uid: 999, gid: 1000}, "redis-server", composeDir+"/redis.conf"))
	check := f.plan.find(f.t, f.plan.service(f.t, "redis"), `test: \["CMD-SHELL", "(.*)"\]`)
	f.until("Redis is healthy", func() bool {
		cmd := b.command(runAs{uid: 999, gid: 1000}, "sh", "-c", strings.ReplaceAll(check, "$$", "$"))
		cmd.Env = append(os.Environ(), composeEnv...)
		return b.try(cmd.Run) == nil
	})
}

// composeMain and composeMaster are Postfix as the image of the mail server has it, as far as that matters here.
const (
	composeMain = `compatibility_level = 3.6
queue_directory = /run/fleet/mta/queue
data_directory = /run/fleet/mta/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = /var/log/mail/mail.log
myhostname = mx.example.org
mydestination = ` + peers.Domain + `
local_recipient_maps =
local_transport = discard:
alias_maps =
alias_database =
mynetworks = 127.0.0.1/32
inet_protocols = ipv4
disable_dns_lookups = yes
smtpd_peername_lookup = no
`
	composeMaster = `submission inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`
	// The files look a minute old: Postfix waits until they can no longer be in the middle of a change.
	composePostfix = `cd /run/fleet/mta
postconf() { command postconf -c /run/fleet/mta/etc "$@"; }
. /run/fleet/source/mta/user-patches.sh
touch -d '1 minute ago' etc/main.cf etc/master.cf
mkdir queue
chown postfix data
postfix -c /run/fleet/mta/etc post-install create-missing
exec /usr/lib/postfix/sbin/master -i -c /run/fleet/mta/etc`
)

// startMTA starts Postfix as user-patches.sh leaves it, and somebody who listens where Dovecot does.
func (f *composed) startMTA() {
	f.t.Helper()
	b := f.box("mta")
	f.write(b.dir+"/etc/main.cf", composeMain)
	f.write(b.dir+"/etc/master.cf", composeMaster)
	b.start(b.command(runAs{}, "bash", "-c", composePostfix))
	var dovecot net.Listener
	b.do(func() (err error) {
		dovecot, err = net.Listen("tcp", f.plan.addr("mta", "yard").String()+":10993")
		return err
	})
	f.t.Cleanup(func() { dovecot.Close() })
	go func() { // ends with the listener
		for {
			conn, err := dovecot.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	f.until("Postfix runs", func() bool { return strings.Contains(mailLog(), "daemon started") })
}

// mailLog is what Postfix has said. It has said nothing before it made the file.
func mailLog() string {
	text, _ := os.ReadFile("/var/log/mail/mail.log")
	return string(text)
}

// imageRoot makes the root of a moggyd: what Dockerfile copies into it, and the volumes.
const imageRoot = `set -eu
mkdir -p "$1" && cd "$1"
mkdir -p etc/moggy usr/bin usr/sbin var/lib/moggy var/log/mail
mount --bind "$2" usr/bin
mount --bind "$2" usr/sbin
mount --bind /run/fleet/moggy-config etc/moggy
mount --bind /var/log/mail var/log/mail
cp /run/fleet/resolv.conf etc/
echo 'moggy:x:65532:65532:moggy:/var/lib/moggy:/sbin/nologin' >etc/passwd
chown 65532:65532 var/lib/moggy`

// A composeDoor is one of the two moggyds.
type composeDoor struct {
	*daemon
	run *service
	as  runAs
}

// startDoor starts a moggyd, and returns when it is ready: what haproxy sees first would count for four seconds.
func (f *composed) startDoor(name string) *composeDoor {
	f.t.Helper()
	b := f.box(name)
	root := filepath.Join(b.dir, "root")
	f.sh(imageRoot, root, filepath.Dir(f.moggyd))
	d := &composeDoor{as: runAs{65532, 65532, []uint32{4}, root}} // group_add in docker-compose.yml
	d.run = b.start(d.command(b, "/usr/sbin/moggyd"))
	d.daemon = &daemon{t: f.t, dir: b.dir, cmd: d.run.cmd, ended: d.run.ended, conf: conf{State: root + "/var/lib/moggy"}}
	d.waitLog(`moggyd is ready`)
	return d
}

// command is one that is run as the image would.
func (d *composeDoor) command(b *box, argv ...string) *exec.Cmd {
	cmd := b.command(d.as, argv...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin", "STATE_DIRECTORY=/var/lib/moggy"}
	return cmd
}

// exec is `docker compose exec`: what the command says, and whether it ended well.
func (d *composeDoor) exec(argv ...string) (said string, err error) {
	d.t.Helper()
	cmd := d.command(d.run.box, argv...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err = d.run.try(cmd.Run)
	return out.String(), err
}

// startHaproxy starts the door that the world knows; -n, because the test may not have as many descriptors.
func (f *composed) startHaproxy() {
	f.t.Helper()
	b := f.box("haproxy")
	cfg := composeDir + "/source/haproxy.cfg"
	f.haproxy = b.start(b.command(nobody, "haproxy", "-W", "-db", "-n", "1000", "-f", cfg))
}

// startPrometheus starts it with what is shipped, but fifteen times as fast.
func (f *composed) startPrometheus() {
	f.t.Helper()
	const dir = composeDir + "/prometheus"
	f.write(dir+"/prometheus.yml", strings.ReplaceAll(shipped(f.t, "deploy/compose/prometheus.yml"), ": 15s", ": 1s"))
	f.prometheus = f.box("prometheus")
	f.prometheus.start(f.prometheus.command(nobody, "prometheus", "--config.file="+dir+"/prometheus.yml",
		"--storage.tsdb.path="+composeDir+"/prometheus-data"))
}

// asks asks Prometheus, and reports whether it answered.
func (f *composed) asks(path string, answer any) bool {
	r, err := f.prometheus.client().Get("http://127.0.0.1:9090/api/v1/" + path)
	if err != nil {
		return false
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return err == nil && json.Unmarshal(text, answer) == nil
}

// healthy asks haproxy what its health check asks.
func (f *composed) healthy(t *testing.T) error {
	t.Helper()
	url := f.plan.find(t, f.plan.service(t, "haproxy"), `test: \["CMD", "wget", .*"(http://127.0.0.1:[^"]*)"\]`)
	r, err := f.haproxy.client().Get(url)
	if err != nil {
		return err
	}
	r.Body.Close()
	if r.StatusCode != 200 {
		return fmt.Errorf("haproxy says %s", r.Status)
	}
	return nil
}
