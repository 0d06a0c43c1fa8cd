package sketch

import (
	"encoding/binary"
	"fmt"
)

// A Writer appends to a binary form: numbers as varints, hashes and sums as 64-bit
// big-endian words.
type Writer []byte

// Numbers appends numbers, of which none is negative.
func (w *Writer) Numbers(numbers ...int64) {
	for _, n := range numbers {
		*w = binary.AppendUvarint(*w, uint64(n)) //nolint:gosec // none is negative
	}
}

// Words appends words.
func (w *Writer) Words(words ...uint64) {
	for _, x := range words {
		*w = binary.BigEndian.AppendUint64(*w, x)
	}
}

// Text appends a text with its length before it.
func (w *Writer) Text(s string) {
	w.Numbers(int64(len(s)))
	*w = append(*w, s...)
}

// A Reader reads what a Writer wrote. It keeps the first error and reads zeros
// after it.
type Reader struct {
	left []byte
	err  error
}

// NewReader returns a Reader of data.
func NewReader(data []byte) *Reader { return &Reader{left: data} }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// End fails if anything is left.
func (r *Reader) End() {
	if len(r.left) > 0 {
		r.Fail("%d bytes too many", len(r.left))
	}
}

// Fail keeps an error, unless there is one.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.left = nil
}

func (r *Reader) take(n int) []byte {
	if n > len(r.left) {
		r.Fail("%d bytes too few", n-len(r.left))
		return nil
	}
	taken := r.left[:n]
	r.left = r.left[n:]
	return taken
}

// Number reads a number up to a limit, in the one form in which it is written.
func (r *Reader) Number(name string, limit int64) int64 {
	n, size := binary.Uvarint(r.left)
	if size <= 0 || n > uint64(limit) || size > 1 && r.left[size-1] == 0 { //nolint:gosec // no limit is negative
		r.Fail("%s: want a number up to %d", name, limit)
		return 0
	}
	r.left = r.left[size:]
	return int64(n) //nolint:gosec // at most limit
}

// Word reads a word.
func (r *Reader) Word() uint64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// Words reads words into a slice.
func (r *Reader) Words(into []uint64) {
	for i := range into {
		into[i] = r.Word()
	}
}

// Text reads a text.
func (r *Reader) Text(name string) string {
	return string(r.take(int(r.Number(name, int64(len(r.left))))))
}
