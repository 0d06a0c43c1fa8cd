package sqlsegment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/segmentguard/segmentguard/segment/sqlsegment/internal/difference"
	"github.com/segmentguard/segmentguard/validate"
)

// postgreSQL is the dialect of PostgreSQL 12 and later.
type postgreSQL struct{}

func (postgreSQL) canonical(kind string) string {
	switch kind {
	case "BYTEA":
		return "encode(id, 'hex')"
	case "TEXT", "VARCHAR", "BPCHAR", "NAME", "UUID", "INT2", "INT4", "INT8":
		return "id::text"
	}
	return ""
}

func (postgreSQL) count(u *Users, _ column, fresh string) string { return countIDs(u, fresh) }

// sum puts a fence, OFFSET 0, after Portable's hashes: without it they are made
// anew for each sum. It also keeps them in one process, so Native does without.
func (postgreSQL) sum(u *Users, f formula, c column, fresh string) string {
	return sumHashes(u, f, c, fresh)
}

func (postgreSQL) read(u *Users, c column) string { return readIDs(u, c) }

// cells reads the users once for all three parts. Without the fences, OFFSET 0, it would
// hash them anew for each sum. & and >> bind alike, from the left, and + binds before
// them.
func (postgreSQL) cells(u *Users, f formula, c column, size int) (string, []lane) {
	with, from := source(u)
	places := make([]string, 3)
	for i := range places {
		places[i] = fmt.Sprintf("%d + (b >> %d & %d) AS p%d", i*size, i*difference.PositionBits, size-1, i)
	}
	return fmt.Sprintf(`%[1]sSELECT coalesce(p0, p1, p2), count(*), sum(a)::text, sum(b)::text, sum(x * (x + 1) + y * (y + 1))::text FROM (
SELECT a, b, a >> 32 AS x, (a & 4294967295) - 2147483648 AS y, %[2]s FROM (
SELECT %[3]s AS a, %[4]s AS b FROM (SELECT %[5]s AS h FROM (SELECT %[6]s AS id FROM %[7]s) AS c%[8]s) AS q OFFSET 0) AS k OFFSET 0) AS p
GROUP BY GROUPING SETS ((p0), (p1), (p2))`,
		with, strings.Join(places, ", "), f.a, f.b, f.hold, cmp.Or(f.of, c.canonical), from, f.fence), []lane{{0, 0}, {1, 0}, {2, 0}}
}

// find joins the keys: before version 14, IN compares with each of a list.
func (postgreSQL) find(u *Users, f formula, c column, among string) string {
	with, from := source(u)
	return fmt.Sprintf(`%[1]sSELECT convert_to(t, 'UTF8'), a, %[2]s, count(*) FROM (SELECT t, h, %[3]s AS a FROM (
SELECT t, %[4]s AS h FROM (SELECT %[5]s AS t, %[6]s AS id FROM %[7]s) AS c%[8]s) AS q) AS k
WHERE a IN (SELECT unnest('{%[9]s}'::bigint[])) GROUP BY 1, 2, 3`,
		with, f.b, f.a, f.hold, c.canonical, cmp.Or(f.of, c.canonical), from, f.fence, among)
}

// list sorts bytes in UTF-8, whatever the database's encoding.
func (postgreSQL) list(l *Listing, columns []string, fresh string) string {
	s := listingSQL{text: "%s::text", id: standardID, bytes: "convert_to(%s, 'UTF8')"}
	return s.listNamed(l, columns, fresh)
}

func (postgreSQL) native(kind string) formula {
	switch {
	case kind == "UUID": // making text of it would cost more than all the rest
		return postgreSQLHash("uuid_hash_extended", "id", "id")
	case strings.HasPrefix(kind, "INT"):
		return postgreSQLHash("hashint8extended", "id::bigint", "id")
	}
	return postgreSQLHash("hashtextextended", "", `id COLLATE "C"`)
}

func postgreSQLHash(function, of, hold string) formula {
	return formula{
		a: function + "(h, 0)", b: function + "(h, 1)",
		hash: validate.Hash("postgresql/" + function + "(0,1)"), of: of, hold: hold,
		sums: lanes("coalesce(sum("+function+"(h, %d)), 0)::text", 0, 1),
	}
}

func (postgreSQL) portable() formula {
	return formula{
		hash: validate.MD5, hold: "md5(convert_to(id, 'UTF8'))", fence: " OFFSET 0",
		a: "('x' || substr(h, 1, 16))::bit(64)::bigint", b: "('x' || substr(h, 17, 16))::bit(64)::bigint",
		sums: lanes("coalesce(sum(('x' || substr(h, %d, 8))::bit(32)::bigint), 0)::text", 1, 9, 17, 25),
	}
}

func (postgreSQL) fresh(alone bool) string {
	if alone {
		return "NOT pg_is_in_recovery()"
	}
	return "NOT pg_is_in_recovery() AND current_setting('transaction_isolation') = 'read committed'"
}

func (postgreSQL) checkSession(context.Context, reader) error { return nil }

func (postgreSQL) connect(_ context.Context, pool Pool, do func(Beginner) error) error {
	return do(pool)
}

// migrationKey is the advisory lock under which migrations wait for each other:
// without it, two CREATE TABLE IF NOT EXISTS at once fail on the system catalog.
const migrationKey int64 = 0x7365676d67756172 // "segmguar"

func (postgreSQL) exclusive(ctx context.Context, pool Pool, do func(Conn) error) error {
	return transaction(ctx, pool, func(s Conn) error {
		if _, err := s.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", migrationKey); err != nil {
			return err
		}
		return do(s)
	})
}

// write begins a transaction at READ COMMITTED: a stricter default of the database
// would let transactions fail where they should wait.
func (postgreSQL) write(ctx context.Context, b Beginner, do func(Conn) error) error {
	return transaction(ctx, b, do)
}

var postgreSQLMigrations = []migration{
	{version: 3, move: moveEarlier, statements: []statement{
		{`CREATE TABLE IF NOT EXISTS segmentguard_schema (
	version bigint PRIMARY KEY,
	at      timestamptz NOT NULL
)`, ""},
		{`ALTER TABLE segmentguard_segments RENAME COLUMN packed TO state`, "segmentguard_segments.packed"},
		{`ALTER TABLE segmentguard_segments
	ADD COLUMN affected boolean NOT NULL DEFAULT FALSE,
	ADD COLUMN alert_kind text,
	ADD COLUMN alert_severity text,
	ADD COLUMN alert_since timestamptz,
	ADD COLUMN alert_open boolean NOT NULL DEFAULT FALSE,
	ADD COLUMN alert_pending boolean NOT NULL DEFAULT FALSE,
	ADD COLUMN alert_flapping boolean NOT NULL DEFAULT FALSE,
	ADD COLUMN alert_incident text COLLATE "C",
	ADD COLUMN alert_level text,
	ADD COLUMN alert_users bigint,
	ADD COLUMN alert_site_group text COLLATE "C",
	ADD COLUMN alert_job_kind text,
	ADD COLUMN alert_build text COLLATE "C",
	ADD COLUMN alert json,
	ADD COLUMN size_users bigint,
	ADD COLUMN size_read bigint,
	ADD COLUMN size_at timestamptz,
	ADD COLUMN live_users bigint,
	ADD COLUMN last_run text COLLATE "C",
	ADD COLUMN last_state text,
	ADD COLUMN last_at timestamptz`, "segmentguard_segments.packed"},
		{postgreSQLStores, "segmentguard_segments.packed"},
		{`CREATE TABLE IF NOT EXISTS segmentguard_segments (
	store            text COLLATE "C" NOT NULL DEFAULT '',
	segment          text COLLATE "C",
	state            bytea NOT NULL,
	size_users       bigint, -- this and those to size_at: the last size that others are judged by
	size_read        bigint,
	size_at          timestamptz,
	live_users       bigint, -- NULL: not known
	last_run         text COLLATE "C", -- this and those to last_at: what was recorded last
	last_state       text,
	last_at          timestamptz,
	affected         boolean NOT NULL DEFAULT FALSE, -- an alert is open, or the alerter was told of one
	alert_open       boolean NOT NULL DEFAULT FALSE,
	alert_pending    boolean NOT NULL DEFAULT FALSE, -- the alerter is to be told of something
	alert_flapping   boolean NOT NULL DEFAULT FALSE, -- opened three times within a day
	alert_kind       text, -- this and below: of the alert that is open; kind, severity and level at their worst
	alert_severity   text,
	alert_level      text,
	alert_since      timestamptz,
	alert_users      bigint, -- at stake
	alert_incident   text COLLATE "C", -- that it is a member of
	alert_site_group text COLLATE "C",
	alert_job_kind   text,
	alert_build      text COLLATE "C",
	alert            json,
	PRIMARY KEY (store, segment)
)`, ""},
		{`CREATE INDEX segmentguard_segments_affected ON segmentguard_segments (store, segment) WHERE affected`, ""},
		{`CREATE INDEX segmentguard_segments_segment ON segmentguard_segments (segment)`, ""},
		{`CREATE TABLE segmentguard_log (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	store      text COLLATE "C" NOT NULL DEFAULT '',
	segment    text COLLATE "C" NOT NULL,
	at         timestamptz NOT NULL,
	action     text NOT NULL, -- 'recorded', 'accepted', …
	run        text COLLATE "C" NOT NULL,
	by_whom    text NOT NULL,
	why        text NOT NULL,
	attempt    bigint, -- this and all to settled: of a record; kind and build also of an alert
	state      text,
	job        text,
	kind       text,
	build      text COLLATE "C",
	users      bigint,
	read_users bigint,
	counter    text,
	live       boolean,
	report     json,
	number     bigint,
	overlapped boolean,
	settled    boolean,
	severity   text, -- this and those to label: of an alert
	alert_kind text,
	level      text,
	label      text,
	incident   text, -- that it is about
	said       text
)`, ""},
		{`CREATE INDEX segmentguard_log_segment ON segmentguard_log (segment, id)`, ""},
		{`CREATE INDEX segmentguard_log_run ON segmentguard_log (run, segment, store)`, ""},
		{`CREATE INDEX segmentguard_log_build ON segmentguard_log (build, id)`, ""},
		{`CREATE INDEX segmentguard_log_at ON segmentguard_log (at)`, ""},
	}},
	{version: 4, statements: dropEarlier},
	{version: 5, statements: []statement{
		{`CREATE TABLE IF NOT EXISTS segmentguard_commits (
	store      text COLLATE "C" NOT NULL DEFAULT '',
	segment    text COLLATE "C",
	run        text COLLATE "C" NOT NULL, -- that has the lease; empty: none has
	attempt    bigint NOT NULL,
	since      timestamptz NOT NULL,
	until      timestamptz NOT NULL,
	token      bigint NOT NULL, -- of the lease taken last
	passed     bigint NOT NULL, -- number of a run that has the lease and may be live
	generation bigint NOT NULL, -- how often a run went live
	number     bigint NOT NULL, -- the latest number of a run that went live
	PRIMARY KEY (store, segment)
)`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_numbers (
	id     bigint PRIMARY KEY,
	number bigint NOT NULL -- the last one that a run was given
)`, ""},
		{`INSERT INTO segmentguard_numbers (id, number) VALUES (1, 0) ON CONFLICT (id) DO NOTHING`, ""},
		{`ALTER TABLE segmentguard_log ADD COLUMN number bigint`, "!segmentguard_log.number"},
		{`ALTER TABLE segmentguard_log ADD COLUMN overlapped boolean`, "!segmentguard_log.overlapped"},
		{`ALTER TABLE segmentguard_log ADD COLUMN settled boolean`, "!segmentguard_log.settled"},
	}},
	{version: 6, move: moveToIncidents, statements: []statement{
		{postgreSQLSizes, "!segmentguard_segments.size_users"},
		{postgreSQLStores, "!segmentguard_segments.store"},
		{`DROP INDEX segmentguard_segments_affected`, "!segmentguard_segments.store"},
		{`CREATE INDEX segmentguard_segments_affected ON segmentguard_segments (store, segment) WHERE affected`, "!segmentguard_segments.store"},
		{`CREATE INDEX segmentguard_segments_segment ON segmentguard_segments (segment)`, "!segmentguard_segments.store"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_open boolean NOT NULL DEFAULT FALSE`, "!segmentguard_segments.alert_open"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_pending boolean NOT NULL DEFAULT FALSE`, "!segmentguard_segments.alert_pending"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_flapping boolean NOT NULL DEFAULT FALSE`, "!segmentguard_segments.alert_flapping"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_incident text COLLATE "C"`, "!segmentguard_segments.alert_incident"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_level text`, "!segmentguard_segments.alert_level"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_users bigint`, "!segmentguard_segments.alert_users"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_site_group text COLLATE "C"`, "!segmentguard_segments.alert_site_group"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_job_kind text`, "!segmentguard_segments.alert_job_kind"},
		{`ALTER TABLE segmentguard_segments ADD COLUMN alert_build text COLLATE "C"`, "!segmentguard_segments.alert_build"},
		{`ALTER TABLE segmentguard_log ADD COLUMN severity text`, "!segmentguard_log.severity"},
		{`ALTER TABLE segmentguard_log ADD COLUMN alert_kind text`, "!segmentguard_log.alert_kind"},
		{`ALTER TABLE segmentguard_log ADD COLUMN level text`, "!segmentguard_log.level"},
		{`ALTER TABLE segmentguard_log ADD COLUMN label text`, "!segmentguard_log.label"},
		{`ALTER TABLE segmentguard_log ADD COLUMN incident text`, "!segmentguard_log.incident"},
		{`ALTER TABLE segmentguard_log ADD COLUMN said text`, "!segmentguard_log.said"},
		{`CREATE INDEX segmentguard_segments_pending ON segmentguard_segments (store, segment) WHERE alert_pending`, ""},
		{`CREATE INDEX segmentguard_segments_incident ON segmentguard_segments (alert_incident, alert_site_group, alert_kind, alert_severity, alert_level, alert_users) WHERE alert_incident IS NOT NULL`, ""},
		{`CREATE INDEX segmentguard_segments_build ON segmentguard_segments (alert_build, store, segment) WHERE alert_build IS NOT NULL`, ""},
		{`CREATE INDEX segmentguard_log_action ON segmentguard_log (action, id, at) WHERE action <> 'recorded'`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_incidents (
	id         text COLLATE "C" PRIMARY KEY,
	begun      timestamptz NOT NULL,
	ended      timestamptz, -- NULL: it goes on
	active     boolean NOT NULL, -- goes on, or the alerter is to be told that it does not
	severity   text NOT NULL, -- of its last ring
	level      text NOT NULL, -- the same
	job_kind   text NOT NULL, -- this and all to store: its cause
	build      text NOT NULL,
	site_group text NOT NULL,
	listing    boolean NOT NULL,
	stale      boolean NOT NULL,
	store      text NOT NULL,
	incident   json NOT NULL
)`, ""},
		{`CREATE INDEX segmentguard_incidents_begun ON segmentguard_incidents (begun, id)`, ""},
		{`CREATE INDEX segmentguard_incidents_active ON segmentguard_incidents (begun, id) WHERE active`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_ledger (
	id       bigint PRIMARY KEY,
	identity text NOT NULL -- no other ledger has it
)`, ""},
		{`CREATE TABLE IF NOT EXISTS segmentguard_mutes (
	place      bigint PRIMARY KEY,
	segment    text COLLATE "C", -- this one alone; NULL: any
	store      text NOT NULL DEFAULT '', -- empty: any
	site_group text NOT NULL, -- empty: any
	kind       text NOT NULL, -- empty: any
	until      timestamptz NOT NULL,
	by_whom    text NOT NULL,
	mute       json NOT NULL
)`, ""},
		{postgreSQLOpenAlerts, ""},
	}},
	{version: 7, statements: []statement{
		{`DROP VIEW segmentguard_open_alerts`, "segmentguard_segments.alert_store"},
		{postgreSQLStores, "segmentguard_segments.alert_store"},
		{`ALTER TABLE segmentguard_segments DROP COLUMN alert_store`, "segmentguard_segments.alert_store"},
		{`DROP INDEX segmentguard_segments_affected, segmentguard_segments_pending, segmentguard_segments_build`, "segmentguard_segments.alert_store"},
		{`CREATE INDEX segmentguard_segments_affected ON segmentguard_segments (store, segment) WHERE affected`, "segmentguard_segments.alert_store"},
		{`CREATE INDEX segmentguard_segments_pending ON segmentguard_segments (store, segment) WHERE alert_pending`, "segmentguard_segments.alert_store"},
		{`CREATE INDEX segmentguard_segments_build ON segmentguard_segments (alert_build, store, segment) WHERE alert_build IS NOT NULL`, "segmentguard_segments.alert_store"},
		{`CREATE INDEX segmentguard_segments_segment ON segmentguard_segments (segment)`, "segmentguard_segments.alert_store"},
		{postgreSQLOpenAlerts, "segmentguard_segments.alert_store"},
		{`ALTER TABLE segmentguard_log ADD COLUMN store text COLLATE "C" NOT NULL DEFAULT ''`, "!segmentguard_log.store"},
		{`DROP INDEX segmentguard_log_run`, "!segmentguard_log.store"},
		{`CREATE INDEX segmentguard_log_run ON segmentguard_log (run, segment, store)`, "!segmentguard_log.store"},
		{`ALTER TABLE segmentguard_commits
	ADD COLUMN store text COLLATE "C" NOT NULL DEFAULT '',
	DROP CONSTRAINT segmentguard_commits_pkey,
	ADD PRIMARY KEY (store, segment)`, "!segmentguard_commits.store"},
		{`ALTER TABLE segmentguard_mutes ADD COLUMN store text NOT NULL DEFAULT ''`, "!segmentguard_mutes.store"},
	}},
	{version: 8}, // states are packed in form 5, which earlier programs do not read
	{version: 9, statements: []statement{
		{`CREATE INDEX segmentguard_segments_gravest ON segmentguard_segments (alert_severity, alert_level, alert_kind, store, segment) WHERE affected AND alert_open`, ""},
		{`CREATE TABLE segmentguard_sweeps (
	at        timestamptz NOT NULL,
	store     text COLLATE "C" NOT NULL,
	complete  boolean NOT NULL, -- every segment was seen
	segments  bigint NOT NULL,
	healthy   bigint NOT NULL,
	affected  bigint NOT NULL,
	unwatched bigint NOT NULL, -- nothing was known to judge them by
	missing   bigint NOT NULL, -- known, and not in the store
	PRIMARY KEY (at, store)
)`, ""},
		{`CREATE TABLE segmentguard_jobs (
	job        text COLLATE "C" PRIMARY KEY, -- a hash of its ID, which may be long
	segment    text COLLATE "C" NOT NULL, -- that it writes
	kind       text NOT NULL,
	definition text NOT NULL -- JSON
)`, ""},
		{`CREATE INDEX segmentguard_jobs_segment ON segmentguard_jobs (segment, job)`, ""},
		{`CREATE TABLE segmentguard_reads (
	segment text COLLATE "C" NOT NULL,
	job     text COLLATE "C" NOT NULL,
	PRIMARY KEY (job, segment)
)`, ""},
		{`CREATE INDEX segmentguard_reads_segment ON segmentguard_reads (segment, job)`, ""},
	}},
	{version: 10, move: moveSizes, statements: []statement{
		{postgreSQLSizes, "!segmentguard_segments.size_users"},
		{`CREATE OR REPLACE VIEW segmentguard_sizes AS
SELECT segment, store, size_users AS users, size_read AS read_users, size_at AS at, live_users, last_run AS run, last_state AS state, last_at AS recorded
FROM segmentguard_segments WHERE size_at IS NOT NULL OR last_state IS NOT NULL`, ""},
		{`CREATE TABLE segmentguard_plans (
	plan    text COLLATE "C" PRIMARY KEY, -- its ID
	at      timestamptz NOT NULL, -- this and those to why: when it was planned, by whom and why
	by_whom text NOT NULL,
	why     text NOT NULL,
	steps   bigint NOT NULL, -- how many it has
	rest    text, -- JSON of what could not be ordered; NULL: nothing
	token   text NOT NULL -- of whoever wrote it
)`, ""},
		{`CREATE INDEX segmentguard_plans_at ON segmentguard_plans (at, plan)`, ""},
		{`CREATE TABLE segmentguard_steps (
	plan       text COLLATE "C",
	number     bigint, -- its place in the plan, from 1
	segment    text COLLATE "C" NOT NULL, -- that it makes again
	kind       text NOT NULL, -- of its job
	definition text NOT NULL, -- JSON
	state      text NOT NULL, -- 'waiting', 'running', 'done', 'failed', 'unverified' or 'cancelled'
	waits      bigint NOT NULL, -- for so many steps that are not done
	run        text NOT NULL, -- this and those to ended are of the last one
	attempt    bigint NOT NULL,
	worker     text NOT NULL,
	started    timestamptz,
	ended      timestamptz,
	error      text NOT NULL, -- why it is not done
	blocker    bigint NOT NULL, -- number of the step that failed, for which this one waits; 0: none
	PRIMARY KEY (plan, number)
)`, ""},
		{`CREATE INDEX segmentguard_steps_state ON segmentguard_steps (plan, state, number)`, ""},
	}},
	{version: 11, statements: []statement{
		{`ALTER TABLE segmentguard_segments ADD COLUMN submitted_until timestamptz`, "!segmentguard_segments.submitted_until"},
		{`CREATE INDEX segmentguard_segments_submitted ON segmentguard_segments (store, segment) WHERE submitted_until IS NOT NULL`, ""},
	}},
}

// postgreSQLSizes adds sizeColumns.
const postgreSQLSizes = `ALTER TABLE segmentguard_segments
	ADD COLUMN size_users bigint,
	ADD COLUMN size_read bigint,
	ADD COLUMN size_at timestamptz,
	ADD COLUMN live_users bigint,
	ADD COLUMN last_run text COLLATE "C",
	ADD COLUMN last_state text,
	ADD COLUMN last_at timestamptz`

// postgreSQLStores makes the store a part of the key.
const postgreSQLStores = `ALTER TABLE segmentguard_segments
	ADD COLUMN store text COLLATE "C" NOT NULL DEFAULT '',
	DROP CONSTRAINT segmentguard_segments_pkey,
	ADD PRIMARY KEY (store, segment)`

const postgreSQLOpenAlerts = `CREATE OR REPLACE VIEW segmentguard_open_alerts AS
SELECT segment, alert_site_group AS site_group, store, alert_severity AS severity, alert_kind AS kind, alert_level AS level, alert_since AS since,
	alert_users AS users, alert_incident AS incident, alert_job_kind AS job_kind, alert_build AS build, alert_pending AS pending, alert -> 'open' ->> 'text' AS text
FROM segmentguard_segments WHERE affected AND alert_open`

func (postgreSQL) migrations() []migration { return postgreSQLMigrations }

// conflict knows the errors by their SQLSTATE, whatever driver made them.
func (postgreSQL) conflict(err error) bool {
	var state interface{ SQLState() string }
	return errors.As(err, &state) && (state.SQLState() == "40001" || state.SQLState() == "40P01")
}

// columns yields those of the tables that unqualified names mean.
func (postgreSQL) columns(ctx context.Context, s Conn, do func(scanner) error) error {
	return each(ctx, s, `SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relname LIKE 'segmentguard\_%' AND c.oid = to_regclass(quote_ident(c.relname)) AND c.relkind IN ('r', 'p', 'v')
	AND a.attnum > 0 AND NOT a.attisdropped`, nil, do)
}

func (postgreSQL) bind(query string) string {
	var b strings.Builder
	for i, part := range strings.Split(query, "?") {
		if i > 0 {
			b.WriteString("$" + strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	return b.String()
}

func (d postgreSQL) lock(ctx context.Context, s Conn, store string, texts []any, fresh []byte, do func(scanner) error) error {
	return lockByInsert(ctx, s, d, store, texts, fresh, do)
}

func (postgreSQL) latest(query string) string { return query }

func (postgreSQL) after(store, segment string) (string, []any) {
	return "(store, segment) > (?, ?)", []any{store, segment}
}

func (postgreSQL) forUpdate(query string) string { return query + " FOR UPDATE" }

func (postgreSQL) unlimited() string { return "" }

func (postgreSQL) overwrite(key string, columns []string) string { return onConflict(key, columns) }

func (postgreSQL) prune() string { return pruneByID }

func (postgreSQL) time(t time.Time) any { return t.UTC().Truncate(time.Microsecond) }

func (postgreSQL) storable(field, text string) error {
	switch {
	case !utf8.ValidString(text):
		return badInput(field, strconv.QuoteToASCII(text), "UTF-8, as PostgreSQL takes no other text")
	case strings.ContainsRune(text, 0):
		return badInput(field, strconv.QuoteToASCII(text), "no NUL in it, as PostgreSQL takes none in a text")
	}
	return nil
}

func (d postgreSQL) storableKey(field, text string) error { return d.storable(field, text) }

func (d postgreSQL) lockCommit(ctx context.Context, s Conn, _ []any, insert string, fresh []any) error {
	_, err := s.Exec(ctx, d.bind("INSERT "+insert+" ON CONFLICT (store, segment) DO UPDATE SET segment = excluded.segment"), fresh...)
	return err
}

// beforeLock has the server end the transaction of a client that is gone without a
// word, unless the session has a bound already.
func (postgreSQL) beforeLock(ctx context.Context, s Conn) error {
	_, err := s.Exec(ctx, `SELECT set_config('idle_in_transaction_session_timeout', '5min', true)
WHERE current_setting('idle_in_transaction_session_timeout') = '0'`)
	return err
}

func (postgreSQL) now() string { return "clock_timestamp()" }

func (d postgreSQL) overtaken(err error) bool { return d.conflict(err) }

func (postgreSQL) busy(err error) bool {
	var state interface{ SQLState() string }
	return errors.As(err, &state) && state.SQLState() == "55P03" // lock_timeout
}

// unfit knows missing rights, databases, schemas, tables and columns, a log-in that is
// refused, and names too long for an index (54000).
func (postgreSQL) unfit(err error) bool {
	var state interface{ SQLState() string }
	return errors.As(err, &state) && slices.Contains([]string{"42501", "42P01", "42703", "28000", "28P01", "3D000", "3F000", "54000"}, state.SQLState())
}

// holder asks whose transaction the row's last lock is of. What other users do,
// PostgreSQL tells members of pg_read_all_stats only.
func (d postgreSQL) holder(ctx context.Context, s Conn, key []any) string {
	return ask(ctx, s, `SELECT 'its commit row is held by a transaction of process ' || a.pid || coalesce(', ' || nullif(a.application_name, ''), '')
	|| coalesce(' at ' || host(a.client_addr), '') || ', ' || a.state || ', since ' || to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM segmentguard_commits c JOIN pg_stat_activity a ON a.backend_xid = c.xmax WHERE c.store = $1 AND c.segment = $2 AND a.pid <> pg_backend_pid()`, key...)
}

func (postgreSQL) oneWriter() bool { return false }
