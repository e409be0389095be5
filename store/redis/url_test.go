package redis

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

// text is a log for people.
func text(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func TestParse(t *testing.T) {
	for url, want := range map[string]address{
		"redis://db":                            {scheme: "redis", hosts: []string{"db:6379"}},
		"redis://127.0.0.1:7000/3":              {scheme: "redis", hosts: []string{"127.0.0.1:7000"}, database: 3},
		"redis://[::1]":                         {scheme: "redis", hosts: []string{"[::1]:6379"}},
		"redis://[::1]:7000/":                   {scheme: "redis", hosts: []string{"[::1]:7000"}},
		"redis://:secret@db":                    {scheme: "redis", hosts: []string{"db:6379"}, password: "secret"},
		"rediss://me:a%40b%2Fc:d@db:1":          {scheme: "rediss", hosts: []string{"db:1"}, user: "me", password: "a@b/c:d", tls: true},
		"redis+sentinel://a,b:1,c/mymaster":     {scheme: "redis+sentinel", hosts: []string{"a:26379", "b:1", "c:26379"}, master: "mymaster"},
		"redis+sentinel://me:x@a/m/2?tls=yes":   {scheme: "redis+sentinel", hosts: []string{"a:26379"}, user: "me", password: "x", master: "m", database: 2, tls: true},
		"redis+cluster://a,b,c:1":               {scheme: "redis+cluster", hosts: []string{"a:6379", "b:6379", "c:1"}},
		"rediss://db?ca=/a.pem":                 {scheme: "rediss", hosts: []string{"db:6379"}, tls: true, ca: "/a.pem"},
		"rediss://db?cert=/c.pem&key=/k.pem":    {scheme: "rediss", hosts: []string{"db:6379"}, tls: true, cert: "/c.pem", key: "/k.pem"},
		"redis+sentinel://a/m?sentinel_user=me": {scheme: "redis+sentinel", hosts: []string{"a:26379"}, master: "m", sentinel: struct{ user, password string }{"me", ""}},
	} {
		want.prefix = "moggy"
		got, err := parse(url)
		if err != nil || !slices.Equal(got.hosts, want.hosts) {
			t.Errorf("%s: %+v, %v", url, got, err)
		}
		got.hosts, want.hosts = nil, nil
		if !equalAddress(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", url, got, want)
		}
	}
	if a, err := parse("redis://db?prefix=mx-2.a_B"); err != nil || a.prefix != "mx-2.a_B" {
		t.Errorf("%+v, %v", a, err)
	}
}

func equalAddress(a, b address) bool {
	return a.scheme == b.scheme && a.user == b.user && a.password == b.password && a.master == b.master && a.database == b.database &&
		a.prefix == b.prefix && a.tls == b.tls && a.ca == b.ca && a.cert == b.cert && a.key == b.key && a.sentinel == b.sentinel
}

func TestParseRefuses(t *testing.T) {
	for _, url := range []string{"", "embedded", "http://db", "redis:db", "redis://", "redis://:1", "redis://db:x", "redis://db:0", "redis://db:70000",
		"redis://a,b", "rediss://a,b", "redis://db/x", "redis://db/-1", "redis://db/1/2", "redis+cluster://a/1", "redis+sentinel://a", "redis+sentinel://a/",
		"redis+sentinel://a/m/x", "redis://Geh3im@db", "redis://me:Geh3im%zz@db", "redis://db?x=Geh3im", "redis://db?prefix=", "redis://db?prefix={a}",
		"redis://db?prefix=a:b", "redis://db?prefix=*", "redis://db?prefix=" + strings.Repeat("x", 33), "redis://db?ca=/x", "rediss://db?cert=/x",
		"rediss://db?tls=no", "redis://me:Geh3im@", "redis://me:Geh3im@db:x", "redis://me:Geh3im@a,b", "redis://me:Geh3im@db/Geh3im", "redis://me:Geh3im@db?%zz",
		"redis+cluster://me:Geh3im@a/Geh3im", "redis://a b", "redis://a!b",
		"redis://me:a?Geh3im@db", "redis://me?Geh3im=1@db", "redis://me:/Geh3im@db", "redis://db?sentinel_password=x&Geh3im", "redis://db#Geh3im@x"} {
		err := CheckURL(url)
		if err == nil {
			t.Errorf("%s: no error", url)
			continue
		}
		if strings.Contains(err.Error(), "Geh3im") || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: %v", url, err)
		}
		if _, opened := Open(Options{URL: url}); opened == nil || opened.Error() != "[store] url "+err.Error() {
			t.Errorf("%s: Open says %v", url, opened)
		}
	}
}

func TestCheckFiles(t *testing.T) {
	_, cert, key := certificate(t)
	other := file(t, "other.pem", []byte("nothing"))
	for query, want := range map[string]string{
		"":                                     "",
		"?ca=" + cert:                          "",
		"?cert=" + cert + "&key=" + key:        "",
		"?ca=/nowhere.pem":                     "has a ca that cannot be read: open /nowhere.pem: ",
		"?ca=" + other:                         "has a ca without a certificate in it; look at " + other,
		"?cert=/nowhere.pem&key=" + key:        "has a cert and a key that cannot be used: open /nowhere.pem: ",
		"?cert=" + cert + "&key=" + other:      "has a cert and a key that cannot be used: ",
		"?ca=/nowhere.pem&prefix=not+a+prefix": "has a prefix",
	} {
		url := "rediss://me:Geh3im@db" + query
		err := CheckFiles(url)
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.HasPrefix(got, want) || strings.Contains(got, "Geh3im") {
			t.Errorf("%s: %v", query, err)
		}
		s, opened := Open(Options{URL: url})
		if opened == nil {
			s.Close()
		}
		if (opened == nil) != (err == nil) || err != nil && opened.Error() != "[store] url "+err.Error() {
			t.Errorf("%s: Open says %v", query, opened)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("redis+sentinel://me:a%40@a,b:1/m/2?prefix=x&tls=yes")
	f.Fuzz(func(t *testing.T, url string) {
		a, err := parse(url)
		if err == nil && (len(a.hosts) == 0 || a.prefix == "" || strings.ContainsAny(a.prefix, "{}:* ")) {
			t.Errorf("%q: %+v", url, a)
		}
	})
}
