package journal

import "math/rand/v2"

// crockford is Crockford's base 32: no I, L, O or U, so that a ref survives
// being read over the telephone.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// refLen is the length of a ref: 30 bits, which nobody guesses and which are
// enough to tell a journal's connections apart.
const refLen = 6

// NewRef returns a receipt code, such as "7KQ2ZD".
func NewRef() string {
	var ref [refLen]byte
	bits := rand.Uint32()
	for i := range ref {
		ref[i] = crockford[bits&31]
		bits >>= 5
	}
	return string(ref[:])
}

// ParseRef reads a receipt code as people copy it: small letters, O for 0, I or
// L for 1.
func ParseRef(s string) (ref string, ok bool) {
	if len(s) != refLen {
		return "", false
	}
	var b [refLen]byte
	for i := range b {
		if b[i], ok = refChar(s[i]); !ok {
			return "", false
		}
	}
	return string(b[:]), true
}

func refChar(c byte) (byte, bool) {
	if c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	switch {
	case c == 'O':
		return '0', true
	case c == 'I', c == 'L':
		return '1', true
	}
	for i := range len(crockford) {
		if crockford[i] == c {
			return c, true
		}
	}
	return 0, false
}
