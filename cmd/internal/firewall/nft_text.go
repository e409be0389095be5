package firewall

import "strings"

// nftTexts finds the words of rules in what `nft -a -s -t list ruleset` prints, by
// their place: family, table, chain and handle.
func nftTexts(out []byte) map[string]string {
	texts := make(map[string]string)
	var table, chain string
	var rule []string // a long one may take more than one line
	for text := range strings.Lines(string(out)) {
		depth := len(text) - len(strings.TrimLeft(text, "\t"))
		text, handle, ended := strings.Cut(strings.TrimSpace(text), " # handle ")
		words := strings.Fields(text)
		switch {
		case depth == 0 && len(words) == 4 && words[0] == "table":
			table = words[1] + " " + words[2]
		case depth == 1 && len(words) == 3:
			chain, rule = "", nil
			if words[0] == "chain" {
				chain = table + " " + words[1]
			}
		case depth < 2 || chain == "":
		case strings.HasPrefix(text, "type ") && strings.Contains(text, " hook "):
		default:
			rule = append(rule, text)
			if ended {
				texts[chain+" handle "+handle] = strings.Join(rule, " ")
				rule = nil
			}
		}
	}
	return texts
}
