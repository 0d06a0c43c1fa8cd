package segment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Selection names the sizes that a decision is about.
type Selection struct {
	Keys      []Key  // of these segments
	SiteGroup string // and of all of this site group that the ledger knows; empty: of none
	RunID     string // the size of this run, which is in the log; empty: see Accept and Suspect

	From, Until time.Time // for Suspect: the sizes from then on, up to before then
}

// Validate returns a *validate.InputError that names what is wrong.
func (s *Selection) Validate() error {
	switch {
	case len(s.Keys) == 0 && s.SiteGroup == "":
		return badInput("Selection.Keys", "empty", "the segments, or their site group")
	case slices.ContainsFunc(s.Keys, func(key Key) bool { return key.Segment.IsZero() }):
		return badInput("Selection.Keys", "an empty one", "the segments by name")
	case s.From.IsZero() != s.Until.IsZero(), !s.From.IsZero() && !s.Until.After(s.From):
		return badInput("Selection.Until", s.Until.Format(time.RFC3339), "a time after From, or neither")
	case s.RunID != "" && !s.From.IsZero():
		return badInput("Selection.RunID", s.RunID, "none where there is a span of time")
	}
	return nil
}

// keys returns the keys, each once and in order.
func (s *Selection) keys(ctx context.Context, l Ledger) ([]Key, error) {
	found := map[Key]bool{}
	for _, key := range s.Keys {
		found[key] = true
	}
	if s.SiteGroup != "" {
		known := false
		for state, err := range l.Segments(ctx, SegmentFilter{SiteGroup: s.SiteGroup}) {
			if err != nil {
				return nil, wrap("reading the segments of "+s.SiteGroup, err)
			}
			if !state.Segment.IsZero() { // or nobody knows whose row it is
				found[state.Key()], known = true, true
			}
		}
		if !known { // a misspelled name must not read as done
			return nil, badInput("Selection.SiteGroup", s.SiteGroup, "a site group of which a segment is known")
		}
	}
	return sorted(found), nil
}

// A choice is a decision on its way: what it was about, and what follows.
type choice struct {
	Selection
	Decision

	sizes  map[Key]Record // with RunID
	rerun  map[Key]int64  // to be made again, with so many users
	failed map[Key]error  // of these segments nothing was decided
}

// decide takes a decision about each of the segments, by the thousand. That it cannot
// be taken about one is no reason not to take it about the others.
func (c *choice) decide(ctx context.Context, l Ledger, about func(*SegmentState) error) ([]Affected, error) {
	if err := join(c.Selection.Validate(), c.Decision.Validate()); err != nil {
		return nil, err
	}
	keys, err := c.keys(ctx, l)
	if err != nil {
		return nil, err
	}
	c.sizes, c.rerun, c.failed = map[Key]Record{}, map[Key]int64{}, map[Key]error{}
	for chunk := range slices.Chunk(keys, tellAtOnce) {
		if err := c.find(ctx, l, chunk); err != nil {
			return c.affected(), err
		}
		err := l.Change(ctx, chunk, func(s *SegmentState) error {
			key := s.Key()
			if c.RunID != "" && c.sizes[key].State == "" {
				return nil // which was said already
			}
			delete(c.failed, key)
			delete(c.rerun, key)
			err := s.intact()
			if err == nil {
				err = about(s)
			}
			if err != nil {
				c.failed[key] = err
			}
			return nil
		})
		if err != nil {
			return c.affected(), err
		}
	}
	var failures []error
	if c.RunID != "" && len(c.Keys) == 0 && len(c.sizes) == 0 {
		failures = append(failures, fmt.Errorf("no record of run %q in site group %s", c.RunID, c.SiteGroup))
	}
	for _, key := range sorted(c.failed) {
		failures = append(failures, fmt.Errorf("%s: %w", key, c.failed[key]))
	}
	return c.affected(), join(failures...)
}

// find looks the run up in the log of each of the segments. The size is that of the
// last recorded attempt.
func (c *choice) find(ctx context.Context, l Ledger, keys []Key) error {
	for _, key := range keys {
		if c.RunID == "" {
			return nil
		}
		r, err := lastRecord(ctx, l, key, c.RunID)
		switch {
		case err != nil:
			return err
		case r.State != "":
			c.sizes[key] = r
		case slices.Contains(c.Keys, key):
			c.failed[key] = fmt.Errorf("no record of run %q", c.RunID)
		}
	}
	return nil
}

// lastRecord returns the last record of a run's last attempt; a zero one where there
// is none.
func lastRecord(ctx context.Context, l Ledger, key Key, runID string) (last Record, err error) {
	for e, err := range l.Log(ctx, LogFilter{Segment: key.Segment, Store: &key.Store, RunID: runID}) {
		switch {
		case err != nil:
			return last, wrap("reading the log", err)
		case e.Damaged != nil: // it may be the one that counts
			return last, e.Damaged
		case e.Record != nil && (last.State == "" || e.Record.Attempt >= last.Attempt):
			last = *e.Record
		}
	}
	return last, nil
}

// affected returns what is to be made again.
func (c *choice) affected() []Affected {
	users := map[ID]int64{}
	for key, n := range c.rerun {
		users[key.Segment] = max(users[key.Segment], n)
	}
	return affectedOf(users)
}

func (c *choice) log(s *SegmentState, action Action, text string) {
	s.Log = append(s.Log, LogEntry{Segment: s.Segment, Store: s.Store, At: c.At, Action: action, RunID: c.RunID, By: c.By, Why: c.Why, Text: text})
}

// Accept says that sizes are right for good, whatever was judged: they are added to
// the baselines as if they had passed, and nothing is taken out. For 30 days the level
// before passes, too. A size of 0 is right itself, and no level. Accept ends the
// segments' alerts.
//
// The sizes are those that the open alerts are about, which a guard or a sweep found,
// or those of the run that which names. Accept returns the segments whose output was
// discarded, to be made again, in the order that rerun.New takes; and an error that
// names each segment of which there is no such size: the others are accepted all the
// same. Of a site group only segments with an alert are meant.
func Accept(ctx context.Context, l Ledger, which Selection, d Decision) ([]Affected, error) {
	c := choice{Selection: which, Decision: d}
	err := which.Validate()
	if err == nil && !which.From.IsZero() {
		err = badInput("Selection.From", which.From, "none: only one size of each segment is accepted")
	}
	var found []Affected
	if err == nil {
		found, err = c.decide(ctx, l, c.accept)
	}
	return found, wrap("segment: accepting sizes", err)
}

var errNotCounted = errors.New("its size was never read back as a number")

// accept accepts the size that the decision is about.
func (c *choice) accept(s *SegmentState) error {
	a := s.Alert.Open
	if c.RunID != "" {
		r := c.sizes[s.Key()]
		if !r.measured() {
			return fmt.Errorf("run %q: %w", c.RunID, errNotCounted)
		}
		c.accepted(s, c.RunID, r.Size(), r.State.live() || r.Live)
		return nil
	}
	switch {
	case a == nil && !slices.Contains(c.Keys, s.Key()):
		return nil
	case a == nil:
		return errors.New("no alert is open, so there is no size to accept")
	case a.Size == nil:
		return errNotCounted
	}
	if a.bySweep() && s.Live != nil && s.Live.Counter == a.Size.Counter {
		s.Live = new(*a.Size)
	}
	c.accepted(s, a.RunID, *a.Size, !a.Protected())
	return nil
}

// accepted keeps an accepted size, of a run if one brought it, and ends the alert.
func (c *choice) accepted(s *SegmentState, runID string, size validate.Size, live bool) {
	s.suspect(func(kept validate.Size) bool { return same(kept, size) }) // it passed, or was a candidate
	s.Accept(size)
	s.Accepted = new(c.Decision)
	s.vouch(cmp.Or(c.RunID, runID, s.Last.RunID)) // a sweep's alert is about what the last run left
	s.observe(observation{event: aClosing, at: c.At, why: "accepted by " + c.By + ": " + c.Why})
	c.log(s, ActionAccepted, validate.Count(size.Users).String())
	if !live {
		c.rerun[s.Key()] = size.Users
	}
}

// AcceptWithin says, before or after the fact, that sizes are right for a while which
// are off the history and within a range, as a migration makes them: of each segment's
// own last size, or users. It excuses what validate.Excuse excuses, and nothing else;
// it ends alerts about such sizes, and returns the segments whose output was discarded
// meanwhile. Each use is in the log, and so is that there was none.
//
// An error names each segment of which nothing is known: for the others it holds all
// the same.
func AcceptWithin(ctx context.Context, l Ledger, which Selection, e validate.Excuse, d Decision) ([]Affected, error) {
	c := choice{Selection: which, Decision: d}
	e.From, e.Until = e.From.UTC(), e.Until.UTC()
	err := e.Validate()
	if err == nil && (which.RunID != "" || !which.From.IsZero()) {
		err = badInput("Selection.RunID", which.RunID, "no run and no time: those of the excuse are meant")
	}
	var found []Affected
	if err == nil {
		found, err = c.decide(ctx, l, func(s *SegmentState) error { return c.plan(s, &e) })
	}
	return found, wrap("segment: accepting sizes for a while", err)
}

// plan keeps what was planned for a segment. What is over by now is dropped, and what
// is open now and within is no fault any more.
func (c *choice) plan(s *SegmentState, e *validate.Excuse) error {
	if s.IsZero() {
		return errors.New("nothing is known of it")
	}
	s.Excuses = append(slices.DeleteFunc(slices.Clone(s.Excuses), func(e Excuse) bool { return e.Used && !c.At.Before(e.Until) }), Excuse{Excuse: *e, Decision: c.Decision})
	c.log(s, ActionPlanned, "until "+e.Until.UTC().Format(time.RFC3339))
	a := s.Alert.Open
	if a == nil || !excuses(e, a, s.Sizes) {
		return nil
	}
	runID, size, live := a.RunID, *a.Size, !a.Protected()
	if e.ForGood && size.Users > 0 {
		c.accepted(s, runID, size, live)
	} else {
		s.observe(observation{event: aClosing, at: c.At, why: "accepted for a while by " + c.By + ": " + c.Why})
		if !live {
			c.rerun[s.Key()] = size.Users
		}
	}
	s.use(len(s.Excuses)-1, c.At, runID, size.Users, e.ForGood && size.Users > 0)
	return nil
}

// Suspect takes sizes out of the baselines, though they passed: that of the run that
// which names, or all of a span of time. It returns the segments that had one, to be
// made again.
func Suspect(ctx context.Context, l Ledger, which Selection, d Decision) ([]Affected, error) {
	c := choice{Selection: which, Decision: d}
	if which.RunID == "" && which.From.IsZero() {
		return nil, wrap("segment: suspecting sizes", badInput("Selection.RunID", "empty", "the run whose size it is, or From and Until"))
	}
	found, err := c.decide(ctx, l, func(s *SegmentState) error {
		wrong := c.sizes[s.Key()]
		taken := s.suspect(func(size validate.Size) bool {
			if c.RunID != "" {
				return same(size, wrong.Size())
			}
			return !size.At.Before(c.From) && size.At.Before(c.Until)
		})
		if taken {
			c.log(s, ActionSuspected, "")
			c.rerun[s.Key()] = lastUsers(s)
		}
		return nil
	})
	return found, wrap("segment: suspecting sizes", err)
}

// lastUsers returns the last size that is known of a segment; 0: none is.
func lastUsers(s *SegmentState) int64 {
	if n := len(s.Sizes); n > 0 {
		return s.Sizes[n-1].Users
	}
	return 0
}
