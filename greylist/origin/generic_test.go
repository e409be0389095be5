package origin

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"moggy/greylist"
)

func TestGeneric(t *testing.T) {
	for name, addr := range map[string]string{
		"1-2-3-4.dyn.example.net":                                          "1.2.3.4",
		"pool-96-255-1-2.washdc.fios.verizon.net":                          "96.255.1.2",
		"c-73-12-34-56.hsd1.ca.comcast.net":                                "73.12.34.56",
		"cpe-24-90-2-3.nyc.res.rr.com":                                     "24.90.2.3",
		"p5b12a3c4.dip0.t-ipconnect.de":                                    "91.18.163.196",
		"p5b12a3c4.t-ipconnect.de":                                         "91.18.163.196",
		"pd9e1f00a.dip.t-dialin.net":                                       "1.1.1.1",
		"static.34.12.201.195.clients.your-server.de":                      "195.201.12.34",
		"ec2-54-12-34-56.compute-1.amazonaws.com":                          "54.12.34.56",
		"56.34.12.35.bc.googleusercontent.com":                             "35.12.34.56",
		"ip-051-038-120-007.example.net":                                   "51.38.120.7",
		"ns3012345.ip-51-75-12.eu":                                         "51.75.12.99",
		"12.75.51.rev.example.net":                                         "51.75.12.99",
		"ip051038120007.example.net":                                       "51.38.120.7",
		"host007120038051.example.net":                                     "51.38.120.7",
		"u3221225991.example.net":                                          "192.0.2.7",
		"h8116914621.example.net":                                          "81.169.146.21",
		"070200c0.example.net":                                             "192.0.2.7",
		"c0-00-02-07.example.net":                                          "192.0.2.7",
		"dsl-189-140-1-2-dyn.prod-infinitum.com.mx":                        "189.140.1.2",
		"1-2-3-4.dynamic-ip.hinet.net":                                     "1.2.3.4",
		"x590f1a2b.dyn.telefonica.de":                                      "1.1.1.1",
		"adsl-pool-12.ttnet.com.tr":                                        "1.1.1.1",
		"dhcp12.campus.example.edu":                                        "1.1.1.1",
		"dynamicip7.example.net":                                           "1.1.1.1",
		"dialuppool4.example.net":                                          "1.1.1.1",
		"host12.ppp.example.net":                                           "1.1.1.1",
		"cable-7.example.net":                                              "1.1.1.1",
		"a12.cust.bredband2.example.se":                                    "1.1.1.1",
		"mail.customer.isp.example.net":                                    "1.1.1.1",
		"mail.broadband.isp.co.uk":                                         "1.1.1.1",
		"static-12.isp.example.net":                                        "1.1.1.1",
		"host-81-22.isp.example.net":                                       "81.22.9.9",
		"srv20511.hoster.example.net":                                      "1.1.1.1",
		"vps-1a2b3c4d.vps.ovh.net":                                         "1.1.1.1",
		"vmi123456.contaboserver.net":                                      "1.1.1.1",
		"hosted-by.leaseweb.com":                                           "1.1.1.1",
		"unassigned.example.net":                                           "1.1.1.1",
		"kundevdsl3.example.no":                                            "1.1.1.1",
		"mail.192-0-2-7.example.net":                                       "192.0.2.7",
		"192-0-2-7.mail.dsl.example.net":                                   "192.0.2.7",
		"mail-192-0-2-7.example.net":                                       "192.0.2.7",
		"2001-db8-12-34--7.example.net":                                    "2001:db8:12:34::7",
		"2001-db8-12-34-5-6-7-8.cable.dynamic.v6.example.de":               "2001:db8:12:34:5:6:7:8",
		"20010db800120034.x.example.net":                                   "2001:db8:12:34::7",
		"h-0005000600070008.x.example.net":                                 "2001:db8:12:34:5:6:7:8",
		"4.3.0.0.2.1.0.0.8.b.d.0.1.0.0.2.ip6.example.net":                  "2001:db8:12:34::7",
		"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.3.0.0.2.1.0.0.v6.example.net":   "2001:db8:12:34::7",
		"2001.db8.12.34.v6.example.net":                                    "2001:db8:12:34::7",
		"p200300c1234500010000000000000007.dip0.t-ipconnect.de":            "2003:c1:2345:1::7",
		"dynamic-2a02-3100-1234-5600-0000-0000-0000-0007.310.pool.example": "2a02:3100:1234:5600::7",
	} {
		if !generic(name, netip.MustParseAddr(addr)) {
			t.Errorf("%s of %s counts as a name of its own", name, addr)
		}
	}
	for name, addr := range map[string]string{
		"mail-eur05on2017.outbound.protection.outlook.com":  "40.107.21.17",
		"mail-db8eur05on0601.outbound.protection.office.de": "40.107.21.17",
		"mail-wr1-f41.google.com":                           "209.85.221.41",
		"mail-yw1-x1134.google.com":                         "2607:f8b0:4864:20::1134",
		"a8-29.smtp-out.amazonses.com":                      "54.240.8.29",
		"e234-54.smtp-out.us-west-2.amazonses.com":          "23.251.234.54",
		"mx1.example.org":                                   "192.0.2.7",
		"mail.example.org":                                  "192.0.2.7",
		"example.org":                                       "192.0.2.7",
		"server01.example.org":                              "192.0.2.7",
		"host2.example.org":                                 "192.0.2.7",
		"o1.ptr123.sendgrid.net":                            "167.89.1.2",
		"o16789112187.outbound-mail.sendgrid.net":           "167.89.112.187",
		"66-220-155-151.mail-mail.facebook.com":             "66.220.155.151",
		"mail133-12.atl131.mandrillapp.com":                 "198.2.133.12",
		"m69-130.mailgun.net":                               "166.78.69.130",
		"mta-174-88-49.sparkpostmail.com":                   "192.174.88.49",
		"sonic304-22.consmr.mail.ne1.yahoo.com":             "66.163.191.148",
		"m12-13.163.com":                                    "220.181.12.13",
		"mout.gmx.net":                                      "212.227.15.18",
		"mout-xforward.kundenserver.de":                     "82.165.159.42",
		"mail41c50.megamailservers.eu":                      "91.136.10.51",
		"smtp-pool3.provider.example":                       "192.0.2.7",
		"mxout-1.dyn.com":                                   "192.0.2.7",
		"mail.cable.example":                                "192.0.2.7",
		"mx.customer.io":                                    "192.0.2.7",
		"vger.kernel.org":                                   "192.0.2.7",
		"out3-smtp.messagingengine.com":                     "66.111.4.27",
		"wout5-smtp.messagingengine.com":                    "64.147.123.21",
		"forward103p.mail.yandex.net":                       "77.88.28.106",
		"mx0a-001b2d01.pphosted.com":                        "148.163.156.1",
		"nb-smtp-1.dynamo.example.com":                      "192.0.2.7",
		"lists.mindslide.example":                           "192.0.2.7",
		"mx.example.net":                                    "2001:db8::25",
		"mail6.example.net":                                 "2001:db8:0:25::1",
	} {
		if generic(name, netip.MustParseAddr(addr)) {
			t.Errorf("%s of %s counts as generic", name, addr)
		}
	}
}

// TestReverse: a name counts when it is confirmed and names somebody.
func TestReverse(t *testing.T) {
	const peer = "192.0.2.7"
	for name, c := range map[string]struct {
		ptr  []string
		want greylist.Origin
		r    Reverse
	}{
		"confirmed":            {[]string{"mx.firm.example."}, named("firm.example"), ReverseConfirmed},
		"in any order":         {[]string{"mx.other.example.", "mx.firm.example."}, named("firm.example"), ReverseConfirmed},
		"forged":               {[]string{"mail-wr1-f41.google.com."}, network("192.0.2.0/24"), ReverseUnconfirmed},
		"forged, and one true": {[]string{"a.google.com.", "mx.firm.example."}, named("firm.example"), ReverseConfirmed},
		"generic":              {[]string{"192-0-2-7.dyn.isp.example."}, network("192.0.2.0/24"), ReverseGeneric},
		"generic, and a name":  {[]string{"192-0-2-7.dyn.isp.example.", "mx.firm.example."}, named("firm.example"), ReverseConfirmed},
		"public suffix":        {[]string{"github.io."}, network("192.0.2.0/24"), ReverseNone},
		"escapes":              {[]string{"\x1b]0;owned\x07.firm.example.", "mx\n.firm.example", "mx.firm.example\x00"}, network("192.0.2.0/24"), ReverseNone},
		"one label":            {[]string{"localhost."}, network("192.0.2.0/24"), ReverseNone},
		"none":                 {nil, network("192.0.2.0/24"), ReverseNone},
	} {
		z := &zones{ptr: map[string][]string{peer: c.ptr}, ip: map[string][]string{"github.io": {peer}}}
		for _, n := range []string{"mx.firm.example", "mx.other.example", "192-0-2-7.dyn.isp.example"} {
			z.ip[n] = []string{"198.51.100.1", peer}
		}
		if o, f := find(t, z, from(peer, "a@nothing.example")); o != c.want || f.Reverse != c.r || f.Degraded {
			t.Errorf("%s: %v %+v, want %v %s", name, o, f, c.want, c.r)
		}
	}
}

// TestManyNames: of many names no more than ten are asked for.
func TestManyNames(t *testing.T) {
	z := &zones{ptr: map[string][]string{}, slow: map[string]time.Duration{}}
	for i := range 1000 {
		z.ptr["192.0.2.7"] = append(z.ptr["192.0.2.7"], string(rune('a'+i%26))+string(rune('a'+i/26%26))+".example.")
	}
	slices.Reverse(z.ptr["192.0.2.7"])
	if _, f := find(t, z, from("192.0.2.7", "")); f.Reverse != ReverseUnconfirmed || z.count("IP") != maxPTR {
		t.Errorf("%+v, %d names asked for", f, z.count("IP"))
	}
}
