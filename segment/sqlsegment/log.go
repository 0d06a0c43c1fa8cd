package sqlsegment

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// logColumns are all columns of segmentguard_log but its id. Of recordColumns those
// from attempt on are NULL where an entry has no record; kind and build may also be
// those of its mark. Of markColumns those to label are NULL where it has none.
const (
	recordColumns = "store, segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled"
	markColumns   = "severity, alert_kind, level, label, incident, said"
	logColumns    = recordColumns + ", " + markColumns
)

// newest yields what an attempt is compared with: the newest attempt of its run,
// and the state of this very one if that is live.
const newest = `
SELECT max(attempt), max(CASE WHEN attempt = ? AND state IN ('committed', 'observed') THEN state END)
FROM segmentguard_log WHERE store = ? AND segment = ? AND run = ?`

// record compares and keeps. From the lock to the commit everybody else who
// records for the segment waits, and sees what was kept. It may be called again with
// the same record, where the transaction met another one.
func record(ctx context.Context, s Conn, d ledgerDialect, r segment.Record) error {
	if err := cmp.Or(checkState(r.State), checkSize(&r)); err != nil {
		return err
	}
	entry := segment.LogEntry{Segment: r.Segment, Store: r.Store, At: r.At, Action: segment.ActionRecorded, RunID: r.RunID, Record: &r}
	if _, err := logValues(d, &entry); err != nil { // before anything is locked
		return err
	}
	if r.State == segment.RunStarted || r.State == segment.RunOvertaken && !r.Live { // lines of the log, which no transaction of a job need wait for
		if err := superseded(ctx, s, d, d.bind(newest), &r); err != nil {
			return err
		}
		return addToLog(ctx, s, d, []segment.LogEntry{entry})
	}
	if r.State.GoesLive() {
		if err := goLive(ctx, s, d, &r); err != nil {
			return err
		}
	}
	r.Hold = segment.Hold{}
	locked, err := lockRows(ctx, s, d, []segment.Key{r.Key()})
	if err != nil {
		return err
	}
	if err := superseded(ctx, s, d, d.bind(d.latest(newest)), &r); err != nil {
		return err
	}
	changed, err := changeRows(locked, func(s *segment.SegmentState) error {
		s.Log = []segment.LogEntry{entry}
		switch {
		case !damagedIn(s, "state"):
			s.Record(r)
		case r.State.GoesLive():
			return s.Damaged
		}
		return nil
	})
	if err != nil {
		return err
	}
	return saveRows(ctx, s, d, locked, changed)
}

// goLive takes the record into the commit row, which is locked before the
// segment's own row.
func goLive(ctx context.Context, s Conn, d ledgerDialect, r *segment.Record) error {
	key, err := keyValues(d, r.Key())
	if err != nil {
		return err
	}
	return changeCommit(ctx, s, d, key, 0, func(c *segment.CommitRow) error { return c.GoLive(r) })
}

// superseded compares the record with what newest yields.
func superseded(ctx context.Context, s Conn, d ledgerDialect, newest string, r *segment.Record) error {
	attempt := sql.NullInt64{Int64: -1}
	var live sql.NullString
	key, err := keyValues(d, r.Key())
	if err == nil {
		err = one(ctx, s, newest, append(append([]any{r.Attempt}, key...), r.RunID), &attempt, &live)
	}
	if err != nil {
		return err
	}
	if !attempt.Valid {
		attempt.Int64 = -1
	}
	return r.Superseded(int(attempt.Int64), segment.RunState(live.String))
}

// checkState refuses an unknown state: it must not pass for one that need not be
// compared.
func checkState(s segment.RunState) error {
	switch s {
	case segment.RunStarted, segment.RunPassed, segment.RunCommitted, segment.RunObserved, segment.RunRejected, segment.RunUnknown,
		segment.RunOvertaken, segment.RunFailed, segment.RunSubmitted:
		return nil
	}
	return badInput("Record.State", string(s), `"started", "passed", "committed", "rejected", "observed", "unknown", "overtaken", "failed" or "submitted"`)
}

// checkSize refuses a size by which no later one could be judged.
func checkSize(r *segment.Record) error {
	switch {
	case !r.InBaseline():
		return nil
	case r.At.IsZero():
		return badInput("Record.At", "missing", "the time of the size")
	case r.Users < 0 || r.Read < 0:
		return badInput("Record", fmt.Sprintf("of %d users, %d read", r.Users, r.Read), "0 or more")
	}
	return nil
}

// addToLog adds entries in their order.
func addToLog(ctx context.Context, s Conn, d ledgerDialect, entries []segment.LogEntry) error {
	for entries := range slices.Chunk(entries, chunk) {
		var args []any
		for i := range entries {
			values, err := logValues(d, &entries[i])
			if err != nil {
				return err
			}
			args = append(args, values...)
		}
		insert := "INSERT INTO segmentguard_log (" + logColumns + ") VALUES " + list("("+list("?", strings.Count(logColumns, ",")+1)+")", len(entries))
		if _, err := s.Exec(ctx, d.bind(insert), args...); err != nil {
			return err
		}
	}
	return nil
}

// logValues returns logColumns.
func logValues(d ledgerDialect, e *segment.LogEntry) ([]any, error) {
	key, err := keyValues(d, e.Segment.In(e.Store))
	run := "LogEntry.RunID"
	if e.Record != nil {
		run = "Record.RunID"
	}
	err = cmp.Or(err, d.storable("LogEntry.Action", string(e.Action)), d.storableKey(run, e.RunID),
		d.storable("LogEntry.By", e.By), d.storable("LogEntry.Why", e.Why))
	if err != nil {
		return nil, err
	}
	values := []any{key[0], key[1], d.time(e.At), string(e.Action), e.RunID, e.By, e.Why}
	record, err := recordValues(d, e.Record)
	if err != nil {
		return nil, err
	}
	mark, err := markValues(d, e)
	if e.Record == nil && e.Mark != nil {
		record[3], record[4] = string(e.Mark.JobKind), e.Mark.Build
	}
	return slices.Concat(values, record, mark), err
}

// recordValues returns recordColumns from attempt on.
func recordValues(d ledgerDialect, r *segment.Record) ([]any, error) {
	if r == nil {
		return make([]any, 13), nil
	}
	err := cmp.Or(
		d.storable("Record.JobID", r.JobID), d.storable("Record.JobKind", string(r.JobKind)),
		d.storableKey("Record.Build", r.Build), d.storable("Record.Counter", r.Counter),
	)
	if err != nil {
		return nil, err
	}
	var report any
	if r.Report != nil {
		text, err := json.Marshal(r.Report)
		if err != nil {
			return nil, err
		}
		report = string(text)
	}
	return []any{r.Attempt, string(r.State), r.JobID, string(r.JobKind), r.Build, r.Users, r.Read, r.Counter, r.Live, report, r.Number, r.Overlapped, r.Settled}, nil
}

// markValues returns markColumns.
func markValues(d ledgerDialect, e *segment.LogEntry) ([]any, error) {
	values := []any{nil, nil, nil, nil, unlessEmpty(e.Incident), unlessEmpty(e.Text)}
	err := cmp.Or(d.storableKey("LogEntry.Incident", e.Incident), d.storable("LogEntry.Text", e.Text))
	m := e.Mark
	if m == nil {
		return values, err
	}
	values[0], values[1], values[2], values[3] = string(m.Urgency), string(m.Kind), string(m.Level), m.Incident
	return values, cmp.Or(err,
		d.storable("Mark.Urgency", string(m.Urgency)), d.storable("Mark.Kind", string(m.Kind)), d.storable("Mark.Level", string(m.Level)),
		d.storable("Mark.Incident", m.Incident), d.storable("Mark.JobKind", string(m.JobKind)), d.storableKey("Mark.Build", m.Build),
	)
}

// A loggedEntry is an entry and where it stands in the log.
type loggedEntry struct {
	id int64
	segment.LogEntry
}

// scanEntry reads id and logColumns, and says what of an entry is damaged.
func scanEntry(scan scanner) (loggedEntry, error) {
	e, column, wrong := readEntry(scan)
	switch {
	case wrong == nil:
		return e, nil
	case e.id == 0: // not even which one it is
		return e, wrong
	}
	e.Damaged = &segment.Damage{Table: "segmentguard_log", Row: strconv.FormatInt(e.id, 10), Columns: []string{column}, What: wrong.Error()}
	return e, nil
}

// readEntry reads an entry as it should be, and returns which column is not.
func readEntry(scan scanner) (e loggedEntry, column string, err error) {
	var key, report []byte
	var at instant
	var attempt, users, read, number sql.NullInt64
	var state, job, kind, build, counter sql.NullString
	var live, overlapped, settled sql.NullBool
	var severity, alertKind, level, label, incident, text sql.NullString
	err = scan(&e.id, &e.Store, &key, &at, &e.Action, &e.RunID, &e.By, &e.Why, &attempt, &state, &job, &kind, &build, &users, &read, &counter, &live, &report, &number, &overlapped, &settled,
		&severity, &alertKind, &level, &label, &incident, &text)
	if err != nil { // which names the column; what stands before it is read
		e.Segment, _ = segment.ParseID(string(key))
		return e, "of another type", err
	}
	e.At, e.Incident, e.Text = at.Time, incident.String, text.String
	if severity.Valid {
		e.Mark = &segment.Mark{
			Urgency: segment.Urgency(severity.String), Kind: validate.Kind(alertKind.String), Level: segment.Level(level.String),
			JobKind: segment.JobKind(kind.String), Build: build.String, Incident: label.String,
		}
	}
	if e.Segment, err = segment.ParseID(string(key)); err != nil || !attempt.Valid {
		return e, "segment", err
	}
	e.Record = &segment.Record{
		Segment: e.Segment, Store: e.Store, RunID: e.RunID, Attempt: int(attempt.Int64), State: segment.RunState(state.String),
		JobID: job.String, JobKind: segment.JobKind(kind.String), Build: build.String,
		Users: users.Int64, Read: read.Int64, Counter: counter.String, Live: live.Bool, At: e.At,
		Number: number.Int64, Overlapped: overlapped.Bool, Settled: settled.Bool,
	}
	if len(report) > 0 {
		e.Record.Report = &validate.Report{}
		if err := json.Unmarshal(report, e.Record.Report); err != nil {
			e.Record.Report = nil
			return e, "report", fmt.Errorf("report of attempt %d of run %s of %s: %w", e.Record.Attempt, e.RunID, e.Record.Key(), err)
		}
	}
	return e, "", nil
}

// pruned is how many rows are deleted at a time, so that nobody waits for long.
const pruned = 5000

// pruneable selects what nobody decided, from before a time.
const pruneable = "at < ? AND action IN ('recorded', 'opened', 'worse', 'told', 'over', 'lacked')"

// pruneByID is ledgerDialect.prune where a DELETE has no LIMIT.
const pruneByID = "DELETE FROM segmentguard_log WHERE id IN (SELECT id FROM segmentguard_log WHERE " + pruneable + " LIMIT ?)"

// Prune deletes from the log the records from before a time, and what became of
// alerts, and returns how many entries those were. The state of each segment stays,
// and so does what people decided. But a size of a run that is gone cannot be accepted
// any more, and an attempt at it is not compared with older ones. Keep at least 28
// days: how many segments became affected in them says how many are an incident.
//
// Plans of reruns from before that time go, too, with their steps, where each of these
// was done before it.
func (l *Ledger) Prune(ctx context.Context, before time.Time) (total int64, err error) {
	if total, err = l.pruneLog(ctx, before); err == nil {
		err = l.prunePlans(ctx, before)
	}
	return total, err
}

func (l *Ledger) pruneLog(ctx context.Context, before time.Time) (total int64, err error) {
	for {
		var n int64
		err := l.read(ctx, func(s Conn) error {
			n, err = s.Exec(ctx, l.dialect.bind(l.dialect.prune()), l.dialect.time(before), pruned)
			if n < 0 {
				err = errors.New("the driver does not tell how many entries were deleted")
			}
			return err
		})
		if total += n; err != nil || n < pruned {
			return total, wrap("pruning the log", err)
		}
	}
}
