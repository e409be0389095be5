package hear

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// maxEntry bounds an entry of the journal as JSON, in bytes: a message has at most 4 KiB of them, but also some twenty
// other fields.
const maxEntry = 64 << 10

// The pace at which journalctl is started again, and how long it runs until that begins anew.
const (
	restartFirst = time.Second
	restartMost  = time.Minute
)

// settled is how long journalctl runs without a complaint until all is taken to be well.
const settled = 5 * time.Second

// A journal follows the journal of systemd, through its own program: what writes to syslog's facility "mail", as all mail
// servers do by themselves.
type journal struct {
	command string // journalctl
	message func(program, text string)
	fault   func(error)
}

// run follows until ctx is done. What is written while journalctl is started again is heard late, perhaps twice.
func (j *journal) run(ctx context.Context) {
	pause, since := restartFirst, time.Now()
	for ctx.Err() == nil {
		began := time.Now()
		err := j.once(ctx, since)
		if ctx.Err() != nil {
			return
		}
		since = time.Now()
		j.fault(err)
		if time.Since(began) >= restartMost {
			pause = restartFirst
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, restartMost)
	}
}

// once runs journalctl until it ends, and says why it did. (It begins at a time: with --lines=0 systemd 252 loses what comes
// after it was started, until some entry of the kind is there.)
func (j *journal) once(ctx context.Context, since time.Time) error {
	cmd := exec.CommandContext(ctx, j.command, "--follow", "--no-tail", fmt.Sprintf("--since=@%d", since.Unix()),
		"--output=json", "--no-pager", "SYSLOG_FACILITY=2")
	cmd.WaitDelay = 2 * time.Second
	said := &complaint{fault: j.fault}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("there is no %s here, so no journal of systemd; name the log file instead: logs = [\"/var/log/mail.log\"]", j.command)
	}
	if err != nil {
		return err
	}
	defer time.AfterFunc(settled, said.settle).Stop()
	defer context.AfterFunc(ctx, func() { out.Close() })() // whatever still holds the other end
	j.read(out)
	err = cmd.Wait()
	return fmt.Errorf("%s ended (%v) %s", j.command, err, said.text())
}

// read reads entries up to the end.
func (j *journal) read(r io.Reader) {
	var lines splitter
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		lines.feed(buf[:n], maxEntry, j.entry)
		if err != nil {
			return
		}
	}
}

// entry takes an entry of the journal.
func (j *journal) entry(line string) {
	var e struct {
		Program string  `json:"SYSLOG_IDENTIFIER"`
		Message message `json:"MESSAGE"`
	}
	if err := json.Unmarshal([]byte(line), &e); err == nil && len(e.Message) <= maxLine {
		j.message(e.Program, string(e.Message))
	}
}

// A message is the text of an entry. What is not UTF-8 comes as an array of its bytes, what is too long as null
// (https://systemd.io/JOURNAL_EXPORT_FORMATS).
type message string

func (m *message) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err == nil {
		*m = message(text)
		return nil
	}
	var raw []uint16 // of bytes []byte would want base64
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	bytes := make([]byte, len(raw))
	for i, c := range raw {
		bytes[i] = byte(c)
	}
	*m = message(bytes)
	return nil
}

// A complaint is the first line that journalctl writes to its standard error; it may run on and see next to nothing.
type complaint struct {
	fault func(error)

	mu   sync.Mutex
	said []byte
}

const maxComplaint = 300

func (c *complaint) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := maxComplaint - len(c.said); room > 0 {
		c.said = append(c.said, b[:min(len(b), room)]...)
		c.fault(errors.New(c.line()))
	}
	return len(b), nil
}

// settle says that all is well, unless there was a complaint.
func (c *complaint) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.said) == 0 {
		c.fault(nil)
	}
}

func (c *complaint) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.line()
}

func (c *complaint) line() string { return strings.Join(strings.Fields(string(c.said)), " ") }
