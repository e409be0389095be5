package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Fault is one thing wrong with a file.
type Fault struct {
	File string
	Line int    // from 1
	Text string // one line, ends with what to type
}

// String returns the fault as FILE:LINE: sentence.
func (f Fault) String() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text) }

// Error is everything wrong with a file, in the order of its lines.
type Error struct{ Faults []Fault }

// Error returns one line a fault.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// mark is where a key, section or list element stands in the file.
type mark struct {
	line   int
	value  string // as shown to people; empty for sections and full lists
	secret bool   // value is never shown
	row    bool   // element of a list of sections
}

// remark is a fault or a warning, bound to a path.
type remark struct {
	line int
	path string // empty: text stands alone
	text string
	warn bool
}

// sheet is a file as it is being marked: where everything stands, by path
// (greylist.pass, listener[0].name, trap.addresses[2]), and what is wrong.
type sheet struct {
	name    string
	marks   map[string]*mark
	bad     map[string]bool
	remarks []remark
}

func newSheet(name string) *sheet {
	return &sheet{name: name, marks: make(map[string]*mark), bad: make(map[string]bool)}
}

// mark notes that path stands at line, and returns its mark. The first
// occurrence counts.
func (s *sheet) mark(path string, line int) *mark {
	m := s.marks[path]
	if m == nil {
		m = &mark{line: line}
		s.marks[path] = m
	}
	return m
}

// given reports whether the file has path.
func (s *sheet) given(path string) bool { return s.marks[path] != nil }

// sound reports that none of paths has a fault so far.
func (s *sheet) sound(paths ...string) bool {
	return !slices.ContainsFunc(paths, func(p string) bool { return s.bad[p] })
}

// fault says what is wrong with path; the text follows its name and value.
// Only the first fault of a path is kept, and none below it: what follows may
// be its echo.
func (s *sheet) fault(path, format string, args ...any) {
	for p := path; p != ""; p = parent(p) {
		if s.bad[p] {
			return
		}
	}
	s.bad[path] = true
	s.remarks = append(s.remarks, remark{line: s.line(path), path: path, text: fmt.Sprintf(format, args...)})
}

// warn says what is probably not meant.
func (s *sheet) warn(path, format string, args ...any) {
	s.remarks = append(s.remarks, remark{line: s.line(path), path: path, text: fmt.Sprintf(format, args...), warn: true})
}

// say adds a fault that belongs to a line and to no key.
func (s *sheet) say(line int, text string) {
	s.remarks = append(s.remarks, remark{line: line, text: text})
}

// faulty reports whether line has a fault.
func (s *sheet) faulty(line int) bool {
	return slices.ContainsFunc(s.remarks, func(r remark) bool { return r.line == line && !r.warn })
}

// line returns where path stands, or else what contains it, or else line 1.
func (s *sheet) line(path string) int {
	for path != "" {
		if m := s.marks[path]; m != nil {
			return m.line
		}
		path = parent(path)
	}
	return 1
}

// parent returns the path of what holds path, empty for the file itself.
func parent(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// faults returns what makes the file unusable, in the order of its lines.
func (s *sheet) faults() []Fault {
	slices.SortStableFunc(s.remarks, func(a, b remark) int {
		return cmp.Or(cmp.Compare(a.line, b.line), strings.Compare(a.path, b.path))
	})
	var all []Fault
	for _, r := range s.remarks {
		if !r.warn {
			all = append(all, s.sentence(r))
		}
	}
	return all
}

// warnings returns the rest as FILE:LINE: sentence.
func (s *sheet) warnings() []string {
	var all []string
	for _, r := range s.remarks {
		if r.warn {
			all = append(all, s.sentence(r).String())
		}
	}
	return all
}

func (s *sheet) sentence(r remark) Fault {
	text := r.text
	if r.path != "" {
		text = s.subject(r.path) + " " + text
	}
	return Fault{File: s.name, Line: r.line, Text: text}
}

// subject names path and its value for people: listener "smtp": forward = "x".
func (s *sheet) subject(path string) string {
	name := s.spoken(path)
	if m := s.marks[path]; m != nil && m.value != "" && !m.secret {
		name += " = " + m.value
	}
	return name
}

// spoken replaces the index of a section by its name, and drops the index of
// a value: the value itself is shown.
func (s *sheet) spoken(path string) string {
	list, rest, ok := strings.Cut(path, "[")
	if !ok {
		return path
	}
	index, rest, _ := strings.Cut(rest, "]")
	row := list + "[" + index + "]"
	if m := s.marks[row]; m == nil || !m.row {
		return list
	}
	name := list + " " + s.label(row, index)
	if rest, _, _ = strings.Cut(strings.TrimPrefix(rest, "."), "["); rest != "" {
		name += ": " + rest
	}
	return name
}

// label returns what a row is called in the file, else its number from 1.
func (s *sheet) label(row, index string) string {
	for _, key := range []string{".name", ".zone"} {
		if m := s.marks[row+key]; m != nil && m.value != "" {
			return m.value
		}
	}
	n, _ := strconv.Atoi(index)
	return strconv.Itoa(n + 1)
}
