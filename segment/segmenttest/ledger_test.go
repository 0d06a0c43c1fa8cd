package segmenttest_test

import (
	"context"
	"iter"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/segmenttest"
	"github.com/segmentguard/segmentguard/validate"
)

func TestMemoryIsALedger(t *testing.T) {
	t.Parallel()
	segmenttest.TestLedger(t, func(*testing.T) segment.Ledger { return segment.NewMemory() })
}

// A badLedger is a good one, but for what is replaced.
type badLedger struct {
	*segment.Memory

	sizes    func(*segment.Memory, segment.ID, int) ([]validate.Size, error)
	record   func(*segment.Memory, segment.Record) error
	accept   func(*segment.Memory, segment.ID, segment.Acceptance) error
	imports  func(*segment.Memory, []segment.Imported) error
	segments func(*segment.Memory) []segment.Tracked
	attempts func(*segment.Memory, segment.AttemptFilter) iter.Seq2[segment.Record, error]
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
	return b.Memory.Record(ctx, r)
}

func (b *badLedger) Accept(ctx context.Context, id segment.ID, a segment.Acceptance) error {
	if b.accept != nil && ctx.Err() == nil {
		return b.accept(b.Memory, id, a)
	}
	return b.Memory.Accept(ctx, id, a)
}

func (b *badLedger) Import(ctx context.Context, sizes []segment.Imported) error {
	if b.imports != nil && ctx.Err() == nil {
		return b.imports(b.Memory, sizes)
	}
	return b.Memory.Import(ctx, sizes)
}

func (b *badLedger) Segments(ctx context.Context) iter.Seq2[segment.Tracked, error] {
	if b.segments == nil || ctx.Err() != nil {
		return b.Memory.Segments(ctx)
	}
	return func(yield func(segment.Tracked, error) bool) {
		for _, t := range b.segments(b.Memory) {
			if !yield(t, nil) {
				return
			}
		}
	}
}

func (b *badLedger) Attempts(ctx context.Context, f segment.AttemptFilter) iter.Seq2[segment.Record, error] {
	if b.attempts != nil && ctx.Err() == nil {
		return b.attempts(b.Memory, f)
	}
	return b.Memory.Attempts(ctx, f)
}

func (b *badLedger) ChangeAlerts(ctx context.Context, ids []segment.ID, change func(*segment.AlertState)) error {
	if b.change != nil && ctx.Err() == nil {
		return b.change(b.Memory, ids, change)
	}
	return b.Memory.ChangeAlerts(ctx, ids, change)
}

func tracked(m *segment.Memory) (all []segment.Tracked) {
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
		if r.State == segment.Committed && r.Users == 3 {
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
		if r.State == segment.Rejected {
			r.State = segment.Committed
		}
		return m.Record(background, r)
	}}, "history/only_what_is_live"},
	{"ignores the attempt", "an older attempt goes live over a newer one", &badLedger{record: func(m *segment.Memory, r segment.Record) error {
		r.Attempt = 0
		r.Run += r.At.String()
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
	{"imports half", "what came before the bad size stays", &badLedger{imports: func(m *segment.Memory, sizes []segment.Imported) error {
		for _, i := range sizes {
			if err := m.Import(background, []segment.Imported{i}); err != nil {
				return err
			}
		}
		return nil
	}}, "import_is_all_or_nothing"},
	{"skips segments", "a segment that a sweep does not see is not watched", &badLedger{segments: func(m *segment.Memory) []segment.Tracked {
		all := tracked(m)
		return all[:min(len(all), 5)]
	}}, "segments"},
	{"sorts like people", "a merge by bytes passes segments over", &badLedger{segments: func(m *segment.Memory) []segment.Tracked {
		all := tracked(m)
		slices.Reverse(all)
		return all
	}}, "segments"},
	{"knows only what passed", "runs that a bug touched are not found", &badLedger{attempts: func(m *segment.Memory, f segment.AttemptFilter) iter.Seq2[segment.Record, error] {
		return func(yield func(segment.Record, error) bool) {
			for r, err := range m.Attempts(background, f) {
				if r.State != segment.Rejected && !yield(r, err) {
					return
				}
			}
		}
	}}, "attempts"},
}

const badLedgerVariable = "SEGMENTGUARD_TEST_BAD_LEDGER"

// TestBadLedger runs the suite over a bad ledger, in a process of its own: a
// suite that fails, fails the test it is in.
func TestBadLedger(t *testing.T) {
	if name := os.Getenv(badLedgerVariable); name != "" {
		for _, b := range badLedgers {
			if b.name == name {
				segmenttest.TestLedger(t, func(*testing.T) segment.Ledger {
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
