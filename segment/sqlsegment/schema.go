package sqlsegment

// segmentguard_segments holds one row a segment: what is at hand of it, packed,
// and what those who record wait for. segmentguard_attempts is a log; the last
// row of an attempt is its state. segmentguard_alerts holds what is wrong and
// what people were told, segmentguard_words what humans said of sizes. Ids
// compare by their bytes, as they do in Go.

// lastTable is made last.
const lastTable = "segmentguard_words"

var schemas = map[Dialect][]string{
	PostgreSQL: {
		`CREATE TABLE IF NOT EXISTS segmentguard_segments (
	segment text COLLATE "C" PRIMARY KEY,
	packed  bytea NOT NULL
)`,
		`CREATE TABLE IF NOT EXISTS segmentguard_attempts (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	segment    text COLLATE "C" NOT NULL,
	run        text COLLATE "C" NOT NULL,
	attempt    bigint NOT NULL,
	state      text NOT NULL,
	job        text NOT NULL,
	kind       text NOT NULL,
	build      text NOT NULL,
	users      bigint NOT NULL,
	read_users bigint NOT NULL,
	counter    text NOT NULL,
	at         timestamptz NOT NULL,
	report     json NOT NULL
)`,
		`CREATE INDEX IF NOT EXISTS segmentguard_attempts_run ON segmentguard_attempts (segment, run, attempt, id)`,
		`CREATE INDEX IF NOT EXISTS segmentguard_attempts_at ON segmentguard_attempts (at)`,
		`CREATE TABLE IF NOT EXISTS segmentguard_alerts (
	segment text COLLATE "C" PRIMARY KEY,
	state   text NOT NULL
)`,
		`CREATE TABLE IF NOT EXISTS segmentguard_words (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	segment text COLLATE "C" NOT NULL,
	run     text NOT NULL,
	word    text NOT NULL, -- 'accepted' or 'suspected'
	by_whom text NOT NULL,
	why     text NOT NULL,
	at      timestamptz NOT NULL
)`,
	},
	SQLite: {
		`CREATE TABLE IF NOT EXISTS segmentguard_segments (
	segment TEXT PRIMARY KEY,
	packed  BLOB NOT NULL
) WITHOUT ROWID`,
		`CREATE TABLE IF NOT EXISTS segmentguard_attempts (
	id         INTEGER PRIMARY KEY,
	segment    TEXT NOT NULL,
	run        TEXT NOT NULL,
	attempt    INTEGER NOT NULL,
	state      TEXT NOT NULL,
	job        TEXT NOT NULL,
	kind       TEXT NOT NULL,
	build      TEXT NOT NULL,
	users      INTEGER NOT NULL,
	read_users INTEGER NOT NULL,
	counter    TEXT NOT NULL,
	at         INTEGER NOT NULL, -- microseconds since 1970, UTC
	report     TEXT NOT NULL
)`,
		`CREATE INDEX IF NOT EXISTS segmentguard_attempts_run ON segmentguard_attempts (segment, run, attempt, id)`,
		`CREATE INDEX IF NOT EXISTS segmentguard_attempts_at ON segmentguard_attempts (at)`,
		`CREATE TABLE IF NOT EXISTS segmentguard_alerts (
	segment TEXT PRIMARY KEY,
	state   TEXT NOT NULL
) WITHOUT ROWID`,
		`CREATE TABLE IF NOT EXISTS segmentguard_words (
	id      INTEGER PRIMARY KEY,
	segment TEXT NOT NULL,
	run     TEXT NOT NULL,
	word    TEXT NOT NULL, -- 'accepted' or 'suspected'
	by_whom TEXT NOT NULL,
	why     TEXT NOT NULL,
	at      INTEGER NOT NULL
)`,
	},
	MySQL: { // bytes, not characters: no collation takes one id for another
		`CREATE TABLE IF NOT EXISTS segmentguard_segments (
	segment varbinary(1024) PRIMARY KEY,
	packed  longblob NOT NULL
) ENGINE=InnoDB`,
		`CREATE TABLE IF NOT EXISTS segmentguard_attempts (
	id         bigint AUTO_INCREMENT PRIMARY KEY,
	segment    varbinary(1024) NOT NULL,
	run        varbinary(1024) NOT NULL,
	attempt    bigint NOT NULL,
	state      varbinary(32) NOT NULL,
	job        longblob NOT NULL,
	kind       longblob NOT NULL,
	build      longblob NOT NULL,
	users      bigint NOT NULL,
	read_users bigint NOT NULL,
	counter    longblob NOT NULL,
	at         bigint NOT NULL, -- microseconds since 1970, UTC
	report     longblob NOT NULL,
	KEY segmentguard_attempts_run (segment, run, attempt, id),
	KEY segmentguard_attempts_at (at)
) ENGINE=InnoDB`,
		`CREATE TABLE IF NOT EXISTS segmentguard_alerts (
	segment varbinary(1024) PRIMARY KEY,
	state   longblob NOT NULL
) ENGINE=InnoDB`,
		`CREATE TABLE IF NOT EXISTS segmentguard_words (
	id      bigint AUTO_INCREMENT PRIMARY KEY,
	segment varbinary(1024) NOT NULL,
	run     varbinary(1024) NOT NULL,
	word    varbinary(32) NOT NULL, -- 'accepted' or 'suspected'
	by_whom longblob NOT NULL,
	why     longblob NOT NULL,
	at      bigint NOT NULL
) ENGINE=InnoDB`,
	},
}
