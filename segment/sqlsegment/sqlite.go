package sqlsegment

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// sqLite is the dialect of SQLite.
type sqLite struct{}

// canonical does not depend on the column: in SQLite a value has a type, a column
// does not.
func (sqLite) canonical(string) string {
	return "CASE typeof(id) WHEN 'blob' THEN lower(hex(id)) ELSE id END"
}

func (sqLite) count(u *Users, _ column, fresh string) string { return countIDs(u, fresh) }

// sum serves nobody as yet: without a hash of its own SQLite streams.
func (sqLite) sum(u *Users, f formula, c column, fresh string) string {
	return sumHashes(u, f, c, fresh)
}

func (sqLite) read(u *Users, c column) string {
	with, from := source(u)
	return with + "SELECT " + c.canonical + ", CASE typeof(id) WHEN 'null' THEN 1 WHEN 'real' THEN 2 ELSE 0 END FROM " + from
}

func (sqLite) cells(*Users, formula, column, int) (string, []lane) { return "", nil }

func (sqLite) find(*Users, formula, column, string) string { return "" }

func (sqLite) list(l *Listing, columns []string, fresh string) string {
	s := listingSQL{text: "CAST(%s AS TEXT)", id: standardID, bytes: "(%s) COLLATE BINARY"}
	return s.listNamed(l, columns, fresh)
}

func (sqLite) native(string) formula { return formula{hash: validate.XXH3} }

func (sqLite) portable() formula { return formula{hash: validate.MD5} }

func (sqLite) fresh(alone bool) string {
	if alone {
		return "true"
	}
	return "false"
}

func (sqLite) checkSession(context.Context, reader) error { return nil }

// patience is how long a Ledger waits for the locks of others: SQLite does not
// queue them by itself.
const patience = 30 * time.Second

// connect calls do with a connection that waits for that long, or up to the
// context's deadline, which ends no waiting by itself. It gives the connection back
// as it was: the pool is the user's.
func (d sqLite) connect(ctx context.Context, pool Pool, do func(Beginner) error) error {
	return pool.Acquire(ctx, func(conn Beginner) error { return d.patiently(ctx, conn, do) })
}

func (sqLite) patiently(ctx context.Context, conn Beginner, do func(Beginner) error) (err error) {
	var timeout int64
	if err := one(ctx, conn, "PRAGMA busy_timeout", nil, &timeout); err != nil {
		return fmt.Errorf("reading busy_timeout: %w", err)
	}
	wait := patience
	deadline, bounded := ctx.Deadline()
	if bounded {
		wait = max(min(wait, time.Until(deadline)), time.Millisecond)
	}
	if timeout == wait.Milliseconds() || !bounded && timeout > wait.Milliseconds() {
		return do(conn)
	}
	defer func() {
		err = also(err, "restoring busy_timeout", setBusyTimeout(context.WithoutCancel(ctx), conn, timeout))
	}()
	if err := setBusyTimeout(ctx, conn, wait.Milliseconds()); err != nil {
		return fmt.Errorf("setting busy_timeout: %w", err)
	}
	return do(conn)
}

// setBusyTimeout splices the number, as a PRAGMA takes no arguments.
func setBusyTimeout(ctx context.Context, s Conn, milliseconds int64) error {
	_, err := s.Exec(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", milliseconds))
	return err
}

// exclusive waits for other writers, and keeps them out.
func (d sqLite) exclusive(ctx context.Context, pool Pool, do func(Conn) error) error {
	return d.connect(ctx, pool, func(b Beginner) error { return d.write(ctx, b, do) })
}

// write begins a transaction that writes: one that begins as a reader cannot wait for
// another writer. database/sql has no such transactions.
func (sqLite) write(ctx context.Context, b Beginner, do func(Conn) error) (err error) {
	if err := beginImmediate(ctx, b); err != nil {
		return err
	}
	committed := false
	defer func() { // also where do panics
		if !committed {
			_, failed := b.Exec(context.WithoutCancel(ctx), "ROLLBACK")
			err = also(err, "rolling back", failed)
		}
	}()
	if err := do(within{b}); err != nil {
		return err
	}
	if _, err := b.Exec(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	committed = true
	return nil
}

// often is for how long SQLite is left to wait for other writers by itself: it looks
// for them ever less often, in the end ten times a second. Who writes one transaction
// after the other, as a sweep does, would keep others out for many of them; asked anew,
// SQLite looks every 25 milliseconds.
const often = 100 * time.Millisecond

// beginImmediate begins a transaction that writes, after other writers, for whom it
// waits as long as the connection is set to.
func beginImmediate(ctx context.Context, b Beginner) error {
	var timeout int64
	if err := one(ctx, b, "PRAGMA busy_timeout", nil, &timeout); err != nil {
		return fmt.Errorf("reading busy_timeout: %w", err)
	}
	if err := setBusyTimeout(ctx, b, often.Milliseconds()); err != nil {
		return fmt.Errorf("setting busy_timeout: %w", err)
	}
	until := time.Now().Add(time.Duration(timeout) * time.Millisecond)
	_, err := b.Exec(ctx, "BEGIN IMMEDIATE")
	for err != nil && (sqLite{}).busy(err) && ctx.Err() == nil && time.Now().Before(until) {
		_, err = b.Exec(ctx, "BEGIN IMMEDIATE")
	}
	if err != nil {
		err = fmt.Errorf("waiting for other writers: %w", err)
	}
	return also(err, "restoring busy_timeout", setBusyTimeout(context.WithoutCancel(ctx), b, timeout))
}

var sqLiteMigrations = []migration{
	{version: 3, move: moveEarlier, statements: slices.Concat([]statement{
		{`CREATE TABLE IF NOT EXISTS segmentguard_schema (
	version INTEGER PRIMARY KEY,
	at      INTEGER NOT NULL -- microseconds since 1970, UTC
)`, ""},
		{`ALTER TABLE segmentguard_segments RENAME COLUMN packed TO state`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN affected INTEGER NOT NULL DEFAULT 0`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_kind TEXT`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_severity TEXT`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_since INTEGER`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_open INTEGER NOT NULL DEFAULT 0`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_pending INTEGER NOT NULL DEFAULT 0`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_flapping INTEGER NOT NULL DEFAULT 0`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_incident TEXT`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_level TEXT`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_users INTEGER`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_site_group TEXT`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_job_kind TEXT`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_build TEXT`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert TEXT`, "segmentguard_segments.packed"},
	}, sqLiteStores("segmentguard_segments.packed"), []statement{
		{sqLiteSegments, ""},
		{`CREATE INDEX IF NOT EXISTS segmentguard_segments_affected ON segmentguard_segments (store, segment) WHERE affected = TRUE`, ""},
		{`CREATE INDEX IF NOT EXISTS segmentguard_segments_segment ON segmentguard_segments (segment)`, ""},
		{`CREATE TABLE segmentguard_log (
	id         INTEGER PRIMARY KEY,
	store      TEXT NOT NULL DEFAULT '',
	segment    TEXT NOT NULL,
	at         INTEGER NOT NULL, -- microseconds since 1970, UTC
	action     TEXT NOT NULL, -- 'recorded', 'accepted', …
	run        TEXT NOT NULL,
	by_whom    TEXT NOT NULL,
	why        TEXT NOT NULL,
	attempt    INTEGER, -- this and all to settled: of a record; kind and build also of an alert
	state      TEXT,
	job        TEXT,
	kind       TEXT,
	build      TEXT,
	users      INTEGER,
	read_users INTEGER,
	counter    TEXT,
	live       INTEGER,
	report     TEXT, -- JSON
	number     INTEGER,
	overlapped INTEGER,
	settled    INTEGER,
	severity   TEXT, -- this and those to label: of an alert
	alert_kind TEXT,
	level      TEXT,
	label      TEXT,
	incident   TEXT, -- that it is about
	said       TEXT
)`, ""},
		{`CREATE INDEX segmentguard_log_segment ON segmentguard_log (segment, id)`, ""},
		{`CREATE INDEX segmentguard_log_run ON segmentguard_log (run, segment, store)`, ""},
		{`CREATE INDEX segmentguard_log_build ON segmentguard_log (build, id)`, ""},
		{`CREATE INDEX segmentguard_log_at ON segmentguard_log (at)`, ""},
	})},
	{version: 4, statements: dropEarlier},
	{version: 5, statements: []statement{
		{sqLiteCommits, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_numbers (
	id     INTEGER PRIMARY KEY,
	number INTEGER NOT NULL -- the last one that a run was given
)`, ""},
		{`INSERT INTO segmentguard_numbers (id, number) VALUES (1, 0) ON CONFLICT (id) DO NOTHING`, ""},
		{`ALTER TABLE segmentguard_log ADD COLUMN number INTEGER`, "!segmentguard_log.number"},
		{`ALTER TABLE segmentguard_log ADD COLUMN overlapped INTEGER`, "!segmentguard_log.overlapped"},
		{`ALTER TABLE segmentguard_log ADD COLUMN settled INTEGER`, "!segmentguard_log.settled"},
	}},
	{version: 6, move: moveToIncidents, statements: slices.Concat([]statement{
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_open INTEGER NOT NULL DEFAULT 0`, "!segmentguard_segments.alert_open"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_pending INTEGER NOT NULL DEFAULT 0`, "!segmentguard_segments.alert_pending"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_flapping INTEGER NOT NULL DEFAULT 0`, "!segmentguard_segments.alert_flapping"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_incident TEXT`, "!segmentguard_segments.alert_incident"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_level TEXT`, "!segmentguard_segments.alert_level"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_users INTEGER`, "!segmentguard_segments.alert_users"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_site_group TEXT`, "!segmentguard_segments.alert_site_group"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_job_kind TEXT`, "!segmentguard_segments.alert_job_kind"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_build TEXT`, "!segmentguard_segments.alert_build"},
		{`ALTER TABLE segmentguard_log ADD COLUMN severity TEXT`, "!segmentguard_log.severity"},
		{`ALTER TABLE segmentguard_log ADD COLUMN alert_kind TEXT`, "!segmentguard_log.alert_kind"},
		{`ALTER TABLE segmentguard_log ADD COLUMN level TEXT`, "!segmentguard_log.level"},
		{`ALTER TABLE segmentguard_log ADD COLUMN label TEXT`, "!segmentguard_log.label"},
		{`ALTER TABLE segmentguard_log ADD COLUMN incident TEXT`, "!segmentguard_log.incident"},
		{`ALTER TABLE segmentguard_log ADD COLUMN said TEXT`, "!segmentguard_log.said"},
	}, sqLiteStores("!segmentguard_segments.store"), []statement{
		{`CREATE INDEX segmentguard_segments_pending ON segmentguard_segments (store, segment) WHERE alert_pending = TRUE`, ""},
		{`CREATE INDEX segmentguard_segments_incident ON segmentguard_segments (alert_incident, alert_site_group, alert_kind, alert_severity, alert_level, alert_users) WHERE alert_incident IS NOT NULL`, ""},
		{`CREATE INDEX segmentguard_segments_build ON segmentguard_segments (alert_build, store, segment) WHERE alert_build IS NOT NULL`, ""},
		{`CREATE INDEX segmentguard_log_action ON segmentguard_log (action, id, at) WHERE action <> 'recorded'`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_incidents (
	id         TEXT PRIMARY KEY,
	begun      INTEGER NOT NULL,
	ended      INTEGER, -- NULL: it goes on
	active     INTEGER NOT NULL, -- goes on, or the alerter is to be told that it does not
	severity   TEXT NOT NULL, -- of its last ring
	level      TEXT NOT NULL, -- the same
	job_kind   TEXT NOT NULL, -- this and all to store: its cause
	build      TEXT NOT NULL,
	site_group TEXT NOT NULL,
	listing    INTEGER NOT NULL,
	stale      INTEGER NOT NULL,
	store      TEXT NOT NULL,
	incident   TEXT NOT NULL -- JSON
)`, ""},
		{`CREATE INDEX segmentguard_incidents_begun ON segmentguard_incidents (begun, id)`, ""},
		{`CREATE INDEX segmentguard_incidents_active ON segmentguard_incidents (begun, id) WHERE active = TRUE`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_ledger (
	id       INTEGER PRIMARY KEY,
	identity TEXT NOT NULL -- no other ledger has it
)`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_mutes (
	place      INTEGER PRIMARY KEY,
	segment    TEXT, -- this one alone; NULL: any
	store      TEXT NOT NULL DEFAULT '', -- empty: any
	site_group TEXT NOT NULL, -- empty: any
	kind       TEXT NOT NULL, -- empty: any
	until      INTEGER NOT NULL,
	by_whom    TEXT NOT NULL,
	mute       TEXT NOT NULL -- JSON
)`, ""},
		{sqLiteOpenAlerts, ""},
	})},
	{version: 7, statements: slices.Concat([]statement{
		{`DROP VIEW segmentguard_open_alerts`, "segmentguard_segments.alert_store"},
	}, sqLiteStores("segmentguard_segments.alert_store"), []statement{
		{`CREATE INDEX segmentguard_segments_pending ON segmentguard_segments (store, segment) WHERE alert_pending = TRUE`, "segmentguard_segments.alert_store"},
		{`CREATE INDEX segmentguard_segments_incident ON segmentguard_segments (alert_incident, alert_site_group, alert_kind, alert_severity, alert_level, alert_users) WHERE alert_incident IS NOT NULL`, "segmentguard_segments.alert_store"},
		{`CREATE INDEX segmentguard_segments_build ON segmentguard_segments (alert_build, store, segment) WHERE alert_build IS NOT NULL`, "segmentguard_segments.alert_store"},
		{sqLiteOpenAlerts, ""},
		{`ALTER TABLE segmentguard_log ADD COLUMN store TEXT NOT NULL DEFAULT ''`, "!segmentguard_log.store"},
		{`DROP INDEX segmentguard_log_run`, "!segmentguard_log.store"},
		{`CREATE INDEX segmentguard_log_run ON segmentguard_log (run, segment, store)`, "!segmentguard_log.store"},
		{`ALTER TABLE segmentguard_mutes ADD COLUMN store TEXT NOT NULL DEFAULT ''`, "!segmentguard_mutes.store"},
	}, sqLiteRebuild("segmentguard_commits", sqLiteCommits, commitColumns, "!segmentguard_commits.store"))},
	{version: 8}, // states are packed in form 5, which earlier programs do not read
	{version: 9, statements: []statement{
		{`CREATE INDEX segmentguard_segments_gravest ON segmentguard_segments (alert_severity, alert_level, alert_kind, store, segment) WHERE affected = TRUE AND alert_open = TRUE`, ""},
		{`CREATE TABLE segmentguard_sweeps (
	at        INTEGER NOT NULL,
	store     TEXT NOT NULL,
	complete  INTEGER NOT NULL, -- every segment was seen
	segments  INTEGER NOT NULL,
	healthy   INTEGER NOT NULL,
	affected  INTEGER NOT NULL,
	unwatched INTEGER NOT NULL, -- nothing was known to judge them by
	missing   INTEGER NOT NULL, -- known, and not in the store
	PRIMARY KEY (at, store)
) WITHOUT ROWID`, ""},
		{`CREATE TABLE segmentguard_jobs (
	job        TEXT PRIMARY KEY, -- a hash of its ID, which may be long
	segment    TEXT NOT NULL, -- that it writes
	kind       TEXT NOT NULL,
	definition TEXT NOT NULL -- JSON
) WITHOUT ROWID`, ""},
		{`CREATE INDEX segmentguard_jobs_segment ON segmentguard_jobs (segment, job)`, ""},
		{`CREATE TABLE segmentguard_reads (
	segment TEXT NOT NULL,
	job     TEXT NOT NULL,
	PRIMARY KEY (job, segment)
) WITHOUT ROWID`, ""},
		{`CREATE INDEX segmentguard_reads_segment ON segmentguard_reads (segment, job)`, ""},
	}},
	{version: 10, move: moveSizes, statements: slices.Concat(sqLiteSizes, []statement{
		{`CREATE VIEW segmentguard_sizes AS
SELECT segment, store, size_users AS users, size_read AS read_users, strftime('%Y-%m-%d %H:%M:%f', size_at / 1e6, 'unixepoch') AS at, live_users,
	last_run AS run, last_state AS state, strftime('%Y-%m-%d %H:%M:%f', last_at / 1e6, 'unixepoch') AS recorded
FROM segmentguard_segments WHERE size_at IS NOT NULL OR last_state IS NOT NULL`, ""},
		{`CREATE TABLE segmentguard_plans (
	plan    TEXT PRIMARY KEY, -- its ID
	at      INTEGER NOT NULL, -- this and those to why: when it was planned, by whom and why
	by_whom TEXT NOT NULL,
	why     TEXT NOT NULL,
	steps   INTEGER NOT NULL, -- how many it has
	rest    TEXT, -- JSON of what could not be ordered; NULL: nothing
	token   TEXT NOT NULL -- of whoever wrote it
) WITHOUT ROWID`, ""},
		{`CREATE INDEX segmentguard_plans_at ON segmentguard_plans (at, plan)`, ""},
		{`CREATE TABLE segmentguard_steps (
	plan       TEXT NOT NULL,
	number     INTEGER NOT NULL, -- its place in the plan, from 1
	segment    TEXT NOT NULL, -- that it makes again
	kind       TEXT NOT NULL, -- of its job
	definition TEXT NOT NULL, -- JSON
	state      TEXT NOT NULL, -- 'waiting', 'running', 'done', 'failed', 'unverified' or 'cancelled'
	waits      INTEGER NOT NULL, -- for so many steps that are not done
	run        TEXT NOT NULL, -- this and those to ended are of the last one
	attempt    INTEGER NOT NULL,
	worker     TEXT NOT NULL,
	started    INTEGER,
	ended      INTEGER,
	error      TEXT NOT NULL, -- why it is not done
	blocker    INTEGER NOT NULL, -- number of the step that failed, for which this one waits; 0: none
	PRIMARY KEY (plan, number)
) WITHOUT ROWID`, ""},
		{`CREATE INDEX segmentguard_steps_state ON segmentguard_steps (plan, state, number)`, ""},
	})},
	{version: 11, statements: []statement{
		{`ALTER TABLE segmentguard_segments ADD COLUMN submitted_until INTEGER`, "!segmentguard_segments.submitted_until"},
		{`CREATE INDEX segmentguard_segments_submitted ON segmentguard_segments (store, segment) WHERE submitted_until IS NOT NULL`, ""},
	}},
}

// sqLiteSizes adds sizeColumns.
var sqLiteSizes = []statement{
	{`ALTER TABLE segmentguard_segments ADD COLUMN size_users INTEGER`, "!segmentguard_segments.size_users"},
	{`ALTER TABLE segmentguard_segments ADD COLUMN size_read INTEGER`, "!segmentguard_segments.size_read"},
	{`ALTER TABLE segmentguard_segments ADD COLUMN size_at INTEGER`, "!segmentguard_segments.size_at"},
	{`ALTER TABLE segmentguard_segments ADD COLUMN live_users INTEGER`, "!segmentguard_segments.live_users"},
	{`ALTER TABLE segmentguard_segments ADD COLUMN last_run TEXT`, "!segmentguard_segments.last_run"},
	{`ALTER TABLE segmentguard_segments ADD COLUMN last_state TEXT`, "!segmentguard_segments.last_state"},
	{`ALTER TABLE segmentguard_segments ADD COLUMN last_at INTEGER`, "!segmentguard_segments.last_at"},
}

const sqLiteSegments = `CREATE TABLE IF NOT EXISTS segmentguard_segments (
	store            TEXT NOT NULL DEFAULT '',
	segment          TEXT NOT NULL,
	state            BLOB NOT NULL,
	size_users       INTEGER, -- this and those to size_at: the last size that others are judged by
	size_read        INTEGER,
	size_at          INTEGER,
	live_users       INTEGER, -- NULL: not known
	last_run         TEXT, -- this and those to last_at: what was recorded last
	last_state       TEXT,
	last_at          INTEGER,
	affected         INTEGER NOT NULL DEFAULT 0, -- an alert is open, or the alerter was told of one
	alert_open       INTEGER NOT NULL DEFAULT 0,
	alert_pending    INTEGER NOT NULL DEFAULT 0, -- the alerter is to be told of something
	alert_flapping   INTEGER NOT NULL DEFAULT 0, -- opened three times within a day
	alert_kind       TEXT, -- this and below: of the alert that is open; kind, severity and level at their worst
	alert_severity   TEXT,
	alert_level      TEXT,
	alert_since      INTEGER,
	alert_users      INTEGER, -- at stake
	alert_incident   TEXT, -- that it is a member of
	alert_site_group TEXT,
	alert_job_kind   TEXT,
	alert_build      TEXT,
	alert            TEXT, -- JSON
	PRIMARY KEY (store, segment)
) WITHOUT ROWID`

const sqLiteCommits = `CREATE TABLE IF NOT EXISTS segmentguard_commits (
	store      TEXT NOT NULL DEFAULT '',
	segment    TEXT NOT NULL,
	run        TEXT NOT NULL, -- that has the lease; empty: none has
	attempt    INTEGER NOT NULL,
	since      INTEGER NOT NULL,
	until      INTEGER NOT NULL,
	token      INTEGER NOT NULL, -- of the lease taken last
	passed     INTEGER NOT NULL, -- number of a run that has the lease and may be live
	generation INTEGER NOT NULL, -- how often a run went live
	number     INTEGER NOT NULL, -- the latest number of a run that went live
	PRIMARY KEY (store, segment)
)`

const sqLiteOpenAlerts = `CREATE VIEW IF NOT EXISTS segmentguard_open_alerts AS
SELECT segment, alert_site_group AS site_group, store, alert_severity AS severity, alert_kind AS kind, alert_level AS level,
	strftime('%Y-%m-%d %H:%M:%f', alert_since / 1e6, 'unixepoch') AS since, alert_users AS users, alert_incident AS incident, alert_job_kind AS job_kind, alert_build AS build,
	alert_pending AS pending, json_extract(alert, '$.open.text') AS text
FROM segmentguard_segments WHERE affected = TRUE AND alert_open = TRUE`

// sqLiteStores makes the store a part of the key of segmentguard_segments.
func sqLiteStores(only string) []statement {
	return append(sqLiteRebuild("segmentguard_segments", sqLiteSegments, append([]string{"state"}, alertColumns...), only),
		statement{`CREATE INDEX segmentguard_segments_affected ON segmentguard_segments (store, segment) WHERE affected = TRUE`, only},
		statement{`CREATE INDEX segmentguard_segments_segment ON segmentguard_segments (segment)`, only},
	)
}

// sqLiteRebuild makes a table of a segment's rows anew, without its indexes: SQLite
// cannot change a key.
func sqLiteRebuild(table, create string, columns []string, only string) []statement {
	copied := "segment, " + strings.Join(columns, ", ")
	return []statement{
		{"ALTER TABLE " + table + " RENAME TO " + table + "_before", only},
		{create, only},
		{"INSERT INTO " + table + " (" + copied + ") SELECT " + copied + " FROM " + table + "_before", only},
		{"DROP TABLE " + table + "_before", only},
	}
}

func (sqLite) migrations() []migration { return sqLiteMigrations }

// conflict returns false: whoever waits for a lock of SQLite's has waited already.
func (sqLite) conflict(error) bool { return false }

func (sqLite) columns(ctx context.Context, s Conn, do func(scanner) error) error {
	return each(ctx, s, `SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
WHERE m.type IN ('table', 'view') AND m.name LIKE 'segmentguard\_%' ESCAPE '\'`, nil, do)
}

func (sqLite) bind(query string) string { return query }

func (d sqLite) lock(ctx context.Context, s Conn, store string, texts []any, fresh []byte, do func(scanner) error) error {
	return lockByInsert(ctx, s, d, store, texts, fresh, do)
}

func (sqLite) latest(query string) string { return query }

func (sqLite) after(store, segment string) (string, []any) {
	return "(store, segment) > (?, ?)", []any{store, segment}
}

// forUpdate leaves a query as it is: there is one writer at a time.
func (sqLite) forUpdate(query string) string { return query }

func (sqLite) unlimited() string { return "" }

func (sqLite) overwrite(key string, columns []string) string { return onConflict(key, columns) }

func (sqLite) prune() string { return pruneByID }

func (sqLite) time(t time.Time) any { return microseconds(t) }

func (sqLite) storable(string, string) error { return nil }

func (sqLite) storableKey(string, string) error { return nil }

func (sqLite) lockCommit(ctx context.Context, s Conn, _ []any, insert string, fresh []any) error {
	_, err := s.Exec(ctx, "INSERT "+insert+" ON CONFLICT (store, segment) DO UPDATE SET segment = excluded.segment", fresh...)
	return err
}

func (sqLite) beforeLock(context.Context, Conn) error { return nil }

func (sqLite) now() string { return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)" }

// overtaken returns false: there is one writer at a time.
func (sqLite) overtaken(error) bool { return false }

func (sqLite) busy(err error) bool {
	return strings.Contains(err.Error(), "SQLITE_BUSY") || strings.Contains(err.Error(), "database is locked")
}

func (sqLite) unfit(err error) bool {
	return strings.Contains(err.Error(), "no such table") || strings.Contains(err.Error(), "readonly database")
}

// holder returns nothing: SQLite does not tell who writes.
func (sqLite) holder(context.Context, Conn, []any) string { return "" }

func (sqLite) oneWriter() bool { return true }
