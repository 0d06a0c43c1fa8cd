package validate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/zeebo/xxh3"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// A Digest takes in users one by one, in one pass and bounded memory (about
// 1.6 MiB, far less below some thousand users), and tells later which they were:
// their number and Fingerprint, how many are distinct, and, where the other side
// of a step turns out to hold others, which ones are missing or repeated. It
// keeps hashes, never users.
//
// The zero Digest is ready to use and hashes with XXH3. A Digest is not safe for
// concurrent use: keep one for each goroutine or shard and Merge them. It must
// not be copied once it has taken in a user; else the copy and the original are
// incomplete.
type Digest struct {
	contents
	algorithm sketch.Algorithm
	size      int                      // cells in each part of the table, as Resolve was told; 0: sketch.TableSize
	page      int64                    // as MarkEvery was told; 0: defaultPage
	next      int64                    // the number of users at which the next checkpoint is due
	streams   int                      // those that Tee has not seen end well
	once      map[sketch.Hash]struct{} // the users that TeeOnce has seen
	self      *Digest                  // where it lives since it first took in a user
	keys      [keysAtOnce]uint64       // of users that are not in the table yet: many at once wait less for its cells
	waiting   uint                     // how many of keys there are
	origin    *origin
}

// contents holds what a digest knows of its users.
type contents struct {
	users       int64
	sum         sketch.Sum
	checkpoints sketch.Checkpoints
	sample      sketch.Sample
	table       *sketch.Table // nil as long as the sample holds every user
	incomplete  error         // why the users are not all that there are
}

// A snapshot is what a digest held at one moment.
type snapshot struct {
	contents
	hash   Hash
	origin *origin
	once   bool // each user was taken in once
}

// An origin distinguishes the summaries of one digest from those of another. Copies
// of a digest share it, as they share what they hold.
type origin struct{ copied atomic.Bool }

var hashes = [...]Hash{sketch.XXH3: XXH3, sketch.MD5: MD5, sketch.None: ""}

// NewDigest returns a Digest that makes fingerprints with h, XXH3 or MD5. Users
// taken in under any other hash are only counted, and every verdict by them is
// Unverified.
func NewDigest(h Hash) *Digest {
	switch h {
	case XXH3, "":
		return &Digest{}
	case MD5:
		return &Digest{algorithm: sketch.MD5}
	}
	d := &Digest{algorithm: sketch.None}
	d.incomplete = fmt.Errorf("digest: hash is %q, want %q or %q", h, XXH3, MD5)
	return d
}

// Add takes in one user.
func (d *Digest) Add(user []byte) { d.AddString(asString(user)) }

// AddString takes in one user.
func (d *Digest) AddString(user string) {
	if d.algorithm != sketch.XXH3 {
		d.addOther(user)
		return
	}
	h := xxh3.HashString128(user)
	var carry uint64
	d.sum[0], carry = bits.Add64(d.sum[0], h.Lo, 0)
	d.sum[1], _ = bits.Add64(d.sum[1], h.Hi, carry)
	d.users++
	if h.Hi >= d.sample.Floor || d.users >= d.next {
		d.note(sketch.Hash{High: h.Hi, Low: h.Lo})
		return
	}
	d.keys[d.waiting%keysAtOnce] = h.Lo // as wait does, without a call
	if d.waiting++; d.waiting == keysAtOnce {
		d.settle()
	}
}

const keysAtOnce = 512

// wait hands the key of a user to the table, together with others.
func (d *Digest) wait(key uint64) {
	d.keys[d.waiting%keysAtOnce] = key
	if d.waiting++; d.waiting == keysAtOnce {
		d.settle()
	}
}

// settle hands the keys that wait to the table, of which nobody knows before.
func (d *Digest) settle() {
	if d.waiting > 0 {
		d.table.AddKeys(d.keys[:d.waiting])
		d.waiting = 0
	}
}

// AddAll takes in a page of users at once, which costs less than one by one.
func (d *Digest) AddAll(users [][]byte) { addAll(d, users) }

// AddStrings takes in a page of users at once, which costs less than one by one.
func (d *Digest) AddStrings(users []string) { addAll(d, users) }

func addAll[U string | []byte](d *Digest, users []U) {
	for len(users) > 0 {
		if d.algorithm != sketch.XXH3 || d.table == nil || d.users+1 >= d.next {
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
	if d.shared() {
		d.users += int64(len(users))
		return
	}
	d.settle()
	low, high, floor := d.sum[0], d.sum[1], d.sample.Floor
	var carry uint64
	for len(users) > 0 {
		some := users[:min(len(users), keysAtOnce)]
		for i := range some {
			h := xxh3.HashString128(asString(some[i]))
			low, carry = bits.Add64(low, h.Lo, 0)
			high, _ = bits.Add64(high, h.Hi, carry)
			d.keys[i%keysAtOnce] = h.Lo
			if h.Hi >= floor {
				d.sample.Add(sketch.Hash{High: h.Hi, Low: h.Lo}, 1, d.users+int64(i))
				d.shrink()
				floor = d.sample.Floor
			}
		}
		d.waiting = uint(len(some))
		d.settle()
		d.users += int64(len(some))
		users = users[len(some):]
	}
	d.sum[0], d.sum[1] = low, high
}

// addOther does what AddString does for all but the default hash.
func (d *Digest) addOther(user string) {
	d.users++
	if d.algorithm == sketch.None {
		return
	}
	h := sketch.MD5.Hash(user)
	d.sum = sketch.MD5.Add(d.sum, sketch.MD5.Sum(h))
	d.note(h)
}

// note does what only few users ask for: a place in the sample, a checkpoint.
func (d *Digest) note(h sketch.Hash) {
	if d.shared() {
		return
	}
	if d.table != nil {
		d.wait(h.Key())
	}
	if h.High >= d.sample.Floor {
		d.sample.Add(h, 1, d.users-1)
		d.shrink()
	}
	if d.users >= d.next {
		d.mark()
	}
}

// shrink keeps the sample within its bounds. Before it drops the first users, they
// go into the table.
func (d *Digest) shrink() {
	if !d.sample.Full() {
		return
	}
	if d.table == nil {
		d.table = d.sample.Table(d.tableSize())
	}
	d.sample.Shrink()
}

// mark keeps a checkpoint if the number of users is one that has any, and finds
// the next such number.
func (d *Digest) mark() {
	page := cmp.Or(d.page, defaultPage)
	switch {
	case d.users == 0:
	case isCap(d.users, nil):
		d.checkpoints.Add(sketch.Checkpoint{Users: d.users, Sum: d.sum, At: sketch.AtCap}, page)
	case d.users%d.checkpoints.Stride(page) == 0:
		d.checkpoints.Add(sketch.Checkpoint{Users: d.users, Sum: d.sum, At: sketch.AtPage}, page)
	}
	d.next = min(sketch.NextMultiple(d.users, d.checkpoints.Stride(page)), nextCap(d.users))
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

// Resolve asks for so many differing users to be told one by one, where the
// 19,000 that a digest tells without it are not enough. It takes about 40 bytes for
// each, up to 192 MiB for 4,864,000. Two digests tell as many as the smaller does.
// Call it before the first user.
func (d *Digest) Resolve(users int64) {
	switch size := sketch.SizeFor(users); {
	case users <= 0 || users > sketch.MaxReach:
		d.spoil(fmt.Errorf("digest: Resolve(%d), want 1 to %d", users, sketch.MaxReach))
	case d.table != nil && d.table.Size() < size:
		d.spoil(fmt.Errorf("digest: Resolve(%d) after %s, want it before the first", users, counted(d.users, "user")))
	default:
		d.size = max(d.size, size)
	}
}

// tableSize returns the number of cells in each part of a table that is yet to be made.
func (d *Digest) tableSize() int { return max(d.size, sketch.TableSize) }

// spoil keeps the first reason why nothing can be judged by the digest.
func (d *Digest) spoil(why error) {
	if d.incomplete == nil {
		d.incomplete = why
	}
}

var (
	errOpenStream = errors.New("its stream was not read to the end")
	errCopied     = errors.New("digest: it was copied after it had taken in users, and the copies share what they hold: pass a pointer")
)

// claim remembers where the digest lives, and notices one that lives elsewhere by
// now.
func (d *Digest) claim() {
	switch d.self {
	case nil:
		d.self, d.origin = d, &origin{}
	case d:
	default:
		d.origin.copied.Store(true)
	}
}

// shared reports whether there is a copy of the digest. What the two share is in order
// for neither of them, and must not be changed any more.
func (d *Digest) shared() bool {
	if d.self != d {
		d.claim()
	}
	return d.origin.copied.Load()
}

// flaw returns why nothing can be judged by the digest as it stands.
func (d *Digest) flaw() error {
	d.claim()
	switch {
	case d.incomplete != nil:
		return d.incomplete
	case d.origin.copied.Load():
		return errCopied
	case d.streams > 0:
		return errOpenStream
	}
	return nil
}

// Merge adds the users of next, which follow those of d as the next shard does.
// Both must use the same hash. A digest that is incomplete makes the other so.
func (d *Digest) Merge(next *Digest) error {
	if next == nil || d == next {
		return errors.New("validate: merge: want another digest")
	}
	switch {
	case next.algorithm == sketch.None:
		return fmt.Errorf("validate: merge: %w", next.incomplete)
	case d.algorithm == sketch.None:
		return fmt.Errorf("validate: merge: %w", d.incomplete)
	case d.algorithm != next.algorithm:
		return fmt.Errorf("validate: merge: digest by %q into one by %q, want the same hash", next.hash(), d.hash())
	}
	if d.users > math.MaxInt64-next.users {
		return fmt.Errorf("validate: merge: %d users and %d more, want %d at most", d.users, next.users, math.MaxInt64)
	}
	if why := next.flaw(); why != nil {
		d.spoil(why)
	}
	if d.shared() || next.shared() {
		d.users += next.users
		return nil
	}
	d.mergeCheckpoints(next)
	d.mergeTable(next)
	d.sample.Merge(&next.sample, d.users)
	d.shrink()
	d.sum = d.algorithm.Add(d.sum, next.sum)
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
		d.page, d.checkpoints = cmp.Or(d.page, next.page), next.checkpoints.Clone()
		return
	}
	page := cmp.Or(d.page, defaultPage)
	d.checkpoints.Add(sketch.Checkpoint{Users: d.users, Sum: d.sum, At: sketch.AtSeam}, page)
	for _, c := range next.checkpoints.List {
		if c.At == sketch.AtCap { // of a shard alone: no cap of the whole
			c.At = sketch.AtPage
		}
		d.checkpoints.Add(sketch.Checkpoint{Users: d.users + c.Users, Sum: d.algorithm.Add(d.sum, c.Sum), At: c.At}, page)
	}
}

// mergeTable makes a table as soon as either sample dropped users.
func (d *Digest) mergeTable(next *Digest) {
	d.settle()
	next.settle()
	switch {
	case d.table == nil && next.table == nil:
		d.size = max(d.size, next.size)
	case next.table == nil:
		next.sample.AddTo(d.table)
	case d.table == nil:
		d.table = next.table.Clone()
		d.sample.AddTo(d.table)
	default:
		d.table = d.table.Merge(next.table)
	}
}

func (d *Digest) hash() Hash { return hashes[d.algorithm] }

// Users returns how many users were taken in, each as often as it came.
func (d *Digest) Users() int64 { return d.users }

// Distinct returns how many different users were taken in: exactly as long as
// there are no more than some thousand, then as an estimate by the sample, with a
// relative standard error of 1.6%.
func (d *Digest) Distinct() Summary {
	return d.distinct().flawedBy(d.flaw())
}

func (c *contents) distinct() Summary {
	users, exact := c.sample.Distinct(c.users)
	if exact {
		return Count(users)
	}
	return Estimate(users, sketch.DistinctError)
}

// Summary returns what the digest holds now. Later users do not change it.
func (d *Digest) Summary() Summary {
	why := d.flaw()
	d.settle()
	s := &snapshot{contents: d.contents, hash: d.hash(), origin: d.origin}
	s.once = int64(len(d.once)) == d.users
	s.incomplete = why
	s.checkpoints = d.checkpoints.Clone()
	s.sample = d.sample.Clone()
	s.table = d.table.Clone()
	return digested(s)
}

// distinct returns how many different users there are.
func (s *snapshot) distinct() Summary {
	if s.once {
		return Count(s.users)
	}
	return s.contents.distinct()
}

// fingerprint returns that of all users; there is none without a hash.
func (s *snapshot) fingerprint() Fingerprint {
	if s.hash == "" {
		return Fingerprint{}
	}
	return Fingerprint{Hash: s.hash, Sum: s.sum}
}

func (s *snapshot) algorithm() sketch.Algorithm {
	if s.hash == MD5 {
		return sketch.MD5
	}
	return sketch.XXH3
}

// nextCap returns the first known limit above n.
func nextCap(n int64) int64 {
	i, found := slices.BinarySearch(capNumbers, n)
	if found {
		i++
	}
	if i == len(capNumbers) {
		return math.MaxInt64
	}
	return capNumbers[i]
}

// asString returns the bytes of a user as a string, without a copy. Nothing here
// keeps it longer than the call to which the user was given.
func asString[U ~string | ~[]byte](user U) string {
	return *(*string)(unsafe.Pointer(&user)) //nolint:gosec // a slice begins with what a string is: pointer and length
}
