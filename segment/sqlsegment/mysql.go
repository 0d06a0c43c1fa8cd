package sqlsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// mySQL is the dialect of MySQL 8 and MariaDB 10.2, and later.
type mySQL struct{}

// noLimit is how MySQL says that a query has no limit. It overrules
// sql_select_limit, which would end a query early without a word.
const noLimit = " LIMIT 18446744073709551615"

func (mySQL) canonical(kind string) string {
	switch kind = strings.TrimPrefix(kind, "UNSIGNED "); kind {
	case "BINARY", "VARBINARY", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB":
		return "LOWER(HEX(id))"
	case "CHAR", "VARCHAR", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT": // functions make long ones of any text
		return "CAST(CONVERT(id USING utf8mb4) AS BINARY)" // as bytes, which no connection's character set turns into ????
	case "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT":
		return "CONVERT(id + 0 USING utf8mb4)" // 0007 of a ZEROFILL column is 7
	}
	return ""
}

func (mySQL) count(u *Users, _ column, fresh string) string { return countIDs(u, fresh) }

func (mySQL) sum(u *Users, f formula, c column, fresh string) string {
	return sumHashes(u, f, c, fresh)
}

func (mySQL) read(u *Users, c column) string { return readIDs(u, c) + noLimit }

// cells returns none: MySQL makes sums of several groups in several passes, and streams
// faster.
func (mySQL) cells(*Users, formula, column, int) (string, []lane) { return "", nil }

func (mySQL) find(*Users, formula, column, string) string { return "" }

func (mySQL) list(l *Listing, columns []string, fresh string) string {
	s := listingSQL{
		text: "CONVERT(%s USING utf8mb4)", id: "CONCAT(REPLACE(REPLACE(%s, '%%', '%%25'), '/', '%%2F'), '/', %s)",
		bytes: "CAST(%s AS BINARY)", // as bytes, which no connection's character set turns into ????
	}
	return s.listNamed(l, columns, fresh) + noLimit
}

// native returns the portable formula: MySQL has no fast hash.
func (d mySQL) native(string) formula { return d.portable() }

func (mySQL) portable() formula {
	return formula{
		hash: validate.MD5, hold: "MD5(id)", fence: noLimit,
		sums: lanes("CAST(COALESCE(SUM(CAST(CONV(SUBSTR(h, %d, 8), 16, 10) AS UNSIGNED)), 0) AS CHAR)", 1, 9, 17, 25), // without the inner CAST the sum is a DOUBLE and wrong
	}
}

// fresh takes what only reads for a replica. Without autocommit each connection
// stays in a transaction.
func (mySQL) fresh(alone bool) string {
	if alone {
		return "@@read_only = 0 AND @@autocommit = 1"
	}
	return "false"
}

func (mySQL) checkSession(context.Context, reader) error { return nil }

func (mySQL) connect(_ context.Context, pool Pool, do func(Beginner) error) error { return do(pool) }

// exclusive takes a lock of one connection, named after the database: names of
// locks are those of the server. It waits in turns, so that a context that ends is
// noticed.
func (d mySQL) exclusive(ctx context.Context, pool Pool, do func(Conn) error) error {
	return pool.Acquire(ctx, func(conn Beginner) error { return d.locked(ctx, conn, do) })
}

func (mySQL) locked(ctx context.Context, conn Beginner, do func(Conn) error) (err error) {
	const name = "CONCAT('segmentguard ', SHA1(DATABASE()))"
	for {
		var got sql.NullInt64
		if err := one(ctx, conn, "SELECT GET_LOCK("+name+", 10)", nil, &got); err != nil {
			return fmt.Errorf("waiting for other migrations: %w", err)
		}
		if !got.Valid {
			return errors.New("waiting for other migrations: GET_LOCK failed, want a database in the DSN")
		}
		if got.Int64 == 1 {
			break
		}
	}
	defer func() {
		var released sql.NullInt64
		err = also(err, "ending the migration", one(context.WithoutCancel(ctx), conn, "SELECT RELEASE_LOCK("+name+")", nil, &released))
	}()
	return do(conn)
}

// write avoids, at READ COMMITTED, the locks on gaps beside what is read that MySQL
// takes by default.
func (mySQL) write(ctx context.Context, b Beginner, do func(Conn) error) error {
	return transaction(ctx, b, do)
}

// mySQLMigrations keep ids as bytes, not characters: no collation takes one id for
// another. MySQL keeps each definition at once, so all may run again.
var mySQLMigrations = []migration{
	{version: 3, move: moveEarlier, statements: []statement{
		{`CREATE TABLE IF NOT EXISTS segmentguard_schema (
	version bigint PRIMARY KEY,
	at      bigint NOT NULL -- microseconds since 1970, UTC
) ENGINE=InnoDB`, ""},
		{`ALTER TABLE segmentguard_segments
	CHANGE COLUMN packed state longblob NOT NULL,
	ADD COLUMN affected boolean NOT NULL DEFAULT FALSE,
	ADD COLUMN alert_kind varbinary(64),
	ADD COLUMN alert_severity varbinary(64),
	ADD COLUMN alert_since bigint,
	ADD COLUMN alert_open boolean NOT NULL DEFAULT FALSE,
	ADD COLUMN alert_pending boolean NOT NULL DEFAULT FALSE,
	ADD COLUMN alert_flapping boolean NOT NULL DEFAULT FALSE,
	ADD COLUMN alert_incident varbinary(1024),
	ADD COLUMN alert_level varbinary(64),
	ADD COLUMN alert_users bigint,
	ADD COLUMN alert_site_group varbinary(1024),
	ADD COLUMN alert_job_kind longblob,
	ADD COLUMN alert_build varbinary(1024),
	ADD COLUMN alert longblob,
	ADD COLUMN size_users bigint,
	ADD COLUMN size_read bigint,
	ADD COLUMN size_at bigint,
	ADD COLUMN live_users bigint,
	ADD COLUMN last_run varbinary(1024),
	ADD COLUMN last_state varbinary(64),
	ADD COLUMN last_at bigint,
	ADD COLUMN store varbinary(255) NOT NULL DEFAULT '',
	DROP PRIMARY KEY,
	ADD PRIMARY KEY (store, segment),
	ADD KEY segmentguard_segments_segment (segment),
	ADD KEY segmentguard_segments_affected (affected, store, segment),
	ADD KEY segmentguard_segments_pending (alert_pending, store, segment),
	ADD KEY segmentguard_segments_incident (alert_incident, alert_site_group, alert_kind, alert_severity, alert_level, alert_users),
	ADD KEY segmentguard_segments_build (alert_build, store, segment)`, "segmentguard_segments.packed"},
		{`CREATE TABLE IF NOT EXISTS segmentguard_segments (
	store            varbinary(255) NOT NULL DEFAULT '',
	segment          varbinary(1024) NOT NULL,
	state            longblob NOT NULL,
	size_users       bigint, -- this and those to size_at: the last size that others are judged by
	size_read        bigint,
	size_at          bigint,
	live_users       bigint, -- NULL: not known
	last_run         varbinary(1024), -- this and those to last_at: what was recorded last
	last_state       varbinary(64),
	last_at          bigint,
	affected         boolean NOT NULL DEFAULT FALSE, -- an alert is open, or the alerter was told of one
	alert_open       boolean NOT NULL DEFAULT FALSE,
	alert_pending    boolean NOT NULL DEFAULT FALSE, -- the alerter is to be told of something
	alert_flapping   boolean NOT NULL DEFAULT FALSE, -- opened three times within a day
	alert_kind       varbinary(64), -- this and below: of the alert that is open; kind, severity and level at their worst
	alert_severity   varbinary(64),
	alert_level      varbinary(64),
	alert_since      bigint,
	alert_users      bigint, -- at stake
	alert_incident   varbinary(1024), -- that it is a member of
	alert_site_group varbinary(1024),
	alert_job_kind   longblob,
	alert_build      varbinary(1024),
	alert            longblob, -- JSON
	PRIMARY KEY (store, segment),
	KEY segmentguard_segments_segment (segment),
	KEY segmentguard_segments_affected (affected, store, segment),
	KEY segmentguard_segments_pending (alert_pending, store, segment),
	KEY segmentguard_segments_incident (alert_incident, alert_site_group, alert_kind, alert_severity, alert_level, alert_users),
	KEY segmentguard_segments_build (alert_build, store, segment)
) ENGINE=InnoDB`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_log (
	id         bigint AUTO_INCREMENT PRIMARY KEY,
	store      varbinary(255) NOT NULL DEFAULT '',
	segment    varbinary(1024) NOT NULL,
	at         bigint NOT NULL, -- microseconds since 1970, UTC
	action     varbinary(1024) NOT NULL, -- 'recorded', 'accepted', …
	run        varbinary(1024) NOT NULL,
	by_whom    longblob NOT NULL,
	why        longblob NOT NULL,
	attempt    bigint, -- this and all to settled: of a record; kind and build also of an alert
	state      varbinary(1024),
	job        longblob,
	kind       longblob,
	build      varbinary(1024),
	users      bigint,
	read_users bigint,
	counter    longblob,
	live       boolean,
	report     longblob, -- JSON
	number     bigint,
	overlapped boolean,
	settled    boolean,
	severity   longblob, -- this and those to label: of an alert
	alert_kind longblob,
	level      longblob,
	label      longblob,
	incident   longblob, -- that it is about
	said       longblob,
	KEY segmentguard_log_segment (segment, id),
	KEY segmentguard_log_run (run, segment, store), -- a lock on the attempts of one segment is none on those of others
	KEY segmentguard_log_build (build, id),
	KEY segmentguard_log_at (at),
	KEY segmentguard_log_action (action, id, at)
) ENGINE=InnoDB`, ""},
	}},
	{version: 4, statements: dropEarlier},
	{version: 5, statements: []statement{
		{`CREATE TABLE IF NOT EXISTS segmentguard_commits (
	store      varbinary(255) NOT NULL DEFAULT '',
	segment    varbinary(1024) NOT NULL,
	run        varbinary(1024) NOT NULL, -- that has the lease; empty: none has
	attempt    bigint NOT NULL,
	since      bigint NOT NULL,
	until      bigint NOT NULL,
	token      bigint NOT NULL, -- of the lease taken last
	passed     bigint NOT NULL, -- number of a run that has the lease and may be live
	generation bigint NOT NULL, -- how often a run went live
	number     bigint NOT NULL, -- the latest number of a run that went live
	PRIMARY KEY (store, segment)
) ENGINE=InnoDB`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_numbers (
	id     bigint PRIMARY KEY,
	number bigint NOT NULL -- the last one that a run was given
) ENGINE=InnoDB`, ""},
		{`INSERT IGNORE INTO segmentguard_numbers (id, number) VALUES (1, 0)`, ""},
		{`ALTER TABLE segmentguard_log ADD COLUMN number bigint`, "!segmentguard_log.number"},
		{`ALTER TABLE segmentguard_log ADD COLUMN overlapped boolean`, "!segmentguard_log.overlapped"},
		{`ALTER TABLE segmentguard_log ADD COLUMN settled boolean`, "!segmentguard_log.settled"},
	}},
	{version: 6, move: moveToIncidents, statements: []statement{
		{mySQLSizes, "!segmentguard_segments.size_users"},
		{`ALTER TABLE segmentguard_segments
	MODIFY COLUMN alert_kind varbinary(64),
	MODIFY COLUMN alert_severity varbinary(64),
	ADD COLUMN alert_open boolean NOT NULL DEFAULT FALSE,
	ADD COLUMN alert_pending boolean NOT NULL DEFAULT FALSE,
	ADD COLUMN alert_flapping boolean NOT NULL DEFAULT FALSE,
	ADD COLUMN alert_incident varbinary(1024),
	ADD COLUMN alert_level varbinary(64),
	ADD COLUMN alert_users bigint,
	ADD COLUMN alert_site_group varbinary(1024),
	ADD COLUMN alert_job_kind longblob,
	ADD COLUMN alert_build varbinary(1024),
	ADD COLUMN store varbinary(255) NOT NULL DEFAULT '',
	DROP PRIMARY KEY,
	ADD PRIMARY KEY (store, segment),
	ADD KEY segmentguard_segments_segment (segment),
	DROP KEY segmentguard_segments_affected,
	ADD KEY segmentguard_segments_affected (affected, store, segment),
	ADD KEY segmentguard_segments_pending (alert_pending, store, segment),
	ADD KEY segmentguard_segments_incident (alert_incident, alert_site_group, alert_kind, alert_severity, alert_level, alert_users),
	ADD KEY segmentguard_segments_build (alert_build, store, segment)`, "!segmentguard_segments.alert_open"},
		{`ALTER TABLE segmentguard_log
	ADD COLUMN severity longblob,
	ADD COLUMN alert_kind longblob,
	ADD COLUMN level longblob,
	ADD COLUMN label longblob,
	ADD COLUMN incident longblob,
	ADD COLUMN said longblob,
	ADD KEY segmentguard_log_action (action, id, at)`, "!segmentguard_log.severity"},
		{`CREATE TABLE IF NOT EXISTS segmentguard_incidents (
	id         varbinary(1024) PRIMARY KEY,
	begun      bigint NOT NULL,
	ended      bigint, -- NULL: it goes on
	active     boolean NOT NULL, -- goes on, or the alerter is to be told that it does not
	severity   longblob NOT NULL, -- of its last ring
	level      longblob NOT NULL, -- the same
	job_kind   longblob NOT NULL, -- this and all to store: its cause
	build      longblob NOT NULL,
	site_group longblob NOT NULL,
	listing    boolean NOT NULL,
	stale      boolean NOT NULL,
	store      longblob NOT NULL,
	incident   longblob NOT NULL, -- JSON
	KEY segmentguard_incidents_begun (begun, id),
	KEY segmentguard_incidents_active (active, begun, id)
) ENGINE=InnoDB`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_ledger (
	id       bigint PRIMARY KEY,
	identity longblob NOT NULL -- no other ledger has it
) ENGINE=InnoDB`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_mutes (
	place      bigint PRIMARY KEY,
	segment    varbinary(1024), -- this one alone; NULL: any
	store      varbinary(255) NOT NULL DEFAULT '', -- empty: any
	site_group longblob NOT NULL, -- empty: any
	kind       longblob NOT NULL, -- empty: any
	until      bigint NOT NULL,
	by_whom    longblob NOT NULL,
	mute       longblob NOT NULL -- JSON
) ENGINE=InnoDB`, ""},
		{mySQLOpenAlerts, ""},
	}},
	{version: 7, statements: []statement{
		{`ALTER TABLE segmentguard_segments
	ADD COLUMN store varbinary(255) NOT NULL DEFAULT '',
	DROP COLUMN alert_store,
	DROP PRIMARY KEY,
	ADD PRIMARY KEY (store, segment),
	ADD KEY segmentguard_segments_segment (segment),
	DROP KEY segmentguard_segments_affected,
	ADD KEY segmentguard_segments_affected (affected, store, segment),
	DROP KEY segmentguard_segments_pending,
	ADD KEY segmentguard_segments_pending (alert_pending, store, segment),
	DROP KEY segmentguard_segments_build,
	ADD KEY segmentguard_segments_build (alert_build, store, segment)`, "!segmentguard_segments.store"},
		{`ALTER TABLE segmentguard_log
	ADD COLUMN store varbinary(255) NOT NULL DEFAULT '',
	DROP KEY segmentguard_log_run,
	ADD KEY segmentguard_log_run (run, segment, store)`, "!segmentguard_log.store"},
		{`ALTER TABLE segmentguard_commits
	ADD COLUMN store varbinary(255) NOT NULL DEFAULT '',
	DROP PRIMARY KEY,
	ADD PRIMARY KEY (store, segment)`, "!segmentguard_commits.store"},
		{`ALTER TABLE segmentguard_mutes ADD COLUMN store varbinary(255) NOT NULL DEFAULT ''`, "!segmentguard_mutes.store"},
		{mySQLOpenAlerts, ""},
	}},
	{version: 8}, // states are packed in form 5, which earlier programs do not read
	{version: 9, statements: []statement{
		{`CREATE TABLE IF NOT EXISTS segmentguard_jobs (
	job        varbinary(64) PRIMARY KEY, -- a hash of its ID, which may be long
	segment    varbinary(1024) NOT NULL, -- that it writes
	kind       longblob NOT NULL,
	definition longblob NOT NULL, -- JSON
	KEY segmentguard_jobs_segment (segment, job)
) ENGINE=InnoDB`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_reads (
	segment varbinary(1024) NOT NULL,
	job     varbinary(64) NOT NULL,
	PRIMARY KEY (job, segment),
	KEY segmentguard_reads_segment (segment, job)
) ENGINE=InnoDB`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_sweeps (
	at        bigint NOT NULL, -- microseconds since 1970, UTC
	store     varbinary(255) NOT NULL,
	complete  boolean NOT NULL, -- every segment was seen
	segments  bigint NOT NULL,
	healthy   bigint NOT NULL,
	affected  bigint NOT NULL,
	unwatched bigint NOT NULL, -- nothing was known to judge them by
	missing   bigint NOT NULL, -- known, and not in the store
	PRIMARY KEY (at, store)
) ENGINE=InnoDB`, ""},
	}},
	{version: 10, move: moveSizes, statements: []statement{
		{mySQLSizes, "!segmentguard_segments.size_users"},
		{`CREATE OR REPLACE VIEW segmentguard_sizes AS
SELECT CONVERT(segment USING utf8mb4) AS segment, CONVERT(store USING utf8mb4) AS store, size_users AS users, size_read AS read_users,
	TIMESTAMPADD(MICROSECOND, size_at, '1970-01-01 00:00:00.000000') AS at, live_users, CONVERT(last_run USING utf8mb4) AS run, CONVERT(last_state USING utf8mb4) AS state,
	TIMESTAMPADD(MICROSECOND, last_at, '1970-01-01 00:00:00.000000') AS recorded
FROM segmentguard_segments WHERE size_at IS NOT NULL OR last_state IS NOT NULL`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_plans (
	plan    varbinary(255) PRIMARY KEY, -- its ID
	at      bigint NOT NULL, -- this and those to why: when it was planned (microseconds since 1970, UTC), by whom and why
	by_whom longblob NOT NULL,
	why     longblob NOT NULL,
	steps   bigint NOT NULL, -- how many it has
	rest    longblob, -- JSON of what could not be ordered; NULL: nothing
	token   varbinary(64) NOT NULL, -- of whoever wrote it
	KEY segmentguard_plans_at (at, plan)
) ENGINE=InnoDB`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_steps (
	plan       varbinary(255),
	number     bigint, -- its place in the plan, from 1
	segment    varbinary(1024) NOT NULL, -- that it makes again
	kind       longblob NOT NULL, -- of its job
	definition longblob NOT NULL, -- JSON
	state      varbinary(16) NOT NULL, -- 'waiting', 'running', 'done', 'failed', 'unverified' or 'cancelled'
	waits      bigint NOT NULL, -- for so many steps that are not done
	run        longblob NOT NULL, -- this and those to ended are of the last one
	attempt    bigint NOT NULL,
	worker     longblob NOT NULL,
	started    bigint,
	ended      bigint,
	error      longblob NOT NULL, -- why it is not done
	blocker    bigint NOT NULL, -- number of the step that failed, for which this one waits; 0: none
	PRIMARY KEY (plan, number),
	KEY segmentguard_steps_state (plan, state, number)
) ENGINE=InnoDB`, ""},
	}},
	{version: 11, statements: []statement{
		{`ALTER TABLE segmentguard_segments
	ADD COLUMN submitted_until bigint,
	ADD KEY segmentguard_segments_submitted (submitted_until, store, segment)`, "!segmentguard_segments.submitted_until"},
	}},
}

// mySQLSizes adds sizeColumns.
const mySQLSizes = `ALTER TABLE segmentguard_segments
	ADD COLUMN size_users bigint,
	ADD COLUMN size_read bigint,
	ADD COLUMN size_at bigint,
	ADD COLUMN live_users bigint,
	ADD COLUMN last_run varbinary(1024),
	ADD COLUMN last_state varbinary(64),
	ADD COLUMN last_at bigint`

const mySQLOpenAlerts = `CREATE OR REPLACE VIEW segmentguard_open_alerts AS
SELECT CONVERT(segment USING utf8mb4) AS segment, CONVERT(alert_site_group USING utf8mb4) AS site_group, CONVERT(store USING utf8mb4) AS store, CONVERT(alert_severity USING utf8mb4) AS severity, CONVERT(alert_kind USING utf8mb4) AS kind, CONVERT(alert_level USING utf8mb4) AS level,
	TIMESTAMPADD(MICROSECOND, alert_since, '1970-01-01 00:00:00.000000') AS since, alert_users AS users, CONVERT(alert_incident USING utf8mb4) AS incident, CONVERT(alert_job_kind USING utf8mb4) AS job_kind, CONVERT(alert_build USING utf8mb4) AS build,
	alert_pending AS pending, JSON_UNQUOTE(JSON_EXTRACT(CONVERT(alert USING utf8mb4), '$.open.text')) AS text
FROM segmentguard_segments WHERE affected = TRUE AND alert_open = TRUE`

func (mySQL) migrations() []migration { return mySQLMigrations }

// conflict knows the errors by the number with which their text begins, whatever
// driver made them. A text that only looks like one of those costs a few tries:
// whatever went wrong, it was rolled back.
func (mySQL) conflict(err error) bool {
	text := err.Error()
	return strings.Contains(text, "Error 1213") || // deadlock
		strings.Contains(text, "Error 1205") // waited too long for a lock
}

func (mySQL) columns(ctx context.Context, s Conn, do func(scanner) error) error {
	return each(ctx, s, `SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name LIKE 'segmentguard\_%'`+noLimit, nil, do)
}

func (mySQL) bind(query string) string { return query }

// lock takes two statements: an INSERT of MySQL's gives back nothing.
func (mySQL) lock(ctx context.Context, s Conn, store string, texts []any, fresh []byte, do func(scanner) error) error {
	args := make([]any, 0, 3*len(texts))
	for _, text := range texts {
		args = append(args, store, text, fresh)
	}
	insert := "INSERT INTO segmentguard_segments (store, segment, state) VALUES " + list("(?, ?, ?)", len(texts)) + " ON DUPLICATE KEY UPDATE segment = VALUES(segment)"
	if _, err := s.Exec(ctx, insert, args...); err != nil {
		return err
	}
	locked := "SELECT " + rowColumns + " FROM segmentguard_segments WHERE store = ? AND segment IN (" + list("?", len(texts)) + ")" + noLimit + " FOR UPDATE"
	return each(ctx, s, locked, append([]any{store}, texts...), do)
}

// latest reads with a lock: in a job's transaction that read before, nothing else
// sees what others committed since.
func (mySQL) latest(query string) string { return query + " FOR UPDATE" }

// after says it so that MySQL finds the rows by an index, which it does not by (store,
// segment) > (?, ?).
func (mySQL) after(store, segment string) (string, []any) {
	return "(store > ? OR store = ? AND segment > ?)", []any{store, store, segment}
}

func (mySQL) forUpdate(query string) string { return query + " FOR UPDATE" }

func (mySQL) unlimited() string { return noLimit }

func (mySQL) overwrite(_ string, columns []string) string {
	updates := make([]string, len(columns))
	for i, c := range columns {
		updates[i] = c + " = VALUES(" + c + ")"
	}
	return " ON DUPLICATE KEY UPDATE " + strings.Join(updates, ", ")
}

// prune names no rows by id: MySQL does not read from what it deletes from.
func (mySQL) prune() string {
	return "DELETE FROM segmentguard_log WHERE " + pruneable + " LIMIT ?"
}

func (mySQL) time(t time.Time) any { return microseconds(t) }

func (mySQL) storable(string, string) error { return nil }

// longestKey is as long as two keys and a number can be in an index of InnoDB.
const longestKey = 1024

func (mySQL) storableKey(field, text string) error {
	if len(text) > longestKey {
		return badInput(field, fmt.Sprintf("of %d bytes", len(text)), fmt.Sprintf("%d bytes at most, as MySQL indexes no more", longestKey))
	}
	return nil
}

// lockCommit leaves a row that is there as it is: one that was written would be seen
// by a transaction that sees nothing else of what others committed since.
func (d mySQL) lockCommit(ctx context.Context, s Conn, key []any, insert string, fresh []any) error {
	for range 2 {
		locked := false
		err := each(ctx, s, d.latest("SELECT segment FROM segmentguard_commits WHERE store = ? AND segment = ?"), key, func(scan scanner) error {
			locked = true
			return scan(new([]byte))
		})
		if err != nil || locked {
			return err
		}
		if _, err := s.Exec(ctx, "INSERT IGNORE "+insert, fresh...); err != nil {
			return err
		}
	}
	return nil
}

func (mySQL) beforeLock(context.Context, Conn) error { return nil }

func (mySQL) now() string { return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))" }

// overtaken knows deadlocks, and rows that changed since a snapshot was taken
// (innodb_snapshot_isolation of MariaDB).
func (mySQL) overtaken(err error) bool {
	text := err.Error()
	return strings.Contains(text, "Error 1213") || strings.Contains(text, "Error 1020") || strings.Contains(text, "(40001)")
}

func (mySQL) busy(err error) bool { return strings.Contains(err.Error(), "Error 1205") }

// unfit knows what is denied (1044, 1045, 1142, 1143), databases, tables and columns
// that are missing (1049, 1146, 1054), and names too long (1406).
func (mySQL) unfit(err error) bool {
	return slices.ContainsFunc([]string{"1044", "1045", "1142", "1143", "1049", "1146", "1054", "1406"}, func(number string) bool {
		return strings.Contains(err.Error(), "Error "+number)
	})
}

// holder names the oldest transaction that holds locks, as MySQL does not tell of
// which rows they are. It tells only those with the right PROCESS.
func (mySQL) holder(ctx context.Context, s Conn, _ []any) string {
	return ask(ctx, s, `SELECT CONCAT('the oldest transaction that holds locks is of connection ', t.trx_mysql_thread_id, coalesce(CONCAT(', ', p.user, '@', p.host), ''),
	', since ', DATE_FORMAT(CONVERT_TZ(t.trx_started, @@session.time_zone, '+00:00'), '%Y-%m-%dT%H:%i:%sZ'))
FROM information_schema.innodb_trx t LEFT JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
WHERE t.trx_rows_locked > 0 AND t.trx_state <> 'LOCK WAIT' ORDER BY t.trx_started LIMIT 1`)
}

func (mySQL) oneWriter() bool { return false }
