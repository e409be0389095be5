package proxy

import (
	"strings"
	"testing"
)

// bare is a scenario file with a hole for what is tried.
const bare = `{"format":"moggy-scenarios/1","scenarios":[{"id":"x","world":{},
	"clients":[{"id":"a","good":true,"truth":"mua"}],
	"connections":[{"t":0,"client":"a","src":"192.0.2.1","port":993}],
	"messages":[{"id":"m","client":"b","helo":"b","from":"b@b.example","to":["x@example.org"],"attempts":[{"t":0,"src":"192.0.2.2"}]}],
	"faults":[],"expect":[]}]}`

// What the runner does not understand it does not pass over.
func TestScenarioFilesAreReadStrictly(t *testing.T) {
	if _, err := parseScenarios([]byte(bare)); err != nil {
		t.Fatal(err)
	}
	expect := func(e string) string { return strings.Replace(bare, `"expect":[]`, `"expect":[`+e+`]`, 1) }
	for text, want := range map[string]string{
		strings.Replace(bare, "scenarios/1", "scenarios/2", 1): "format",
		bare + "{}": "something comes behind",
		strings.Replace(bare, `"id":"x"`, `"id":"x","weather":"bad"`, 1):                                     "weather",
		strings.Replace(bare, `"world":{}`, `"world":{"dkim":{}}`, 1):                                        "dkim",
		strings.Replace(bare, `"world":{}`, `"world":{"known":[{"addr":"192.0.2.7","score":3}]}`, 1):         "score",
		strings.Replace(bare, `"world":{}`, `"world":{"logins":[{"t":0,"user":"me"}]}`, 1):                   "a login needs addr",
		strings.Replace(bare, `"world":{}`, `"world":{"operator":[{"cidr":"192.0.2.0/24"}]}`, 1):             "cidr and cls",
		strings.Replace(bare, `"port":993`, `"port":993,"tls":true`, 1):                                      "tls",
		strings.Replace(bare, `"port":993`, `"hold":1`, 1):                                                   "needs client, src, port",
		strings.Replace(bare, `"src":"192.0.2.1"`, `"src":"192.0.2.1.2"`, 1):                                 "192.0.2.1.2",
		strings.Replace(bare, `"to":["x@example.org"]`, `"to":[]`, 1):                                        `message "m" needs`,
		strings.Replace(bare, `"faults":[]`, `"faults":[{"t":1,"kind":"flood"}]`, 1):                         `fault "flood"`,
		strings.Replace(bare, `"faults":[]`, `"faults":[{"t":1,"kind":"foreign_table_add","table":"x"}]`, 1): "needs addr",
		expect(`{"client":"a","metric":"refusals","op":"==","value":0}`):                                     `"refusals"`,
		expect(`{"client":"a","metric":"refused","op":"=","value":0}`):                                       `"="`,
		expect(`{"client":"a","metric":"refused","op":"==","value":"0"}`):                                    "none that can be checked",
		expect(`{"client":"a","metric":"refused","op":"has","value":0}`):                                     "none that can be checked",
		expect(`{"client":"*","metric":"alert","op":"==","value":"store-down"}`):                             "none that can be checked",
		expect(`{"client":"*","metric":"alert","op":"has","value":1}`):                                       "none that can be checked",
		expect(`{"client":"z","metric":"refused","op":"==","value":0}`):                                      `"z", who is nobody`,
		expect(`{"client":"a","metric":"refused","op":"==","value":0,"soft":true}`):                          "soft",
	} {
		if _, err := parseScenarios([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s; of %s", err, want, text)
		}
	}
}

// seeing plays a scenario and returns the rows of its table that were wrong, a word each.
func seeing(t *testing.T, sc string) string {
	all, err := parseScenarios([]byte(`{"format":"moggy-scenarios/1","scenarios":[` + sc + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	var wrong []string
	all[0].play(t, func(rows []row) {
		for _, r := range rows {
			if !r.ok {
				wrong = append(wrong, r.client+"."+r.metric)
			}
		}
	})
	return list(wrong)
}

// The runner sees what goes wrong: here nothing is as it is expected.
func TestScenarioRunnerSeesWhatIsWrong(t *testing.T) {
	got := seeing(t, `{"id":"wrong","world":{"valid_rcpt":["me@example.org"],"operator":[{"cidr":"203.0.113.0/24","cls":"deny"}],
		"logins":[{"t":-5,"addr":"192.0.2.9","user":"u","ok":true,"pw":"p"}]},
		"clients":[{"id":"mua","good":true,"truth":"user"},{"id":"denied","good":true,"truth":"mua"},{"id":"mail","good":true,"truth":"stranger"}],
		"connections":[{"t":0,"client":"denied","src":"203.0.113.7","port":993},{"t":0,"client":"denied","src":"203.0.113.7","port":25},
			{"t":0,"client":"mua","src":"192.0.2.9","port":993,"login":{"user":"u","ok":true,"pw":"p"}}],
		"messages":[{"id":"m","client":"mail","helo":"m","from":"a@a.example","to":["me@example.org"],"attempts":[{"t":0,"src":"198.51.100.1"}]}],
		"expect":[
			{"client":"denied","metric":"refused","op":"==","value":0},
			{"client":"denied","metric":"blocked","op":"==","value":0},
			{"client":"mua","metric":"connect_delay_max","op":">","value":0},
			{"client":"mua","metric":"backend_connections","op":"!=","value":1},
			{"client":"mua","metric":"accepted_per_min","op":">=","value":2},
			{"client":"mua","metric":"logins_tried","op":"<","value":1},
			{"client":"mail","metric":"delivered","op":"==","value":1},
			{"client":"mail","metric":"delivered_ratio","op":"==","value":1},
			{"client":"mail","metric":"mail_delay_max","op":"<=","value":1000000},
			{"client":"mail","metric":"rcpt_answered","op":"<=","value":0},
			{"client":"*","metric":"refused","op":"==","value":0},
			{"client":"*","metric":"alert","op":"has","value":"store-down"},
			{"client":"*","metric":"alert_within","op":"<=","value":1000}]}`)
	const want = "denied.refused denied.blocked mua.connect_delay_max mua.backend_connections mua.accepted_per_min mua.logins_tried " +
		"mail.delivered mail.delivered_ratio mail.mail_delay_max mail.rcpt_answered *.refused *.alert *.alert_within"
	if got != want {
		t.Errorf("it saw %s,\nwant %s", got, want)
	}
}

// Harm to those who must not come to any is seen though nothing is expected of it.
func TestScenarioRunnerSeesHarm(t *testing.T) {
	connections := strings.Repeat(`{"t":0,"client":"mua","src":"192.0.2.9","port":993,"hold":20},`, 330)
	got := seeing(t, `{"id":"harm","world":{"logins":[{"t":-5,"addr":"192.0.2.9","user":"u","ok":true,"pw":"p"}]},
		"clients":[{"id":"mua","good":true,"truth":"user"}],"connections":[`+strings.TrimSuffix(connections, ",")+`],
		"expect":[{"client":"mua","metric":"refused","op":"==","value":0},{"client":"mua","metric":"connect_delay_max","op":"<=","value":3}]}`)
	if got != "mua.harm" {
		t.Errorf("it saw %s", got)
	}
}
