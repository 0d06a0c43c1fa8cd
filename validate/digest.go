package validate

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// A Digest takes in users one by one, in one pass and bounded memory (about
// 1.5 MiB, far less below some thousand users), and tells later which they were:
// their number and Fingerprint, how many are distinct, and, where the other side
// of a step turns out to hold others, which ones are missing or repeated. It
// keeps hashes, never users.
//
// The zero Digest is ready to use and hashes with XXH3. A Digest is not safe for
// concurrent use: keep one for each goroutine or shard and Merge them. It must
// not be copied once it has taken in a user.
type Digest struct {
	contents
	algorithm algorithm
	page      int64 // as MarkEvery was told; 0: defaultPage
	next      int64 // the number of users at which the next checkpoint is due
	streams   int   // those that Tee has not seen end well
	origin    *origin
}

// contents is what a digest holds of its users.
type contents struct {
	users       int64
	sum         sum
	checkpoints checkpoints
	sample      sample
	registers   *registers // nil as long as the sample holds every user
	incomplete  error      // why the users are not all that there are
}

// A snapshot is what a digest held at one moment.
type snapshot struct {
	contents
	hash   Hash
	origin *origin
}

// An origin tells the summaries of one digest from those of another.
type origin struct{ _ byte }

// algorithm is a Hash in the form that costs least to ask for with every user.
type algorithm uint8

const (
	xxh3Sum algorithm = iota
	md5Lanes
	noAlgorithm
)

var hashes = [...]Hash{xxh3Sum: XXH3, md5Lanes: MD5, noAlgorithm: ""}

// NewDigest returns a Digest that makes fingerprints with h, XXH3 or MD5. Users
// taken in under any other hash are only counted, and every verdict by them is
// Unverified.
func NewDigest(h Hash) *Digest {
	switch h {
	case XXH3, "":
		return &Digest{}
	case MD5:
		return &Digest{algorithm: md5Lanes}
	}
	d := &Digest{algorithm: noAlgorithm}
	d.incomplete = fmt.Errorf("digest: hash is %q, want %q or %q", h, XXH3, MD5)
	return d
}

// Add takes in one user.
func (d *Digest) Add(user []byte) { d.AddString(asString(user)) }

// AddString takes in one user.
func (d *Digest) AddString(user string) {
	if d.algorithm != xxh3Sum {
		d.addOther(user)
		return
	}
	h := xxh3.HashString128(user)
	var carry uint64
	d.sum[0], carry = bits.Add64(d.sum[0], h.Lo, 0)
	d.sum[1], _ = bits.Add64(d.sum[1], h.Hi, carry)
	d.users++
	if h.Hi >= d.sample.floor || d.users >= d.next {
		d.note(hash128{h.Hi, h.Lo})
		return
	}
	d.registers.add(h.Lo)
}

// AddAll takes in a page of users at once, which costs less than one by one.
func (d *Digest) AddAll(users [][]byte) { addAll(d, users) }

// AddStrings takes in a page of users at once, which costs less than one by one.
func (d *Digest) AddStrings(users []string) { addAll(d, users) }

func addAll[U string | []byte](d *Digest, users []U) {
	for len(users) > 0 {
		if d.algorithm != xxh3Sum || d.registers == nil || d.users+1 >= d.next {
			d.AddString(asString(users[0]))
			users = users[1:]
			continue
		}
		n := min(int64(len(users)), d.next-1-d.users)
		addPlain(d, users[:n])
		users = users[n:]
	}
}

// addPlain takes in users of which none is at a checkpoint.
func addPlain[U string | []byte](d *Digest, users []U) {
	low, high, floor, registers := d.sum[0], d.sum[1], d.sample.floor, d.registers
	var carry uint64
	for i := range users {
		h := xxh3.HashString128(asString(users[i]))
		low, carry = bits.Add64(low, h.Lo, 0)
		high, _ = bits.Add64(high, h.Hi, carry)
		registers.add(h.Lo)
		if h.Hi >= floor {
			d.sample.add(hash128{h.Hi, h.Lo}, 1, d.users+int64(i))
			d.shrink()
			floor = d.sample.floor
		}
	}
	d.sum[0], d.sum[1] = low, high
	d.users += int64(len(users))
}

// addOther is AddString for all but the default hash.
func (d *Digest) addOther(user string) {
	d.users++
	if d.algorithm == noAlgorithm {
		return
	}
	lanes, h := md5Hash(user)
	d.sum = md5Lanes.add(d.sum, lanes)
	d.note(h)
}

// note does what only few users ask for: a place in the sample, a checkpoint.
func (d *Digest) note(h hash128) {
	if d.registers != nil {
		d.registers.add(h.low)
	}
	if h.high >= d.sample.floor {
		d.sample.add(h, 1, d.users-1)
		d.shrink()
	}
	if d.users >= d.next {
		d.mark()
	}
}

// shrink keeps the sample within its bounds. From when it drops users on, the
// registers count how many are distinct.
func (d *Digest) shrink() {
	if !d.sample.full() {
		return
	}
	if d.registers == nil {
		d.registers = d.sample.registers()
	}
	d.sample.shrink()
}

// mark keeps a checkpoint if the number of users is one that has any, and finds
// the next such number.
func (d *Digest) mark() {
	page := cmp.Or(d.page, defaultPage)
	switch {
	case d.users == 0:
	case isCap(d.users, nil):
		d.checkpoints.add(checkpoint{d.users, d.sum, atCap}, page)
	case d.users%d.checkpoints.stride(page) == 0:
		d.checkpoints.add(checkpoint{d.users, d.sum, atPage}, page)
	}
	d.next = min(nextMultiple(d.users, d.checkpoints.stride(page)), nextCap(d.users))
}

const defaultPage = 1000

// MarkEvery sets the page size in which the users come, where it is not 1,000:
// a lost or repeated page is then told for certain. Call it before the first
// user.
func (d *Digest) MarkEvery(users int64) {
	if users <= 0 {
		d.spoil(fmt.Errorf("digest: MarkEvery(%d), want 1 or more", users))
		return
	}
	d.page = users
	d.next = 0
}

// spoil keeps the first reason why nothing can be judged by the digest.
func (d *Digest) spoil(why error) {
	if d.incomplete == nil {
		d.incomplete = why
	}
}

var errOpenStream = errors.New("its stream was not read to the end")

// flaw is why nothing can be judged by the digest as it stands.
func (d *Digest) flaw() error {
	if d.incomplete == nil && d.streams > 0 {
		return errOpenStream
	}
	return d.incomplete
}

// Merge adds the users of next, which follow those of d as the next shard does.
// Both must use the same hash. A digest that is incomplete makes the other so.
func (d *Digest) Merge(next *Digest) error {
	if next == nil || d == next {
		return errors.New("validate: merge: want another digest")
	}
	switch {
	case next.algorithm == noAlgorithm:
		return fmt.Errorf("validate: merge: %w", next.incomplete)
	case d.algorithm == noAlgorithm:
		return fmt.Errorf("validate: merge: %w", d.incomplete)
	case d.algorithm != next.algorithm:
		return fmt.Errorf("validate: merge: digest by %q into one by %q, want the same hash", next.hash(), d.hash())
	}
	if why := next.flaw(); why != nil {
		d.spoil(why)
	}
	d.mergeCheckpoints(next)
	d.mergeDistinct(next)
	d.sample.merge(&next.sample, d.users)
	d.shrink()
	d.sum = d.algorithm.add(d.sum, next.sum)
	d.users += next.users
	d.next = 0 // looked for with the next user
	return nil
}

// mergeCheckpoints appends those of next, and the place where the two meet.
func (d *Digest) mergeCheckpoints(next *Digest) {
	switch {
	case next.users == 0:
		return
	case d.users == 0:
		d.page, d.checkpoints = cmp.Or(d.page, next.page), next.checkpoints.clone()
		return
	}
	page := cmp.Or(d.page, defaultPage)
	d.checkpoints.add(checkpoint{d.users, d.sum, atSeam}, page)
	for _, c := range next.checkpoints.list {
		if c.at == atCap { // of a shard alone: no cap of the whole
			c.at = atPage
		}
		d.checkpoints.add(checkpoint{d.users + c.users, d.algorithm.add(d.sum, c.sum), c.at}, page)
	}
}

// mergeDistinct has registers as soon as either sample dropped users.
func (d *Digest) mergeDistinct(next *Digest) {
	if d.registers == nil && next.registers == nil {
		return
	}
	if d.registers == nil {
		d.registers = d.sample.registers()
	}
	if next.registers == nil {
		d.registers.addAll(&next.sample)
		return
	}
	d.registers.merge(next.registers)
}

func (d *Digest) hash() Hash { return hashes[d.algorithm] }

// Users is how many users were taken in, each as often as it came.
func (d *Digest) Users() int64 { return d.users }

// Distinct is how many different users were taken in: exact as long as there
// are no more than some thousand, then an estimate within 0.4%, by HyperLogLog.
func (d *Digest) Distinct() Summary {
	return d.distinct().flawedBy(d.flaw())
}

func (c *contents) distinct() Summary {
	if c.registers == nil {
		return Count(int64(len(c.sample.users)))
	}
	return Estimate(c.registers.estimate(), registersError)
}

// Summary is what the digest holds now. Later users do not change it.
func (d *Digest) Summary() Summary {
	if d.origin == nil {
		d.origin = &origin{}
	}
	s := &snapshot{contents: d.contents, hash: d.hash(), origin: d.origin}
	s.incomplete = d.flaw()
	s.checkpoints = d.checkpoints.clone()
	s.sample = d.sample.clone()
	s.registers = d.registers.clone()
	return digested(s)
}

// fingerprint is that of all users; there is none without a hash.
func (s *snapshot) fingerprint() Fingerprint {
	if s.hash == "" {
		return Fingerprint{}
	}
	return Fingerprint{Hash: s.hash, Sum: s.sum}
}
