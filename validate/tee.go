package validate

import (
	"errors"
	"fmt"
	"iter"

	"github.com/segmentguard/segmentguard/validate/internal/sketch"
)

// Tee digests users as they flow past. Where the stream ends in an error, or is
// left before its end, or is never read at all, the digest is incomplete, and
// whatever is judged by it is Unverified. A user that comes with an error is not
// taken in.
func Tee[U ~string | ~[]byte](d *Digest, users iter.Seq2[U, error]) iter.Seq2[U, error] {
	return tee(d, users, 0)
}

// TeeOnce passes every user on as Tee does, but digests each only once, as a store
// holds it that keeps a user once. It knows users again by hashes of 128 bits, up to
// limit different ones over all streams of the digest, and takes 30 to 60 bytes for
// each as long as the digest lives. Where there are more, the digest is incomplete,
// and the stream goes on. Two users of one hash would be taken for one, and the
// check would fail. Users that reach the digest by other ways, or by Merge, are not
// known again.
func TeeOnce[U ~string | ~[]byte](d *Digest, users iter.Seq2[U, error], limit int64) iter.Seq2[U, error] {
	if limit <= 0 {
		d.spoil(fmt.Errorf("digest: TeeOnce with a limit of %d, want 1 or more", limit))
	}
	return tee(d, users, max(1, limit))
}

// tee digests users, each once where there is a limit to how many of them it may
// know again, and tells the digest how their stream ended.
func tee[U ~string | ~[]byte](d *Digest, users iter.Seq2[U, error], limit int64) iter.Seq2[U, error] {
	d.streams++
	ended := false
	return func(yield func(U, error) bool) {
		var failed error
		left := true // also when yield or the source panics
		defer func() {
			switch {
			case failed != nil:
				d.spoil(fmt.Errorf("its stream failed: %w", failed))
			case left:
				d.spoil(errors.New("its stream was left before its end"))
			case !ended:
				ended = true
				d.streams--
			}
		}()
		stopped := false
		users(func(user U, err error) bool { // a range statement would cost as much again
			switch {
			case err != nil:
				failed = err
			case limit == 0:
				d.AddString(asString(user))
			default:
				d.addOnce(asString(user), limit)
			}
			if !yield(user, err) {
				stopped = true
				return false
			}
			return true
		})
		left = stopped
	}
}

// addOnce takes in a user that has not come before, as long as these are no more
// than limit.
func (d *Digest) addOnce(user string, limit int64) {
	h := d.algorithm.Hash(user)
	if _, found := d.once[h]; found {
		return
	}
	if int64(len(d.once)) >= limit {
		d.spoil(fmt.Errorf("more different users came than TeeOnce may know again, %s", thousands(limit)))
		return
	}
	if d.once == nil {
		d.once = map[sketch.Hash]struct{}{}
	}
	d.once[h] = struct{}{}
	d.AddString(user)
}
