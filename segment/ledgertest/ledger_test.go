package ledgertest_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/ledgertest"
	"github.com/segmentguard/segmentguard/validate"
)

func TestMemoryIsALedger(t *testing.T) {
	t.Parallel()
	ledgertest.TestLedger(t, func(*testing.T) segment.Ledger { return segment.NewMemory() })
}

// A badLedger is a good one, but for what is replaced. What is replaced hears of
// an ended context as before, so that it breaks one rule.
type badLedger struct {
	*segment.Memory

	deaf     bool // it records whether the context is over or not
	sizes    func(*segment.Memory, segment.ID, int) ([]validate.Size, error)
	record   func(*segment.Memory, segment.Record) error
	accept   func(*segment.Memory, segment.ID, segment.Acceptance) error
	suspect  func(*segment.Memory, segment.ID, segment.Suspicion) error
	imports  func(*segment.Memory, []segment.SizeImport) error
	forget   func(*segment.Memory, []segment.ID) error
	segments func(*segment.Memory) iter.Seq[segment.SegmentState]
	attempts func(*segment.Memory, segment.LogFilter) iter.Seq2[segment.Record, error]
	alerts   func(*segment.Memory) iter.Seq[segment.AlertState]
	change   func(*segment.Memory, []segment.ID, func(*segment.AlertState)) error
}

var background = context.Background()

func (b *badLedger) Sizes(ctx context.Context, id segment.ID, n int) ([]validate.Size, error) {
	if b.sizes != nil && ctx.Err() == nil {
		return b.sizes(b.Memory, id, n)
	}
	return b.Memory.Sizes(ctx, id, n)
}

func (b *badLedger) Record(ctx context.Context, r segment.Record) error {
	if b.record != nil && ctx.Err() == nil {
		return b.record(b.Memory, r)
	}
	if b.deaf {
		ctx = context.WithoutCancel(ctx)
	}
	return b.Memory.Record(ctx, r)
}

func (b *badLedger) Accept(ctx context.Context, id segment.ID, a segment.Acceptance) error {
	if b.accept != nil && ctx.Err() == nil {
		return b.accept(b.Memory, id, a)
	}
	return b.Memory.Accept(ctx, id, a)
}

func (b *badLedger) Suspect(ctx context.Context, id segment.ID, s segment.Suspicion) error {
	if b.suspect != nil && ctx.Err() == nil {
		return b.suspect(b.Memory, id, s)
	}
	return b.Memory.Suspect(ctx, id, s)
}

func (b *badLedger) Import(ctx context.Context, sizes []segment.SizeImport) error {
	if b.imports != nil && ctx.Err() == nil {
		return b.imports(b.Memory, sizes)
	}
	return b.Memory.Import(ctx, sizes)
}

func (b *badLedger) Forget(ctx context.Context, ids ...segment.ID) error {
	if b.forget != nil && ctx.Err() == nil {
		return b.forget(b.Memory, ids)
	}
	return b.Memory.Forget(ctx, ids...)
}

func (b *badLedger) Segments(ctx context.Context) iter.Seq2[segment.SegmentState, error] {
	if b.segments == nil || ctx.Err() != nil {
		return b.Memory.Segments(ctx)
	}
	return without(b.segments(b.Memory))
}

func (b *badLedger) Attempts(ctx context.Context, f segment.LogFilter) iter.Seq2[segment.Record, error] {
	if b.attempts != nil && ctx.Err() == nil {
		return b.attempts(b.Memory, f)
	}
	return b.Memory.Attempts(ctx, f)
}

func (b *badLedger) Alerts(ctx context.Context) iter.Seq2[segment.AlertState, error] {
	if b.alerts == nil || ctx.Err() != nil {
		return b.Memory.Alerts(ctx)
	}
	return without(b.alerts(b.Memory))
}

func (b *badLedger) ChangeAlerts(ctx context.Context, ids []segment.ID, change func(*segment.AlertState)) error {
	if b.change != nil && ctx.Err() == nil {
		return b.change(b.Memory, ids, change)
	}
	return b.Memory.ChangeAlerts(ctx, ids, change)
}

// without is a sequence without errors.
func without[T any](items iter.Seq[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// seen are a memory's segments, as somebody changes them in passing.
func seen(change func(*segment.SegmentState)) func(*segment.Memory) iter.Seq[segment.SegmentState] {
	return func(m *segment.Memory) iter.Seq[segment.SegmentState] {
		return func(yield func(segment.SegmentState) bool) {
			for t := range m.Segments(background) {
				change(&t)
				if !yield(t) {
					return
				}
			}
		}
	}
}

func tracked(m *segment.Memory) (all []segment.SegmentState) {
	for t := range m.Segments(background) {
		all = append(all, t)
	}
	return all
}

var badLedgers = []struct {
	name, reason string
	ledger       *badLedger
	broken       string // the subtest that says so
}{
	{"forgets", "a size that was committed is gone", &badLedger{record: func(m *segment.Memory, r segment.Record) error {
		if r.State == segment.RunCommitted && r.Users == 3 {
			return nil
		}
		return m.Record(background, r)
	}}, "history/runs_are_apart"},
	{"reorders", "the newest size comes first", &badLedger{sizes: func(m *segment.Memory, id segment.ID, n int) ([]validate.Size, error) {
		sizes, err := m.Sizes(background, id, n)
		slices.Reverse(sizes)
		return sizes, err
	}}, "history/late_records"},
	{"returns rejected sizes", "what failed becomes the measure of the next run", &badLedger{record: func(m *segment.Memory, r segment.Record) error {
		if r.State == segment.RunRejected {
			r.State = segment.RunCommitted
		}
		return m.Record(background, r)
	}}, "history/only_what_is_live"},
	{"ignores the attempt", "an older attempt goes live over a newer one", &badLedger{record: func(m *segment.Memory, r segment.Record) error {
		r.Attempt = 0
		r.RunID += r.At.String()
		return m.Record(background, r)
	}}, "history/an_older_attempt"},
	{"loses an alert", "what is wrong is known to nobody", &badLedger{change: func(m *segment.Memory, ids []segment.ID, change func(*segment.AlertState)) error {
		return m.ChangeAlerts(background, ids[:min(len(ids), 500)], change)
	}}, "alerts_of_many_segments"},
	{"overwrites alerts", "reading and writing are two steps", &badLedger{change: func(m *segment.Memory, ids []segment.ID, change func(*segment.AlertState)) error {
		states := map[segment.ID]segment.AlertState{}
		for s := range m.Alerts(background) {
			if s.Open != nil {
				open := *s.Open
				s.Open = &open
			}
			states[s.Segment] = s
		}
		for range 100 { // others get their turn
			runtime.Gosched()
		}
		for _, id := range ids {
			s := states[id]
			s.Segment = id
			change(&s)
			if err := m.ChangeAlerts(background, []segment.ID{id}, func(now *segment.AlertState) { *now = s }); err != nil {
				return err
			}
		}
		return nil
	}}, "alerts_changed_at_once"},
	{"accepts anything", "a run that nobody recorded is the measure from now on", &badLedger{accept: func(m *segment.Memory, id segment.ID, a segment.Acceptance) error {
		_ = m.Accept(background, id, a)
		return nil
	}}, "accept_refuses"},
	{"imports half", "what came before the bad size stays", &badLedger{imports: func(m *segment.Memory, sizes []segment.SizeImport) error {
		for _, i := range sizes {
			if err := m.Import(background, []segment.SizeImport{i}); err != nil {
				return err
			}
		}
		return nil
	}}, "import_is_all_or_nothing"},
	{"skips segments", "a segment that a sweep does not see is not watched", &badLedger{segments: func(m *segment.Memory) iter.Seq[segment.SegmentState] {
		all := tracked(m)
		return slices.Values(all[:min(len(all), 5)])
	}}, "segments"},
	{"sorts like people", "a merge by bytes passes segments over", &badLedger{segments: func(m *segment.Memory) iter.Seq[segment.SegmentState] {
		all := tracked(m)
		slices.Reverse(all)
		return slices.Values(all)
	}}, "segments"},
	{"knows only what passed", "runs that a bug touched are not found", &badLedger{attempts: func(m *segment.Memory, f segment.LogFilter) iter.Seq2[segment.Record, error] {
		return func(yield func(segment.Record, error) bool) {
			for r, err := range m.Attempts(background, f) {
				if r.State != segment.RunRejected && !yield(r, err) {
					return
				}
			}
		}
	}}, "attempts"},
	{"remembers only what passed", "a sweep does not know that the last run failed", &badLedger{segments: seen(func(t *segment.SegmentState) {
		if t.Last.State == segment.RunRejected {
			t.Last = segment.Attempt{}
		}
	})}, "last_attempt"},
	{"forgets what is live", "a sweep has nothing to hold the store against", &badLedger{segments: seen(func(t *segment.SegmentState) { t.Live = nil })}, "what_is_live"},
	{"takes anything for live", "a commit that nobody knows of is held against the store", &badLedger{segments: seen(func(t *segment.SegmentState) {
		if t.Live == nil {
			t.Live = &validate.Size{Users: t.Last.Users, Read: t.Last.Read, At: t.Last.At}
		}
	})}, "what_is_live"},
	{"forgets who counted", "an index's count is compared with a table's", &badLedger{sizes: func(m *segment.Memory, id segment.ID, n int) ([]validate.Size, error) {
		sizes, err := m.Sizes(background, id, n)
		for i := range sizes {
			sizes[i].Counter = ""
		}
		return sizes, err
	}}, "what_is_live"},
	{"locks while it reads", "a sweep cannot write what it finds", lockedWhileRead(), "segments_while_writing"},
	{"nods", "what a human accepted is forgotten", &badLedger{accept: func(_ *segment.Memory, _ segment.ID, a segment.Acceptance) error {
		return a.Validate()
	}}, "accept"},
	{"suspects nobody", "a size that is wrong stays a measure for others", &badLedger{suspect: func(*segment.Memory, segment.ID, segment.Suspicion) error { return nil }}, "suspect"},
	{"imports as if guarded", "sizes that nobody checked pass for checked ones", &badLedger{imports: func(m *segment.Memory, imported []segment.SizeImport) error {
		for _, i := range imported {
			for _, size := range i.Sizes {
				if err := m.Record(background, segment.Record{Segment: i.Segment, RunID: size.At.String(), State: segment.RunCommitted, Users: size.Users, At: size.At}); err != nil {
					return err
				}
			}
		}
		return nil
	}}, "import"},
	{"never forgets", "what was deleted on purpose is missed for ever", &badLedger{forget: func(*segment.Memory, []segment.ID) error { return nil }}, "forget"},
	{"keeps half an alert", "nobody sees what was found", &badLedger{alerts: func(m *segment.Memory) iter.Seq[segment.AlertState] {
		return func(yield func(segment.AlertState) bool) {
			for s := range m.Alerts(background) {
				if s.Open != nil {
					s.Open = &segment.Alert{Segment: s.Segment, Text: s.Open.Text, Attempt: s.Open.Attempt}
				}
				if !yield(s) {
					return
				}
			}
		}
	}}, "alerts"},
	{"drops what is over", "the alerter is never told that it is over", &badLedger{alerts: func(m *segment.Memory) iter.Seq[segment.AlertState] {
		return func(yield func(segment.AlertState) bool) {
			for s := range m.Alerts(background) {
				if s.Open != nil && !yield(s) {
					return
				}
			}
		}
	}}, "accept"},
	{"looks and then leaps", "one attempt goes live twice", leaps(), "recorded_at_once"},
	{"is deaf", "what was told to stop goes on", &badLedger{deaf: true}, "cancelled"},
}

// lockedWhileRead refuses to write while its segments are read.
func lockedWhileRead() *badLedger {
	var reading atomic.Int64
	return &badLedger{
		record: func(m *segment.Memory, r segment.Record) error {
			if reading.Load() > 0 {
				return errors.New("database is locked")
			}
			return m.Record(background, r)
		},
		segments: func(m *segment.Memory) iter.Seq[segment.SegmentState] {
			return func(yield func(segment.SegmentState) bool) {
				reading.Add(1)
				defer reading.Add(-1)
				seen(func(*segment.SegmentState) {})(m)(yield)
			}
		},
	}
}

// leaps records what it found not to be there yet, whoever came between.
func leaps() *badLedger {
	var copies atomic.Int64
	return &badLedger{record: func(m *segment.Memory, r segment.Record) error {
		for known := range m.Attempts(background, segment.LogFilter{}) {
			if known.Segment == r.Segment && strings.HasPrefix(known.RunID, r.RunID) {
				return segment.ErrSuperseded
			}
		}
		for range 100 { // others get their turn
			runtime.Gosched()
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
		for _, b := range badLedgers {
			if b.name == name {
				ledgertest.TestLedger(t, func(*testing.T) segment.Ledger {
					fresh := *b.ledger
					fresh.Memory = segment.NewMemory()
					return &fresh
				})
			}
		}
		return
	}
	binary, err := os.Executable()
	require.NoError(t, err)
	for _, b := range badLedgers {
		t.Run(b.name, func(t *testing.T) {
			c := exec.CommandContext(t.Context(), binary, "-test.run=^TestBadLedger$")
			c.Env = append(os.Environ(), badLedgerVariable+"="+b.name)
			output, err := c.CombinedOutput()
			require.Error(t, err, b.reason)
			require.Contains(t, string(output), "--- FAIL: TestBadLedger/"+b.broken+" ", b.reason)
			require.NotContains(t, string(output), "panic:")
		})
	}
}
