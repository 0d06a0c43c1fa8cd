package ledgertest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/ledgertest"
	"github.com/segmentguard/segmentguard/validate"
)

func TestMemoryIsALedger(t *testing.T) {
	ledgertest.TestLedger(t, func(*testing.T) segment.Ledger { return segment.NewMemory() })
}

type (
	memory   = segment.Memory
	changing = func(*segment.SegmentState) error
	locking  = func(*segment.CommitRow) error
)

// A badLedger is a good one, but for what is replaced. What is replaced hears of
// an ended context as before, so that it breaks one rule.
type badLedger struct {
	*memory

	deaf     string // the method that goes on whether the context is over or not
	state    func(*memory, segment.Key) (segment.SegmentState, error)
	record   func(*memory, segment.Record) error
	change   func(*memory, []segment.Key, changing) error
	segments func(*memory, segment.SegmentFilter) iter.Seq[segment.SegmentState]
	log      func(*memory, segment.LogFilter) iter.Seq[segment.LogEntry]
	lock     func(*memory, segment.Key, locking) error
	next     func(*memory, segment.Key) (segment.Start, error)

	identity       func(*memory) (string, error)
	incidents      func(*memory, segment.IncidentFilter) iter.Seq[segment.Incident]
	changeIncident func(*memory, string, func(*segment.Incident) error) error
	changeMutes    func(*memory, func([]segment.Mute) ([]segment.Mute, error)) error

	tools badTools
	plans badPlans
}

var background = context.Background()

// heard returns the context as a method hears of it.
func (b *badLedger) heard(ctx context.Context, method string) context.Context {
	if b.deaf == method {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

func (b *badLedger) State(ctx context.Context, key segment.Key) (segment.SegmentState, error) {
	if b.state != nil && ctx.Err() == nil {
		return b.state(b.memory, key)
	}
	return b.memory.State(b.heard(ctx, "State"), key)
}

func (b *badLedger) Record(ctx context.Context, r segment.Record) error {
	if b.record != nil && ctx.Err() == nil {
		return b.record(b.memory, r)
	}
	return b.memory.Record(b.heard(ctx, "Record"), r)
}

func (b *badLedger) Change(ctx context.Context, keys []segment.Key, change func(*segment.SegmentState) error) error {
	if b.change != nil && ctx.Err() == nil {
		return b.change(b.memory, keys, change)
	}
	return b.memory.Change(b.heard(ctx, "Change"), keys, change)
}

func (b *badLedger) Lock(ctx context.Context, key segment.Key, change func(*segment.CommitRow) error) error {
	if b.lock != nil && ctx.Err() == nil {
		return b.lock(b.memory, key, change)
	}
	return b.memory.Lock(b.heard(ctx, "Lock"), key, change)
}

func (b *badLedger) Next(ctx context.Context, key segment.Key) (segment.Start, error) {
	if b.next != nil && ctx.Err() == nil {
		return b.next(b.memory, key)
	}
	return b.memory.Next(b.heard(ctx, "Next"), key)
}

func (b *badLedger) Segments(ctx context.Context, f segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	if b.segments == nil || ctx.Err() != nil {
		return b.memory.Segments(b.heard(ctx, "Segments"), f)
	}
	return without(b.segments(b.memory, f))
}

func (b *badLedger) Log(ctx context.Context, f segment.LogFilter) iter.Seq2[segment.LogEntry, error] {
	if b.log == nil || ctx.Err() != nil {
		return b.memory.Log(b.heard(ctx, "Log"), f)
	}
	return without(b.log(b.memory, f))
}

// without returns a sequence without errors.
func without[T any](items iter.Seq[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// all returns a memory's segments.
func all(m *memory, f segment.SegmentFilter) (states []segment.SegmentState) {
	for s := range m.Segments(background, f) {
		states = append(states, s)
	}
	return states
}

// entries returns a memory's log.
func entries(m *memory, f segment.LogFilter) (found []segment.LogEntry) {
	for e := range m.Log(background, f) {
		found = append(found, e)
	}
	return found
}

// recording returns a ledger that records what edit makes of a record.
func recording(edit func(*segment.Record)) *badLedger {
	return &badLedger{record: func(m *memory, r segment.Record) error {
		edit(&r)
		return m.Record(background, r)
	}}
}

// refusing returns a ledger that takes more for superseded than is. known are the
// records of the run, of all segments.
func refusing(superseded func(r *segment.Record, known []segment.LogEntry) bool) *badLedger {
	return &badLedger{record: func(m *memory, r segment.Record) error {
		if r.RunID != "" && superseded(&r, entries(m, segment.LogFilter{RunID: r.RunID})) {
			return fmt.Errorf("%s: attempt %d of run %s is %w", r.Segment, r.Attempt, r.RunID, segment.ErrSuperseded)
		}
		return m.Record(background, r)
	}}
}

// showing returns a ledger that shows segments as edit makes them.
func showing(edit func(*segment.SegmentState)) *badLedger {
	return &badLedger{segments: func(m *memory, f segment.SegmentFilter) iter.Seq[segment.SegmentState] {
		return func(yield func(segment.SegmentState) bool) {
			for s := range m.Segments(background, f) {
				edit(&s)
				if !yield(s) {
					return
				}
			}
		}
	}}
}

// filtering returns a ledger that filters segments by what edit makes of the
// filter.
func filtering(edit func(*segment.SegmentFilter)) *badLedger {
	return &badLedger{segments: func(m *memory, f segment.SegmentFilter) iter.Seq[segment.SegmentState] {
		edit(&f)
		return slices.Values(all(m, f))
	}}
}

// listing returns a ledger that lists of the log what edit leaves of it.
func listing(edit func(m *memory, f segment.LogFilter) []segment.LogEntry) *badLedger {
	return &badLedger{log: func(m *memory, f segment.LogFilter) iter.Seq[segment.LogEntry] { return slices.Values(edit(m, f)) }}
}

// logging returns a ledger that filters its log by what edit makes of the filter.
func logging(edit func(*segment.LogFilter)) *badLedger {
	return listing(func(m *memory, f segment.LogFilter) []segment.LogEntry {
		edit(&f)
		return entries(m, f)
	})
}

// changed returns a ledger that spoils what a change makes of a segment.
func changed(spoil func(before segment.SegmentState, s *segment.SegmentState)) *badLedger {
	return &badLedger{change: func(m *memory, keys []segment.Key, change changing) error {
		return m.Change(background, keys, func(s *segment.SegmentState) error {
			before := *s
			before.Sizes = slices.Clone(s.Sizes)
			if err := change(s); err != nil {
				return err
			}
			spoil(before, s)
			return nil
		})
	}}
}

// A badLedgerOf breaks one rule.
type badLedgerOf struct {
	name, reason string
	ledger       *badLedger
	broken       string // the subtest that says so
}

var badLedgers = []badLedgerOf{
	{"misses the unknown", "a first run fails, for want of earlier sizes", &badLedger{state: func(m *memory, key segment.Key) (segment.SegmentState, error) {
		s, err := m.State(background, key)
		if s.IsZero() {
			return s, sql.ErrNoRows
		}
		return s, err
	}}, "recorder/unknown_segment"},
	{"forgets", "a size that was committed is gone", &badLedger{record: func(m *memory, r segment.Record) error {
		if r.State == segment.RunCommitted && r.Users == 3 {
			return nil
		}
		return m.Record(background, r)
	}}, "recorder/runs_are_apart"},
	{"reorders", "the newest size comes first", &badLedger{state: func(m *memory, key segment.Key) (segment.SegmentState, error) {
		s, err := m.State(background, key)
		slices.Reverse(s.Sizes)
		return s, err
	}}, "recorder/late_records"},
	{"returns the first sizes", "a segment is judged by what it was a year ago", &badLedger{state: func(m *memory, key segment.Key) (segment.SegmentState, error) {
		s, err := m.State(background, key)
		s.Sizes = s.Sizes[:min(len(s.Sizes), 35)]
		return s, err
	}}, "recorder/last_sizes"},
	{"rounds times up", "a size is of a later time than the run that reads it", recording(func(r *segment.Record) {
		r.At = r.At.Truncate(time.Microsecond).Add(time.Microsecond)
	}), "recorder/times"},
	{"knows no case", "ids are folded", recording(func(r *segment.Record) { r.Segment.Name = strings.ToLower(r.Segment.Name) }), "recorder/ids"},
	{"counts in 32 bits", "a large size overflows", recording(func(r *segment.Record) { r.Users = min(r.Users, math.MaxInt32) }), "recorder/extremes"},
	{"returns rejected sizes", "what failed becomes the measure of the next run", recording(func(r *segment.Record) {
		if r.State == segment.RunRejected {
			r.State = segment.RunCommitted
		}
	}), "recorder/only_what_is_live"},
	{"believes what was observed", "what would have failed becomes the measure of the next run", recording(func(r *segment.Record) {
		if r.State == segment.RunObserved {
			r.State = segment.RunCommitted
		}
	}), "recorder/observed_and_failed"},
	{"judges again", "a size that was committed, whatever was found, is left out", recording(func(r *segment.Record) {
		if r.State == segment.RunCommitted && !r.Report.Passed() {
			r.State = segment.RunObserved
		}
	}), "recorder/committed_whatever_the_report_says"},
	{"records an attempt once", "a run that passed cannot be recorded as committed", refusing(func(r *segment.Record, known []segment.LogEntry) bool {
		return slices.ContainsFunc(known, func(e segment.LogEntry) bool {
			return e.Segment == r.Segment && e.Record.Attempt == r.Attempt
		})
	}), "recorder/one_attempt_on_its_way"},
	{"ignores the attempt", "an older attempt goes live over a newer one", recording(func(r *segment.Record) {
		r.Attempt = 0
		r.RunID += r.At.String()
	}), "recorder/an_older_attempt"},
	{"forgets what failed", "an older attempt goes live, though a newer one is known", &badLedger{record: func(m *memory, r segment.Record) error {
		if r.State == segment.RunRejected {
			return nil
		}
		return m.Record(background, r)
	}}, "recorder/an_older_attempt_after_a_newer_one_that_failed"},
	{"refuses late facts", "that an older attempt failed is not recorded", refusing(func(r *segment.Record, known []segment.LogEntry) bool {
		return slices.ContainsFunc(known, func(e segment.LogEntry) bool {
			return e.Segment == r.Segment && e.Record.Attempt > r.Attempt
		})
	}), "recorder/facts_about_an_older_attempt"},
	{"records failures anywhere", "what is live is recorded as failed", recording(func(r *segment.Record) {
		if !r.State.GoesLive() {
			r.RunID += " failed"
		}
	}), "recorder/committed_is_the_end"},
	{"compares with the newest attempt alone", "what is live is recorded as failed, once a newer attempt is known", &badLedger{record: func(m *memory, r segment.Record) error {
		newest := -1
		for _, e := range entries(m, segment.LogFilter{Segment: r.Segment, RunID: r.RunID}) {
			newest = max(newest, e.Record.Attempt)
		}
		if newest > r.Attempt && !r.State.GoesLive() {
			return nil
		}
		return m.Record(background, r)
	}}, "recorder/the_end_also_after_a_newer_attempt"},
	{"takes observed for open", "what is live in observe mode is committed once more", recording(func(r *segment.Record) {
		if r.State == segment.RunObserved {
			r.RunID += " observed"
		}
	}), "recorder/observed_is_the_end"},
	{"takes live for done", "a segment cannot be made again", refusing(func(r *segment.Record, known []segment.LogEntry) bool {
		return slices.ContainsFunc(known, func(e segment.LogEntry) bool {
			return e.Segment == r.Segment && e.Record.State == segment.RunCommitted
		})
	}), "recorder/a_newer_attempt_after_one_that_is_live"},
	{"takes a run for one segment", "the second segment of a run cannot be recorded", refusing(func(r *segment.Record, known []segment.LogEntry) bool {
		return slices.ContainsFunc(known, func(e segment.LogEntry) bool { return e.Record.Attempt > r.Attempt })
	}), "recorder/segments_are_apart"},
	{"looks and then leaps", "one attempt goes live twice", leaps(), "recorded_at_once"},

	{"skips segments", "a segment that a sweep does not see is not watched", &badLedger{segments: func(m *memory, f segment.SegmentFilter) iter.Seq[segment.SegmentState] {
		states := all(m, f)
		return slices.Values(states[:min(len(states), 5)])
	}}, "segments"},
	{"sorts like people", "a merge by bytes passes segments over", &badLedger{segments: func(m *memory, f segment.SegmentFilter) iter.Seq[segment.SegmentState] {
		states := all(m, f)
		slices.Reverse(states)
		return slices.Values(states)
	}}, "segments"},
	{"locks while it reads", "a sweep cannot write what it finds", lockedWhileRead(), "segments_while_writing"},
	{"takes any site group", "one team sees the segments of another", filtering(func(f *segment.SegmentFilter) { f.SiteGroup = "" }), "selected_segments"},
	{"takes what is well for affected", "a page of what is wrong shows all", filtering(func(f *segment.SegmentFilter) { f.Affected = false }), "selected_segments"},
	{"takes only what is open for affected", "the alerter is never told that it is over", &badLedger{segments: func(m *memory, f segment.SegmentFilter) iter.Seq[segment.SegmentState] {
		return slices.Values(slices.DeleteFunc(all(m, f), func(s segment.SegmentState) bool { return f.Affected && s.Alert.Open == nil }))
	}}, "accept"},
	{"begins every page anew", "whoever reads page by page never ends", filtering(func(f *segment.SegmentFilter) { f.After = segment.Key{} }), "selected_segments"},
	{"repeats a page's last", "a segment is on two pages", &badLedger{segments: func(m *memory, f segment.SegmentFilter) iter.Seq[segment.SegmentState] {
		after := f.After
		f.After = segment.Key{}
		return slices.Values(slices.DeleteFunc(all(m, f), func(s segment.SegmentState) bool { return s.Key().Compare(after) < 0 }))
	}}, "selected_segments"},
	{"knows no limit", "a page is as long as the fleet", filtering(func(f *segment.SegmentFilter) { f.Limit = 0 }), "selected_segments"},
	{"limits before it filters", "a page lacks segments that are there", &badLedger{segments: func(m *memory, f segment.SegmentFilter) iter.Seq[segment.SegmentState] {
		affected := f.Affected
		f.Affected = false
		return slices.Values(slices.DeleteFunc(all(m, f), func(s segment.SegmentState) bool { return affected && s.Alert.IsZero() }))
	}}, "selected_segments"},

	{"remembers only what passed", "a sweep does not know that the last run failed", showing(func(s *segment.SegmentState) {
		if s.Last.State == segment.RunRejected {
			s.Last = segment.Record{}
		}
	}), "last_attempt"},
	{"forgets what is live", "a sweep has nothing to hold the store against", showing(func(s *segment.SegmentState) { s.Live = nil }), "what_is_live"},
	{"takes anything for live", "a commit that nobody knows of is held against the store", showing(func(s *segment.SegmentState) {
		if s.Live == nil {
			s.Live = &validate.Size{Users: s.Last.Users, Read: s.Last.Read, At: s.Last.At}
		}
	}), "what_is_live"},
	{"forgets who counted", "an index's count is compared with a table's", &badLedger{state: func(m *memory, key segment.Key) (segment.SegmentState, error) {
		s, err := m.State(background, key)
		for i := range s.Sizes {
			s.Sizes[i].Counter = ""
		}
		return s, err
	}}, "what_is_live"},

	{"keeps alerts alone", "what a human accepted is forgotten", changed(func(before segment.SegmentState, s *segment.SegmentState) {
		s.Sizes, s.Accepted = before.Sizes, before.Accepted
	}), "accept"},
	{"forgets who accepted", "nobody knows who called it right", showing(func(s *segment.SegmentState) { s.Accepted = nil }), "accept"},
	{"lists runs that nobody asked for", "a run that nobody recorded is the measure from now on", logging(func(f *segment.LogFilter) { f.RunID = "" }), "accept_refuses"},
	{"drops no sizes", "a size that is wrong stays a measure for others", changed(func(before segment.SegmentState, s *segment.SegmentState) {
		if len(s.Sizes) < len(before.Sizes) {
			s.Sizes = before.Sizes
		}
	}), "suspect"},
	{"forgets candidates", "what stands for a week is never learned", showing(func(s *segment.SegmentState) { s.Candidates = nil }), "candidates"},
	{"keeps sizes alone of a record", "a level that was learned is forgotten the next day", showing(func(s *segment.SegmentState) {
		for i := range s.Sizes {
			s.Sizes[i].Level = ""
		}
		for i := range s.Candidates {
			s.Candidates[i].Level = ""
		}
	}), "candidates"},
	{"forgets plans", "what was planned is a ticket", showing(func(s *segment.SegmentState) { s.Excuses = nil }), "plans"},
	{"forgets that a plan was used", "people are told that it was not", showing(func(s *segment.SegmentState) {
		for i := range s.Excuses {
			s.Excuses[i].Used = false
		}
	}), "plans"},
	{"forgets runs", "a job that stopped is healthy", showing(func(s *segment.SegmentState) { s.Runs.Times = nil }), "runs_of_a_segment"},
	{"forgets what was submitted", "nobody settles it", showing(func(s *segment.SegmentState) { s.Submitted = nil }), "submitted"},
	{"forgets until when", "nobody is told of a store that never answers", showing(func(s *segment.SegmentState) {
		if s.Submitted != nil {
			s.Submitted = new(*s.Submitted)
			s.Submitted.Until = time.Time{}
		}
	}), "submitted"},
	{"forgets the last good run", "a job that fails each night is healthy", showing(func(s *segment.SegmentState) { s.Runs.Good = time.Time{} }), "runs_of_a_segment"},
	{"forgets who was unguarded", "sizes that nobody checked pass for checked ones", changed(func(_ segment.SegmentState, s *segment.SegmentState) {
		for i := range s.Sizes {
			s.Sizes[i].Unguarded = false
		}
	}), "import"},
	{"never forgets", "what was deleted on purpose is missed for ever", changed(func(before segment.SegmentState, s *segment.SegmentState) {
		if len(s.Sizes) == 0 {
			s.Sizes, s.Last, s.Live = before.Sizes, before.Last, before.Live
		}
	}), "forget"},

	{"logs only what passed", "runs that a bug touched are not found", listing(func(m *memory, f segment.LogFilter) []segment.LogEntry {
		return slices.DeleteFunc(entries(m, f), func(e segment.LogEntry) bool { return e.Record != nil && e.Record.State == segment.RunRejected })
	}), "log"},
	{"logs an attempt once", "that a commit was unknown is overwritten", listing(func(m *memory, f segment.LogFilter) []segment.LogEntry {
		found := entries(m, f)
		return slices.CompactFunc(found, func(a, b segment.LogEntry) bool {
			return a.Record != nil && b.Record != nil && a.Segment == b.Segment && a.RunID == b.RunID && a.Record.Attempt == b.Record.Attempt
		})
	}), "log"},
	{"logs by segment", "what happened first comes last", listing(func(m *memory, f segment.LogFilter) []segment.LogEntry {
		found := entries(m, f)
		slices.SortStableFunc(found, func(a, b segment.LogEntry) int { return a.Segment.Compare(b.Segment) })
		return found
	}), "log"},
	{"logs no reports", "nobody can see what was found", listing(func(m *memory, f segment.LogFilter) []segment.LogEntry {
		found := entries(m, f)
		for i := range found {
			if found[i].Record != nil {
				r := *found[i].Record
				r.Report, found[i].Record = nil, &r
			}
		}
		return found
	}), "log"},
	{"logs what was refused", "an attempt that did not go live seems to have done so", &badLedger{record: func(m *memory, r segment.Record) error {
		err := m.Record(background, r)
		if errors.Is(err, segment.ErrSuperseded) {
			e := segment.LogEntry{Segment: r.Segment, At: r.At, Action: segment.ActionRecorded, RunID: r.RunID, Record: &r}
			err = errors.Join(err, m.Change(background, []segment.Key{r.Segment.In("")}, func(s *segment.SegmentState) error {
				s.Log = append(s.Log, e)
				return nil
			}))
		}
		return err
	}}, "log"},
	{"asks the log for any segment", "one segment's log is everybody's", logging(func(f *segment.LogFilter) { f.Segment = segment.ID{} }), "log"},
	{"asks the log for any build", "what a good build wrote is taken for affected", logging(func(f *segment.LogFilter) { f.Build = "" }), "log"},
	{"asks the log for any job kind", "copies are taken for lookalikes", logging(func(f *segment.LogFilter) { f.JobKind = "" }), "log"},
	{"asks the log since later", "what happened at that moment is left out", logging(func(f *segment.LogFilter) {
		if !f.Since.IsZero() {
			f.Since = f.Since.Add(1)
		}
	}), "log"},
	{"asks the log until later", "what happened at that moment is there twice, for whoever asks day by day", logging(func(f *segment.LogFilter) {
		if !f.Until.IsZero() {
			f.Until = f.Until.Add(1)
		}
	}), "log"},
	{"logs no decisions", "nobody knows who accepted what", changed(func(_ segment.SegmentState, s *segment.SegmentState) { s.Log = nil }), "log_of_decisions"},
	{"logs no reasons", "nobody knows why it was accepted", changed(func(_ segment.SegmentState, s *segment.SegmentState) {
		for i := range s.Log {
			s.Log[i].Why = ""
		}
	}), "log_of_decisions"},
	{"takes decisions for a build's", "what a human decided seems to be the work of a build", listing(func(m *memory, f segment.LogFilter) []segment.LogEntry {
		anyBuild := f
		anyBuild.Build = ""
		return slices.DeleteFunc(entries(m, anyBuild), func(e segment.LogEntry) bool { return e.Record != nil && !f.Match(&e) })
	}), "log_of_decisions"},
	{"reads the log with the segment", "whoever writes back a state that was read logs all of it again", &badLedger{segments: func(m *memory, f segment.SegmentFilter) iter.Seq[segment.SegmentState] {
		states := all(m, f)
		for i := range states {
			states[i].Log = entries(m, segment.LogFilter{Segment: states[i].Segment})
		}
		return slices.Values(states)
	}}, "log_of_decisions"},

	{"changes in any order", "two that change the same segments wait for each other", &badLedger{change: func(m *memory, keys []segment.Key, change changing) error {
		for _, key := range slices.Compact(slices.Clone(keys)) {
			if err := m.Change(background, []segment.Key{key}, change); err != nil {
				return err
			}
		}
		return nil
	}}, "change"},
	{"changes twice what was given twice", "the second change is lost, or the first", &badLedger{change: func(m *memory, keys []segment.Key, change changing) error {
		sorted := slices.SortedFunc(slices.Values(keys), segment.Key.Compare)
		return m.Change(background, keys, func(s *segment.SegmentState) error {
			for _, key := range sorted {
				if key == s.Key() {
					if err := change(s); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}}, "change"},
	{"keeps what is empty", "every segment that was asked for is missed from now on", changed(func(_ segment.SegmentState, s *segment.SegmentState) {
		if s.IsZero() {
			s.Accepted = &segment.Decision{}
		}
	}), "change"},
	{"names no segment", "a state that nothing is known of belongs to nobody", &badLedger{change: func(m *memory, keys []segment.Key, change changing) error {
		return m.Change(background, keys, func(s *segment.SegmentState) error {
			id := s.Segment
			if s.IsZero() {
				s.Segment = segment.ID{}
			}
			err := change(s)
			s.Segment = id
			return err
		})
	}}, "change"},
	{"keeps half an alert", "nobody sees what was found", showing(func(s *segment.SegmentState) {
		if s.Alert.Open != nil {
			s.Alert.Open = &segment.Alert{Segment: s.Segment, Text: s.Alert.Open.Text, Attempt: s.Alert.Open.Attempt}
		}
	}), "change"},
	{"keeps no claims", "two tell the alerter at once", showing(func(s *segment.SegmentState) { s.Alert.Claimed = time.Time{} }), "change"},
	{"loses an alert", "what is wrong is known to nobody", &badLedger{change: func(m *memory, keys []segment.Key, change changing) error {
		return m.Change(background, keys[:min(len(keys), 500)], change)
	}}, "change_of_many_segments"},
	{"keeps what came before a failure", "one segment is changed, the other is not", oneByOne(), "change_is_all_or_nothing"},
	{"loses a failure", "a change that failed is taken for one that was kept", &badLedger{change: func(m *memory, keys []segment.Key, change changing) error {
		_ = m.Change(background, keys, change)
		return nil
	}}, "change_is_all_or_nothing"},
	{"logs what it does not keep", "a decision is in the log and has no effect", &badLedger{change: func(m *memory, keys []segment.Key, change changing) error {
		var log []segment.LogEntry
		err := m.Change(background, keys, func(s *segment.SegmentState) error {
			err := change(s)
			log = append(log, s.Log...)
			return err
		})
		if err != nil {
			return errors.Join(err, m.Change(background, keys[:1], func(s *segment.SegmentState) error {
				s.Log = log
				return nil
			}))
		}
		return nil
	}}, "change_is_all_or_nothing"},
	{"overwrites changes", "reading and writing are two steps", overwrites(), "changed_at_once"},
	{"numbers each segment", "which run is the later one is not known", numbersEach(), "numbers"},
	{"gives the generation of no time", "no run is ever overtaken", &badLedger{next: func(m *memory, key segment.Key) (segment.Start, error) {
		start, err := m.Next(background, key)
		start.Generation = 0
		return start, err
	}}, "numbers"},
	{"forgets the lease", "two runs hold one segment", &badLedger{lock: func(m *memory, key segment.Key, change locking) error {
		return m.Lock(background, key, func(c *segment.CommitRow) error { copied := *c; return change(&copied) })
	}}, "commit_row"},
	{"keeps the lease of whoever failed", "it waits for itself", &badLedger{lock: func(m *memory, key segment.Key, change locking) (failed error) {
		err := m.Lock(background, key, func(c *segment.CommitRow) error { failed = change(c); return nil })
		return errors.Join(failed, err)
	}}, "commit_row"},
	{"has one row", "segments wait for each other", &badLedger{lock: func(m *memory, _ segment.Key, change locking) error {
		return m.Lock(background, segment.ID{}.In(""), change)
	}}, "commit_row"},
	{"locks in two steps", "two runs take one lease", locksInTwoSteps(), "locked_at_once"},
	{"moves the generation by what passed", "a run is overtaken by one that is not live", asState(segment.RunPassed, segment.RunCommitted), "goes_live"},
	{"keeps the lease of whoever is live", "the next run waits for nobody", recording(func(r *segment.Record) { r.Hold = segment.Hold{} }), "goes_live"},
	{"loses the number", "an older run goes live", recording(func(r *segment.Record) { r.Number = 0 }), "goes_live_refuses"},
	{"loses the token", "a lease that was taken over counts", recording(func(r *segment.Record) { r.Hold.Token = 0 }), "goes_live_refuses"},
	{"loses the overlap", "a size is called live that may not be", recording(func(r *segment.Record) { r.Overlapped = false; r.Number = 0 }), "overlapped"},
	{"is deaf in Lock", "a lease is taken for whoever was told to stop", &badLedger{deaf: "Lock"}, "cancelled"},
	{"is deaf in Next", "a run begins that was told to stop", &badLedger{deaf: "Next"}, "cancelled"},
	{"is deaf in State", "what was told to stop goes on", &badLedger{deaf: "State"}, "cancelled"},
	{"is deaf in Record", "a size is recorded though its run was told to stop", &badLedger{deaf: "Record"}, "cancelled"},
	{"is deaf in Change", "an alert is closed though nobody waits for it", &badLedger{deaf: "Change"}, "cancelled"},
	{"is deaf in Segments", "a sweep goes on", &badLedger{deaf: "Segments"}, "cancelled"},
	{"is deaf in Log", "a report goes on", &badLedger{deaf: "Log"}, "cancelled"},
}

// oneByOne changes each segment by itself, in order.
func oneByOne() *badLedger {
	return &badLedger{change: func(m *memory, keys []segment.Key, change changing) error {
		for _, key := range slices.Compact(slices.SortedFunc(slices.Values(keys), segment.Key.Compare)) {
			if err := m.Change(background, []segment.Key{key}, change); err != nil {
				return err
			}
		}
		return nil
	}}
}

// overwrites writes over what was changed since it read.
func overwrites() *badLedger {
	both := newMeeting()
	return &badLedger{change: func(m *memory, keys []segment.Key, change changing) error {
		states := map[segment.ID]segment.SegmentState{}
		for _, s := range all(m, segment.SegmentFilter{}) {
			states[s.Segment] = s
		}
		if len(keys) > 0 && strings.HasSuffix(keys[0].Segment.SiteGroup, "/changed_at_once") {
			both.attend()
		}
		return m.Change(background, keys, func(now *segment.SegmentState) error {
			s := states[now.Segment]
			s.Segment = now.Segment
			err := change(&s)
			*now = s
			return err
		})
	}}
}

// numbersEach numbers the runs of each segment from one on.
func numbersEach() *badLedger {
	var mu sync.Mutex
	numbers := map[segment.Key]int64{}
	return &badLedger{next: func(m *memory, key segment.Key) (segment.Start, error) {
		mu.Lock()
		defer mu.Unlock()
		start, err := m.Next(background, key)
		numbers[key]++
		start.Number = numbers[key]
		return start, err
	}}
}

// locksInTwoSteps writes back what it read before, whoever came between.
func locksInTwoSteps() *badLedger {
	both := newMeeting()
	return &badLedger{lock: func(m *memory, key segment.Key, change locking) error {
		var now segment.CommitRow
		err := m.Lock(background, key, func(c *segment.CommitRow) error { now = *c; return nil })
		if strings.HasSuffix(key.Segment.SiteGroup, "/locked_at_once") {
			both.attend()
		}
		if err = errors.Join(err, change(&now)); err != nil {
			return err
		}
		return m.Lock(background, key, func(c *segment.CommitRow) error { *c = now; return nil })
	}}
}

// asState records attempts in one state as if they were in another.
func asState(from, to segment.RunState) *badLedger {
	return recording(func(r *segment.Record) {
		if r.State == from {
			r.State = to
		}
	})
}

// lockedWhileRead refuses to write while its segments are read.
func lockedWhileRead() *badLedger {
	var reading atomic.Int64
	return &badLedger{
		record: func(m *memory, r segment.Record) error {
			if reading.Load() > 0 {
				return errors.New("database is locked")
			}
			return m.Record(background, r)
		},
		segments: func(m *memory, f segment.SegmentFilter) iter.Seq[segment.SegmentState] {
			return func(yield func(segment.SegmentState) bool) {
				reading.Add(1)
				defer reading.Add(-1)
				slices.Values(all(m, f))(yield)
			}
		},
	}
}

// leaps records what it found not to be there yet, whoever came between.
func leaps() *badLedger {
	var copies atomic.Int64
	both := newMeeting()
	return &badLedger{record: func(m *memory, r segment.Record) error {
		for _, known := range entries(m, segment.LogFilter{Segment: r.Segment}) {
			if strings.HasPrefix(known.RunID, r.RunID) {
				return segment.ErrSuperseded
			}
		}
		if strings.HasSuffix(r.Segment.SiteGroup, "/recorded_at_once") {
			both.attend()
		}
		r.RunID += strconv.FormatInt(copies.Add(1), 10)
		return m.Record(background, r)
	}}
}

const badLedgerVariable = "SEGMENTGUARD_TEST_BAD_LEDGER"

// TestBadLedger runs the suite over a bad ledger, in a process of its own: a
// suite that fails, fails the test it is in.
func TestBadLedger(t *testing.T) {
	if name := os.Getenv(badLedgerVariable); name != "" {
		for _, b := range slices.Concat(badLedgers, badAlerts, badStores, badForTools, badForPlans) {
			if b.name == name {
				ledgertest.TestLedger(t, func(*testing.T) segment.Ledger {
					fresh := *b.ledger
					fresh.memory = segment.NewMemory()
					return &fresh
				})
			}
		}
		return
	}
	failed := map[string]bool{}
	for _, b := range slices.Concat(badLedgers, badAlerts, badStores, badForTools, badForPlans) {
		t.Run(b.name, func(t *testing.T) {
			requireBroken(t, failed, "TestBadLedger", badLedgerVariable+"="+b.name, b.broken, b.reason)
		})
	}
	t.Run("every rule", func(t *testing.T) { requireAllBroken(t, failed, "TestMemoryIsALedger") })
}
