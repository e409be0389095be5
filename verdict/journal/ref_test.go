package journal

import (
	"strings"
	"testing"
)

func TestNewRef(t *testing.T) {
	seen := make(map[string]bool)
	letters := make(map[rune]bool)
	for range 2_000 {
		ref := NewRef()
		if again, ok := ParseRef(ref); len(ref) != 6 || !ok || again != ref {
			t.Fatalf("%q does not read back", ref)
		}
		for _, c := range ref {
			letters[c] = true
		}
		seen[ref] = true
	}
	if len(seen) < 1_990 || len(letters) != 32 {
		t.Errorf("%d refs, %d letters: this is not random", len(seen), len(letters))
	}
}

func TestParseRef(t *testing.T) {
	for in, want := range map[string]string{
		"7KQ2ZD": "7KQ2ZD", "7kq2zd": "7KQ2ZD", "oO0iIl": "000111", "LLLLLL": "111111",
		"": "", "7KQ2Z": "", "7KQ2ZDX": "", "7KQ2ZU": "", "7KQ2Zu": "", "7KQ 2Z": "", "7KQ2Z\x00": "", "7KQ2é": "", "*KQ2ZD": "",
	} {
		if got, ok := ParseRef(in); got != want || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", in, got, ok, want)
		}
	}
}

func TestAlphabet(t *testing.T) {
	if len(crockford) != 32 || strings.ContainsAny(crockford, "ILOU") {
		t.Error("not Crockford's")
	}
}
