package sqlsegment

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/segmentguard/segmentguard/segment"
)

// newest looks for what an attempt is compared with: the newest one of its run,
// and whether this very one is live.
const newest = `
SELECT max(attempt), max(CASE WHEN attempt = ? AND state IN ('committed', 'observed') THEN 1 ELSE 0 END)
FROM segmentguard_attempts WHERE segment = ? AND run = ?`

const keep = `
INSERT INTO segmentguard_attempts
	(segment, run, attempt, state, job, kind, build, users, read_users, counter, at, report)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// record compares and keeps. From the lock to the commit everybody else who
// records for the segment waits, and sees what was kept.
func record(ctx context.Context, s session, d Dialect, r *segment.Record) error {
	live, err := goesLive(r.State)
	if err != nil {
		return err
	}
	row, err := newRow(d, r)
	if err != nil {
		return err
	}
	tracked, err := lock(ctx, s, d, []segment.ID{r.Segment})
	if err != nil {
		return err
	}
	if err := superseded(ctx, s, d, r, live, row); err != nil {
		return err
	}
	if _, err := s.ExecContext(ctx, d.bind(keep), row...); err != nil {
		return err
	}
	t := tracked[r.Segment]
	t.Record(*r)
	return save(ctx, s, d, tracked)
}

func superseded(ctx context.Context, s session, d Dialect, r *segment.Record, live bool, row []any) error {
	var newer, there sql.NullInt64
	err := one(ctx, s, d.bind(d.locked(newest)), []any{r.Attempt, row[0], row[1]}, &newer, &there)
	switch {
	case err != nil:
		return err
	case live && newer.Valid && newer.Int64 > int64(r.Attempt):
		return fmt.Errorf("%w by attempt %d", segment.ErrSuperseded, newer.Int64)
	case there.Int64 > 0:
		return fmt.Errorf("%w: it is live already", segment.ErrSuperseded)
	}
	return nil
}

// goesLive reports whether an attempt in this state is live or about to be. An
// unknown state must not pass for one that need not be compared.
func goesLive(s segment.RunState) (bool, error) {
	switch s {
	case segment.RunPassed, segment.RunCommitted, segment.RunObserved:
		return true, nil
	case segment.RunRejected, segment.RunUnknown:
		return false, nil
	}
	return false, badInput("Record.State", string(s), `"accepted", "committed", "rejected", "observed" or "unknown"`)
}

// newRow is the record as keep writes it.
func newRow(d Dialect, r *segment.Record) ([]any, error) {
	id, err := text(d, r.Segment)
	if err != nil {
		return nil, err
	}
	err = cmp.Or(
		d.storableKey("Record.Run", r.RunID), d.storable("Record.Job", r.JobID),
		d.storable("Record.Kind", string(r.JobKind)), d.storable("Record.Build", r.Build),
		d.storable("Record.Counter", r.Counter), sound(r),
	)
	if err != nil {
		return nil, err
	}
	report, err := json.Marshal(r.Report)
	if err != nil {
		return nil, err
	}
	return []any{
		id, r.RunID, r.Attempt, string(r.State), r.JobID, string(r.JobKind), r.Build,
		r.Users, r.Read, r.Counter, d.time(r.At), string(report),
	}, nil
}

// sound refuses a size by which no later one could be judged.
func sound(r *segment.Record) error {
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

// text is the id as the database keeps it.
func text(d Dialect, id segment.ID) (string, error) {
	text, err := id.MarshalText()
	if err != nil {
		return "", err
	}
	return string(text), d.storableKey("segment id", string(text))
}
