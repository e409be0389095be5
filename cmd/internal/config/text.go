package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// withAdvice ends err with what to type, unless it does so itself.
func withAdvice(err error, example string) string {
	if text := err.Error(); strings.Contains(text, "; ") {
		return text
	}
	return fmt.Sprintf("%v; write %s", err, example)
}

const day = 24 * time.Hour

// parseText sets v, which must be settable, to the value text stands for. Its
// errors follow the value in a sentence and do not yet say what to type.
func parseText(v reflect.Value, text string) (err error) {
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = text
	case *time.Duration:
		*p, err = parseDuration(text)
	case *Size:
		*p, err = parseSize(text)
	case *Rate:
		*p, err = parseRate(text)
	case *Range:
		*p, err = parseRange(text)
	case *netip.Addr:
		*p, err = parseAddr(text)
	case *netip.AddrPort:
		*p, err = parseServer(text)
	case *netip.Prefix:
		*p, err = parsePrefix(text)
	case *slog.Level:
		err = p.UnmarshalText([]byte(text))
	default:
		err = fmt.Errorf("cannot be read into a %s", v.Type())
	}
	return err
}

var errDuration = errors.New("is not a duration")

// parseDuration reads what time.ParseDuration reads, with whole days before
// it if there are any: 36d, 1d12h, 90s.
func parseDuration(text string) (time.Duration, error) {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 31)
	if err != nil || n > uint64(math.MaxInt64/day) {
		return 0, errDuration
	}
	var more time.Duration
	if !ok || rest != "" {
		if more, err = time.ParseDuration(rest); err != nil {
			return 0, errDuration
		}
	}
	sum := time.Duration(n)*day + more
	if sum < 0 || more < 0 {
		return 0, errDuration
	}
	return sum, nil
}

// formatDuration writes d as parseDuration reads it, without units that are 0.
func formatDuration(d time.Duration) string {
	if d >= 2*day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Size is a number of bytes.
type Size int64

const megabyte = Size(1_000_000)

var sizeUnits = []struct {
	name  string
	bytes Size
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"KB", 1_000}, {"MB", megabyte}, {"GB", 1_000 * megabyte},
}

// parseSize reads a whole number and its unit: 256MB, 1GiB.
func parseSize(text string) (Size, error) {
	for _, unit := range sizeUnits {
		digits, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(digits, " "), 10, 31)
		if err != nil {
			break
		}
		return Size(n) * unit.bytes, nil
	}
	return 0, errors.New("is not a size in KB, MB or GB")
}

// Rate is how often something may happen. The zero Rate means not given.
type Rate struct {
	Count int           // from 1
	Per   time.Duration // a second, a minute or an hour
}

// PerMinute returns the rate as a whole number per minute, rounded down; those
// of a checked Config are whole.
func (r Rate) PerMinute() int { return int(r.perHour() / 60) }

func (r Rate) perHour() int64 {
	if r.Per == 0 {
		return 0
	}
	return int64(r.Count) * int64(time.Hour/r.Per)
}

var rateUnits = map[string]time.Duration{"s": time.Second, "min": time.Minute, "h": time.Hour}

func parseRate(text string) (Rate, error) {
	count, unit, _ := strings.Cut(text, "/")
	n, err := strconv.ParseUint(count, 10, 31)
	per, ok := rateUnits[unit]
	if err != nil || n == 0 || !ok {
		return Rate{}, errors.New("is not a number per s, min or h")
	}
	return Rate{Count: int(n), Per: per}, nil
}

// Range is the addresses From to To, both included.
type Range struct{ From, To netip.Addr }

// parseRange reads one answer of a DNS list or the first and last of several.
// Those in 127.255.255.0/24 report trouble with the list and are refused.
func parseRange(text string) (Range, error) {
	from, to, ok := strings.Cut(text, "-")
	if !ok {
		to = from
	}
	first, err1 := netip.ParseAddr(from)
	last, err2 := netip.ParseAddr(to)
	switch {
	case err1 != nil || err2 != nil || !first.Is4() || !last.Is4():
		return Range{}, errors.New("is not an IPv4 address or two with a dash")
	case first.As4()[0] != 127 || last.As4()[0] != 127:
		return Range{}, errors.New("is outside 127.0.0.0/8, where DNS lists answer (RFC 5782)")
	case last.Less(first):
		return Range{}, errors.New("ends before it begins")
	case !last.Less(netip.AddrFrom4([4]byte{127, 255, 255, 0})):
		return Range{}, errors.New("reaches into 127.255.255.0/24, which is an error and never a listing")
	}
	return Range{From: first, To: last}, nil
}

func parseAddr(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.IsUnspecified() {
		return netip.Addr{}, errors.New("is not the address of one machine")
	}
	return addr.Unmap(), nil
}

// parsePrefix reads a network whose host bits are 0.
func parsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.Prefix{}, fmt.Errorf("is an address and not a network; write %s/%d", addr, addr.BitLen())
	}
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("is not a network")
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("is an address inside a network; write %s", p.Masked())
	}
	return p, nil
}

// parseServer reads the address of a DNS server; its port is 53 if not given.
func parseServer(text string) (netip.AddrPort, error) {
	if addr, err := parseAddr(text); err == nil {
		return netip.AddrPortFrom(addr, 53), nil
	}
	server, err := netip.ParseAddrPort(text)
	if err != nil || server.Addr().IsUnspecified() || server.Port() == 0 {
		return netip.AddrPort{}, errors.New("is not the address of a DNS server, with or without port")
	}
	return server, nil
}
