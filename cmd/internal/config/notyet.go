package config

import "strings"

// lack is a key that is read and checked but that nothing obeys yet.
type lack struct {
	path   string // of the key or section; * stands for an index or a name
	except string // value that is obeyed, as written in the file
	write  string // ends the sentence
}

// notYet is every such key. Whoever makes one work removes its row.
var notYet = []lack{
	{path: "listener.*.tls_cert", write: "remove it"},
	{path: "listener.*.tls_key", write: "remove it"},
}

// refuse makes a fault of every mark that a row of table speaks of.
func (s *sheet) refuse(table []lack) {
	for path, m := range s.marks {
		for _, row := range table {
			if (row.except == "" || row.except != m.value) && row.matches(path) {
				s.fault(path, "is not available yet; %s", row.write)
			}
		}
	}
}

// matches reports whether path is one that row speaks of.
func (row lack) matches(path string) bool {
	pattern := strings.Split(row.path, ".")
	parts := strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(path), ".")
	if len(parts) != len(pattern) {
		return false
	}
	for i, want := range pattern {
		if want != "*" && want != parts[i] {
			return false
		}
	}
	return true
}
