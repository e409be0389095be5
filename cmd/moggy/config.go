package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/desk"
)

// config reads the configuration. Where the file is wrong and a moggyd answers all
// the same, which read it when it was right, that one is asked: of the file no more
// is needed than where it lives. Without it a wrong file is an error, for nobody
// should change a store by half a configuration.
func (t *tool) config(ctx context.Context) (*config.Config, error) {
	if t.cfg != nil {
		return t.cfg, nil
	}
	cfg, err := t.load()
	if _, wrong := errors.AsType[*config.Error](err); wrong {
		if cfg, ok := t.running(ctx); ok {
			t.cfg = cfg
			t.tellWrong(err)
			return cfg, nil
		}
	}
	if err != nil {
		return nil, err
	}
	t.cfg = cfg
	return cfg, nil
}

// load reads the file that -c names, or the default one, or none.
func (t *tool) load() (*config.Config, error) {
	path, ok := config.Find(t.file)
	if !ok {
		return atHome(config.Default()), nil
	}
	cfg, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	return atHome(cfg), nil
}

// systemState is where a moggyd that the system started lives, if nothing else is said.
const systemState = "/var/lib/moggy"

// atHome has somebody who is not root, and has no moggyd of his own in this directory,
// ask the system's: to be told that he may not is better than that there is none.
func atHome(cfg *config.Config) *config.Config {
	if cfg.StateDir != "./moggy-state" {
		return cfg
	}
	_, own := os.Stat(cfg.StateDir)
	if _, err := os.Stat(systemState); own != nil && err == nil {
		cfg.StateDir = systemState
	}
	return cfg
}

// running is the little that has to be known of a moggyd that answers; false if
// none does.
func (t *tool) running(ctx context.Context) (*config.Config, bool) {
	path, _ := config.Find(t.file)
	cfg := config.Default()
	if dir := stateDirIn(path); dir != "" {
		cfg.StateDir = dir
	}
	conn, err := desk.Dial(ctx, desk.SocketPath(cfg.StateDir))
	if err != nil {
		return nil, false
	}
	conn.Close()
	return cfg, true
}

// stateLine is a line of TOML that says state_dir, with a basic or a literal string.
var stateLine = regexp.MustCompile(`^\s*state_dir\s*=\s*(?:("(?:[^"\\]|\\.)*")|'([^']*)')\s*(?:#.*)?$`)

// maxConfig bounds what is read of a file that is wrong, in bytes.
const maxConfig = 1 << 20

// stateDirIn finds state_dir in a file that is wrong elsewhere; "" if it is not there.
func stateDirIn(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(io.LimitReader(f, maxConfig)); s.Scan(); {
		line := s.Text()
		if strings.HasPrefix(strings.TrimSpace(line), "[") {
			return "" // the keys of the file itself stand before all sections
		}
		if m := stateLine.FindStringSubmatch(line); m != nil {
			dir, err := strconv.Unquote(m[1])
			if err != nil {
				return m[2]
			}
			return dir
		}
	}
	return ""
}

// tellWrong says that a file is wrong which moggyd does not need now.
func (t *tool) tellWrong(err error) {
	path, _ := config.Find(t.file)
	t.tellFaults(err)
	fmt.Fprintf(t.err, "moggy: moggyd runs on with what it read before; mend %s, then type: moggyd -t -c %s\n", printable(path), printable(path))
}

// tellFaults writes each fault of a configuration on a line of its own, and
// reports whether err is of that kind.
func (t *tool) tellFaults(err error) bool {
	faults, ok := errors.AsType[*config.Error](err)
	if !ok {
		return false
	}
	for _, f := range faults.Faults {
		fmt.Fprintf(t.err, "moggy: %s\n", printable(f.String()))
	}
	return true
}
