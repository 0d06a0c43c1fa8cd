-- The schema of version 9, as its program made and filled it.
CREATE TABLE IF NOT EXISTS segmentguard_schema (
	version bigint PRIMARY KEY,
	at      bigint NOT NULL -- microseconds since 1970, UTC
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS segmentguard_segments (
	store            varbinary(255) NOT NULL DEFAULT '',
	segment          varbinary(1024) NOT NULL,
	state            longblob NOT NULL,
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
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS segmentguard_log (
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
) ENGINE=InnoDB;
INSERT INTO segmentguard_schema (version, at) VALUES (3, 1710758640000000);
DROP TABLE IF EXISTS segmentguard_attempts;
DROP TABLE IF EXISTS segmentguard_words;
DROP TABLE IF EXISTS segmentguard_alerts;
DROP TABLE IF EXISTS segmentguard_runs;
INSERT INTO segmentguard_schema (version, at) VALUES (4, 1710758640000000);
CREATE TABLE IF NOT EXISTS segmentguard_commits (
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
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS segmentguard_numbers (
	id     bigint PRIMARY KEY,
	number bigint NOT NULL -- the last one that a run was given
) ENGINE=InnoDB;
INSERT IGNORE INTO segmentguard_numbers (id, number) VALUES (1, 0);
INSERT INTO segmentguard_schema (version, at) VALUES (5, 1710758640000000);
CREATE TABLE IF NOT EXISTS segmentguard_incidents (
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
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS segmentguard_ledger (
	id       bigint PRIMARY KEY,
	identity longblob NOT NULL -- no other ledger has it
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS segmentguard_mutes (
	place      bigint PRIMARY KEY,
	segment    varbinary(1024), -- this one alone; NULL: any
	store      varbinary(255) NOT NULL DEFAULT '', -- empty: any
	site_group longblob NOT NULL, -- empty: any
	kind       longblob NOT NULL, -- empty: any
	until      bigint NOT NULL,
	by_whom    longblob NOT NULL,
	mute       longblob NOT NULL -- JSON
) ENGINE=InnoDB;
CREATE OR REPLACE VIEW segmentguard_open_alerts AS
SELECT CONVERT(segment USING utf8mb4) AS segment, CONVERT(alert_site_group USING utf8mb4) AS site_group, CONVERT(store USING utf8mb4) AS store, CONVERT(alert_severity USING utf8mb4) AS severity, CONVERT(alert_kind USING utf8mb4) AS kind, CONVERT(alert_level USING utf8mb4) AS level,
	TIMESTAMPADD(MICROSECOND, alert_since, '1970-01-01 00:00:00.000000') AS since, alert_users AS users, CONVERT(alert_incident USING utf8mb4) AS incident, CONVERT(alert_job_kind USING utf8mb4) AS job_kind, CONVERT(alert_build USING utf8mb4) AS build,
	alert_pending AS pending, JSON_UNQUOTE(JSON_EXTRACT(CONVERT(alert USING utf8mb4), '$.open.text')) AS text
FROM segmentguard_segments WHERE affected = TRUE AND alert_open = TRUE;
INSERT INTO segmentguard_ledger (id, identity) VALUES (1, 'LEDGEROFVERSION9') ON DUPLICATE KEY UPDATE id = VALUES(id);
INSERT INTO segmentguard_schema (version, at) VALUES (6, 1710758640000000);
CREATE OR REPLACE VIEW segmentguard_open_alerts AS
SELECT CONVERT(segment USING utf8mb4) AS segment, CONVERT(alert_site_group USING utf8mb4) AS site_group, CONVERT(store USING utf8mb4) AS store, CONVERT(alert_severity USING utf8mb4) AS severity, CONVERT(alert_kind USING utf8mb4) AS kind, CONVERT(alert_level USING utf8mb4) AS level,
	TIMESTAMPADD(MICROSECOND, alert_since, '1970-01-01 00:00:00.000000') AS since, alert_users AS users, CONVERT(alert_incident USING utf8mb4) AS incident, CONVERT(alert_job_kind USING utf8mb4) AS job_kind, CONVERT(alert_build USING utf8mb4) AS build,
	alert_pending AS pending, JSON_UNQUOTE(JSON_EXTRACT(CONVERT(alert USING utf8mb4), '$.open.text')) AS text
FROM segmentguard_segments WHERE affected = TRUE AND alert_open = TRUE;
INSERT INTO segmentguard_schema (version, at) VALUES (7, 1710758640000000);
INSERT INTO segmentguard_schema (version, at) VALUES (8, 1710758640000000);
CREATE TABLE IF NOT EXISTS segmentguard_jobs (
	job        varbinary(64) PRIMARY KEY, -- a hash of its ID, which may be long
	segment    varbinary(1024) NOT NULL, -- that it writes
	kind       longblob NOT NULL,
	definition longblob NOT NULL, -- JSON
	KEY segmentguard_jobs_segment (segment, job)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS segmentguard_reads (
	segment varbinary(1024) NOT NULL,
	job     varbinary(64) NOT NULL,
	PRIMARY KEY (job, segment),
	KEY segmentguard_reads_segment (segment, job)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS segmentguard_sweeps (
	at        bigint NOT NULL, -- microseconds since 1970, UTC
	store     varbinary(255) NOT NULL,
	complete  boolean NOT NULL, -- every segment was seen
	segments  bigint NOT NULL,
	healthy   bigint NOT NULL,
	affected  bigint NOT NULL,
	unwatched bigint NOT NULL, -- nothing was known to judge them by
	missing   bigint NOT NULL, -- known, and not in the store
	PRIMARY KEY (at, store)
) ENGINE=InnoDB;
INSERT INTO segmentguard_schema (version, at) VALUES (9, 1710758640000000);
INSERT IGNORE INTO segmentguard_commits (store, segment, run, attempt, since, until, token, passed, generation, number) VALUES ('', 'site%2Fa/cars', '', 0, -62135596800000000, -62135596800000000, 0, 0, 0, 0);
UPDATE segmentguard_commits SET run = '', attempt = 0, since = -62135596800000000, until = -62135596800000000, token = 0, passed = 0, generation = 1, number = 0 WHERE store = '' AND segment = 'site%2Fa/cars';
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('', 'site%2Fa/cars', x'050000000029a7269d') ON DUPLICATE KEY UPDATE segment = VALUES(segment);
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('', 'site%2Fa/cars', x'058a04020a696e6465780280f9d390a1fb8906d00fd20f040c6d6f6e6461790280f9d390a1fb89060280f9d390a1fb89060000000280f9d390a1fb89060c6d6f6e64617912636f6d6d697474656408636f707908636f70790476310a696e64657802d00fd20f80f9d390a1fb890600d00fd20f0a696e64657880f9d390a1fb89060086695c6d', FALSE, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) ON DUPLICATE KEY UPDATE state = VALUES(state), affected = VALUES(affected), alert_open = VALUES(alert_open), alert_pending = VALUES(alert_pending), alert_flapping = VALUES(alert_flapping), alert_incident = VALUES(alert_incident), alert_kind = VALUES(alert_kind), alert_severity = VALUES(alert_severity), alert_level = VALUES(alert_level), alert_since = VALUES(alert_since), alert_users = VALUES(alert_users), alert_site_group = VALUES(alert_site_group), alert_job_kind = VALUES(alert_job_kind), alert_build = VALUES(alert_build), alert = VALUES(alert);
INSERT INTO segmentguard_log (store, segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled, severity, alert_kind, level, label, incident, said) VALUES ('', 'site%2Fa/cars', 1710758640123456, 'recorded', 'monday', '', '', 1, 'committed', 'copy', 'copy', 'v1', 1000, 1001, 'index', FALSE, '{"verdict":"passed","name":"g/s","expected":{"users":5},"read":null,"written":null,"stored":{"users":5},"vouched":true}', 0, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL);
UPDATE segmentguard_commits SET run = '', attempt = 0, since = -62135596800000000, until = -62135596800000000, token = 0, passed = 0, generation = 2, number = 0 WHERE store = '' AND segment = 'site%2Fa/cars';
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('', 'site%2Fa/cars', x'050000000029a7269d') ON DUPLICATE KEY UPDATE segment = VALUES(segment);
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('', 'site%2Fa/cars', x'058a04020a696e6465780480f9d390a1fb8906d00fd20f048080bbdd830514e60f040e747565736461790280f98eeea4808a060280f9d390a1fb89060000000480f9d390a1fb89068080bbdd83050e7475657364617912636f6d6d697474656408636f707908636f70790476310a696e64657802e40fe60f80f98eeea4808a0600e40fe60f0a696e64657880f98eeea4808a06000e6bf9b9', FALSE, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) ON DUPLICATE KEY UPDATE state = VALUES(state), affected = VALUES(affected), alert_open = VALUES(alert_open), alert_pending = VALUES(alert_pending), alert_flapping = VALUES(alert_flapping), alert_incident = VALUES(alert_incident), alert_kind = VALUES(alert_kind), alert_severity = VALUES(alert_severity), alert_level = VALUES(alert_level), alert_since = VALUES(alert_since), alert_users = VALUES(alert_users), alert_site_group = VALUES(alert_site_group), alert_job_kind = VALUES(alert_job_kind), alert_build = VALUES(alert_build), alert = VALUES(alert);
INSERT INTO segmentguard_log (store, segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled, severity, alert_kind, level, label, incident, said) VALUES ('', 'site%2Fa/cars', 1710845040123456, 'recorded', 'tuesday', '', '', 1, 'committed', 'copy', 'copy', 'v1', 1010, 1011, 'index', FALSE, '{"verdict":"passed","name":"g/s","expected":{"users":5},"read":null,"written":null,"stored":{"users":5},"vouched":true}', 0, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT IGNORE INTO segmentguard_commits (store, segment, run, attempt, since, until, token, passed, generation, number) VALUES ('crm', 'site%2Fa/cars', '', 0, -62135596800000000, -62135596800000000, 0, 0, 0, 0);
UPDATE segmentguard_commits SET run = '', attempt = 0, since = -62135596800000000, until = -62135596800000000, token = 0, passed = 0, generation = 1, number = 0 WHERE store = 'crm' AND segment = 'site%2Fa/cars';
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('crm', 'site%2Fa/cars', x'050000000029a7269d') ON DUPLICATE KEY UPDATE segment = VALUES(segment);
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('crm', 'site%2Fa/cars', x'058a04020a696e6465780280f9d390a1fb8906880e8a0e040c6d6f6e6461790280f9d390a1fb89060280f9d390a1fb89060000000280f9d390a1fb89060c6d6f6e64617912636f6d6d697474656408636f707908636f70790476310a696e64657802880e8a0e80f9d390a1fb890600880e8a0e0a696e64657880f9d390a1fb890600a309b727', FALSE, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) ON DUPLICATE KEY UPDATE state = VALUES(state), affected = VALUES(affected), alert_open = VALUES(alert_open), alert_pending = VALUES(alert_pending), alert_flapping = VALUES(alert_flapping), alert_incident = VALUES(alert_incident), alert_kind = VALUES(alert_kind), alert_severity = VALUES(alert_severity), alert_level = VALUES(alert_level), alert_since = VALUES(alert_since), alert_users = VALUES(alert_users), alert_site_group = VALUES(alert_site_group), alert_job_kind = VALUES(alert_job_kind), alert_build = VALUES(alert_build), alert = VALUES(alert);
INSERT INTO segmentguard_log (store, segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled, severity, alert_kind, level, label, incident, said) VALUES ('crm', 'site%2Fa/cars', 1710758640123456, 'recorded', 'monday', '', '', 1, 'committed', 'copy', 'copy', 'v1', 900, 901, 'index', FALSE, '{"verdict":"passed","name":"g/s","expected":{"users":5},"read":null,"written":null,"stored":{"users":5},"vouched":true}', 0, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT IGNORE INTO segmentguard_commits (store, segment, run, attempt, since, until, token, passed, generation, number) VALUES ('', 'site-b/boats ''n "more"\\', '', 0, -62135596800000000, -62135596800000000, 0, 0, 0, 0);
UPDATE segmentguard_commits SET run = '', attempt = 0, since = -62135596800000000, until = -62135596800000000, token = 0, passed = 0, generation = 1, number = 0 WHERE store = '' AND segment = 'site-b/boats ''n "more"\\';
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('', 'site-b/boats ''n "more"\\', x'050000000029a7269d') ON DUPLICATE KEY UPDATE segment = VALUES(segment);
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('', 'site-b/boats ''n "more"\\', x'058a04020a696e6465780280f9d390a1fb89066466040c6d6f6e6461790280f9d390a1fb89060280f9d390a1fb89060000000280f9d390a1fb89060c6d6f6e64617912636f6d6d697474656408636f707908636f70790476310a696e64657802646680f9d390a1fb89060064660a696e64657880f9d390a1fb890600b5b1ef59', FALSE, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) ON DUPLICATE KEY UPDATE state = VALUES(state), affected = VALUES(affected), alert_open = VALUES(alert_open), alert_pending = VALUES(alert_pending), alert_flapping = VALUES(alert_flapping), alert_incident = VALUES(alert_incident), alert_kind = VALUES(alert_kind), alert_severity = VALUES(alert_severity), alert_level = VALUES(alert_level), alert_since = VALUES(alert_since), alert_users = VALUES(alert_users), alert_site_group = VALUES(alert_site_group), alert_job_kind = VALUES(alert_job_kind), alert_build = VALUES(alert_build), alert = VALUES(alert);
INSERT INTO segmentguard_log (store, segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled, severity, alert_kind, level, label, incident, said) VALUES ('', 'site-b/boats ''n "more"\\', 1710758640123456, 'recorded', 'monday', '', '', 1, 'committed', 'copy', 'copy', 'v1', 50, 51, 'index', FALSE, '{"verdict":"passed","name":"g/s","expected":{"users":5},"read":null,"written":null,"stored":{"users":5},"vouched":true}', 0, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('', 'site-b/boats ''n "more"\\', x'050000000029a7269d') ON DUPLICATE KEY UPDATE segment = VALUES(segment);
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('', 'site-b/boats ''n "more"\\', x'058a05020a696e6465780280f9d390a1fb89066466040280f98eeea4808a06282a040e747565736461790280f9d390a1fb89060280f9d390a1fb89060200000480f9d390a1fb89068080bbdd83050e747565736461791072656a656374656408636f707908636f70790476310a696e64657802282a80f98eeea4808a060064660a696e64657880f9d390a1fb890600f3717f86', FALSE, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) ON DUPLICATE KEY UPDATE state = VALUES(state), affected = VALUES(affected), alert_open = VALUES(alert_open), alert_pending = VALUES(alert_pending), alert_flapping = VALUES(alert_flapping), alert_incident = VALUES(alert_incident), alert_kind = VALUES(alert_kind), alert_severity = VALUES(alert_severity), alert_level = VALUES(alert_level), alert_since = VALUES(alert_since), alert_users = VALUES(alert_users), alert_site_group = VALUES(alert_site_group), alert_job_kind = VALUES(alert_job_kind), alert_build = VALUES(alert_build), alert = VALUES(alert);
INSERT INTO segmentguard_log (store, segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled, severity, alert_kind, level, label, incident, said) VALUES ('', 'site-b/boats ''n "more"\\', 1710845040123456, 'recorded', 'tuesday', '', '', 1, 'rejected', 'copy', 'copy', 'v1', 20, 21, 'index', FALSE, '{"verdict":"failed","name":"g/s","expected":{"users":5},"read":null,"written":null,"stored":{"users":4},"vouched":true,"findings":[{"kind":"short","severity":"fail","step":"store","detail":"stored 4 of 5 users (20.0% short, 0 allowed)"}]}', 0, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('', 'site-c/bikes', x'050000000029a7269d') ON DUPLICATE KEY UPDATE segment = VALUES(segment);
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('', 'site-c/bikes', x'050002000480f9d390a1fb89060e00028080bbdd830502000200e5df74bb', FALSE, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) ON DUPLICATE KEY UPDATE state = VALUES(state), affected = VALUES(affected), alert_open = VALUES(alert_open), alert_pending = VALUES(alert_pending), alert_flapping = VALUES(alert_flapping), alert_incident = VALUES(alert_incident), alert_kind = VALUES(alert_kind), alert_severity = VALUES(alert_severity), alert_level = VALUES(alert_level), alert_since = VALUES(alert_since), alert_users = VALUES(alert_users), alert_site_group = VALUES(alert_site_group), alert_job_kind = VALUES(alert_job_kind), alert_build = VALUES(alert_build), alert = VALUES(alert);
INSERT INTO segmentguard_segments (store, segment, state) VALUES ('', 'site-b/boats ''n "more"\\', x'050000000029a7269d') ON DUPLICATE KEY UPDATE segment = VALUES(segment);
INSERT INTO segmentguard_segments (store, segment, state, affected, alert_open, alert_pending, alert_flapping, alert_incident, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_job_kind, alert_build, alert) VALUES ('', 'site-b/boats ''n "more"\\', x'058a05020a696e6465780280f9d390a1fb89066466040280f98eeea4808a06282a040e747565736461790280f9d390a1fb89060280f9d390a1fb89060200000480f9d390a1fb89068080bbdd83050e747565736461791072656a656374656408636f707908636f70790476310a696e64657802282a80f98eeea4808a060064660a696e64657880f9d390a1fb890600f3717f86', TRUE, TRUE, FALSE, FALSE, NULL, 'short', 'page', 'protected', 1710845040123456, 50, 'site-b', 'copy', 'v1', '{"open":{"segment":"site-b/boats ''n \\"more\\"\\\\","severity":"page","kind":"short","level":"protected","text":"boats are short","job":{"id":"copy site-c/bikes to site-b/boats ''n \\"more\\"\\\\","kind":"copy","from":["site-c/bikes"],"to":"site-b/boats ''n \\"more\\"\\\\"},"run_id":"tuesday","attempt":1,"build":"v1","since":"2024-03-19T10:44:00.123456Z","at":"0001-01-01T00:00:00Z","users":50}}') ON DUPLICATE KEY UPDATE state = VALUES(state), affected = VALUES(affected), alert_open = VALUES(alert_open), alert_pending = VALUES(alert_pending), alert_flapping = VALUES(alert_flapping), alert_incident = VALUES(alert_incident), alert_kind = VALUES(alert_kind), alert_severity = VALUES(alert_severity), alert_level = VALUES(alert_level), alert_since = VALUES(alert_since), alert_users = VALUES(alert_users), alert_site_group = VALUES(alert_site_group), alert_job_kind = VALUES(alert_job_kind), alert_build = VALUES(alert_build), alert = VALUES(alert);
INSERT INTO segmentguard_sweeps (at, store, complete, segments, healthy, affected, unwatched, missing) VALUES (1710931440123456, '', TRUE, 3, 2, 1, 0, 0) ON DUPLICATE KEY UPDATE complete = VALUES(complete), segments = VALUES(segments), healthy = VALUES(healthy), affected = VALUES(affected), unwatched = VALUES(unwatched), missing = VALUES(missing);
DELETE FROM segmentguard_reads WHERE job IN ('7ddbeec9f97b66c093b70fd161d5d9695f315c81bf00a73e41e658f9e5f4bf7f');
DELETE FROM segmentguard_jobs WHERE job IN ('7ddbeec9f97b66c093b70fd161d5d9695f315c81bf00a73e41e658f9e5f4bf7f');
INSERT INTO segmentguard_jobs (job, segment, kind, definition) VALUES ('7ddbeec9f97b66c093b70fd161d5d9695f315c81bf00a73e41e658f9e5f4bf7f', 'site-b/boats ''n "more"\\', 'copy', '{"id":"copy site-c/bikes to site-b/boats ''n \\"more\\"\\\\","kind":"copy","from":["site-c/bikes"],"to":"site-b/boats ''n \\"more\\"\\\\"}');
INSERT INTO segmentguard_reads (segment, job) VALUES ('site-c/bikes', '7ddbeec9f97b66c093b70fd161d5d9695f315c81bf00a73e41e658f9e5f4bf7f');
