package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Load reads the file at path and parses it. Faults in the text are an *Error.
func Load(path string) (*Config, error) { return load(path, notYet) }

func load(path string, later []lack) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w; name a readable file with -c", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w; name a readable file with -c", err)
	}
	return parse(path, text, info.Mode(), later)
}

// Parse checks text and returns its options, with defaults where it says
// nothing. Faults are all returned together as an *Error that names the file
// as name. The text is not kept.
func Parse(name string, text []byte) (*Config, error) { return parse(name, text, 0, notYet) }

// parse is Parse for a file of the given mode, with a table of what is lacking.
func parse(name string, text []byte, mode fs.FileMode, later []lack) (*Config, error) {
	c, s := Default(), newSheet(name)
	syntax := s.walk(text, c)
	if syntax == nil {
		c.finish(s)
		check(s, c, mode)
		s.refuse(later)
	}
	s.library(text, syntax)
	if faults := s.faults(); len(faults) > 0 {
		return nil, &Error{Faults: faults}
	}
	c.Warnings = s.warnings()
	return c, nil
}

// walk fills c from text. It returns what makes text no TOML at all.
func (s *sheet) walk(text []byte, c *Config) error {
	d := &decoder{sheet: s}
	d.parser.Reset(text)
	d.document(reflect.ValueOf(c).Elem())
	return d.parser.Error()
}

// library adds what the library itself finds wrong: no TOML, or a key or
// section given twice. It is asked last, and kept silent on lines that have a
// better sentence.
func (s *sheet) library(text []byte, syntax error) {
	var all map[string]any
	err := toml.Unmarshal(text, &all)
	if err == nil && syntax == nil {
		return
	}
	line := 1
	if de, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ = de.Position()
	}
	if err == nil {
		err = syntax
	}
	if !s.faulty(line) {
		s.say(line, advise(strings.TrimPrefix(err.Error(), "toml: ")))
	}
}

// advise makes a sentence of the library's message.
func advise(message string) string {
	advice := `text and durations go in quotes, as in pass = "4m"`
	if strings.Contains(message, " already ") {
		advice = "keep one of the two and remove the other"
	}
	return fmt.Sprintf("not valid TOML: %s; %s", oneLine(message), advice)
}
