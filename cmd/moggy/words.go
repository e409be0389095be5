package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"moggy/verdict/journal"
)

// printable makes a string that somebody else may have chosen fit for a
// terminal. Strings of the journal are already.
func printable(s string) string { return strings.ReplaceAll(journal.Printable(s), `\\`, `\`) }

// sentences is printable for complaints, which may have more than one line.
func sentences(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

const day = 24 * time.Hour

// span writes a duration in its two largest units: 2.9s, 45s, 15m01s, 3h05m, 2d4h.
func span(d time.Duration) string {
	d = d.Abs()
	if tenths := d.Round(time.Second / 10); tenths < 10*time.Second {
		return strconv.FormatFloat(tenths.Seconds(), 'f', -1, 64) + "s"
	}
	for _, unit := range units {
		if d = d.Round(unit.small); d < unit.below {
			return two(int(d/unit.big), unit.names[0], int(d%unit.big/unit.small), unit.names[1], unit.format)
		}
	}
	return ""
}

// units are the pairs in which durations are written.
var units = [...]struct {
	big, small, below time.Duration
	names             [2]string
	format            string // of the small one
}{
	{time.Minute, time.Second, time.Hour, [2]string{"m", "s"}, "%02d"},
	{time.Hour, time.Minute, day, [2]string{"h", "m"}, "%02d"},
	{day, time.Hour, 1<<63 - 1, [2]string{"d", "h"}, "%d"},
}

// two writes an amount in two units, without what is 0.
func two(big int, unit string, small int, unit2, format string) string {
	switch {
	case big == 0:
		return strconv.Itoa(small) + unit2
	case small == 0:
		return strconv.Itoa(big) + unit
	}
	return strconv.Itoa(big) + unit + fmt.Sprintf(format, small) + unit2
}

// ago writes a time in the past, "-" if there was none.
func (t *tool) ago(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return span(t.now().Sub(at)) + " ago"
}

// when writes a time in the future.
func (t *tool) when(at time.Time) string {
	switch left := at.Sub(t.now()); {
	case at.IsZero():
		return "never"
	case left <= 0:
		return span(left) + " ago"
	default:
		return "in " + span(left)
	}
}

// clock writes a time as the operator's clock shows it, without today's date.
func (t *tool) clock(at time.Time) string {
	at, now := at.Local(), t.now().Local()
	if at.Year() == now.Year() && at.YearDay() == now.YearDay() {
		return at.Format("15:04:05")
	}
	return at.Format("2006-01-02 15:04:05")
}

// lifetime reads 90d, 1d12h, 30m or never, which is 0.
func lifetime(text string) (time.Duration, error) {
	if text == "never" {
		return 0, nil
	}
	d, ok := duration(text)
	if !ok {
		return 0, fmt.Errorf("--ttl %q is no duration; give 90d, 12h or never", text)
	}
	return d, nil
}

// duration reads 90d, 1d12h or 30m.
func duration(text string) (time.Duration, bool) {
	var days int
	if before, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(before, 10, 16)
		if err != nil {
			return 0, false
		}
		days, text = int(n), after
	}
	var rest time.Duration
	if text != "" || days == 0 {
		var err error
		if rest, err = time.ParseDuration(text); err != nil {
			return 0, false
		}
	}
	if sum := time.Duration(days)*day + rest; sum > 0 && rest >= 0 {
		return sum, true
	}
	return 0, false
}

// count writes "1 mail", "2 mails".
func count(n int, thing string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case strings.HasSuffix(thing, "s"):
		return strconv.Itoa(n) + " " + thing + "es"
	case strings.HasSuffix(thing, "y"):
		return strconv.Itoa(n) + " " + strings.TrimSuffix(thing, "y") + "ies"
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// size writes bytes: 512 B, 24 kB, 3.1 MB.
func size(n int64) string {
	f, unit := float64(n), " B"
	for _, next := range []string{" kB", " MB", " GB", " TB"} {
		if f < 1000 {
			break
		}
		f, unit = f/1000, next
	}
	if unit == " B" || f >= 10 {
		return strconv.FormatFloat(f, 'f', 0, 64) + unit
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + unit
}

// quoted writes a person's note; nothing where there is none.
func quoted(note string) string {
	if note == "" {
		return ""
	}
	return ` "` + printable(note) + `"`
}

// sender writes a sender, <> for the null sender.
func sender(mailbox string) string {
	if mailbox == "" {
		return "<>"
	}
	return mailbox
}
