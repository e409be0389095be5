package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A table is rows of cells, aligned by how wide they look.
type table struct {
	heads  []string // nil: none; one that begins with ">" is aligned to the right
	right  []bool
	rows   [][]string
	indent string
	paint  func(column int, text string) string // nil: no colours
}

// newTable makes a table; a head that begins with ">" is aligned to the right.
func newTable(heads ...string) *table {
	t := &table{right: make([]bool, len(heads))}
	for i, h := range heads {
		bare, right := strings.CutPrefix(h, ">")
		t.heads, t.right[i] = append(t.heads, bare), right
	}
	return t
}

// row adds a row.
func (t *table) row(cells ...string) {
	t.rows = append(t.rows, cells)
}

// widest is the longest cell that is shown whole.
const widest = 60

func (t *table) widths(rows [][]string) []int {
	w := make([]int, len(t.right))
	for _, r := range rows {
		for i, cell := range r {
			if i < len(r)-1 || t.right[i] {
				w[i] = max(w[i], width(cell))
			}
		}
	}
	return w
}

func (t *table) write(w io.Writer) {
	rows := t.rows
	if strings.Join(t.heads, "") != "" {
		rows = append([][]string{t.heads}, rows...)
	}
	for _, r := range rows {
		for i := range r[:len(r)-1] {
			r[i] = elide(r[i])
		}
	}
	widths := t.widths(rows)
	for n, r := range rows {
		t.line(w, r, widths, n == 0 && len(rows) > len(t.rows))
	}
}

func (t *table) line(w io.Writer, cells []string, widths []int, head bool) {
	var b strings.Builder
	b.WriteString(t.indent)
	for i, cell := range cells {
		if widths[i] == 0 && i < len(cells)-1 {
			continue // nothing in the whole column
		}
		gap := strings.Repeat(" ", max(0, widths[i]-width(cell)))
		if i == len(cells)-1 && !t.right[i] {
			gap = ""
		}
		if t.paint != nil && !head {
			cell = t.paint(i, cell)
		}
		if t.right[i] {
			cell, gap = gap+cell, ""
		}
		b.WriteString(cell + gap)
		if i < len(cells)-1 {
			b.WriteString("  ")
		}
	}
	fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
}

// elide cuts what is too wide for a table.
func elide(s string) string {
	if width(s) <= widest {
		return s
	}
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n >= widest {
			return s[:i] + "…"
		}
	}
	return s
}

// width is how many columns of a terminal s takes.
func width(s string) (n int) {
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// runeWidth knows the wide scripts and the marks that stand on other letters.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Yi),
		r >= 0xff01 && r <= 0xff60, r >= 0x3000 && r <= 0x303e, r >= 0x1f300 && r <= 0x1faff:
		return 2
	}
	return 1
}

// writeJSON writes one document. Characters that no terminal should see are
// written as escapes, which JSON allows everywhere in a string.
func (t *tool) writeJSON(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	_, err = fmt.Fprintf(t.out, "%s\n", escaped(text))
	return err
}

func escaped(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r < utf8.RuneSelf && r != 0x7f, unicode.IsPrint(r):
			out = append(out, text[:n]...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		text = text[n:]
	}
	return out
}
