package validate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// A Summary says what one side of a job holds: how many users, and where a
// digest or an engine made a fingerprint, which. The zero Summary is "not
// measured", which is not the same as zero users.
type Summary struct {
	form         form
	lower, upper int64   // users; they differ where the side moved while it was read
	relErr       float64 // standard error of an estimate, as a share of users; 0: counted
	asOf         time.Time
	fingerprint  Fingerprint
	digest       *snapshot  // what else the digest knows; nil: a bare count or an engine's fingerprint
	flaw         string     // why nothing can be judged by it: bad input, an incomplete digest, a failed measurement
	cause        error      // the same as an error, where there was one
	remeasure    *remeasure // how to measure the side again, should the users differ
}

// A form is what is known of a side. The zero one must stay "not
// measured": a field that was forgotten is then never taken for a count.
type form uint8

const (
	notMeasured form = iota
	measured
	unknown
	invalid
)

// Count returns a side whose users were counted one by one.
func Count(users int64) Summary {
	if users < 0 {
		return flawed("%d users, want 0 or more", users)
	}
	return Summary{form: measured, lower: users, upper: users}
}

// Estimate returns a side whose users were estimated, by HyperLogLog and the like,
// with a relative standard error relErr > 0: 0.0081 for 2^14 registers.
// A verdict allows for three standard errors.
func Estimate(users int64, relErr float64) Summary {
	if !(relErr > 0) || math.IsInf(relErr, 0) { // also refuses NaN
		return flawed("relErr is %v, want a finite number above 0", relErr)
	}
	s := Count(users)
	s.relErr = relErr
	return s
}

// Between is a side that moved while the job read it, measured before and after.
// Where both show the same users by their fingerprints, it did not move after
// all. Otherwise only counts are judged by it: anything from the lower to the
// higher is right.
func Moving(before, after Summary) Summary {
	for _, s := range []Summary{before, after} {
		switch {
		case s.form == notMeasured:
			return flawed("Between of a side that is not measured, want two measured ones")
		case s.form != measured, s.flaw != "":
			return s // unknown, bad or incomplete: so is the whole
		}
	}
	s := Summary{
		form:   measured,
		lower:  min(before.lower, after.lower),
		upper:  max(before.upper, after.upper),
		relErr: max(before.relErr, after.relErr),
		asOf:   earlier(before.asOf, after.asOf),
	}
	if s.counted() && before.fingerprint == after.fingerprint {
		s.fingerprint, s.digest = before.fingerprint, before.digest
	}
	return s
}

// Fingerprinted returns a side whose users an engine counted and fingerprinted.
func Fingerprinted(users int64, f Fingerprint) Summary {
	switch {
	case f == Fingerprint{}:
		return flawed("the fingerprint is empty, want a hash and its sums, or Count")
	case users > 0 && f.Sum == [4]uint64{}: // what a NULL reads as, and equal to every other
		return flawed("the sums of the fingerprint are 0 for %s, want those of a hash of each", counted(users, "user"))
	}
	s := Count(users)
	s.fingerprint = f
	return s
}

// Unknown says out loud that nothing vouches for this side. What it leaves
// unproven the history must prove, or the output is Unverified.
func Unknown() Summary { return Summary{form: unknown} }

// Unmeasured returns a side that could not be measured because of err. Whatever is
// judged by it is Unverified, with err among the causes.
func Unmeasured(err error) Summary {
	if err == nil {
		return flawed("Unmeasured without an error, want the reason")
	}
	return Summary{form: unknown, flaw: err.Error(), cause: err}
}

// digested returns what a digest knows of its side.
func digested(d *snapshot) Summary {
	s := Count(d.users)
	s.fingerprint, s.digest = d.fingerprint(), d
	return s.flawedBy(d.incomplete)
}

// flawedBy returns the side; where why is not nil, nothing can be judged by it for
// that reason.
func (s Summary) flawedBy(why error) Summary {
	if why != nil {
		s.flaw, s.cause = why.Error(), why
	}
	return s
}

// distinct returns the side with its distinct users, where a digest knows them.
func (s *Summary) distinct() Summary {
	if s.digest == nil {
		return *s
	}
	return s.digest.distinct()
}

func flawed(format string, args ...any) Summary {
	return Summary{form: invalid, flaw: fmt.Sprintf(format, args...)}
}

// AsOf returns the side with a statement that the answer is complete up to t: every write acknowledged
// before t is in it. A count from a replica or an index that refreshes now and
// then says nothing about later writes.
func (s Summary) AsOf(t time.Time) Summary {
	if s.form == notMeasured {
		return flawed("AsOf of a side that is not measured, want a measured one")
	}
	s.asOf = t
	return s
}

// A remeasure measures a side again, in more detail. It stands behind a pointer so
// that summaries stay comparable.
type remeasure struct {
	look func(context.Context) (Summary, error)
}

// WithRemeasure returns the side with a way to look at it again, should its users
// turn out to be others than those of the side before or after it: look measures it
// again with a [Digest], which says more than an engine's fingerprint. A check calls
// look at most once, and never where the users are the same.
func (s Summary) WithRemeasure(look func(context.Context) (Summary, error)) Summary {
	s.remeasure = nil
	if look != nil {
		s.remeasure = &remeasure{look}
	}
	return s
}

// IsZero reports whether the side was not measured.
func (s Summary) IsZero() bool { return s.form == notMeasured }

// IsUnknown reports whether the side was said to be Unknown, or Unmeasured.
func (s Summary) IsUnknown() bool { return s.form == unknown }

// Users returns the number of users; of a side that moved, the lower one. It
// returns 0 where nothing is known: ask IsZero and IsUnknown.
func (s Summary) Users() int64 { return s.lower }

// Range returns the lowest and the highest number of users of a side that moved,
// and twice Users of any other.
func (s Summary) Range() (lower, upper int64) { return s.lower, s.upper }

// RelErr returns the relative standard error of an estimate, 0 of a count.
func (s Summary) RelErr() float64 { return s.relErr }

// Fingerprint returns which users the side holds, zero where it was only counted.
func (s Summary) Fingerprint() Fingerprint { return s.fingerprint }

// CompleteUpTo returns the time given to AsOf, zero without one.
func (s Summary) CompleteUpTo() time.Time { return s.asOf }

// usable reports whether the side has a number to judge by.
func (s *Summary) usable() bool { return s.form == measured && s.flaw == "" }

// counted reports whether the side is one exact number.
func (s *Summary) counted() bool { return s.form == measured && s.lower == s.upper && s.relErr == 0 }

// String returns the side as reports print it: "10,000 users".
func (s Summary) String() string {
	switch {
	case s.form == notMeasured:
		return "not measured"
	case s.form == unknown && s.flaw == "":
		return "unknown"
	case s.form == unknown:
		return "not measured: " + s.flaw
	case s.form == invalid:
		return "invalid: " + s.flaw
	case s.flaw != "":
		return "incomplete after " + s.amount() + ": " + s.flaw
	}
	return s.amount()
}

func (s *Summary) amount() string {
	switch {
	case s.lower != s.upper:
		return fmt.Sprintf("%s to %s%s", thousands(s.lower), counted(s.upper, "user"), s.accuracy())
	case s.relErr > 0:
		return "about " + counted(s.lower, "user") + s.accuracy()
	}
	return counted(s.lower, "user")
}

func (s *Summary) accuracy() string {
	if s.relErr == 0 {
		return ""
	}
	return fmt.Sprintf(" ± %.3g%%", 100*s.relErr)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// summaryJSON is the stored form: counts, times and fingerprints, never users.
type summaryJSON struct {
	Users       *int64      `json:"users,omitempty"`
	Upper       *int64      `json:"users_upper,omitempty"`
	RelErr      float64     `json:"rel_err,omitempty"`
	AsOf        time.Time   `json:"as_of,omitzero"`
	Fingerprint Fingerprint `json:"fingerprint,omitzero"`
	Unknown     bool        `json:"unknown,omitempty"`
	Invalid     string      `json:"invalid,omitempty"`
	Incomplete  string      `json:"incomplete,omitempty"`
}

// MarshalJSON writes null for a side that is not measured.
func (s Summary) MarshalJSON() ([]byte, error) {
	w := summaryJSON{RelErr: s.relErr, AsOf: s.asOf, Fingerprint: s.fingerprint}
	switch s.form {
	case notMeasured:
		return []byte("null"), nil
	case unknown:
		w.Unknown, w.Incomplete = true, s.flaw
	case invalid:
		w.Invalid = s.flaw
	case measured:
		w.Users, w.Incomplete = &s.lower, s.flaw
		if s.upper != s.lower {
			w.Upper = &s.upper
		}
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote and refuses what no Summary is.
func (s *Summary) UnmarshalJSON(data []byte) error {
	var w *summaryJSON
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("validate: summary: %w", err)
	}
	if w == nil {
		*s = Summary{}
		return nil
	}
	read, err := w.summary()
	if err != nil {
		return fmt.Errorf("validate: summary: %w", err)
	}
	*s = read
	return nil
}

func (w *summaryJSON) summary() (Summary, error) {
	switch {
	case w.Invalid != "":
		return Summary{form: invalid, flaw: w.Invalid}, nil
	case w.Unknown && w.Incomplete != "":
		return Unmeasured(errors.New(w.Incomplete)).AsOf(w.AsOf), nil
	case w.Unknown:
		return Unknown().AsOf(w.AsOf), nil
	case w.Users == nil:
		return Summary{}, errors.New(`no "users", want a number, "unknown" or null`)
	}
	s := Count(*w.Users)
	if w.RelErr != 0 {
		s = Estimate(*w.Users, w.RelErr)
	}
	if s.form == invalid {
		return Summary{}, errors.New(s.flaw)
	}
	if w.Upper != nil {
		if s.upper = *w.Upper; s.upper < s.lower {
			return Summary{}, fmt.Errorf(`"users_upper" is %d, below "users" %d`, s.upper, s.lower)
		}
	}
	s.asOf, s.fingerprint, s.flaw = w.AsOf, w.Fingerprint, w.Incomplete
	return s, nil
}
