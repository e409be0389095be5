package status

import (
	"math"
	"regexp"
	"strconv"
	"testing"
)

// enough is the contrast that text needs (WCAG 2.2, 1.4.6: level AAA is 7, AA 4.5);
// the page is read at night.
const enough = 5.5

// colours reads the variables of one theme: "--ink:#1c1d1f".
func colours(t *testing.T, block string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, m := range regexp.MustCompile(`--([a-z-]+):#([0-9a-f]{6})`).FindAllStringSubmatch(block, -1) {
		all[m[1]] = m[2]
	}
	if len(all) < 12 {
		t.Fatalf("%d colours in %s", len(all), block)
	}
	return all
}

// luminance is the relative luminance of a colour of six hexadecimal digits.
func luminance(hex string) (sum float64) {
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, _ := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		c := float64(n) / 255
		if c <= 0.04045 {
			sum += weight * c / 12.92
		} else {
			sum += weight * math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return sum
}

func TestContrast(t *testing.T) {
	themes := regexp.MustCompile(`(?m):root\{.*\}$`).FindAllString(pageCSS, -1)
	if len(themes) != 2 {
		t.Fatalf("%d themes", len(themes))
	}
	for i, theme := range themes {
		c := colours(t, theme)
		for _, pair := range [][2]string{{"ink", "page"}, {"soft", "page"}, {"link", "page"}, {"ink", "code"}, {"bad", "page"}, {"look", "page"}, {"ok", "page"},
			{"ink", "bad-bg"}, {"ink", "look-bg"}, {"ink", "ok-bg"}, {"bad", "bad-bg"}, {"look", "look-bg"}, {"ok", "ok-bg"}} {
			a, b := luminance(c[pair[0]]), luminance(c[pair[1]])
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < enough {
				t.Errorf("theme %d: %s on %s has a contrast of %.1f", i, pair[0], pair[1], ratio)
			}
		}
	}
}
