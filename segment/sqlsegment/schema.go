package sqlsegment

// segmentguard_runs holds one row a run, with its newest attempt: what attempts
// compare, swap and wait for. segmentguard_attempts is a log; the last row of an
// attempt is its state. Ids compare by their bytes, as they do in Go.

var schemaPostgreSQL = []string{
	`CREATE TABLE IF NOT EXISTS segmentguard_runs (
	segment text COLLATE "C" NOT NULL,
	run     text COLLATE "C" NOT NULL,
	attempt bigint NOT NULL,
	PRIMARY KEY (segment, run)
)`,
	`CREATE TABLE IF NOT EXISTS segmentguard_attempts (
	id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	segment     text COLLATE "C" NOT NULL,
	run         text COLLATE "C" NOT NULL,
	attempt     bigint NOT NULL,
	state       text NOT NULL,
	job         text COLLATE "C" NOT NULL,
	kind        text NOT NULL,
	build       text NOT NULL,
	users       bigint NOT NULL,
	read_users  bigint NOT NULL,
	at          timestamptz NOT NULL,
	in_baseline boolean NOT NULL,
	report      json NOT NULL
)`,
	indexAttempts,
	indexSizes,
}

var schemaSQLite = []string{
	`CREATE TABLE IF NOT EXISTS segmentguard_runs (
	segment TEXT NOT NULL,
	run     TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	PRIMARY KEY (segment, run)
) WITHOUT ROWID`,
	`CREATE TABLE IF NOT EXISTS segmentguard_attempts (
	id          INTEGER PRIMARY KEY,
	segment     TEXT NOT NULL,
	run         TEXT NOT NULL,
	attempt     INTEGER NOT NULL,
	state       TEXT NOT NULL,
	job         TEXT NOT NULL,
	kind        TEXT NOT NULL,
	build       TEXT NOT NULL,
	users       INTEGER NOT NULL,
	read_users  INTEGER NOT NULL,
	at          INTEGER NOT NULL, -- microseconds since 1970, UTC
	in_baseline INTEGER NOT NULL,
	report      TEXT NOT NULL
)`,
	indexAttempts,
	indexSizes,
}

const (
	indexAttempts = `CREATE INDEX IF NOT EXISTS segmentguard_attempts_run ON segmentguard_attempts (segment, run, attempt)`
	indexSizes    = `CREATE INDEX IF NOT EXISTS segmentguard_attempts_sizes ON segmentguard_attempts (segment, at, id) WHERE in_baseline`
)
