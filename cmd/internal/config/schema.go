package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// isSection reports whether values of type t are written as a table.
func isSection(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Map:
		return true
	case reflect.Struct:
		return len(keysOf(t)) > 0
	default:
		return false
	}
}

// isRows reports whether values of type t are written as [[list]].
func isRows(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && isSection(t.Elem())
}

// keysOf returns the keys a section of type t knows, in the order of the file.
func keysOf(t reflect.Type) []string {
	if t.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for f := range t.Fields() {
		if key := f.Tag.Get("toml"); key != "" && key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}

// choices returns the words a key accepts, nil when it accepts any.
func choices(tag reflect.StructTag) []string {
	if words := tag.Get("choose"); words != "" {
		return strings.Split(words, ",")
	}
	return nil
}

// example returns a line that is right for at.
func (d *decoder) example(at place) string {
	key := at.tag.Get("toml")
	value := at.tag.Get("eg")
	if _, err := strconv.Atoi(value); err != nil && at.v.Kind() != reflect.Bool {
		value = strconv.Quote(value)
	}
	if d.isList(at) {
		value = "[" + value + "]"
	}
	return key + " = " + value
}

// isList reports whether at is a list of values or an element of one.
func (d *decoder) isList(at place) bool {
	return at.v.Kind() == reflect.Slice || strings.HasSuffix(at.path, "]")
}

// suggest says what to type in the place of a key that t does not know.
func suggest(t reflect.Type, key string) string {
	known := keysOf(t)
	if near, ok := nearest(key, known); ok {
		return fmt.Sprintf("did you mean %s?", near)
	}
	if homes := homesOf(reflect.TypeFor[Config](), key, ""); len(homes) > 0 {
		return "it belongs " + either(homes)
	}
	return "choose " + either(known)
}

// homesOf returns the sections below t that know key, t being at path.
func homesOf(t reflect.Type, key, path string) []string {
	var homes []string
	if slices.Contains(keysOf(t), key) {
		homes = append(homes, home(path))
	}
	for f := range t.Fields() {
		sub := join(path, f.Tag.Get("toml"))
		switch {
		case isRows(f.Type):
			homes = append(homes, homesOf(f.Type.Elem(), key, "["+sub+"]")...)
		case f.Type.Kind() == reflect.Map:
			homes = append(homes, homesOf(f.Type.Elem().Elem(), key, sub+".NAME")...)
		case isSection(f.Type):
			homes = append(homes, homesOf(f.Type, key, sub)...)
		}
	}
	return homes
}

// headerOf returns the line that begins the section at path.
func headerOf(path string) string {
	if list, _, row := strings.Cut(path, "["); row {
		return "[[" + list + "]]"
	}
	return "[" + path + "]"
}

func home(path string) string {
	if path == "" {
		return "above the first [section]"
	}
	return "under [" + path + "]"
}

// nearest returns the word that key is a likely slip of.
func nearest(key string, words []string) (string, bool) {
	best, least := "", max(1, len(key)/3)+1
	if len(key) > 32 {
		return "", false
	}
	for _, w := range words {
		if n := slips(key, w); n < least {
			best, least = w, n
		}
	}
	return best, best != ""
}

// slips counts the bytes to insert, delete or replace that make b of a.
func slips(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// join appends key to path, in quotes where TOML would need them.
func join(path, key string) string {
	odd := func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-'
	}
	if key == "" || strings.ContainsFunc(key, odd) {
		key = strconv.Quote(short(key))
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// either lists words: a, b or c.
func either(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// short cuts what is too long for a sentence.
func short(s string) string {
	if len(s) <= 80 {
		return s
	}
	return s[:77] + "..."
}

// oneLine makes control characters visible, line breaks above all.
func oneLine(s string) string {
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
