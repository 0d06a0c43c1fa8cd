package ledgertest

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestRecorder checks that a segment.Recorder does what its interface promises,
// one subtest a rule. Each takes segments of its own, as recorders may share a
// database; open is called once.
func TestRecorder(t *testing.T, open func(*testing.T) segment.Recorder) {
	t.Helper()
	h := open(t)
	for _, c := range recorderCases {
		t.Run(c.name, func(t *testing.T) {
			for i, s := range c.steps {
				s.record.Segment.SiteGroup += t.Name()
				err := h.Record(t.Context(), s.record)
				if s.superseded {
					require.ErrorIs(t, err, segment.ErrSuperseded, "step %d: %s", i, c.reason)
					require.ErrorContains(t, err, s.record.Segment.String())
					require.ErrorContains(t, err, s.record.RunID)
					require.ErrorContains(t, err, fmt.Sprintf("attempt %d", s.record.Attempt))
				} else {
					require.NoError(t, err, "step %d: %s", i, c.reason)
				}
			}
			require.Equal(t, c.sizes, sizesOf(t, h, segment.ID{SiteGroup: "g" + t.Name(), Name: "s"}, 60), c.reason)
		})
	}
	t.Run("times", func(t *testing.T) { testTimes(t, h) })
	t.Run("last sizes", func(t *testing.T) { testLast(t, h) })
	t.Run("ids", func(t *testing.T) { testIDs(t, h) })
}

type step struct {
	record     segment.Record
	superseded bool
}

var start = time.Date(2024, 3, 18, 10, 44, 0, 0, time.UTC)

// rec returns a record of the segment "g/s", of the n-th day.
func rec(run string, attempt int, state segment.RunState, n int64) segment.Record {
	return segment.Record{
		Segment: segment.ID{SiteGroup: "g", Name: "s"}, RunID: run, Attempt: attempt, State: state,
		JobID: "copy site-a/cars to g/s", JobKind: segment.JobKindCopy, Build: "v1",
		Users: n, Read: n + 1, At: start.AddDate(0, 0, int(n)), Report: new(report(true)),
	}
}

// report returns one that passed, or not.
func report(passed bool) validate.Report {
	stored := int64(5)
	if !passed {
		stored = 4
	}
	r, _ := validate.Check(context.Background(), validate.Policy{}, validate.Output{
		Name: "g/s", Expected: validate.Count(5), Stored: validate.Count(stored),
	})
	return r
}

func with(r segment.Record, change func(*segment.Record)) segment.Record {
	change(&r)
	return r
}

func kept(r segment.Record) step    { return step{r, false} }
func refused(r segment.Record) step { return step{r, true} }

var recorderCases = []struct {
	name, reason string
	steps        []step
	sizes        []int64
}{
	{
		name:   "unknown segment",
		reason: "a segment without records has no sizes, and that is no error",
	},
	{
		name:   "only what is live",
		reason: "a baseline of sizes that never went live would judge by them",
		steps: []step{
			kept(rec("r1", 1, segment.RunPassed, 1)), kept(rec("r2", 1, segment.RunRejected, 2)), kept(rec("r3", 1, segment.RunUnknown, 3)),
			kept(rec("r4", 1, segment.RunCommitted, 4)), kept(rec("r5", 1, segment.RunObserved, 5)),
		},
		sizes: []int64{4, 5},
	},
	{
		name:   "observed and failed",
		reason: "what would have failed stays out of baselines",
		steps: []step{
			kept(rec("r1", 1, segment.RunObserved, 1)),
			kept(with(rec("r2", 1, segment.RunObserved, 2), func(r *segment.Record) { r.Report = new(report(false)) })),
			kept(with(rec("r3", 1, segment.RunObserved, 3), func(r *segment.Record) { r.Report = &validate.Report{} })),
		},
		sizes: []int64{1},
	},
	{
		name:   "committed whatever the report says",
		reason: "a committed size is in the baseline by its state alone",
		steps:  []step{kept(with(rec("r1", 1, segment.RunCommitted, 1), func(r *segment.Record) { r.Report = &validate.Report{} }))},
		sizes:  []int64{1},
	},
	{
		name:   "one attempt on its way",
		reason: "an attempt may pass again, and committed after its commit was unknown",
		steps: []step{
			kept(rec("r", 1, segment.RunRejected, 1)), kept(rec("r", 1, segment.RunPassed, 2)), kept(rec("r", 1, segment.RunPassed, 3)),
			kept(rec("r", 1, segment.RunUnknown, 4)), kept(rec("r", 1, segment.RunCommitted, 5)),
		},
		sizes: []int64{5},
	},
	{
		name:   "an older attempt",
		reason: "an attempt that was overtaken must not go live, however far it came",
		steps: []step{
			kept(rec("r", 1, segment.RunPassed, 1)), kept(rec("r", 2, segment.RunPassed, 2)),
			refused(rec("r", 1, segment.RunCommitted, 3)), refused(rec("r", 1, segment.RunPassed, 4)), refused(rec("r", 1, segment.RunObserved, 5)),
			kept(rec("r", 2, segment.RunCommitted, 6)), refused(rec("r", 1, segment.RunCommitted, 7)),
		},
		sizes: []int64{6},
	},
	{
		name:   "an older attempt after a newer one that failed",
		reason: "the newer attempt is known, that is enough: its successor is yet to come",
		steps: []step{
			kept(rec("r", 1, segment.RunPassed, 1)), kept(rec("r", 7, segment.RunRejected, 2)), refused(rec("r", 1, segment.RunCommitted, 3)),
			refused(rec("r", 6, segment.RunPassed, 4)), kept(rec("r", 8, segment.RunCommitted, 5)),
		},
		sizes: []int64{5},
	},
	{
		name:   "facts about an older attempt",
		reason: "what does not go live is kept as a fact, and does not make the older attempt the newest",
		steps: []step{
			kept(rec("r", 2, segment.RunPassed, 1)), kept(rec("r", 1, segment.RunRejected, 2)), kept(rec("r", 1, segment.RunUnknown, 3)),
			refused(rec("r", 1, segment.RunPassed, 4)), kept(rec("r", 2, segment.RunCommitted, 5)),
		},
		sizes: []int64{5},
	},
	{
		name:   "committed is the end",
		reason: "a retry of an attempt that is live must not record it again, nor as failed",
		steps: []step{
			kept(rec("r", 1, segment.RunCommitted, 1)), refused(rec("r", 1, segment.RunCommitted, 2)), refused(rec("r", 1, segment.RunPassed, 3)),
			refused(rec("r", 1, segment.RunObserved, 4)), refused(rec("r", 1, segment.RunRejected, 5)), refused(rec("r", 1, segment.RunUnknown, 6)),
		},
		sizes: []int64{1},
	},
	{
		name:   "observed is the end",
		reason: "it is live, too",
		steps: []step{
			kept(with(rec("r", 1, segment.RunObserved, 1), func(r *segment.Record) { r.Report = new(report(false)) })),
			refused(rec("r", 1, segment.RunCommitted, 2)), refused(rec("r", 1, segment.RunRejected, 3)), refused(rec("r", 1, segment.RunObserved, 4)),
		},
	},
	{
		name:   "the end also after a newer attempt",
		reason: "an old attempt that is live stays live in the ledger, whatever came after",
		steps: []step{
			kept(rec("r", 1, segment.RunCommitted, 1)), kept(rec("r", 2, segment.RunPassed, 2)),
			refused(rec("r", 1, segment.RunRejected, 3)), refused(rec("r", 1, segment.RunUnknown, 4)),
		},
		sizes: []int64{1},
	},
	{
		name:   "a newer attempt after one that is live",
		reason: "a rerun of a live output is judged like any other, and is a size of its own",
		steps:  []step{kept(rec("r", 1, segment.RunCommitted, 1)), kept(rec("r", 2, segment.RunPassed, 2)), kept(rec("r", 2, segment.RunCommitted, 3))},
		sizes:  []int64{1, 3},
	},
	{
		name:   "runs are apart",
		reason: "attempts are those of one run: the next day's first does not follow yesterday's third",
		steps:  []step{kept(rec("monday", 3, segment.RunCommitted, 1)), kept(rec("tuesday", 1, segment.RunCommitted, 2)), kept(rec("", 0, segment.RunCommitted, 3))},
		sizes:  []int64{1, 2, 3},
	},
	{
		name:   "segments are apart",
		reason: "one run may write several segments",
		steps: []step{
			kept(with(rec("r", 3, segment.RunCommitted, 1), func(r *segment.Record) { r.Segment.Name = "other" })),
			kept(rec("r", 1, segment.RunCommitted, 2)),
		},
		sizes: []int64{2},
	},
	{
		name:   "extremes",
		reason: "sizes are kept as they are",
		steps: []step{
			kept(with(rec("r1", math.MaxInt32, segment.RunCommitted, 1), func(r *segment.Record) { r.Users = 0 })),
			kept(with(rec("r2", 0, segment.RunCommitted, 2), func(r *segment.Record) { r.Users, r.Read = math.MaxInt64, math.MaxInt64 })),
		},
		sizes: []int64{0, math.MaxInt64},
	},
	{
		name:   "late records",
		reason: "sizes come in order of time, of the same time in order of recording: machines' clocks differ",
		steps: []step{
			kept(rec("r1", 1, segment.RunCommitted, 3)), kept(rec("r2", 1, segment.RunCommitted, 1)),
			kept(with(rec("r3", 1, segment.RunCommitted, 4), func(r *segment.Record) { r.At = start.AddDate(0, 0, 3) })),
			kept(with(rec("r4", 1, segment.RunCommitted, 2), func(r *segment.Record) { r.At = start.AddDate(0, 0, 3) })),
		},
		sizes: []int64{1, 3, 4, 2},
	},
}

// sizesOf returns a segment's last n sizes, and requires them to be in order of
// time.
func sizesOf(t *testing.T, h segment.Recorder, id segment.ID, n int) (counts []int64) {
	t.Helper()
	s, err := h.State(t.Context(), id.In(""))
	require.NoError(t, err)
	require.Equal(t, id, s.Segment)
	sizes := s.Sizes[max(0, len(s.Sizes)-n):]
	for i, size := range sizes {
		require.False(t, i > 0 && size.At.Before(sizes[i-1].At), "sizes are not in order of time: %v", sizes)
		counts = append(counts, size.Users)
	}
	return counts
}

// What is read back is never later than what was recorded: by the next run's
// clock it would lie in the future.
func testTimes(t *testing.T, h segment.Recorder) {
	times := []time.Time{
		time.Date(1969, 7, 20, 20, 17, 40, 999_999_999, time.UTC),
		time.Date(2024, 3, 18, 10, 44, 0, 123_456_789, time.FixedZone("", 9*60*60)),
		time.Date(2024, 3, 18, 10, 44, 0, 999_999_999, time.UTC),
		time.Date(2024, 12, 31, 23, 59, 59, 999_999_501, time.FixedZone("", -5*60*60)),
		time.Now(),
	}
	id := segment.ID{SiteGroup: "times" + t.Name(), Name: "s"}
	for i, at := range times {
		require.NoError(t, h.Record(t.Context(), with(rec(strconv.Itoa(i), 1, segment.RunCommitted, 1), func(r *segment.Record) { r.Segment, r.At = id, at })))
	}
	s, err := h.State(t.Context(), id.In(""))
	require.NoError(t, err)
	require.Len(t, s.Sizes, len(times))
	for i, size := range s.Sizes {
		require.Equal(t, int64(2), size.Read)
		require.False(t, size.At.After(times[i]), "%v is after %v", size.At, times[i])
		require.WithinDuration(t, times[i], size.At, time.Microsecond)
	}
}

func testLast(t *testing.T, h segment.Recorder) {
	id := segment.ID{SiteGroup: "last" + t.Name(), Name: "s"}
	var all []int64
	for n := range int64(60) {
		all = append(all, n)
		require.NoError(t, h.Record(t.Context(), with(rec(strconv.FormatInt(n, 10), 1, segment.RunCommitted, n), func(r *segment.Record) { r.Segment = id })))
	}
	require.Equal(t, all[60-35:], sizesOf(t, h, id, 35), "those of the last 35 days, oldest first")
	var b validate.Baseline
	for n := range int64(60) {
		b.Add(validate.Size{Users: n, At: rec("", 1, segment.RunCommitted, n).At})
	}
	var kept []int64
	for _, size := range b.Sizes {
		kept = append(kept, size.Users)
	}
	require.Equal(t, kept, sizesOf(t, h, id, 1000), "and of those before what a Baseline keeps")
	require.Empty(t, sizesOf(t, h, segment.ID{SiteGroup: "last" + t.Name(), Name: "unknown"}, 60), "of a segment that is not known there are none")
}

// Ids that a database may take for one another.
func testIDs(t *testing.T, h segment.Recorder) {
	ids := []segment.ID{
		{SiteGroup: "a", Name: "b/c"}, {SiteGroup: "a/b", Name: "c"}, {SiteGroup: "a%2Fb", Name: "c"}, {SiteGroup: "a", Name: "b%2Fc"},
		{SiteGroup: "A", Name: "b/c"}, {SiteGroup: "a", Name: "B/c"}, {SiteGroup: "a ", Name: "b/c"}, {SiteGroup: "a", Name: "b/c "},
		{SiteGroup: "", Name: ""}, {SiteGroup: "", Name: " "}, {SiteGroup: " ", Name: ""}, {SiteGroup: "", Name: "/"}, {SiteGroup: "/", Name: ""},
		{SiteGroup: "caf\u00e9", Name: "s"}, {SiteGroup: "cafe\u0301", Name: "s"}, {SiteGroup: "cafe", Name: "s"},
		{SiteGroup: "\u212a", Name: "s"}, {SiteGroup: "K", Name: "s"}, {SiteGroup: "k", Name: "s"},
		{SiteGroup: "stra\u00dfe", Name: "s"}, {SiteGroup: "strasse", Name: "s"}, {SiteGroup: "\U0001f697", Name: "\u8eca"}, {SiteGroup: "a", Name: "100%_'\"\\?$1;--"},
		{SiteGroup: "a", Name: "b\tc"}, {SiteGroup: "a", Name: "b\nc"}, {SiteGroup: "a", Name: "b\u200bc"}, {SiteGroup: "a", Name: "bc"},
	}
	for i, id := range ids {
		require.NoError(t, h.Record(t.Context(), with(rec(t.Name(), 1, segment.RunCommitted, int64(i)), func(r *segment.Record) { r.Segment = id })), "%q", id)
	}
	for i, id := range ids {
		require.Equal(t, []int64{int64(i)}, sizesOf(t, h, id, 60), "%q", id)
	}
}
