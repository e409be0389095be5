package bolt

import "go.etcd.io/bbolt"

// maxMark is how long a mark may be.
const maxMark = 1024

// SetMark keeps a word for whoever keeps a copy of something in this file, such as
// how far it goes. It is on the disk together with what was learned before, or
// later than that, and not before.
func (s *Store) SetMark(word string) {
	if len(word) <= maxMark {
		s.keep(meta, "mark", []byte(word), false)
	}
}

// Mark is the word of the last SetMark; "": there was none.
func (s *Store) Mark() (word string, err error) {
	s.mu.Lock()
	row, in := s.recall(meta, []byte("mark"))
	s.mu.Unlock()
	if in {
		return string(row), nil
	}
	err = s.read(func(tx *bbolt.Tx) error {
		word = string(tx.Bucket(meta.name()).Get([]byte("mark")))
		return nil
	})
	return word, err
}
