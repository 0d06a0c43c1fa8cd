package sqlsegment

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	err = l.read(ctx, func(s Conn) error {
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
	return counts, wrap("counting the alerts", l.waited(ctx, nil, err))
}

// sweepColumns are all columns of segmentguard_sweeps.
var sweepColumns = []string{"at", "store", "complete", "segments", "healthy", "affected", "unwatched", "missing"}

// Sweeps implements segment.Ledger.
func (l *Ledger) Sweeps(ctx context.Context, n int) (sweeps []segment.SweepNumbers, err error) {
	if n <= 0 {
		return nil, nil
	}
	query := "SELECT " + strings.Join(sweepColumns, ", ") + " FROM segmentguard_sweeps ORDER BY at DESC, store LIMIT ?"
	err = l.read(ctx, func(s Conn) error {
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
	return sweeps, wrap("reading the sweeps", l.waited(ctx, nil, err))
}

// KeepSweep implements segment.Ledger.
func (l *Ledger) KeepSweep(ctx context.Context, w segment.SweepNumbers) error {
	err := l.dialect.storableKey("SweepNumbers.Store", w.Store)
	if err == nil {
		insert := "INSERT INTO segmentguard_sweeps (" + strings.Join(sweepColumns, ", ") + ") VALUES (" + list("?", len(sweepColumns)) + ")" +
			l.dialect.overwrite("at, store", sweepColumns[2:])
		err = l.write(ctx, func(s Conn) error {
			_, err := s.Exec(ctx, l.dialect.bind(insert), l.dialect.time(w.At), w.Store, w.Complete, w.Segments, w.Healthy, w.Affected, w.Unwatched, w.Missing)
			return err
		})
	}
	return wrap("keeping a sweep's numbers", l.waited(ctx, nil, err))
}

// A jobRow is a job as it is kept.
type jobRow struct {
	key string // jobKey
	job segment.Job
	raw []byte
}

// jobKey returns what a job is kept under: an ID names all that a job reads, and may
// be longer than an index takes.
func jobKey(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

func scanJob(scan scanner) (r jobRow, err error) {
	var key []byte
	if err := scan(&key, &r.raw); err != nil {
		return r, err
	}
	r.key = string(key)
	return r, nil
}

// read reads the job itself.
func (r *jobRow) read() error {
	if err := json.Unmarshal(r.raw, &r.job); err != nil {
		return &segment.Damage{Table: "segmentguard_jobs", Row: r.key, Columns: []string{"definition"}, What: err.Error()}
	}
	return nil
}

// Jobs implements segment.Ledger.
func (l *Ledger) Jobs(ctx context.Context, f segment.JobFilter) iter.Seq2[segment.Job, error] {
	rows := l.jobRows(ctx, f)
	return func(yield func(segment.Job, error) bool) {
		for r, err := range rows {
			if err == nil {
				err = wrap("reading the jobs", r.read())
			}
			if !yield(r.job, err) || err != nil {
				return
			}
		}
	}
}

func (l *Ledger) jobRows(ctx context.Context, f segment.JobFilter) iter.Seq2[jobRow, error] {
	q := selection{columns: "job, definition", table: "segmentguard_jobs", order: "job", limit: f.Limit}
	q.after = func(from any) (string, []any) { return "job > ?", []any{from} }
	if !f.To.IsZero() {
		q.where("segment = ?", f.To.String())
	}
	if !f.From.IsZero() {
		q.where("job IN (SELECT job FROM segmentguard_reads WHERE segment = ?)", f.From.String())
	}
	return pages(ctx, l, "reading the jobs", q, any(""), scanJob, func(r *jobRow) any { return r.key })
}

// KeepJobs implements segment.Ledger. It reads what there is and writes what differs:
// most sweeps change nothing.
func (l *Ledger) KeepJobs(ctx context.Context, jobs []segment.Job) error {
	return wrap("keeping the jobs", l.waited(ctx, nil, l.keepJobs(ctx, jobs)))
}

func (l *Ledger) keepJobs(ctx context.Context, jobs []segment.Job) error {
	wanted := make(map[string]*segment.Job, len(jobs)) // by their keys
	for i := range jobs {
		j := &jobs[i]
		if err := cmp.Or(l.dialect.storable("Job.ID", j.ID), l.dialect.storable("Job.Kind", string(j.Kind))); err != nil {
			return err
		}
		if _, again := wanted[jobKey(j.ID)]; !again {
			wanted[jobKey(j.ID)] = j
		}
	}
	var gone []string
	for r, err := range l.jobRows(ctx, segment.JobFilter{}) {
		if err != nil {
			return err
		}
		j := wanted[r.key]
		if j == nil {
			gone = append(gone, r.key)
			continue
		}
		if raw, err := json.Marshal(j); err == nil && bytes.Equal(raw, r.raw) {
			delete(wanted, r.key)
		}
	}
	for keys := range slices.Chunk(gone, chunk) {
		if err := l.write(ctx, func(s Conn) error { return dropJobs(ctx, s, l.dialect, keys) }); err != nil {
			return err
		}
	}
	var changed []*segment.Job
	for i := range jobs {
		if wanted[jobKey(jobs[i].ID)] == &jobs[i] {
			changed = append(changed, &jobs[i])
		}
	}
	for some := range slices.Chunk(changed, chunk) {
		if err := l.write(ctx, func(s Conn) error { return saveJobs(ctx, s, l.dialect, some) }); err != nil {
			return err
		}
	}
	return nil
}

// dropJobs drops jobs, and what they read.
func dropJobs(ctx context.Context, s Conn, d ledgerDialect, keys []string) error {
	args := make([]any, len(keys))
	for i, key := range keys {
		args[i] = key
	}
	for _, table := range []string{"segmentguard_reads", "segmentguard_jobs"} {
		if _, err := s.Exec(ctx, d.bind("DELETE FROM "+table+" WHERE job IN ("+list("?", len(args))+")"), args...); err != nil {
			return err
		}
	}
	return nil
}

// saveJobs writes jobs in the place of those with their IDs.
func saveJobs(ctx context.Context, s Conn, d ledgerDialect, jobs []*segment.Job) error {
	keys := make([]string, len(jobs))
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
		keys[i] = jobKey(j.ID)
		args = append(args, keys[i], to, string(j.Kind), string(raw))
		known := map[segment.ID]bool{}
		for _, from := range j.From {
			key, err := text(d, from)
			if err != nil {
				return err
			}
			if !known[from] {
				known[from] = true
				reads = append(reads, key, keys[i])
			}
		}
	}
	if err := dropJobs(ctx, s, d, keys); err != nil {
		return err
	}
	insert := "INSERT INTO segmentguard_jobs (job, segment, kind, definition) VALUES " + list("(?, ?, ?, ?)", len(jobs))
	if _, err := s.Exec(ctx, d.bind(insert), args...); err != nil {
		return err
	}
	for some := range slices.Chunk(reads, 2*chunk) {
		insert := "INSERT INTO segmentguard_reads (segment, job) VALUES " + list("(?, ?)", len(some)/2)
		if _, err := s.Exec(ctx, d.bind(insert), some...); err != nil {
			return err
		}
	}
	return nil
}
