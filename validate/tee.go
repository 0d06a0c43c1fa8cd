package validate

import (
	"fmt"
	"iter"
)

// Tee digests users as they flow past. Where the stream ends in an error, or is
// left before its end, or is never read at all, the digest is incomplete, and
// whatever is judged by it is Unverified. A user that comes with an error is not
// taken in.
func Tee[U ~string | ~[]byte](d *Digest, users iter.Seq2[U, error]) iter.Seq2[U, error] {
	d.streams++
	ended := false
	return func(yield func(U, error) bool) {
		var failed error
		left := true // also when yield or the source panics
		defer func() {
			switch {
			case failed != nil:
				d.spoil(fmt.Errorf("its stream failed after %s: %w", counted(d.users, "user"), failed))
			case left:
				d.spoil(fmt.Errorf("its stream was left after %s, before its end", counted(d.users, "user")))
			case !ended:
				ended = true
				d.streams--
			}
		}()
		for user, err := range users {
			if err != nil {
				failed = err
			} else {
				d.AddString(asString(user))
			}
			if !yield(user, err) {
				return
			}
		}
		left = false
	}
}
