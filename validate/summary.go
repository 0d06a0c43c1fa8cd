package validate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"
)

// A Summary says what one side of a job holds: how many users, and where a
// digest or an engine made a fingerprint, which. The zero Summary is "not
// measured", which is not the same as zero users.
type Summary struct {
	form         form
	bounded      bool    // lower and upper are all that is known of it
	lagUnknown   bool    // it may lag behind its primary, by nobody knows how much
	lower, upper int64   // users; they differ where the side moved or is known within bounds
	relErr       float64 // standard error of an estimate, as a share of users; 0: counted
	asOf         time.Time
	fingerprint  Fingerprint
	digest       *snapshot  // what else the digest knows; nil: a bare count or an engine's fingerprint
	moved        *movement  // nil: it did not move while it was read
	flaw         string     // why nothing can be judged by it: bad input, an incomplete digest, a failed measurement
	cause        error      // the same as an error, where there was one
	remeasure    *remeasure // how to measure the side again, should the users differ
	comparer     *comparer  // how to compare them where they are
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

// Bounded returns a side of which nobody knows more than that it holds low to high
// users: an API that answers "below 1,000" (0 to 999), or that rounds. A step passes
// where each number within the bounds would, fails where none would, and is
// Unverified in between; see Policy.AllowPossible.
func Bounded(low, high int64) Summary {
	if low < 0 || low > high {
		return flawed("%d to %d users, want 0 or more, and the higher bound last", low, high)
	}
	return Summary{form: measured, lower: low, upper: high, bounded: low < high}
}

// Moving returns a source that changed while the job read it, measured before and
// after. A read of it is right if it has the users that the source held both times,
// and no others than it held at either. Where both measurements are those of
// Digests, and the read is digested too, that is judged for each user: of one that
// came before, after and read so many times,
//
//	lost    = max(0, min(before − read, after − read))
//	foreign = max(0, read − max(before, after))
//
// and the sums over all users are judged by Policy.Reading, its shares being of the
// smaller number. Counts alone cannot tell a user who left from one who was skipped: of
// a source of b users before and a after, a read of r users may lack up to max(b, a) − r
// that were there all the time, and hold up to r − min(b, a) twice. It passes where
// Policy.Reading allows both, is Short below both numbers and Surplus above both by more
// than is allowed, and Unverified otherwise. Counts do not see that some leave while as
// many join: take Digests where that matters.
//
// Where both measurements show the same users by their fingerprints, the source did
// not move after all, and the side is as good as one measured once.
func Moving(before, after Summary) Summary {
	for _, s := range []Summary{before, after} {
		switch {
		case s.form == notMeasured:
			return flawed("Moving of a side that is not measured, want two measured ones")
		case s.form != measured, s.flaw != "":
			return s // unknown, bad or incomplete: so is the whole
		}
	}
	s := Summary{
		form:       measured,
		bounded:    before.bounded || after.bounded,
		lagUnknown: before.lagUnknown || after.lagUnknown,
		lower:      min(before.lower, after.lower),
		upper:      max(before.upper, after.upper),
		relErr:     max(before.relErr, after.relErr),
		asOf:       earlier(before.asOf, after.asOf),
	}
	other := before.identified() && after.identified() && before.fingerprint != after.fingerprint
	if s.lower != s.upper || other {
		s.moved = newMovement(&before, &after)
	} else if s.counted() && before.fingerprint == after.fingerprint {
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
	case users == 0 && f.Sum != [4]uint64{}:
		return flawed("the sums of the fingerprint are not 0 for 0 users, want those of nobody")
	case f.Hash == XXH3 && (f.Sum[2] != 0 || f.Sum[3] != 0):
		return flawed("the fingerprint by %q has 4 sums, want 2", f.Hash)
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
	return Summary{form: unknown}.flawedBy(err)
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
	if why != nil { // one without a text must not read as none
		s.flaw, s.cause = cmp.Or(why.Error(), "the error has no text"), why
	}
	return s
}

// distinct returns the side with its distinct users, where a digest knows them.
func (s *Summary) distinct() Summary {
	switch {
	case s.moved != nil && s.moved.told:
		return s.distinctOnes()
	case s.digest != nil:
		return s.digest.distinct()
	}
	return *s
}

// distinctOnes returns a side that moved with its distinct users: no more of them left
// or joined than rows did.
func (s *Summary) distinctOnes() Summary {
	m, d := *s.moved, *s
	left, joined := m.before.lower-m.common, m.all-m.before.lower
	m.before, m.after = m.before.distinct(), m.after.distinct()
	m.common, m.all = max(0, m.before.lower-left), plus(m.before.upper, joined)
	d.lower, d.upper = min(m.before.lower, m.after.lower), max(m.before.upper, m.after.upper)
	d.relErr, d.moved = max(m.before.relErr, m.after.relErr), &m
	return d
}

func flawed(format string, args ...any) Summary {
	return Summary{form: invalid, flaw: fmt.Sprintf(format, args...)}
}

// A movement is what was measured of a side before and after it was read.
type movement struct {
	before, after Summary
	common, all   int64 // users that were there both times, at least, and at either, at most
	told          bool  // by digests, and not by two numbers alone
}

func newMovement(before, after *Summary) *movement {
	m := &movement{before: *before, after: *after, common: min(before.lower, after.lower), all: max(before.upper, after.upper)}
	switch {
	case m.digested():
		d := diff(before.digest, after.digest)
		m.common, m.all, m.told = before.lower-d.missing.most, plus(before.lower, d.foreign.most), true
	case before.identified() && after.identified() && before.lower == after.lower: // others, and nobody knows how many
		m.common, m.all = 0, plus(before.lower, after.lower)
	}
	return m
}

// digested reports whether the users of both times can be compared with a third
// side's.
func (m *movement) digested() bool {
	return m.before.digest != nil && m.after.digest != nil && m.before.digest.hash == m.after.digest.hash
}

// hash returns the hash by which the side's users can be compared, empty if there
// is none.
func (s *Summary) hash() Hash {
	if s.usable() && s.moved != nil && s.moved.digested() {
		return s.moved.before.digest.hash
	}
	return s.fingerprint.Hash
}

// AsOf returns the side with a statement that the answer is complete up to t: every write acknowledged
// before t is in it. A count from a replica or an index that refreshes now and
// then says nothing about later writes.
func (s Summary) AsOf(t time.Time) Summary {
	if s.form == notMeasured {
		return flawed("AsOf of a side that is not measured, want a measured one")
	}
	if bad := timeProblem("AsOf", t); bad != nil {
		return flawed("%v", bad)
	}
	s.asOf, s.lagUnknown = t, false
	return s
}

// LagUnknown returns the side as one read from a replica that does not say up to
// when it is complete. It passes with a warning, and not where Policy.MaxSourceLag
// asks how old it may be.
func (s Summary) LagUnknown() Summary {
	if s.form == notMeasured {
		return flawed("LagUnknown of a side that is not measured, want a measured one")
	}
	s.asOf, s.lagUnknown = time.Time{}, true
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
// look never where the users are the same, and else at most twice: once for all users,
// unless it has their Digest, and once for some ([InQuestion]).
func (s Summary) WithRemeasure(look func(context.Context) (Summary, error)) Summary {
	s.remeasure, s.comparer = nil, nil
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

func (s *Summary) amount() string { return s.amountOf("user") }

func (s *Summary) amountOf(noun string) string {
	if s.upper != 1 {
		noun += "s"
	}
	return s.number() + " " + noun + s.accuracy()
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
	Bounded     bool        `json:"bounded,omitempty"`
	Moving      []Summary   `json:"moving,omitempty"` // before and after; of an older version none
	RelErr      float64     `json:"rel_err,omitempty"`
	AsOf        time.Time   `json:"as_of,omitzero"`
	LagUnknown  bool        `json:"lag_unknown,omitempty"`
	Fingerprint Fingerprint `json:"fingerprint,omitzero"`
	Unknown     bool        `json:"unknown,omitempty"`
	Invalid     string      `json:"invalid,omitempty"`
	Incomplete  string      `json:"incomplete,omitempty"`
}

// MarshalJSON writes null for a side that is not measured.
func (s Summary) MarshalJSON() ([]byte, error) {
	if s.form == notMeasured {
		return []byte("null"), nil
	}
	return json.Marshal(s.stored())
}

func (s Summary) stored() summaryJSON {
	w := summaryJSON{Bounded: s.bounded, RelErr: s.relErr, AsOf: s.asOf, LagUnknown: s.lagUnknown, Fingerprint: s.fingerprint}
	switch s.form {
	case notMeasured:
	case unknown:
		w.Unknown, w.Incomplete = true, s.flaw
	case invalid:
		w.Invalid = s.flaw
	case measured:
		w.Users, w.Incomplete = &s.lower, s.flaw
		if s.upper != s.lower {
			w.Upper = &s.upper
		}
		if s.moved != nil {
			w.Moving = []Summary{s.moved.before, s.moved.after}
		}
	}
	return w
}

// UnmarshalJSON reads what MarshalJSON wrote and refuses what no constructor makes.
func (s *Summary) UnmarshalJSON(data []byte) error {
	var w *summaryJSON
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("validate: summary: %w", err)
	}
	if w == nil {
		*s = Summary{}
		return nil
	}
	w.upgrade()
	read := w.summary()
	if read.form == invalid && w.Invalid == "" {
		return fmt.Errorf("validate: summary: %s", read.flaw)
	}
	if again := read.stored(); !reflect.DeepEqual(again, *w) {
		return fmt.Errorf("validate: summary: what is written beside %q is of another side", read)
	}
	*s = read
	return nil
}

// upgrade adds what an earlier version did not write.
func (w *summaryJSON) upgrade() {
	if w.Users == nil || w.Upper == nil || *w.Upper < *w.Users || w.Bounded || w.Moving != nil {
		return
	}
	side := func(users int64) Summary {
		if w.RelErr != 0 {
			return Estimate(users, w.RelErr)
		}
		return Count(users)
	}
	if *w.Upper == *w.Users {
		w.Upper = nil
	} else {
		w.Moving = []Summary{side(*w.Users), side(*w.Upper)}
	}
}

// summary makes the side anew, by the constructor that made the one written.
func (w *summaryJSON) summary() (s Summary) {
	switch {
	case w.Invalid != "":
		s = Summary{form: invalid, flaw: w.Invalid}
	case w.Unknown && w.Incomplete != "":
		s = Unmeasured(errors.New(w.Incomplete))
	case w.Unknown:
		s = Unknown()
	case w.Users == nil:
		s = flawed(`no "users", want a number, "unknown" or null`)
	default:
		s = w.measured()
		s.flaw = cmp.Or(s.flaw, w.Incomplete)
	}
	if w.LagUnknown {
		s = s.LagUnknown()
	}
	if !w.AsOf.IsZero() {
		s = s.AsOf(w.AsOf)
	}
	return s
}

func (w *summaryJSON) measured() Summary {
	switch {
	case len(w.Moving) == 2:
		return Moving(w.Moving[0], w.Moving[1])
	case w.Upper != nil:
		return Bounded(*w.Users, *w.Upper)
	case w.RelErr != 0:
		return Estimate(*w.Users, w.RelErr)
	case w.Fingerprint != Fingerprint{}:
		return Fingerprinted(*w.Users, w.Fingerprint)
	}
	return Count(*w.Users)
}
