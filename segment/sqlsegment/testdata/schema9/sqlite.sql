-- The schema of version 9, as its program made and filled it.
CREATE TABLE IF NOT EXISTS segmentguard_schema (
	version INTEGER PRIMARY KEY,
	at      INTEGER NOT NULL -- microseconds since 1970, UTC
);
CREATE TABLE IF NOT EXISTS segmentguard_segments (
	store            TEXT NOT NULL DEFAULT '',
	segment          TEXT NOT NULL,
	state            BLOB NOT NULL,
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
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS segmentguard_segments_affected ON segmentguard_segments (store, segment) WHERE affected = TRUE;
CREATE INDEX IF NOT EXISTS segmentguard_segments_segment ON segmentguard_segments (segment);
CREATE TABLE segmentguard_log (
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
);
CREATE INDEX segmentguard_log_segment ON segmentguard_log (segment, id);
CREATE INDEX segmentguard_log_run ON segmentguard_log (run, segment, store);
CREATE INDEX segmentguard_log_build ON segmentguard_log (build, id);
CREATE INDEX segmentguard_log_at ON segmentguard_log (at);
INSERT INTO segmentguard_schema (version, at) VALUES (3, 1710758640000000);
DROP TABLE IF EXISTS segmentguard_attempts;
DROP TABLE IF EXISTS segmentguard_words;
DROP TABLE IF EXISTS segmentguard_alerts;
DROP TABLE IF EXISTS segmentguard_runs;
INSERT INTO segmentguard_schema (version, at) VALUES (4, 1710758640000000);
CREATE TABLE IF NOT EXISTS segmentguard_commits (
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
);
CREATE TABLE IF NOT EXISTS segmentguard_numbers (
	id     INTEGER PRIMARY KEY,
	number INTEGER NOT NULL -- the last one that a run was given
);
INSERT INTO segmentguard_numbers (id, number) VALUES (1, 0) ON CONFLICT (id) DO NOTHING;
INSERT INTO segmentguard_schema (version, at) VALUES (5, 1710758640000000);
CREATE INDEX segmentguard_segments_pending ON segmentguard_segments (store, segment) WHERE alert_pending = TRUE;
CREATE INDEX segmentguard_segments_incident ON segmentguard_segments (alert_incident, alert_site_group, alert_kind, alert_severity, alert_level, alert_users) WHERE alert_incident IS NOT NULL;
CREATE INDEX segmentguard_segments_build ON segmentguard_segments (alert_build, store, segment) WHERE alert_build IS NOT NULL;
CREATE INDEX segmentguard_log_action ON segmentguard_log (action, id, at) WHERE action <> 'recorded';
CREATE TABLE IF NOT EXISTS segmentguard_incidents (
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
);
CREATE INDEX segmentguard_incidents_begun ON segmentguard_incidents (begun, id);
CREATE INDEX segmentguard_incidents_active ON segmentguard_incidents (begun, id) WHERE active = TRUE;
CREATE TABLE IF NOT EXISTS segmentguard_ledger (
	id       INTEGER PRIMARY KEY,
	identity TEXT NOT NULL -- no other ledger has it
);
CREATE TABLE IF NOT EXISTS segmentguard_mutes (
	place      INTEGER PRIMARY KEY,
	segment    TEXT, -- this one alone; NULL: any
	store      TEXT NOT NULL DEFAULT '', -- empty: any
	site_group TEXT NOT NULL, -- empty: any
	kind       TEXT NOT NULL, -- empty: any
	until      INTEGER NOT NULL,
	by_whom    TEXT NOT NULL,
	mute       TEXT NOT NULL -- JSON
);
CREATE VIEW IF NOT EXISTS segmentguard_open_alerts AS
SELECT segment, alert_site_group AS site_group, store, alert_severity AS severity, alert_kind AS kind, alert_level AS level,
	strftime('%Y-%m-%d %H:%M:%f', alert_since / 1e6, 'unixepoch') AS since, alert_users AS users, alert_incident AS incident, alert_job_kind AS job_kind, alert_build AS build,
	alert_pending AS pending, json_extract(alert, '$.open.text') AS text
FROM segmentguard_segments WHERE affected = TRUE AND alert_open = TRUE;
INSERT INTO segmentguard_ledger (id, identity) VALUES (1, 'LEDGEROFVERSION9') ON CONFLICT (id) DO UPDATE SET id = excluded.id;
INSERT INTO segmentguard_schema (version, at) VALUES (6, 1710758640000000);
CREATE VIEW IF NOT EXISTS segmentguard_open_alerts AS
SELECT segment, alert_site_group AS site_group, store, alert_severity AS severity, alert_kind AS kind, alert_level AS level,
	strftime('%Y-%m-%d %H:%M:%f', alert_since / 1e6, 'unixepoch') AS since, alert_users AS users, alert_incident AS incident, alert_job_kind AS job_kind, alert_build AS build,
	alert_pending AS pending, json_extract(alert, '$.open.text') AS text
FROM segmentguard_segments WHERE affected = TRUE AND alert_open = TRUE;
INSERT INTO segmentguard_schema (version, at) VALUES (7, 1710758640000000);
INSERT INTO segmentguard_schema (version, at) VALUES (8, 1710758640000000);
CREATE INDEX segmentguard_segments_gravest ON segmentguard_segments (alert_severity, alert_level, alert_kind, store, segment) WHERE affected = TRUE AND alert_open = TRUE;
CREATE TABLE segmentguard_sweeps (
	at        INTEGER NOT NULL,
	store     TEXT NOT NULL,
	complete  INTEGER NOT NULL, -- every segment was seen
	segments  INTEGER NOT NULL,
	healthy   INTEGER NOT NULL,
	affected  INTEGER NOT NULL,
	unwatched INTEGER NOT NULL, -- nothing was known to judge them by
	missing   INTEGER NOT NULL, -- known, and not in the store
	PRIMARY KEY (at, store)
) WITHOUT ROWID;
CREATE TABLE segmentguard_jobs (
	job        TEXT PRIMARY KEY, -- a hash of its ID, which may be long
	segment    TEXT NOT NULL, -- that it writes
	kind       TEXT NOT NULL,
	definition TEXT NOT NULL -- JSON
) WITHOUT ROWID;
CREATE INDEX segmentguard_jobs_segment ON segmentguard_jobs (segment, job);
CREATE TABLE segmentguard_reads (
	segment TEXT NOT NULL,
	job     TEXT NOT NULL,
	PRIMARY KEY (job, segment)
) WITHOUT ROWID;
CREATE INDEX segmentguard_reads_segment ON segmentguard_reads (segment, job);
INSERT INTO segmentguard_schema (version, at) VALUES (9, 1710758640000000);
INSERT INTO segmentguard_commits (store, segment, run, attempt, since, until, token, passed, generation, number) VALUES ('', 'site%2Fa/cars', '', 0, -62135596800000000, -62135596800000000, 0, 0, 0, 0) ON CONFLICT (store, segment) DO UPDATE SET segment = excluded.segment;
UPDATE segmentguard_commits SET run = '', attempt = 0, since = -62135596800000000, until = -62135596800000000, token = 0, passed = 0, generation = 1, number = 0 WHERE store = '' AND segment = 'site%2Fa/cars';
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('', 'site%2Fa/cars', x'050000000029a7269d') ON CONFLICT (store, segment) DO UPDATE SET segment = excluded.segment;
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('', 'site%2Fa/cars', x'058a04020a696e6465780280f9d390a1fb8906d00fd20f040c6d6f6e6461790280f9d390a1fb89060280f9d390a1fb89060000000280f9d390a1fb89060c6d6f6e64617912636f6d6d697474656408636f707908636f70790476310a696e64657802d00fd20f80f9d390a1fb890600d00fd20f0a696e64657880f9d390a1fb89060086695c6d', FALSE, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) ON CONFLICT (store, segment) DO UPDATE SET state = excluded.state, affected = excluded.affected, alert_open = excluded.alert_open, alert_pending = excluded.alert_pending, alert_flapping = excluded.alert_flapping, alert_incident = excluded.alert_incident, alert_kind = excluded.alert_kind, alert_severity = excluded.alert_severity, alert_level = excluded.alert_level, alert_since = excluded.alert_since, alert_users = excluded.alert_users, alert_site_group = excluded.alert_site_group, alert_job_kind = excluded.alert_job_kind, alert_build = excluded.alert_build, alert = excluded.alert;
INSERT INTO segmentguard_log (store, segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled, severity, alert_kind, level, label, incident, said) VALUES ('', 'site%2Fa/cars', 1710758640123456, 'recorded', 'monday', '', '', 1, 'committed', 'copy', 'copy', 'v1', 1000, 1001, 'index', FALSE, '{"verdict":"passed","name":"g/s","expected":{"users":5},"read":null,"written":null,"stored":{"users":5},"vouched":true}', 0, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO segmentguard_commits (store, segment, run, attempt, since, until, token, passed, generation, number) VALUES ('', 'site%2Fa/cars', '', 0, -62135596800000000, -62135596800000000, 0, 0, 0, 0) ON CONFLICT (store, segment) DO UPDATE SET segment = excluded.segment;
UPDATE segmentguard_commits SET run = '', attempt = 0, since = -62135596800000000, until = -62135596800000000, token = 0, passed = 0, generation = 2, number = 0 WHERE store = '' AND segment = 'site%2Fa/cars';
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('', 'site%2Fa/cars', x'050000000029a7269d') ON CONFLICT (store, segment) DO UPDATE SET segment = excluded.segment;
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('', 'site%2Fa/cars', x'058a04020a696e6465780480f9d390a1fb8906d00fd20f048080bbdd830514e60f040e747565736461790280f98eeea4808a060280f9d390a1fb89060000000480f9d390a1fb89068080bbdd83050e7475657364617912636f6d6d697474656408636f707908636f70790476310a696e64657802e40fe60f80f98eeea4808a0600e40fe60f0a696e64657880f98eeea4808a06000e6bf9b9', FALSE, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) ON CONFLICT (store, segment) DO UPDATE SET state = excluded.state, affected = excluded.affected, alert_open = excluded.alert_open, alert_pending = excluded.alert_pending, alert_flapping = excluded.alert_flapping, alert_incident = excluded.alert_incident, alert_kind = excluded.alert_kind, alert_severity = excluded.alert_severity, alert_level = excluded.alert_level, alert_since = excluded.alert_since, alert_users = excluded.alert_users, alert_site_group = excluded.alert_site_group, alert_job_kind = excluded.alert_job_kind, alert_build = excluded.alert_build, alert = excluded.alert;
INSERT INTO segmentguard_log (store, segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled, severity, alert_kind, level, label, incident, said) VALUES ('', 'site%2Fa/cars', 1710845040123456, 'recorded', 'tuesday', '', '', 1, 'committed', 'copy', 'copy', 'v1', 1010, 1011, 'index', FALSE, '{"verdict":"passed","name":"g/s","expected":{"users":5},"read":null,"written":null,"stored":{"users":5},"vouched":true}', 0, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO segmentguard_commits (store, segment, run, attempt, since, until, token, passed, generation, number) VALUES ('crm', 'site%2Fa/cars', '', 0, -62135596800000000, -62135596800000000, 0, 0, 0, 0) ON CONFLICT (store, segment) DO UPDATE SET segment = excluded.segment;
UPDATE segmentguard_commits SET run = '', attempt = 0, since = -62135596800000000, until = -62135596800000000, token = 0, passed = 0, generation = 1, number = 0 WHERE store = 'crm' AND segment = 'site%2Fa/cars';
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('crm', 'site%2Fa/cars', x'050000000029a7269d') ON CONFLICT (store, segment) DO UPDATE SET segment = excluded.segment;
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('crm', 'site%2Fa/cars', x'058a04020a696e6465780280f9d390a1fb8906880e8a0e040c6d6f6e6461790280f9d390a1fb89060280f9d390a1fb89060000000280f9d390a1fb89060c6d6f6e64617912636f6d6d697474656408636f707908636f70790476310a696e64657802880e8a0e80f9d390a1fb890600880e8a0e0a696e64657880f9d390a1fb890600a309b727', FALSE, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) ON CONFLICT (store, segment) DO UPDATE SET state = excluded.state, affected = excluded.affected, alert_open = excluded.alert_open, alert_pending = excluded.alert_pending, alert_flapping = excluded.alert_flapping, alert_incident = excluded.alert_incident, alert_kind = excluded.alert_kind, alert_severity = excluded.alert_severity, alert_level = excluded.alert_level, alert_since = excluded.alert_since, alert_users = excluded.alert_users, alert_site_group = excluded.alert_site_group, alert_job_kind = excluded.alert_job_kind, alert_build = excluded.alert_build, alert = excluded.alert;
INSERT INTO segmentguard_log (store, segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled, severity, alert_kind, level, label, incident, said) VALUES ('crm', 'site%2Fa/cars', 1710758640123456, 'recorded', 'monday', '', '', 1, 'committed', 'copy', 'copy', 'v1', 900, 901, 'index', FALSE, '{"verdict":"passed","name":"g/s","expected":{"users":5},"read":null,"written":null,"stored":{"users":5},"vouched":true}', 0, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO segmentguard_commits (store, segment, run, attempt, since, until, token, passed, generation, number) VALUES ('', 'site-b/boats ''n "more"\', '', 0, -62135596800000000, -62135596800000000, 0, 0, 0, 0) ON CONFLICT (store, segment) DO UPDATE SET segment = excluded.segment;
UPDATE segmentguard_commits SET run = '', attempt = 0, since = -62135596800000000, until = -62135596800000000, token = 0, passed = 0, generation = 1, number = 0 WHERE store = '' AND segment = 'site-b/boats ''n "more"\';
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('', 'site-b/boats ''n "more"\', x'050000000029a7269d') ON CONFLICT (store, segment) DO UPDATE SET segment = excluded.segment;
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('', 'site-b/boats ''n "more"\', x'058a04020a696e6465780280f9d390a1fb89066466040c6d6f6e6461790280f9d390a1fb89060280f9d390a1fb89060000000280f9d390a1fb89060c6d6f6e64617912636f6d6d697474656408636f707908636f70790476310a696e64657802646680f9d390a1fb89060064660a696e64657880f9d390a1fb890600b5b1ef59', FALSE, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) ON CONFLICT (store, segment) DO UPDATE SET state = excluded.state, affected = excluded.affected, alert_open = excluded.alert_open, alert_pending = excluded.alert_pending, alert_flapping = excluded.alert_flapping, alert_incident = excluded.alert_incident, alert_kind = excluded.alert_kind, alert_severity = excluded.alert_severity, alert_level = excluded.alert_level, alert_since = excluded.alert_since, alert_users = excluded.alert_users, alert_site_group = excluded.alert_site_group, alert_job_kind = excluded.alert_job_kind, alert_build = excluded.alert_build, alert = excluded.alert;
INSERT INTO segmentguard_log (store, segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled, severity, alert_kind, level, label, incident, said) VALUES ('', 'site-b/boats ''n "more"\', 1710758640123456, 'recorded', 'monday', '', '', 1, 'committed', 'copy', 'copy', 'v1', 50, 51, 'index', FALSE, '{"verdict":"passed","name":"g/s","expected":{"users":5},"read":null,"written":null,"stored":{"users":5},"vouched":true}', 0, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('', 'site-b/boats ''n "more"\', x'050000000029a7269d') ON CONFLICT (store, segment) DO UPDATE SET segment = excluded.segment;
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('', 'site-b/boats ''n "more"\', x'058a05020a696e6465780280f9d390a1fb89066466040280f98eeea4808a06282a040e747565736461790280f9d390a1fb89060280f9d390a1fb89060200000480f9d390a1fb89068080bbdd83050e747565736461791072656a656374656408636f707908636f70790476310a696e64657802282a80f98eeea4808a060064660a696e64657880f9d390a1fb890600f3717f86', FALSE, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) ON CONFLICT (store, segment) DO UPDATE SET state = excluded.state, affected = excluded.affected, alert_open = excluded.alert_open, alert_pending = excluded.alert_pending, alert_flapping = excluded.alert_flapping, alert_incident = excluded.alert_incident, alert_kind = excluded.alert_kind, alert_severity = excluded.alert_severity, alert_level = excluded.alert_level, alert_since = excluded.alert_since, alert_users = excluded.alert_users, alert_site_group = excluded.alert_site_group, alert_job_kind = excluded.alert_job_kind, alert_build = excluded.alert_build, alert = excluded.alert;
INSERT INTO segmentguard_log (store, segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled, severity, alert_kind, level, label, incident, said) VALUES ('', 'site-b/boats ''n "more"\', 1710845040123456, 'recorded', 'tuesday', '', '', 1, 'rejected', 'copy', 'copy', 'v1', 20, 21, 'index', FALSE, '{"verdict":"failed","name":"g/s","expected":{"users":5},"read":null,"written":null,"stored":{"users":4},"vouched":true,"findings":[{"kind":"short","severity":"fail","step":"store","detail":"stored 4 of 5 users (20.0% short, 0 allowed)"}]}', 0, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('', 'site-c/bikes', x'050000000029a7269d') ON CONFLICT (store, segment) DO UPDATE SET segment = excluded.segment;
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('', 'site-c/bikes', x'050002000480f9d390a1fb89060e00028080bbdd830502000200e5df74bb', FALSE, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) ON CONFLICT (store, segment) DO UPDATE SET state = excluded.state, affected = excluded.affected, alert_open = excluded.alert_open, alert_pending = excluded.alert_pending, alert_flapping = excluded.alert_flapping, alert_incident = excluded.alert_incident, alert_kind = excluded.alert_kind, alert_severity = excluded.alert_severity, alert_level = excluded.alert_level, alert_since = excluded.alert_since, alert_users = excluded.alert_users, alert_site_group = excluded.alert_site_group, alert_job_kind = excluded.alert_job_kind, alert_build = excluded.alert_build, alert = excluded.alert;
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('', 'site-b/boats ''n "more"\', x'050000000029a7269d') ON CONFLICT (store, segment) DO UPDATE SET segment = excluded.segment;
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('', 'site-b/boats ''n "more"\', x'058a05020a696e6465780280f9d390a1fb89066466040280f98eeea4808a06282a040e747565736461790280f9d390a1fb89060280f9d390a1fb89060200000480f9d390a1fb89068080bbdd83050e747565736461791072656a656374656408636f707908636f70790476310a696e64657802282a80f98eeea4808a060064660a696e64657880f9d390a1fb890600f3717f86', TRUE, TRUE, FALSE, FALSE, NULL, 'short', 'page', 'protected', 1710845040123456, 50, 'site-b', 'copy', 'v1', '{"open":{"segment":"site-b/boats ''n \"more\"\\","severity":"page","kind":"short","level":"protected","text":"boats are short","job":{"id":"copy site-c/bikes to site-b/boats ''n \"more\"\\","kind":"copy","from":["site-c/bikes"],"to":"site-b/boats ''n \"more\"\\"},"run_id":"tuesday","attempt":1,"build":"v1","since":"2024-03-19T10:44:00.123456Z","at":"0001-01-01T00:00:00Z","users":50}}') ON CONFLICT (store, segment) DO UPDATE SET state = excluded.state, affected = excluded.affected, alert_open = excluded.alert_open, alert_pending = excluded.alert_pending, alert_flapping = excluded.alert_flapping, alert_incident = excluded.alert_incident, alert_kind = excluded.alert_kind, alert_severity = excluded.alert_severity, alert_level = excluded.alert_level, alert_since = excluded.alert_since, alert_users = excluded.alert_users, alert_site_group = excluded.alert_site_group, alert_job_kind = excluded.alert_job_kind, alert_build = excluded.alert_build, alert = excluded.alert;
INSERT INTO segmentguard_sweeps (at, store, complete, segments, healthy, affected, unwatched, missing) VALUES (1710931440123456, '', TRUE, 3, 2, 1, 0, 0) ON CONFLICT (at, store) DO UPDATE SET complete = excluded.complete, segments = excluded.segments, healthy = excluded.healthy, affected = excluded.affected, unwatched = excluded.unwatched, missing = excluded.missing;
DELETE FROM segmentguard_reads WHERE job IN ('7ddbeec9f97b66c093b70fd161d5d9695f315c81bf00a73e41e658f9e5f4bf7f');
DELETE FROM segmentguard_jobs WHERE job IN ('7ddbeec9f97b66c093b70fd161d5d9695f315c81bf00a73e41e658f9e5f4bf7f');
INSERT INTO segmentguard_jobs (job, segment, kind, definition) VALUES ('7ddbeec9f97b66c093b70fd161d5d9695f315c81bf00a73e41e658f9e5f4bf7f', 'site-b/boats ''n "more"\', 'copy', '{"id":"copy site-c/bikes to site-b/boats ''n \"more\"\\","kind":"copy","from":["site-c/bikes"],"to":"site-b/boats ''n \"more\"\\"}');
INSERT INTO segmentguard_reads (segment, job) VALUES ('site-c/bikes', '7ddbeec9f97b66c093b70fd161d5d9695f315c81bf00a73e41e658f9e5f4bf7f');
