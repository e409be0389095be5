// Package resolver asks name servers, and remembers what they said: the wire and the cache.
//
// It knows DNS over UDP with EDNS0 and over TCP (RFC 1035, 6891, 7766), which answer belongs to which question
// (RFC 5452, and the case of letters as a further secret), which of several servers answers and how fast, and how long
// an answer may be kept (RFC 2308, 8767, 9520). It does not know what a name stands for: no lists, no SPF, no origin,
// and no policy; and it trusts the servers it was given to be recursive and honest.
//
// It looks nothing up by itself and follows no referrals. DNS over TLS is left out: it pays only over connections that
// are kept and shared, which is another machine than one socket a question. Who wants it runs a local unbound.
//
// What comes from the DNS is written by strangers: TXT strings are raw bytes, and whoever logs them escapes them. Host
// names returned here are printable ASCII.
package resolver
