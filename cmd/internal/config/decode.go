package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// decoder carries the values of a file into a Config and marks on the sheet
// where each stands. It goes on after a fault.
type decoder struct {
	parser unstable.Parser
	*sheet
}

// place is somewhere in a Config.
type place struct {
	path string
	v    reflect.Value // not valid: below something that has a fault already
	tag  reflect.StructTag
}

// document reads all expressions of the file.
func (d *decoder) document(root reflect.Value) {
	top := place{v: root}
	at := top
	for d.parser.NextExpression() {
		switch n := d.parser.Expression(); n.Kind {
		case unstable.KeyValue:
			d.pair(at, n)
		case unstable.Table, unstable.ArrayTable:
			at = d.header(top, n)
		}
	}
}

// header follows [a.b] or [[a.b]] from the top.
func (d *decoder) header(at place, n *unstable.Node) place {
	keys := n.Key()
	for keys.Next() {
		key := keys.Node()
		at = d.child(at, key)
		switch last := keys.IsLast(); {
		case !at.v.IsValid():
			return at
		case isRows(at.v.Type()) && last && n.Kind == unstable.ArrayTable:
			at = d.appendRow(at, d.lineOf(key))
		case isRows(at.v.Type()):
			at = d.lastRow(at, last)
		case !isSection(at.v.Type()):
			return d.wrong(at, "is a value, not a section; write %s", d.example(at))
		case last && n.Kind == unstable.ArrayTable:
			return d.wrong(at, "can be given only once; write [%s]", at.path)
		}
	}
	return at
}

// pair reads key = value, the key relative to at and perhaps dotted.
func (d *decoder) pair(at place, n *unstable.Node) {
	keys := n.Key()
	for keys.Next() {
		at = d.child(at, keys.Node())
		switch {
		case !at.v.IsValid():
			return
		case keys.IsLast():
			d.value(at, n.Value())
		case !isSection(at.v.Type()):
			d.wrong(at, "has no keys of its own; write %s", d.example(at))
			return
		}
	}
}

// child returns the place of key within at, and marks it.
func (d *decoder) child(at place, key *unstable.Node) place {
	if !at.v.IsValid() {
		return place{}
	}
	name := string(key.Data)
	sub := place{path: join(at.path, name)}
	d.mark(sub.path, d.lineOf(key))
	if at.v.Kind() == reflect.Map {
		return d.entry(at, sub, name)
	}
	for f, v := range at.v.Fields() {
		if f.Tag.Get("toml") == name && name != "-" {
			sub.v, sub.tag = v, f.Tag
			return sub
		}
	}
	return d.wrong(sub, "is not known; %s", suggest(at.v.Type(), name))
}

// entry returns the value of a map of sections under name, made if need be.
func (d *decoder) entry(at, sub place, name string) place {
	if !validName(name) {
		return d.wrong(sub, "is not a name; use lower-case letters, digits and dashes, as in [%s.user]", at.path)
	}
	if at.v.IsNil() {
		at.v.Set(reflect.MakeMap(at.v.Type()))
	}
	key := reflect.ValueOf(name)
	if !at.v.MapIndex(key).IsValid() {
		at.v.SetMapIndex(key, reflect.New(at.v.Type().Elem().Elem()))
	}
	sub.v = at.v.MapIndex(key).Elem()
	return sub
}

// appendRow adds an element to a list of sections; the first one in the file
// replaces the default.
func (d *decoder) appendRow(list place, line int) place {
	if !d.given(list.path + "[0]") {
		list.v.SetZero()
	}
	path := fmt.Sprintf("%s[%d]", list.path, list.v.Len())
	row := reflect.New(list.v.Type().Elem())
	if r, ok := row.Interface().(defaulter); ok {
		r.setDefaults()
	}
	list.v.Set(reflect.Append(list.v, row.Elem()))
	d.mark(path, line).row = true
	return place{path: path, v: list.v.Index(list.v.Len() - 1)}
}

// lastRow returns the element that a header below [[list]] belongs to.
func (d *decoder) lastRow(list place, last bool) place {
	n := list.v.Len() - 1
	path := fmt.Sprintf("%s[%d]", list.path, n)
	if last || !d.given(path) {
		return d.wrong(list, "can be given many times; write [[%s]]", list.path)
	}
	return place{path: path, v: list.v.Index(n)}
}

// value puts a value of any shape into at.
func (d *decoder) value(at place, n *unstable.Node) {
	switch t := at.v.Type(); {
	case isRows(t):
		d.rows(at, n)
	case isSection(t):
		d.section(at, n)
	case t.Kind() == reflect.Slice:
		d.list(at, n)
	default:
		d.leaf(at, n)
	}
}

// rows reads list = [{...}, {...}].
func (d *decoder) rows(at place, n *unstable.Node) {
	if n.Kind != unstable.Array {
		d.wrong(at, "can be given many times; write [[%s]] on a line of its own", at.path)
		return
	}
	at.v.SetZero()
	for items := n.Children(); items.Next(); {
		d.value(d.appendRow(at, d.line(at.path)), items.Node())
	}
}

// section reads name = {...}.
func (d *decoder) section(at place, n *unstable.Node) {
	if n.Kind != unstable.InlineTable {
		d.wrong(at, "is a section; write %s on a line of its own", headerOf(at.path))
		return
	}
	for pairs := n.Children(); pairs.Next(); {
		d.pair(at, pairs.Node())
	}
}

// list reads key = [value, value].
func (d *decoder) list(at place, n *unstable.Node) {
	d.show(at, n)
	if n.Kind != unstable.Array {
		d.wrong(at, "is not a list; write %s", d.example(at))
		return
	}
	at.v.Set(reflect.MakeSlice(at.v.Type(), 0, 0))
	for items := n.Children(); items.Next(); {
		item := place{path: fmt.Sprintf("%s[%d]", at.path, at.v.Len()), tag: at.tag}
		at.v.Set(reflect.Append(at.v, reflect.Zero(at.v.Type().Elem())))
		item.v = at.v.Index(at.v.Len() - 1)
		d.mark(item.path, max(d.lineOf(items.Node()), d.line(at.path)))
		d.leaf(item, items.Node())
	}
}

// leaf reads one value that holds no others.
func (d *decoder) leaf(at place, n *unstable.Node) {
	d.show(at, n)
	if at.v.Kind() == reflect.Pointer {
		at.v.Set(reflect.New(at.v.Type().Elem()))
		at.v = at.v.Elem()
	}
	switch at.v.Type() {
	case reflect.TypeFor[int]():
		d.number(at, n)
	case reflect.TypeFor[bool]():
		d.truth(at, n)
	default:
		d.text(at, n)
	}
}

func (d *decoder) text(at place, n *unstable.Node) {
	if n.Kind != unstable.String {
		d.wrong(at, "is not text in quotes; write %s", d.example(at))
		return
	}
	text := string(n.Data)
	if d.chosen(at, text) {
		if err := parseText(at.v, text); err != nil {
			d.wrong(at, "%s", withAdvice(err, d.example(at)))
		}
	}
}

func (d *decoder) truth(at place, n *unstable.Node) {
	if n.Kind != unstable.Bool {
		d.wrong(at, "is neither true nor false; write %s", d.example(at))
		return
	}
	at.v.SetBool(string(n.Data) == "true")
}

func (d *decoder) number(at place, n *unstable.Node) {
	if n.Kind != unstable.Integer {
		d.wrong(at, "is not a whole number; write %s", d.example(at))
		return
	}
	i, err := strconv.ParseInt(string(n.Data), 0, 32)
	if err != nil {
		d.wrong(at, "is too far from 0; write %s", d.example(at))
		return
	}
	if d.chosen(at, strconv.FormatInt(i, 10)) {
		at.v.SetInt(i)
	}
}

// chosen reports whether text is among the words at knows, if it knows words.
func (d *decoder) chosen(at place, text string) bool {
	words := choices(at.tag)
	if words == nil || slices.Contains(words, text) {
		return true
	}
	d.wrong(at, "is not known; choose %s", either(words))
	return false
}

// wrong says what is wrong with at, and returns the place nothing is read into.
func (d *decoder) wrong(at place, format string, args ...any) place {
	d.fault(at.path, format, args...)
	return place{}
}

// lineOf returns the line n stands on; arrays and tables have none: 1.
func (d *decoder) lineOf(n *unstable.Node) int { return d.parser.Shape(n.Raw).Start.Line }

// show keeps the value of at for sentences.
func (d *decoder) show(at place, n *unstable.Node) {
	m := d.marks[at.path]
	m.secret = at.tag.Get("secret") != ""
	switch n.Kind {
	case unstable.String:
		m.value = strconv.Quote(short(string(n.Data)))
	case unstable.Array:
		if !n.Child().Valid() {
			m.value = "[]"
		}
	case unstable.InlineTable:
	default:
		m.value = short(oneLine(string(n.Data)))
	}
}
