package firewall

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"moggy/whitelist"
)

// nftElem is an element of a set: an address, or one of these.
type nftElem struct {
	Elem *struct {
		Val     json.RawMessage `json:"val"`
		Timeout int64           `json:"timeout"`
		Expires int64           `json:"expires"`
	} `json:"elem"`
	Prefix *struct {
		Addr string `json:"addr"`
		Len  int    `json:"len"`
	} `json:"prefix"`
	Range  []json.RawMessage `json:"range"`
	Concat []json.RawMessage `json:"concat"`
}

// members are the sources among elements. Where a set joins several things, at
// says which of them is the source.
func (s *nftSet) members(now time.Time, at int, elements []json.RawMessage) []member {
	members := make([]member, 0, len(elements))
	for _, raw := range elements {
		val, since, until := raw, time.Time{}, time.Time{}
		var e nftElem
		if bytes.HasPrefix(raw, []byte("{")) && json.Unmarshal(raw, &e) == nil && e.Elem != nil {
			val = e.Elem.Val
			since, until = s.times(now, e.Elem.Timeout, e.Elem.Expires)
		}
		words, nets := nftNets(val, at)
		for _, net := range nets {
			m := member{net: net, since: since, until: until}
			s.lift(&m, words)
			members = append(members, m)
		}
	}
	return members
}

// times says when an element was put in, or last renewed, and when it goes.
func (s *nftSet) times(now time.Time, timeout, expires int64) (since, until time.Time) {
	if expires <= 0 {
		return since, until
	}
	if timeout == 0 {
		timeout = s.Timeout
	}
	until = now.Add(time.Duration(expires) * time.Second).Truncate(time.Second)
	if timeout >= expires {
		since = until.Add(-time.Duration(timeout) * time.Second)
	}
	return since, until
}

// lift says how to take an element out. What blocks more than one peer is left to people.
func (s *nftSet) lift(m *member, words string) {
	if !plainName(s.Name) || !plainName(s.Table) || words == "" {
		m.hint = "by hand: nft list ruleset"
		return
	}
	if !narrow(m.net) {
		m.hint = fmt.Sprintf("it blocks more than one address; by hand: nft delete element %s '{ %s }'", key(s.Family, s.Table, s.Name), words)
		return
	}
	m.lift = append(make([]string, 0, 9), "nft", "delete", "element", s.Family, s.Table, s.Name, "{")
	for word := range strings.FieldsSeq(words) {
		m.lift = append(m.lift, word)
	}
	m.lift = append(m.lift, "}")
}

// nftNets reads an element: in the words of nft, and as networks.
func nftNets(raw json.RawMessage, at int) (words string, nets []netip.Prefix) {
	if len(raw) == 0 {
		return "", nil
	}
	if raw[0] == '"' {
		words = text(raw)
		net, err := whitelist.ParseNet(words)
		if err != nil {
			return "", nil
		}
		return words, []netip.Prefix{net}
	}
	var e nftElem
	if json.Unmarshal(raw, &e) != nil {
		return "", nil
	}
	switch {
	case e.Prefix != nil:
		words = fmt.Sprintf("%s/%d", e.Prefix.Addr, e.Prefix.Len)
		if net, err := whitelist.ParseNet(words); err == nil {
			return words, []netip.Prefix{net}
		}
	case len(e.Range) == 2:
		from, _ := netip.ParseAddr(text(e.Range[0]))
		to, _ := netip.ParseAddr(text(e.Range[1]))
		return from.String() + "-" + to.String(), span{from, to}.prefixes()
	case at < len(e.Concat):
		return nftConcat(e.Concat, at)
	}
	return "", nil
}

// nftConcat reads an element such as 198.51.100.9 . 25.
func nftConcat(parts []json.RawMessage, at int) (words string, nets []netip.Prefix) {
	var all []string
	for i, part := range parts {
		word := strings.Trim(string(part), `"`)
		if i == at {
			word, nets = nftNets(part, 0)
		}
		if !plainName(word) {
			return "", nets
		}
		all = append(all, word)
	}
	return strings.Join(all, " . "), nets
}

// sourceAt says which part of an expression is the source address: 0 where it is
// the address itself.
func sourceAt(raw json.RawMessage) (at int, ok bool) {
	var l struct {
		Payload *struct{ Protocol, Field string } `json:"payload"`
		Concat  []json.RawMessage                 `json:"concat"`
		Elem    *struct{ Val json.RawMessage }    `json:"elem"`
	}
	json.Unmarshal(raw, &l) // what is odd is no source
	if l.Payload != nil {
		return 0, l.Payload.Field == "saddr" && (l.Payload.Protocol == "ip" || l.Payload.Protocol == "ip6")
	}
	if l.Elem != nil {
		return sourceAt(l.Elem.Val)
	}
	for i, part := range l.Concat {
		if _, ok := sourceAt(part); ok && !isConcat(part) {
			return i, true
		}
	}
	return 0, false
}

func isConcat(raw json.RawMessage) bool { return strings.HasPrefix(string(raw), `{"concat"`) }

// words are the strings on the right of a match: one, a list, or a set of them.
func words(raw json.RawMessage) []string {
	if word := text(raw); word != "" {
		return []string{word}
	}
	var list []string
	var set struct {
		Set []string `json:"set"`
	}
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	json.Unmarshal(raw, &set) // what is odd has no words
	return set.Set
}

// ports are the numbers on the right of a match; nil where they are not known.
func ports(raw json.RawMessage) (known []port) {
	var one int
	if json.Unmarshal(raw, &one) == nil {
		return []port{{one, one}}
	}
	var many struct {
		Range []int             `json:"range"`
		Set   []json.RawMessage `json:"set"`
	}
	json.Unmarshal(raw, &many) // a name of a set, or what is odd, is not known
	if len(many.Range) == 2 {
		return []port{{many.Range[0], many.Range[1]}}
	}
	for _, part := range many.Set {
		known = append(known, ports(part)...)
	}
	return known
}
