package enginetest_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// Many goroutines commit through one guard and one history: on SQLite in one
// process, on a server in two. What callers were told, what the history holds and
// what is live agree exactly, and nobody was told of a lock. A few seconds of it
// are enough for every build; a minute of it is
//
//	SEGMENTGUARD_LOAD=1m go test -race -run TestLoad -v ./segment/internal/enginetest
func TestLoad(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		d = d.ForJobs()
		h, db := d.History(t), d.Open(t)
		for _, table := range []string{"bare", "live"} {
			_, err := db.ExecContext(t.Context(), "CREATE TABLE "+table+" (number integer PRIMARY KEY)")
			require.NoError(t, err)
		}
		imported := importSizes(t, h)
		processes := 2
		if d.Dialect == sqlsegment.SQLite {
			processes = 1
		}
		all := startAll(t, d, processes, "load")
		bare := loadResults(t, all)
		release(t, all)
		guarded := loadResults(t, all)
		for _, p := range all {
			p.End(t)
		}
		logLatencies(t, bare, guarded)
		log := readLog(t, d, db)
		requireInLog(t, guarded, log)
		requireLive(t, db, guarded)
		requireOvertaking(t, guarded, log)
		requireTracked(t, h, imported, log)
		requireLog(t, h, log)
		requireAlerts(t, h, log)
	})
}

// keptDays is for how many days each size is kept.
const keptDays = 35

// importSizes fills the history of the segments that many jobs share: each size
// that comes then takes the place of one.
func importSizes(t *testing.T, h segment.Ledger) (imported []segment.SizeImport) {
	t.Helper()
	for n := range loadShared {
		i := segment.SizeImport{Segment: segment.ID{SiteGroup: "g", Name: sharedName(n)}}
		for day := range keptDays {
			i.Sizes = append(i.Sizes, validate.Size{Users: 1_300_000, At: start.AddDate(0, 0, day), Unguarded: true})
		}
		imported = append(imported, i)
	}
	require.NoError(t, segment.Import(t.Context(), h, imported))
	return imported
}

func loadResults(t *testing.T, all []*enginetest.Process) (results []loadResult) {
	t.Helper()
	for _, p := range all {
		var said []loadResult
		require.NoError(t, json.Unmarshal([]byte(p.Listen(t)), &said))
		results = append(results, said...)
	}
	return results
}

// A logged is a row of the log.
type logged struct{ segment.Record }

func (l *logged) key() string { return attemptKey(l.Segment, l.RunID, l.Attempt) }

func attemptKey(id segment.ID, run string, attempt int) string {
	return fmt.Sprintf("%s %s/%d", id, run, attempt)
}

// readLog reads all, in the order in which it was written.
func readLog(t *testing.T, d enginetest.Database, db *sql.DB) (log []logged) {
	t.Helper()
	at := d.SQL("(extract(epoch FROM at) * 1000000)::bigint", "at")
	rows, err := db.QueryContext(t.Context(), "SELECT segment, run, attempt, state, job, kind, build, users, read_users, counter, overlapped, "+at+" FROM segmentguard_log WHERE action = 'recorded' ORDER BY id")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var l logged
		var id string
		var micros int64
		require.NoError(t, rows.Scan(&id, &l.RunID, &l.Attempt, &l.State, &l.JobID, &l.JobKind, &l.Build, &l.Users, &l.Read, &l.Counter, &l.Overlapped, &micros))
		l.Segment, err = segment.ParseID(id)
		require.NoError(t, err)
		l.At = time.UnixMicro(micros).UTC()
		log = append(log, l)
	}
	require.NoError(t, rows.Err())
	return log
}

// requireInLog holds what callers were told against the log: each record has a
// caller who was told of it, and each caller has the records that he was told of.
func requireInLog(t *testing.T, results []loadResult, log []logged) {
	t.Helper()
	var want, got []string
	yielded, counts := 0, map[string]int{}
	for _, r := range results {
		counts[r.Told]++
		states, known := recorded(&r)
		require.True(t, known, "%+v", r)
		for _, state := range states {
			overlapped := r.Told == toldOvertaken && state == segment.RunCommitted
			want = append(want, fmt.Sprintf("%s %d/%d: %d %s, overlapped: %t", r.Job.Segment, r.Job.Run, r.Job.Attempt, r.Job.stored(), state, overlapped))
		}
	}
	for _, l := range log {
		if l.State == segment.RunOvertaken {
			yielded++
			continue
		}
		got = append(got, fmt.Sprintf("%s %s/%d: %d %s, overlapped: %t", l.Segment, l.RunID, l.Attempt, l.Users, l.State, l.Overlapped))
	}
	requireSame(t, want, got, "records that callers were told of, and the log")
	t.Log("recorded as overtaken:", yielded)
	t.Log("told:", counts)
	for _, outcome := range []string{toldLive, toldRejected, toldSuperseded} {
		require.Positive(t, counts[outcome], "without any %q the load shows less than it should", outcome)
	}
}

// recorded are the states in which an attempt is in the log after what its
// caller was told.
func recorded(r *loadResult) (states []segment.RunState, known bool) {
	switch r.Told {
	case toldLive, toldOvertaken: // which is live, whatever is known of newer ones
		states = append(states, segment.RunCommitted)
	case toldRejected:
		return []segment.RunState{segment.RunRejected}, true
	case toldSuperseded, toldMet: // recorded as overtaken, unless this very attempt is live
		return nil, true
	default:
		return nil, false
	}
	if r.Job.Staged {
		states = append(states, segment.RunPassed)
	}
	return states, true
}

// requireSame compares without regard to order, and tells only what differs.
func requireSame(t *testing.T, want, got []string, what string) {
	t.Helper()
	count := map[string]int{}
	for _, s := range want {
		count[s]++
	}
	for _, s := range got {
		count[s]--
	}
	maps.DeleteFunc(count, func(_ string, n int) bool { return n == 0 })
	require.Empty(t, count, "%s: positive is missing, negative is too many", what)
}

// requireLive holds what callers were told against the jobs' own data.
func requireLive(t *testing.T, db *sql.DB, results []loadResult) {
	t.Helper()
	var want, got []string
	for _, r := range results {
		if r.Told == toldLive || r.Told == toldOvertaken {
			want = append(want, strconv.Itoa(r.Job.Number))
		}
	}
	rows, err := db.QueryContext(t.Context(), "SELECT number FROM live")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var number string
		require.NoError(t, rows.Scan(&number))
		got = append(got, number)
	}
	require.NoError(t, rows.Err())
	requireSame(t, want, got, "outputs that went live")
}

// requireOvertaking looks at each run: no attempt passes after a newer one is known,
// none goes live twice, and nothing holds the newest one back. A staged output that
// passed before goes live all the same when a newer attempt is rejected meanwhile,
// as that one had made way already: its record, after the fact, says so.
func requireOvertaking(t *testing.T, results []loadResult, log []logged) {
	t.Helper()
	newest, commits := map[string]int{}, map[string]int{}
	for _, l := range log {
		if l.State == segment.RunOvertaken { // it made way for another one, also for an older attempt
			continue
		}
		if l.State.GoesLive() && !l.Overlapped {
			require.GreaterOrEqual(t, l.Attempt, newest[l.RunID], "run %s: an older attempt was %s after a newer one", l.RunID, l.State)
		}
		newest[l.RunID] = max(newest[l.RunID], l.Attempt)
		if l.State == segment.RunCommitted {
			commits[l.key()]++
		}
	}
	for _, r := range results {
		of := commits[attemptKey(r.Job.Segment, strconv.Itoa(r.Job.Run), r.Job.Attempt)]
		require.LessOrEqual(t, of, 1, "%+v", r)
		if r.Job.Attempt == loadAttempts && !r.Job.Lossy {
			require.Equal(t, 1, of, "the newest attempt: %+v", r)
		}
	}
}

// requireTracked holds what is at hand of the segments against the log: the last
// sizes by time, those of one time as they came, and the last record.
func requireTracked(t *testing.T, h segment.Ledger, imported []segment.SizeImport, log []logged) {
	t.Helper()
	want := map[segment.ID]segment.SegmentState{}
	for _, i := range imported {
		want[i.Segment] = segment.SegmentState{Baseline: validate.Baseline{Sizes: i.Sizes}}
	}
	for _, l := range log {
		if l.State == segment.RunOvertaken { // a line of the log, and no more
			continue
		}
		tracked := want[l.Segment]
		tracked.Segment = l.Segment
		size := validate.Size{Users: l.Users, At: l.At}
		committed := l.State == segment.RunCommitted
		if committed {
			vouched := size
			vouched.Vouched = true // its Expected is the source's own
			tracked.Sizes = append(tracked.Sizes, vouched)
		}
		// The order of records decides what is live, but for an older attempt of the same run.
		if last := tracked.Last; l.State == segment.RunRejected || last.State != segment.RunCommitted || l.RunID != last.RunID || l.Attempt >= last.Attempt {
			tracked.Last = l.Record
			switch {
			case committed && l.Overlapped: // what is live is not known
				tracked.Live = nil
			case committed:
				tracked.Live = &size
			}
		}
		want[l.Segment] = tracked
	}
	for tracked, err := range h.Segments(t.Context(), segment.SegmentFilter{}) {
		require.NoError(t, err)
		expected := want[tracked.Segment]
		slices.SortStableFunc(expected.Sizes, func(a, b validate.Size) int { return a.At.Compare(b.At) })
		var kept validate.Baseline
		kept.Add(expected.Sizes...)
		expected.Sizes, expected.Candidates, expected.Runs = kept.Sizes, tracked.Candidates, tracked.Runs // the conformance suite looks at those
		expected.Alert = tracked.Alert                                                                    // which requireAlerts looks at
		require.Equal(t, expected, tracked)
		delete(want, tracked.Segment)
	}
	require.Empty(t, want, "segments that are in the log only")
}

// requireLog holds the ledger's way to read the log against the log.
func requireLog(t *testing.T, h segment.Ledger, log []logged) {
	t.Helper()
	rest := log
	for e, err := range h.Log(t.Context(), segment.LogFilter{Action: segment.ActionRecorded}) {
		require.NoError(t, err)
		require.NotEmpty(t, rest, "entries that are not in the log: %+v", e)
		require.NotNil(t, e.Record)
		require.NotNil(t, e.Record.Report)
		require.Equal(t, e.Record.Users, e.Record.Report.Stored.Users())
		if e.Record.State != segment.RunOvertaken { // whatever was judged of it
			require.Equal(t, e.Record.State != segment.RunRejected, e.Record.Report.Passed())
		}
		r := *e.Record
		r.Report, r.Hold = nil, segment.Hold{} // not among the columns
		require.Equal(t, rest[0].Record, r)
		rest = rest[1:]
	}
	require.Empty(t, rest, "entries that are in the log only")
}

// requireAlerts wants each open alert to be about a rejected run, and to be gone
// after one that passes.
func requireAlerts(t *testing.T, h segment.Ledger, log []logged) {
	t.Helper()
	g, err := segment.NewGuard(segment.GuardConfig{Ledger: h, Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	rejected := map[string]bool{}
	for _, l := range log {
		if l.State != segment.RunOvertaken {
			rejected[l.key()] = l.State == segment.RunRejected
		}
	}
	open := 0
	for s, err := range h.Segments(t.Context(), segment.SegmentFilter{Affected: true}) {
		require.NoError(t, err)
		if s.Alert.Open == nil {
			continue
		}
		open++
		require.True(t, rejected[attemptKey(s.Segment, s.Alert.Open.RunID, s.Alert.Open.Attempt)], "%+v", s.Alert.Open)
		_, err := g.Commit(t.Context(), segment.Run{
			ID: "after", Job: segment.Copy(s.Segment, idS), Expected: validate.Count(1_300_000),
			Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(1_300_000), nil },
			Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
		})
		require.NoError(t, err)
	}
	require.Positive(t, open)
	for s, err := range h.Segments(t.Context(), segment.SegmentFilter{Affected: true}) {
		require.NoError(t, err)
		if !s.Alert.Flapping { // after three onsets in a day it stays open for a day
			require.Nil(t, s.Alert.Open, s.Segment)
		}
	}
}

// logLatencies prints what callers waited for: for the transaction of a job, for
// that with the guard in it, and for a guard around it.
func logLatencies(t *testing.T, bare, guarded []loadResult) {
	t.Helper()
	var text strings.Builder
	line := func(what string, results []loadResult, of func(*loadResult) bool) {
		var took []time.Duration
		for i := range results {
			if of(&results[i]) {
				took = append(took, results[i].Took)
			}
		}
		require.NotEmpty(t, took, what)
		slices.Sort(took)
		fmt.Fprintf(&text, "\n%-26s %9d", what, len(took))
		for _, percent := range []int{50, 95, 99, 100} {
			fmt.Fprintf(&text, " %10v", took[(len(took)-1)*percent/100].Round(10*time.Microsecond))
		}
	}
	fmt.Fprintf(&text, "\n%-26s %9s %10s %10s %10s %10s", "", "went live", "p50", "p95", "p99", "longest")
	line("bare transaction", bare, func(*loadResult) bool { return true })
	line("guard in the transaction", guarded, func(r *loadResult) bool { return r.Told == toldLive && !r.Job.Staged })
	line("guard around it", guarded, func(r *loadResult) bool { return r.Told == toldLive && r.Job.Staged })
	t.Log(text.String())
}
