package validate

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/zeebo/xxh3"
)

// The binary form of a digest, version 1: the magic, the hash's name, why it is
// incomplete, numbers as varints, hashes and sums as 64-bit big-endian words,
// and XXH3 of all that as a checksum. Another version has another magic.
const digestMagic = "segmentguard digest 1\n"

// MarshalBinary returns the digest in a form that UnmarshalBinary reads, in this
// process or another: shards meet on the wire. It holds hashes, never users.
func (d *Digest) MarshalBinary() ([]byte, error) {
	if d.algorithm == noAlgorithm {
		return nil, fmt.Errorf("validate: marshal: %w", d.incomplete)
	}
	w := writer(digestMagic)
	w.text(string(d.hash()))
	w.text(d.flawText())
	w.number(d.users, d.page, int64(d.checkpoints.doublings))
	w.words(d.sum[:]...)
	w.number(int64(len(d.checkpoints.list)))
	for _, c := range d.checkpoints.list {
		w.number(c.users, int64(c.at))
		w.words(c.sum[:]...)
	}
	w.words(d.sample.floor)
	w.number(int64(len(d.sample.users)))
	for _, u := range d.sample.sorted() {
		w.words(u.hash.high, u.hash.low)
		w.number(u.count, u.first)
	}
	if d.registers != nil {
		w = append(w, d.registers[:]...)
	}
	w.words(xxh3.Hash(w))
	return w, nil
}

func (d *Digest) flawText() string {
	if why := d.flaw(); why != nil {
		return why.Error()
	}
	return ""
}

// sorted makes equal samples equal bytes.
func (s *sample) sorted() []sampled {
	return slices.SortedFunc(slices.Values(s.users), func(a, b sampled) int {
		return cmp.Or(cmp.Compare(a.hash.high, b.hash.high), cmp.Compare(a.hash.low, b.hash.low))
	})
}

type writer []byte

func (w *writer) number(numbers ...int64) {
	for _, n := range numbers {
		*w = binary.AppendUvarint(*w, uint64(n)) //nolint:gosec // none is negative
	}
}

func (w *writer) words(words ...uint64) {
	for _, x := range words {
		*w = binary.BigEndian.AppendUint64(*w, x)
	}
}

func (w *writer) text(s string) {
	w.number(int64(len(s)))
	*w = append(*w, s...)
}

// UnmarshalBinary makes d the digest that was marshalled. It refuses another
// version, a form cut short or changed on its way, and what no digest is, and
// then leaves d as it was. Streams that flow into d must have ended: those that
// have not leave it incomplete, whatever was read.
func (d *Digest) UnmarshalBinary(data []byte) error {
	read, err := readDigest(data)
	if err != nil {
		return fmt.Errorf("validate: digest of %d bytes: %w", len(data), err)
	}
	read.streams = d.streams
	*d = *read
	return nil
}

func readDigest(data []byte) (*Digest, error) {
	body := len(data) - 8
	if body < len(digestMagic) || string(data[:len(digestMagic)]) != digestMagic {
		return nil, fmt.Errorf("want it to begin with %q: not a digest, or one of another version", digestMagic)
	}
	if binary.BigEndian.Uint64(data[body:]) != xxh3.Hash(data[:body]) {
		return nil, errors.New("the checksum is wrong: it was cut short or changed on its way")
	}
	r := reader{left: data[len(digestMagic):body]}
	d := r.digest()
	if r.err == nil && len(r.left) > 0 {
		r.fail("%d bytes too many", len(r.left))
	}
	return d, r.err
}

// A reader keeps the first error and reads zeros after it.
type reader struct {
	left []byte
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.left = nil
}

func (r *reader) take(n int) []byte {
	if n > len(r.left) {
		r.fail("%d bytes too few", n-len(r.left))
		return nil
	}
	taken := r.left[:n]
	r.left = r.left[n:]
	return taken
}

func (r *reader) number(name string, limit int64) int64 {
	n, size := binary.Uvarint(r.left)
	if size <= 0 || n > uint64(limit) { //nolint:gosec // no limit is negative
		r.fail("%s: want a number up to %d", name, limit)
		return 0
	}
	r.left = r.left[size:]
	return int64(n) //nolint:gosec // at most limit
}

func (r *reader) word() uint64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func (r *reader) text(name string) string {
	return string(r.take(int(r.number(name, int64(len(r.left))))))
}

func (r *reader) digest() *Digest {
	d := &Digest{}
	switch h := Hash(r.text("hash")); h {
	case XXH3:
	case MD5:
		d.algorithm = md5Lanes
	default:
		r.fail("hash is %q, want %q or %q", h, XXH3, MD5)
	}
	if why := r.text("incomplete"); why != "" {
		d.incomplete = errors.New(why)
	}
	d.users, d.page = r.number("users", math.MaxInt64), r.number("page", math.MaxInt64)
	d.checkpoints.doublings = uint8(r.number("doublings", 62)) //nolint:gosec // at most 62
	if page := cmp.Or(d.page, defaultPage); d.checkpoints.stride(page)>>d.checkpoints.doublings != page {
		r.fail("page: %d doubled %d times is too large", d.page, d.checkpoints.doublings)
	}
	r.words(d.sum[:])
	r.checkpoints(d)
	r.sample(d)
	if r.err != nil {
		return nil
	}
	return d
}

func (r *reader) words(into []uint64) {
	for i := range into {
		into[i] = r.word()
	}
}

func (r *reader) checkpoints(d *Digest) {
	n := r.number("checkpoints", maxCheckpoints)
	var last int64
	for range n {
		c := checkpoint{users: r.number("checkpoint", d.users), at: place(r.number("place", int64(atSeam)))} //nolint:gosec // at most atSeam
		r.words(c.sum[:])
		if r.err == nil && c.users <= last {
			r.fail("checkpoint at %d after one at %d, want them in order", c.users, last)
		}
		if r.err != nil {
			return
		}
		last = c.users
		if c.at == atCap && !isCap(c.users, nil) { // of a build that knows other limits
			c.at = atPage
		}
		d.checkpoints.list = append(d.checkpoints.list, c)
	}
}

func (r *reader) sample(d *Digest) {
	s := &d.sample
	s.floor = r.word()
	n := r.number("sample", 2*sampleSize)
	var total int64
	for range n {
		u := sampled{hash: hash128{r.word(), r.word()}, count: r.number("count", d.users-total), first: r.number("first", d.users)}
		if r.err == nil && (u.hash.high < s.floor || u.count == 0 || u.first == d.users) {
			r.fail("sample: a user below its floor, or that never came")
		}
		if _, twice := s.find(u.hash); r.err == nil && twice {
			r.fail("sample: a user twice")
		}
		if r.err != nil {
			return
		}
		total += u.count
		s.add(u.hash, u.count, u.first)
	}
	switch {
	case s.floor == 0 && total != d.users:
		r.fail("sample: %d users of %d, and none was dropped", total, d.users)
	case s.floor > 0:
		d.registers = r.registers()
	}
}

func (r *reader) registers() *registers {
	ranks := r.take(len(registers{}))
	if ranks == nil {
		return nil
	}
	if slices.Max(ranks) > maxRank {
		r.fail("registers: rank %d, want at most %d", slices.Max(ranks), maxRank)
		return nil
	}
	return new(registers(ranks))
}
