package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/desk"
	"moggy/metrics"
	"moggy/proxy"
)

// maxFaults bounds the faults of a file that are shown; moggyd -t has all.
const maxFaults = 5

// configuration checks the file: can it be read?
func (x *examination) configuration() {
	path, there := config.Find(x.file)
	cfg, err := x.load()
	faults, wrong := errors.AsType[*config.Error](err)
	switch {
	case wrong:
		shown := faults.Faults[:min(len(faults.Faults), maxFaults)]
		do := "moggyd -t -c " + printable(path) + "    says all that is wrong with it"
		for i, f := range shown {
			if i < len(shown)-1 {
				x.add(fail, "configuration", printable(f.String()))
			} else {
				x.add(fail, "configuration", printable(f.String()), do)
			}
		}
	case err != nil:
		x.add(fail, "configuration", sentences(err.Error()))
	case !there:
		x.add(warn, "configuration", "there is no "+config.SystemFile+": the built-in defaults count", "moggy doctor -c FILE")
	case len(cfg.Warnings) == 0:
		x.add(fine, "configuration", printable(path)+" is right")
	}
	if err != nil {
		return
	}
	for _, w := range cfg.Warnings {
		x.add(warn, "configuration", printable(w))
	}
}

// daemon asks whether moggyd runs, and with what.
func (x *examination) daemon() {
	var s desk.Status
	err := x.quietly(func(ctx context.Context, d desk.Desk) (err error) {
		s, err = d.Status(ctx, desk.StatusFilter{})
		return err
	})
	if err != nil {
		if _, said := errors.AsType[*config.Error](err); !said {
			x.add(fail, "daemon", sentences(err.Error()))
		}
		return
	}
	x.status = &s
	if !s.Daemon {
		x.add(fail, "daemon", "moggyd is not running: nobody gets mail in", "systemctl start moggyd    or with what starts services here")
		return
	}
	x.add(fine, "daemon", fmt.Sprintf("moggyd %sruns since %s", versionText(s), x.since(s)))
	if s.Mode == "observe" {
		x.add(warn, "daemon", "mode is observe: everybody is let through", `mode = "enforce" in moggy.toml, then reload moggyd`)
	}
	x.inForce(s.Health.Config)
}

// quietly asks the desk without the complaint about a wrong file, which is a finding
// of its own.
func (x *examination) quietly(f order) error {
	said := x.err
	x.err = nowhere{}
	defer func() { x.err = said }()
	return x.ask(x.ctx, f)
}

// nowhere is where nothing is written to.
type nowhere struct{}

// Write implements io.Writer.
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// inForce compares what runs with its file.
func (x *examination) inForce(c desk.Config) {
	const reload = "systemctl reload moggyd    or send it SIGHUP"
	if c.Refused != "" {
		x.add(fail, "configuration", "the configuration was refused at the last reload, and that of "+x.clock(c.Loaded)+" runs on: "+printable(c.Refused),
			"moggyd -t -c "+printable(c.File))
	} else if info, err := os.Stat(c.File); err == nil && !c.Loaded.IsZero() && info.ModTime().After(c.Loaded) {
		x.add(warn, "configuration", printable(c.File)+" was changed at "+x.clock(info.ModTime())+", and what runs was read at "+x.clock(c.Loaded), reload)
	}
	if len(c.Restart) > 0 {
		x.add(warn, "configuration", "changes that wait for a restart: "+printable(strings.Join(c.Restart, ", ")), "systemctl restart moggyd")
	}
}

// listeners asks whether somebody answers behind each of them: moggyd knows, and
// where it is down a connection shows it.
func (x *examination) listeners() {
	for _, l := range x.status.Listeners {
		name := fmt.Sprintf("listener %s: backend %s", printable(l.Name), printable(l.Backend))
		fault := l.Fault
		if !x.status.Daemon {
			fault = x.knock(l.Backend)
		}
		switch {
		case fault != "":
			x.add(fail, "listener", name+" cannot be used: "+printable(fault), "start the mail server behind it, or name the right one as backend in moggy.toml")
		case l.Forward == config.ForwardNone:
			x.add(warn, "listener", name+" answers, and is not told who the client is", `forward = "proxy-v2" in moggy.toml, where the backend can read it`)
		default:
			x.add(fine, "listener", name+" answers, and is told who the client is ("+printable(l.Forward)+")")
		}
	}
}

// knock connects to a backend; "" if somebody is there.
func (x *examination) knock(address string) string {
	d := net.Dialer{Timeout: 2 * time.Second}
	conn, err := d.DialContext(x.ctx, "tcp", address)
	if err != nil {
		return err.Error()
	}
	conn.Close()
	return ""
}

// alarmRemedies are what to type about alarms. Those that have a check of their own
// are not among them.
var alarmRemedies = map[string]string{
	proxy.AlarmName(metrics.Harm):           "moggy hurt",
	proxy.AlarmName(metrics.StoreDown):      "moggy status",
	proxy.AlarmName(metrics.JournalFailing): "moggy status",
	proxy.AlarmName(metrics.OpenRelay):      `forward = "proxy-v2" in moggy.toml, and let the backend read it; or take moggy's address out of its networks`,
	proxy.AlarmName(metrics.InternalError):  "restart moggyd, and report what its log says",
}

// alarms tells of what stands and has no check of its own.
func (x *examination) alarms() {
	other := 0
	for _, a := range x.status.Alarms {
		do, ours := alarmRemedies[a.Name]
		if !ours {
			other++
			continue
		}
		x.add(fail, "alarm", fmt.Sprintf("alarm %s since %s (%s): %s", printable(a.Name), x.clock(a.Since), x.ago(a.Since), printable(a.Why)), do)
	}
	switch {
	case !x.status.Daemon || len(x.status.Alarms) > other:
	case other > 0:
		x.add(fine, "alarm", "no other alarm stands")
	default:
		x.add(fine, "alarm", "no alarm stands")
	}
}

// mendStore is what to do about a store that does not work.
func mendStore(s *desk.Status) string {
	if s.Store == "embedded" {
		return "make room on the disk of " + printable(s.StateDir) + ", and see that moggyd may write there"
	}
	return "see that Redis runs at " + printable(s.Store) + ", has room, and lets moggyd's user write"
}

// keepers checks what keeps things: the store, the journal, the sets of the good.
func (x *examination) keepers() {
	f, s := x.status.Figures, x.status
	if f.StoreFault != "" {
		x.add(fail, "store", "the store does not work: "+printable(f.StoreFault), mendStore(s))
	} else if f.StoreDropped > 0 || f.StoreDamaged > 0 {
		x.add(warn, "store", fmt.Sprintf("the store works, but %d rows were dropped for want of room, and %d were damaged", f.StoreDropped, f.StoreDamaged))
	} else {
		x.add(fine, "store", fmt.Sprintf("the store works: %s, %s", count(int(f.Triplets), "deferred mail"), count(int(f.Origins), "known origin")))
	}
	if f.JournalDropped > 0 {
		x.add(warn, "journal", fmt.Sprintf("%s of the journal were lost", count(int(f.JournalDropped), "record")), "see that the disk of "+printable(s.Journal.Dir)+" keeps up")
	} else {
		x.add(fine, "journal", fmt.Sprintf("the journal has %s in %s", size(s.Journal.Bytes), count(s.Journal.Files, "file")))
	}
	for _, fault := range s.Health.GoodFaults {
		x.add(fail, "good", printable(fault))
	}
	if len(s.GoodSets) > 0 && s.Daemon && len(s.Health.GoodFaults) == 0 {
		x.add(fine, "good", "sets moggy_good and moggy_good6 are kept in step in "+printable(strings.Join(s.GoodSets, ", ")))
	}
}
