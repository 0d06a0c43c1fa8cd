package sqlsegment

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
)

// segmentguard_sweeps holds the numbers of sweeps, segmentguard_jobs the jobs that
// monitors know, and segmentguard_reads which of them read a segment: by these tools
// answer without looking at all segments.

// CountAlerts implements segment.Ledger.
func (l *Ledger) CountAlerts(ctx context.Context) (counts []segment.AlertCount, err error) {
	const by = "alert_site_group, store, alert_severity, alert_kind, alert_level, alert_job_kind, alert_build, alert_incident"
	query := "SELECT " + by + ", count(*), sum(alert_users) FROM segmentguard_segments WHERE affected = TRUE AND alert_open = TRUE GROUP BY " + by + l.dialect.unlimited()
	err = l.read(ctx, func(s session) error {
		counts = nil
		return each(ctx, s, query, nil, func(scan scanner) error {
			var c segment.AlertCount
			var incident []byte
			err := scan(&c.SiteGroup, &c.Store, &c.Urgency, &c.Kind, &c.Level, &c.JobKind, &c.Build, &incident, &c.Alerts, &c.Users)
			c.Incident = string(incident)
			counts = append(counts, c)
			return err
		})
	})
	return counts, wrap("counting the alerts", l.waited(ctx, "", err))
}

// sweepColumns are all columns of segmentguard_sweeps.
var sweepColumns = []string{"at", "store", "complete", "segments", "healthy", "affected", "unwatched", "missing"}

// Sweeps implements segment.Ledger.
func (l *Ledger) Sweeps(ctx context.Context, n int) (sweeps []segment.SweepNumbers, err error) {
	if n <= 0 {
		return nil, nil
	}
	query := "SELECT " + strings.Join(sweepColumns, ", ") + " FROM segmentguard_sweeps ORDER BY at DESC, store LIMIT ?"
	err = l.read(ctx, func(s session) error {
		sweeps = nil
		return each(ctx, s, l.dialect.bind(query), []any{n}, func(scan scanner) error {
			var w segment.SweepNumbers
			var at instant
			err := scan(&at, &w.Store, &w.Complete, &w.Segments, &w.Healthy, &w.Affected, &w.Unwatched, &w.Missing)
			w.At = at.Time
			sweeps = append(sweeps, w)
			return err
		})
	})
	return sweeps, wrap("reading the sweeps", l.waited(ctx, "", err))
}

// KeepSweep implements segment.Ledger.
func (l *Ledger) KeepSweep(ctx context.Context, w segment.SweepNumbers) error {
	err := l.dialect.storableKey("SweepNumbers.Store", w.Store)
	if err == nil {
		insert := "INSERT INTO segmentguard_sweeps (" + strings.Join(sweepColumns, ", ") + ") VALUES (" + list("?", len(sweepColumns)) + ")" +
			l.dialect.overwrite("at, store", sweepColumns[2:])
		err = l.write(ctx, func(s session) error {
			_, err := s.ExecContext(ctx, l.dialect.bind(insert), l.dialect.time(w.At), w.Store, w.Complete, w.Segments, w.Healthy, w.Affected, w.Unwatched, w.Missing)
			return err
		})
	}
	return wrap("keeping a sweep's numbers", l.waited(ctx, "", err))
}

// A jobRow is a job as it is kept.
type jobRow struct {
	id  string
	job segment.Job
	raw []byte
}

func scanJob(scan scanner) (r jobRow, err error) {
	var id []byte
	if err := scan(&id, &r.raw); err != nil {
		return r, err
	}
	r.id = string(id)
	if err := json.Unmarshal(r.raw, &r.job); err != nil {
		return r, fmt.Errorf("damaged: table segmentguard_jobs, row %q, column definition: %w", r.id, err)
	}
	return r, nil
}

// Jobs implements segment.Ledger.
func (l *Ledger) Jobs(ctx context.Context, f segment.JobFilter) iter.Seq2[segment.Job, error] {
	rows := l.jobRows(ctx, f)
	return func(yield func(segment.Job, error) bool) {
		for r, err := range rows {
			if !yield(r.job, err) || err != nil {
				return
			}
		}
	}
}

func (l *Ledger) jobRows(ctx context.Context, f segment.JobFilter) iter.Seq2[jobRow, error] {
	q := selection{columns: "job, definition", table: "segmentguard_jobs", key: "job", limit: f.Limit}
	if !f.To.IsZero() {
		q.where("segment = ?", f.To.String())
	}
	if !f.From.IsZero() {
		q.where("job IN (SELECT job FROM segmentguard_reads WHERE segment = ?)", f.From.String())
	}
	return pages(ctx, l, "reading the jobs", q, any(f.After), scanJob, func(r *jobRow) any { return r.id })
}

// KeepJobs implements segment.Ledger. It reads what there is and writes what differs:
// most sweeps change nothing.
func (l *Ledger) KeepJobs(ctx context.Context, jobs []segment.Job) error {
	return wrap("keeping the jobs", l.waited(ctx, "", l.keepJobs(ctx, jobs)))
}

func (l *Ledger) keepJobs(ctx context.Context, jobs []segment.Job) error {
	wanted := make(map[string]*segment.Job, len(jobs))
	for i := range jobs {
		j := &jobs[i]
		if err := cmp.Or(l.dialect.storableKey("Job.ID", j.ID), l.dialect.storable("Job.Kind", string(j.Kind))); err != nil {
			return err
		}
		if _, again := wanted[j.ID]; !again {
			wanted[j.ID] = j
		}
	}
	var gone []string
	for r, err := range l.jobRows(ctx, segment.JobFilter{}) {
		if err != nil && r.id == "" {
			return err
		}
		j := wanted[r.id]
		if j == nil {
			gone = append(gone, r.id)
			continue
		}
		if raw, failed := json.Marshal(j); failed == nil && err == nil && bytes.Equal(raw, r.raw) {
			delete(wanted, r.id)
		}
	}
	for ids := range slices.Chunk(gone, chunk) {
		if err := l.write(ctx, func(s session) error { return dropJobs(ctx, s, l.dialect, ids) }); err != nil {
			return err
		}
	}
	var changed []*segment.Job
	for i := range jobs {
		if wanted[jobs[i].ID] == &jobs[i] {
			changed = append(changed, &jobs[i])
		}
	}
	for some := range slices.Chunk(changed, chunk) {
		if err := l.write(ctx, func(s session) error { return saveJobs(ctx, s, l.dialect, some) }); err != nil {
			return err
		}
	}
	return nil
}

// dropJobs drops jobs, and what they read.
func dropJobs(ctx context.Context, s session, d ledgerDialect, ids []string) error {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	for _, table := range []string{"segmentguard_reads", "segmentguard_jobs"} {
		if _, err := s.ExecContext(ctx, d.bind("DELETE FROM "+table+" WHERE job IN ("+list("?", len(args))+")"), args...); err != nil {
			return err
		}
	}
	return nil
}

// saveJobs writes jobs in the place of those with their IDs.
func saveJobs(ctx context.Context, s session, d ledgerDialect, jobs []*segment.Job) error {
	ids := make([]string, len(jobs))
	var args, reads []any
	for i, j := range jobs {
		raw, err := json.Marshal(j)
		if err != nil {
			return err
		}
		to, err := text(d, j.To)
		if err != nil {
			return err
		}
		ids[i] = j.ID
		args = append(args, j.ID, to, string(j.Kind), string(raw))
		known := map[segment.ID]bool{}
		for _, from := range j.From {
			key, err := text(d, from)
			if err != nil {
				return err
			}
			if !known[from] {
				known[from] = true
				reads = append(reads, key, j.ID)
			}
		}
	}
	if err := dropJobs(ctx, s, d, ids); err != nil {
		return err
	}
	insert := "INSERT INTO segmentguard_jobs (job, segment, kind, definition) VALUES " + list("(?, ?, ?, ?)", len(jobs))
	if _, err := s.ExecContext(ctx, d.bind(insert), args...); err != nil {
		return err
	}
	for some := range slices.Chunk(reads, 2*chunk) {
		insert := "INSERT INTO segmentguard_reads (segment, job) VALUES " + list("(?, ?)", len(some)/2)
		if _, err := s.ExecContext(ctx, d.bind(insert), some...); err != nil {
			return err
		}
	}
	return nil
}
