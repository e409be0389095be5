package status

import (
	"cmp"
	"strings"
)

// A table is a part of the page: a heading, a sentence about it, rows.
type table struct {
	ID      string
	Title   text
	Note    text
	Columns []column
	Rows    [][]cell
	After   text // below the rows; instead of them where there are none
}

// A column begins with "#" if it is of numbers.
type column struct {
	Name text
	Num  bool
}

// A cell says what it is about, for screens that are too narrow for columns.
type cell struct {
	Label text
	Text  text
	Small text  // beside it
	Code  bool  // it can be typed
	Mark  level // "": it is no state
	Class class
}

// A class is how a cell is set.
type class string

// The classes.
const (
	numeric class = "n"
	short   class = "k" // not to be broken
	command class = "do"
)

func newTable(id, title string, columns ...string) *table {
	t := &table{ID: id, Title: text(title)}
	for _, c := range columns {
		name, num := strings.CutPrefix(c, "#")
		t.Columns = append(t.Columns, column{text(name), num})
	}
	return t
}

// row adds a row of as many cells as there are columns.
func (t *table) row(cells ...cell) {
	for i := range cells {
		cells[i].Label = t.Columns[i].Name
		if t.Columns[i].Num {
			cells[i].Class = numeric
		}
	}
	t.Rows = append(t.Rows, cells)
}

// said is a cell of text, with what belongs to it in small print.
func said(s string, small ...string) cell {
	return cell{Text: clean(s), Small: clean(strings.Join(small, ""))}
}

// brief is a cell of text that is known to be short.
func brief(s, small string) cell { return cell{Text: clean(s), Small: clean(small), Class: short} }

func number(n int) cell { return cell{Text: text(decimal(n))} }

// todo is a cell that says what to do.
func todo(do string) cell {
	if do == "" {
		return cell{Text: "–", Class: command}
	}
	return cell{Text: clean(do), Code: typed(do), Class: command}
}

// typed reports whether what is to be done can be typed as it stands.
func typed(do string) bool {
	for _, program := range []string{"moggy ", "moggyd ", "systemctl "} {
		if strings.HasPrefix(do, program) {
			return true
		}
	}
	return false
}

// marked is a cell of a state.
func marked(l level) cell {
	words := map[level]text{bad: "FAULT", look: "LOOK", fine: "ok"}
	return cell{Text: words[l], Mark: l, Class: short}
}

// or is s, or what stands for nothing.
func or(s, none string) string { return cmp.Or(s, none) }
