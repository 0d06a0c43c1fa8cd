-- The schema of version 6, as its program made and filled it.
CREATE TABLE IF NOT EXISTS segmentguard_schema (
	version bigint PRIMARY KEY,
	at      bigint NOT NULL -- microseconds since 1970, UTC
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS segmentguard_segments (
	segment          varbinary(1024) PRIMARY KEY,
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
	alert_store      longblob,
	alert_job_kind   longblob,
	alert_build      varbinary(1024),
	alert            longblob, -- JSON
	KEY segmentguard_segments_affected (affected, segment),
	KEY segmentguard_segments_pending (alert_pending, segment),
	KEY segmentguard_segments_incident (alert_incident, alert_site_group, alert_kind, alert_severity, alert_level, alert_users),
	KEY segmentguard_segments_build (alert_build, segment)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS segmentguard_log (
	id         bigint AUTO_INCREMENT PRIMARY KEY,
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
	KEY segmentguard_log_run (run, segment), -- a lock on the attempts of one segment is none on those of others
	KEY segmentguard_log_build (build, id),
	KEY segmentguard_log_at (at),
	KEY segmentguard_log_action (action, id, at)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS segmentguard_commits (
	segment    varbinary(1024) PRIMARY KEY,
	run        varbinary(1024) NOT NULL, -- that has the lease; empty: none has
	attempt    bigint NOT NULL,
	since      bigint NOT NULL,
	until      bigint NOT NULL,
	token      bigint NOT NULL, -- of the lease taken last
	passed     bigint NOT NULL, -- number of a run that has the lease and may be live
	generation bigint NOT NULL, -- how often a run went live
	number     bigint NOT NULL -- the latest number of a run that went live
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS segmentguard_numbers (
	id     bigint PRIMARY KEY,
	number bigint NOT NULL -- the last one that a run was given
) ENGINE=InnoDB;
INSERT IGNORE INTO segmentguard_numbers (id, number) VALUES (1, 0);
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
	site_group longblob NOT NULL, -- empty: any
	kind       longblob NOT NULL, -- empty: any
	until      bigint NOT NULL,
	by_whom    longblob NOT NULL,
	mute       longblob NOT NULL -- JSON
) ENGINE=InnoDB;
CREATE OR REPLACE VIEW segmentguard_open_alerts AS
SELECT CONVERT(segment USING utf8mb4) AS segment, CONVERT(alert_site_group USING utf8mb4) AS site_group, CONVERT(alert_store USING utf8mb4) AS store, CONVERT(alert_severity USING utf8mb4) AS severity, CONVERT(alert_kind USING utf8mb4) AS kind, CONVERT(alert_level USING utf8mb4) AS level,
	TIMESTAMPADD(MICROSECOND, alert_since, '1970-01-01 00:00:00.000000') AS since, alert_users AS users, CONVERT(alert_incident USING utf8mb4) AS incident, CONVERT(alert_job_kind USING utf8mb4) AS job_kind, CONVERT(alert_build USING utf8mb4) AS build,
	alert_pending AS pending, JSON_UNQUOTE(JSON_EXTRACT(CONVERT(alert USING utf8mb4), '$.open.text')) AS text
FROM segmentguard_segments WHERE affected = TRUE AND alert_open = TRUE;
INSERT INTO segmentguard_schema (version, at) VALUES (3, 1710758640000000);
INSERT INTO segmentguard_schema (version, at) VALUES (4, 1710758640000000);
INSERT INTO segmentguard_schema (version, at) VALUES (5, 1710758640000000);
INSERT INTO segmentguard_schema (version, at) VALUES (6, 1710758640000000);
INSERT INTO segmentguard_segments (segment, state, affected, alert_open, alert_pending, alert_flapping) VALUES ('site%2Fa/cars', x'0405020a696e6465780280f9d390a1fb8906d00fd20f000c6d6f6e64617912636f6d6d69747465642a636f707920746f2073697465253246612f6361727308636f70790476310a696e64657802d00fd20f80f9d390a1fb890602d00fd20f0a696e64657880f9d390a1fb890602eff37bd7', 0, 0, 0, 0);
INSERT INTO segmentguard_segments (segment, state, affected, alert_open, alert_pending, alert_flapping, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_incident, alert_site_group, alert_store, alert_job_kind, alert_build, alert) VALUES ('site-b/boats ''n "more"\\', x'0405020a696e6465780280f9d390a1fb89066466000e747565736461791072656a65637465643e636f707920746f20736974652d622f626f61747320276e20226d6f7265225c08636f70790476320a696e64657802282a80f98eeea4808a060664660a696e64657880f9d390a1fb890604393c64f9', 1, 1, 0, 0, 'short', 'page', 'protected', 1710845040123456, 50, 'copy jobs of build v2 since 2024-03-19T10:44:00Z', 'site-b', '', 'copy', 'v2', '{"open":{"segment":"site-b/boats ''n \\"more\\"\\\\","severity":"page","kind":"short","level":"protected","text":"boats are short","job":{"id":"copy site-c/bikes to site-b/boats ''n \\"more\\"\\\\","kind":"copy","from":["site-c/bikes"],"to":"site-b/boats ''n \\"more\\"\\\\"},"run_id":"tuesday","attempt":1,"number":3,"state":"rejected","build":"v2","since":"2024-03-19T10:44:00.123456Z","at":"2024-03-19T10:44:00.123456Z","users":50},"marks":[{"severity":"page","kind":"short","level":"protected","job_kind":"copy","build":"v2"}],"incident":"copy jobs of build v2 since 2024-03-19T10:44:00Z","told":[{"severity":"page","kind":"short","level":"protected","job_kind":"copy","build":"v2","at":"2024-03-19T10:44:00.123456Z"}],"opened":["2024-03-19T10:44:00.123456Z"]}');
INSERT INTO segmentguard_segments (segment, state, affected, alert_open, alert_pending, alert_flapping, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_store, alert_job_kind, alert_build, alert) VALUES ('site-c/bikes', x'040002000280f9d390a1fb89060e000200fbc86971', 1, 1, 0, 0, 'dropped', 'ticket', 'live', 1710931440123456, 7, 'site-c', '', '', '', '{"open":{"segment":"site-c/bikes","severity":"ticket","kind":"dropped","level":"live","text":"bikes dropped","job":{"id":"","kind":"","to":"/"},"run_id":"","attempt":0,"since":"2024-03-20T10:44:00.123456Z","at":"2024-03-20T10:44:00.123456Z","users":7},"marks":[{"severity":"ticket","kind":"dropped","level":"live"}],"swept":true,"opened":["2024-03-20T10:44:00.123456Z"],"muted":{"severity":"ticket","kind":"dropped","level":"live"}}');
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled) VALUES ('site%2Fa/cars', 1710758640123456, 'recorded', 'monday', '', '', 1, 'committed', 'copy to site%2Fa/cars', 'copy', 'v1', 1000, 1001, 'index', 0, '{"verdict":"","name":"site%2Fa/cars","expected":null,"read":null,"written":null,"stored":null}', 1, 0, 0);
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled) VALUES ('site-b/boats ''n "more"\\', 1710758640123456, 'recorded', 'monday', '', '', 1, 'committed', 'copy to site-b/boats ''n "more"\\', 'copy', 'v1', 50, 51, 'index', 0, '{"verdict":"","name":"site-b/boats ''n \\"more\\"\\\\","expected":null,"read":null,"written":null,"stored":null}', 2, 0, 0);
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled) VALUES ('site-b/boats ''n "more"\\', 1710845040123456, 'recorded', 'tuesday', '', '', 1, 'rejected', 'copy to site-b/boats ''n "more"\\', 'copy', 'v2', 20, 21, 'index', 0, '{"verdict":"","name":"site-b/boats ''n \\"more\\"\\\\","expected":null,"read":null,"written":null,"stored":null}', 3, 0, 0);
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, kind, build, severity, alert_kind, level, label, said) VALUES ('site-b/boats ''n "more"\\', 1710845040123456, 'opened', 'tuesday', '', '', 'copy', 'v2', 'page', 'short', 'protected', '', 'boats are short');
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, said) VALUES ('site-c/bikes', 1711017840123456, 'muted', '', 'ann', 'moving', 'site-c/bikes until 2024-04-17T10:44:00Z');
INSERT INTO segmentguard_commits (segment, run, attempt, since, until, token, passed, generation, number) VALUES ('site%2Fa/cars', '', 0, -62135596800000000, -62135596800000000, 0, 0, 1, 1);
INSERT INTO segmentguard_commits (segment, run, attempt, since, until, token, passed, generation, number) VALUES ('site-b/boats ''n "more"\\', '', 0, -62135596800000000, -62135596800000000, 0, 0, 1, 2);
UPDATE segmentguard_numbers SET number = 3;
INSERT INTO segmentguard_incidents (id, begun, active, severity, level, job_kind, build, site_group, listing, stale, store, incident) VALUES ('copy jobs of build v2 since 2024-03-19T10:44:00Z', 1710845040123456, 1, 'page', 'protected', 'copy', 'v2', '', 0, 0, '', '{"id":"copy jobs of build v2 since 2024-03-19T10:44:00Z","cause":{"job_kind":"copy","build":"v2"},"begun":"2024-03-19T10:44:00.123456Z","last":"2024-03-19T10:44:00.123456Z","rings":[{"members":3,"severity":"page","level":"protected","site_group":"site-b"}],"told":[{"members":3,"severity":"page","level":"protected","site_group":"site-b"}],"first":"2024-03-19T10:44:00.123456Z"}');
INSERT INTO segmentguard_ledger (id, identity) VALUES (1, 'LEDGEROFVERSION6');
INSERT INTO segmentguard_mutes (place, segment, site_group, kind, until, by_whom, mute) VALUES (0, 'site-c/bikes', '', '', 1713350640123456, 'ann', '{"segment":"site-c/bikes","until":"2024-04-17T10:44:00.123456Z","by":"ann","why":"moving","at":"2024-03-21T10:44:00.123456Z"}');
