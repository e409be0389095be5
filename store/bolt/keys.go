package bolt

import (
	"bytes"
	"net/netip"

	"go.etcd.io/bbolt"

	"moggy/whitelist"
)

// entryKey is standing, family, address and bits, and of a learned entry its
// source: entries lie in the order of their networks, persons' after what was
// learned.
//
// A key of a learned entry that ends before the source is of a store written
// when there was one such entry for each network. Its row holds the source. It
// is read under the key it would have now, and gives way when something is
// written under that: see [dropOld].
func entryKey(k whitelist.EntryKey) string {
	return string(appendEntryKey(make([]byte, 0, 32), k))
}

func appendEntryKey(b []byte, k whitelist.EntryKey) []byte {
	standing, family := byte('l'), byte('4')
	if k.Source.Said() {
		standing = 's'
	}
	if k.Net.Addr().Is6() {
		family = '6'
	}
	b = append(b, standing, family)
	b = append(b, k.Net.Addr().AsSlice()...)
	b = append(b, byte(k.Net.Bits()))
	if k.Source.Said() {
		return b
	}
	return append(b, k.Source...)
}

// netLen is how many bytes of a key come before the source; 0 where it is no key.
func netLen[T string | []byte](key T) int {
	switch {
	case len(key) >= 7 && key[1] == '4':
		return 7
	case len(key) >= 19 && key[1] == '6':
		return 19
	}
	return 0
}

func decodeEntryKey(key []byte) (net netip.Prefix, ok bool) {
	n := netLen(key)
	if n == 0 {
		return net, false
	}
	addr, _ := netip.AddrFromSlice(key[2 : n-1])
	net = netip.PrefixFrom(addr, int(key[n-1]))
	return net, net.IsValid()
}

// currentKey is the key that a row of the entries has now.
func currentKey(key, row []byte) []byte {
	if n := netLen(key); n == 0 || n < len(key) || key[0] != 'l' {
		return key
	}
	e, ok := decodeEntry(row, func(b []byte) string { return string(b) })
	if !ok {
		return key
	}
	return append(bytes.Clone(key), e.Source...)
}

// oldRow is the row that a store of before kept for key, and its key; nil if
// there is none. A row there that cannot be read is nobody else's.
func oldRow(b *bbolt.Bucket, key string) (old, row []byte) {
	n := netLen(key)
	if n == 0 || n == len(key) {
		return nil, nil
	}
	old = []byte(key[:n])
	row = b.Get(old)
	if now := currentKey(old, row); len(now) > n && string(now) != key {
		return nil, nil
	}
	return old, row
}

// dropOld deletes what a store of before kept for key.
func dropOld(b *bbolt.Bucket, key string) error {
	old, row := oldRow(b, key)
	if row == nil {
		return nil
	}
	return b.Delete(old)
}

// stored is the row of a key in the file.
func stored(tx *bbolt.Tx, t table, key string) []byte {
	b := tx.Bucket(t.name())
	row := b.Get([]byte(key))
	if row == nil && t == entries {
		_, row = oldRow(b, key)
	}
	return row
}
