package origin

import "testing"

// The domain that somebody writes to is the origin of what passes SPF for it.
func TestOfDomain(t *testing.T) {
	for name, want := range map[string]string{
		"Friend.Example.ORG": "example.org", "example.org.": "example.org", "user.github.io": "user.github.io",
		"co.uk": "", "": "", "localhost": "", "a b.example": "", "192.0.2.7": "",
	} {
		if o, ok := OfDomain(name); o.Name != want || ok != (want != "") {
			t.Errorf("%q: %v, %v", name, o, ok)
		}
	}
}
