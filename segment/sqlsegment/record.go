package sqlsegment

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"github.com/segmentguard/segmentguard/segment"
)

// swap raises the newest attempt known of a run, or, for what does not go live,
// leaves a newer one as it is. It takes no row where a newer attempt is known.
//
// It is the first statement of its transaction, and it always writes: from here
// to the commit all other attempts of the run wait, and on SQLite a transaction
// that begins with a write never fails for having read too early.
const swap = `
INSERT INTO segmentguard_runs (segment, run, attempt) VALUES (?, ?, ?)
ON CONFLICT (segment, run) DO UPDATE SET attempt = CASE
	WHEN excluded.attempt > segmentguard_runs.attempt THEN excluded.attempt
	ELSE segmentguard_runs.attempt END
WHERE excluded.attempt >= segmentguard_runs.attempt OR NOT ?`

// keep adds to the log, unless this very attempt is live. It must be a statement
// of its own: what swap waited for is only seen by the next one.
const keep = `
INSERT INTO segmentguard_attempts
	(segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report)
SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
WHERE NOT EXISTS (
	SELECT 1 FROM segmentguard_attempts
	WHERE segment = ? AND run = ? AND attempt = ? AND state IN ('committed', 'observed'))`

func record(ctx context.Context, s session, d Dialect, r *segment.Record) error {
	live, err := goesLive(r.State)
	if err != nil {
		return err
	}
	row, err := newRow(d, r)
	if err != nil {
		return err
	}
	key := row[:3]
	if done, err := changes(ctx, s, d.bind(swap), append(key[:3:3], live)...); err != nil {
		return err
	} else if !done {
		return fmt.Errorf("%w by a newer attempt", segment.ErrSuperseded)
	}
	if done, err := changes(ctx, s, d.bind(keep), append(row, key...)...); err != nil {
		return err
	} else if !done {
		return fmt.Errorf("%w: it is live already", segment.ErrSuperseded)
	}
	return nil
}

// changes runs a statement and reports whether it wrote anything.
func changes(ctx context.Context, s session, query string, args ...any) (bool, error) {
	result, err := s.ExecContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// goesLive reports whether an attempt in this state is live or about to be. An
// unknown state must not pass for one that need not be compared.
func goesLive(s segment.State) (bool, error) {
	switch s {
	case segment.Accepted, segment.Committed, segment.Observed:
		return true, nil
	case segment.Rejected, segment.Unknown:
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
		d.storable("Record.Run", r.Run), d.storable("Record.Job", r.Job),
		d.storable("Record.Kind", string(r.Kind)), d.storable("Record.Build", r.Build),
		sound(r),
	)
	if err != nil {
		return nil, err
	}
	report, err := json.Marshal(r.Report)
	if err != nil {
		return nil, err
	}
	return []any{
		id, r.Run, r.Attempt, string(r.State), r.Job, string(r.Kind), r.Build,
		r.Users, r.Read, d.time(r.At), r.InBaseline(), string(report),
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
	return string(text), d.storable("segment id", string(text))
}
