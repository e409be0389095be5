package journal

import (
	"bytes"
	"io"
	"iter"
	"os"
)

// blockSize is how much is read at once. A longer line is no record.
const blockSize = 256 << 10

// blocks yields what r holds in blocks of whole lines; the last may end without
// a newline. A block is good until the next one.
func blocks(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		buf := make([]byte, blockSize)
		have := 0
		for {
			n, err := r.Read(buf[have:])
			have += n
			whole := bytes.LastIndexByte(buf[:have], '\n') + 1
			if whole == 0 && (have == len(buf) || err != nil) {
				whole = have
			}
			if whole > 0 && !yield(buf[:whole], nil) {
				return
			}
			have = copy(buf, buf[whole:have])
			switch {
			case err == io.EOF && have == 0:
				return
			case err != nil && err != io.EOF:
				yield(nil, err)
				return
			}
		}
	}
}

// backward yields what f holds in blocks of whole lines, the last block first;
// that one may end without a newline. A block is good until the next one.
func backward(f *os.File) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		info, err := f.Stat()
		if err != nil {
			yield(nil, err)
			return
		}
		buf := make([]byte, blockSize)
		keep := 0 // bytes of buf that are the end of a line
		for end := info.Size(); end > 0; {
			n := int(min(end, int64(len(buf)-keep)))
			copy(buf[n:], buf[:keep])
			end -= int64(n)
			if _, err := f.ReadAt(buf[:n], end); err != nil {
				yield(nil, err)
				return
			}
			block := buf[:n+keep]
			keep = headLen(block, end == 0)
			if !yield(block[keep:], nil) {
				return
			}
		}
	}
}

// headLen is how much of a block belongs to a line that begins before it. A line
// that fills the block is taken as it is: it is no record.
func headLen(block []byte, first bool) int {
	n := bytes.IndexByte(block, '\n') + 1
	if first || n == len(block) {
		return 0
	}
	return n
}
