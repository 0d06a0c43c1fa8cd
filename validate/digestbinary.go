package validate

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// The binary form of a digest, version 2: the magic, the hash's name, why it is
// incomplete, numbers, the sum, the sketches, and XXH3 of all that as a checksum.
// Another version has another magic.
const (
	digestMagic = digestForm + "2\n"
	digestForm  = "segmentguard digest "
)

// MarshalBinary returns the digest in a form that UnmarshalBinary reads, in this
// process or another: shards meet on the wire. It holds hashes, never users.
func (d *Digest) MarshalBinary() ([]byte, error) {
	if d.algorithm == sketch.None {
		return nil, fmt.Errorf("validate: marshal: %w", d.incomplete)
	}
	d.settle()
	w := sketch.Writer(digestMagic)
	w.Text(string(d.hash()))
	w.Text(d.flawText())
	w.Numbers(d.users, d.page)
	w.Words(d.sum[:]...)
	d.checkpoints.Append(&w)
	d.sample.Append(&w)
	if d.table != nil {
		d.table.Append(&w)
	} else {
		w.Numbers(int64(bits.Len(uint(d.size))))
	}
	w.Words(xxh3.Hash(w))
	return w, nil
}

func (d *Digest) flawText() string {
	if why := d.flaw(); why != nil {
		return why.Error()
	}
	return ""
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
	d.claim()
	return nil
}

func readDigest(data []byte) (*Digest, error) {
	body := len(data) - 8
	if body < len(digestMagic) || string(data[:len(digestMagic)]) != digestMagic {
		return nil, foreignForm(data)
	}
	if binary.BigEndian.Uint64(data[body:]) != xxh3.Hash(data[:body]) {
		return nil, errors.New("the checksum is wrong: it was cut short or changed on its way")
	}
	r := sketch.NewReader(data[len(digestMagic):body])
	d := readContents(r)
	r.End()
	return d, r.Err()
}

// foreignForm says of which version a digest is that cannot be read.
func foreignForm(data []byte) error {
	text, ours := strings.CutPrefix(string(data[:min(len(data), len(digestMagic)+8)]), digestForm)
	if version, _, ends := strings.Cut(text, "\n"); ours && ends {
		return fmt.Errorf("it is of version %q, want 2: digest the users again, or read it with a release that wrote it", version)
	}
	return fmt.Errorf("want it to begin with %q: not a digest", digestMagic)
}

func readContents(r *sketch.Reader) *Digest {
	d := &Digest{}
	switch h := Hash(r.Text("hash")); h {
	case XXH3:
	case MD5:
		d.algorithm = sketch.MD5
	default:
		r.Fail("hash is %q, want %q or %q", h, XXH3, MD5)
	}
	if why := r.Text("incomplete"); why != "" {
		d.incomplete = errors.New(why)
	}
	d.users, d.page = r.Number("users", math.MaxInt64), r.Number("page", math.MaxInt64)
	d.sum = r.Sum(d.algorithm, d.users)
	d.checkpoints = r.Checkpoints(d.users, cmp.Or(d.page, defaultPage), d.algorithm, d.sum)
	for i, c := range d.checkpoints.List {
		if c.At == sketch.AtCap && !isCap(c.Users, nil) { // of a build that knows other limits
			d.checkpoints.List[i].At = sketch.AtPage
		}
	}
	d.sample = r.Sample(d.users, d.algorithm, d.sum)
	if d.sample.Whole() {
		d.size = 1 << r.Number("table", sketch.PositionBits+1) >> 1
		if d.size != 0 && d.size < sketch.TableSize {
			r.Fail("table: %d cells in each part, want %d or more", d.size, sketch.TableSize)
		}
	} else {
		d.table = r.Table(d.users, d.algorithm.Keys(d.sum), &d.sample)
	}
	return d
}
