-- The schema of version 6, as its program made and filled it.
CREATE TABLE IF NOT EXISTS segmentguard_schema (
	version bigint PRIMARY KEY,
	at      timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS segmentguard_segments (
	segment          text COLLATE "C" PRIMARY KEY,
	state            bytea NOT NULL,
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
	alert_store      text,
	alert_job_kind   text,
	alert_build      text COLLATE "C",
	alert            json
);
CREATE INDEX segmentguard_segments_affected ON segmentguard_segments (segment) WHERE affected;
CREATE TABLE segmentguard_log (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
);
CREATE INDEX segmentguard_log_segment ON segmentguard_log (segment, id);
CREATE INDEX segmentguard_log_run ON segmentguard_log (run, segment);
CREATE INDEX segmentguard_log_build ON segmentguard_log (build, id);
CREATE INDEX segmentguard_log_at ON segmentguard_log (at);
CREATE TABLE IF NOT EXISTS segmentguard_commits (
	segment    text COLLATE "C" PRIMARY KEY,
	run        text COLLATE "C" NOT NULL, -- that has the lease; empty: none has
	attempt    bigint NOT NULL,
	since      timestamptz NOT NULL,
	until      timestamptz NOT NULL,
	token      bigint NOT NULL, -- of the lease taken last
	passed     bigint NOT NULL, -- number of a run that has the lease and may be live
	generation bigint NOT NULL, -- how often a run went live
	number     bigint NOT NULL -- the latest number of a run that went live
);
CREATE TABLE IF NOT EXISTS segmentguard_numbers (
	id     bigint PRIMARY KEY,
	number bigint NOT NULL -- the last one that a run was given
);
INSERT INTO segmentguard_numbers (id, number) VALUES (1, 0) ON CONFLICT (id) DO NOTHING;
CREATE INDEX segmentguard_segments_pending ON segmentguard_segments (segment) WHERE alert_pending;
CREATE INDEX segmentguard_segments_incident ON segmentguard_segments (alert_incident, alert_site_group, alert_kind, alert_severity, alert_level, alert_users) WHERE alert_incident IS NOT NULL;
CREATE INDEX segmentguard_segments_build ON segmentguard_segments (alert_build, segment) WHERE alert_build IS NOT NULL;
CREATE INDEX segmentguard_log_action ON segmentguard_log (action, id, at) WHERE action <> 'recorded';
CREATE TABLE IF NOT EXISTS segmentguard_incidents (
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
);
CREATE INDEX segmentguard_incidents_begun ON segmentguard_incidents (begun, id);
CREATE INDEX segmentguard_incidents_active ON segmentguard_incidents (begun, id) WHERE active;
CREATE TABLE IF NOT EXISTS segmentguard_ledger (
	id       bigint PRIMARY KEY,
	identity text NOT NULL -- no other ledger has it
);
CREATE TABLE IF NOT EXISTS segmentguard_mutes (
	place      bigint PRIMARY KEY,
	segment    text COLLATE "C", -- this one alone; NULL: any
	site_group text NOT NULL, -- empty: any
	kind       text NOT NULL, -- empty: any
	until      timestamptz NOT NULL,
	by_whom    text NOT NULL,
	mute       json NOT NULL
);
CREATE OR REPLACE VIEW segmentguard_open_alerts AS
SELECT segment, alert_site_group AS site_group, alert_store AS store, alert_severity AS severity, alert_kind AS kind, alert_level AS level, alert_since AS since,
	alert_users AS users, alert_incident AS incident, alert_job_kind AS job_kind, alert_build AS build, alert_pending AS pending, alert -> 'open' ->> 'text' AS text
FROM segmentguard_segments WHERE affected AND alert_open;
INSERT INTO segmentguard_schema (version, at) VALUES (3, '2024-03-18 10:44:00+00');
INSERT INTO segmentguard_schema (version, at) VALUES (4, '2024-03-18 10:44:00+00');
INSERT INTO segmentguard_schema (version, at) VALUES (5, '2024-03-18 10:44:00+00');
INSERT INTO segmentguard_schema (version, at) VALUES (6, '2024-03-18 10:44:00+00');
INSERT INTO segmentguard_segments (segment, state, affected, alert_open, alert_pending, alert_flapping) VALUES ('site%2Fa/cars', '\x0405020a696e6465780280f9d390a1fb8906d00fd20f000c6d6f6e64617912636f6d6d69747465642a636f707920746f2073697465253246612f6361727308636f70790476310a696e64657802d00fd20f80f9d390a1fb890602d00fd20f0a696e64657880f9d390a1fb890602eff37bd7', false, false, false, false);
INSERT INTO segmentguard_segments (segment, state, affected, alert_open, alert_pending, alert_flapping, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_incident, alert_site_group, alert_store, alert_job_kind, alert_build, alert) VALUES ('site-b/boats ''n "more"\', '\x0405020a696e6465780280f9d390a1fb89066466000e747565736461791072656a65637465643e636f707920746f20736974652d622f626f61747320276e20226d6f7265225c08636f70790476320a696e64657802282a80f98eeea4808a060664660a696e64657880f9d390a1fb890604393c64f9', true, true, false, false, 'short', 'page', 'protected', '2024-03-19 10:44:00.123456+00', 50, 'copy jobs of build v2 since 2024-03-19T10:44:00Z', 'site-b', '', 'copy', 'v2', '{"open":{"segment":"site-b/boats ''n \"more\"\\","severity":"page","kind":"short","level":"protected","text":"boats are short","job":{"id":"copy site-c/bikes to site-b/boats ''n \"more\"\\","kind":"copy","from":["site-c/bikes"],"to":"site-b/boats ''n \"more\"\\"},"run_id":"tuesday","attempt":1,"number":3,"state":"rejected","build":"v2","since":"2024-03-19T10:44:00.123456Z","at":"2024-03-19T10:44:00.123456Z","users":50},"marks":[{"severity":"page","kind":"short","level":"protected","job_kind":"copy","build":"v2"}],"incident":"copy jobs of build v2 since 2024-03-19T10:44:00Z","told":[{"severity":"page","kind":"short","level":"protected","job_kind":"copy","build":"v2","at":"2024-03-19T10:44:00.123456Z"}],"opened":["2024-03-19T10:44:00.123456Z"]}');
INSERT INTO segmentguard_segments (segment, state, affected, alert_open, alert_pending, alert_flapping, alert_kind, alert_severity, alert_level, alert_since, alert_users, alert_site_group, alert_store, alert_job_kind, alert_build, alert) VALUES ('site-c/bikes', '\x040002000280f9d390a1fb89060e000200fbc86971', true, true, false, false, 'dropped', 'ticket', 'live', '2024-03-20 10:44:00.123456+00', 7, 'site-c', '', '', '', '{"open":{"segment":"site-c/bikes","severity":"ticket","kind":"dropped","level":"live","text":"bikes dropped","job":{"id":"","kind":"","to":"/"},"run_id":"","attempt":0,"since":"2024-03-20T10:44:00.123456Z","at":"2024-03-20T10:44:00.123456Z","users":7},"marks":[{"severity":"ticket","kind":"dropped","level":"live"}],"swept":true,"opened":["2024-03-20T10:44:00.123456Z"],"muted":{"severity":"ticket","kind":"dropped","level":"live"}}');
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled) VALUES ('site%2Fa/cars', '2024-03-18 10:44:00.123456+00', 'recorded', 'monday', '', '', 1, 'committed', 'copy to site%2Fa/cars', 'copy', 'v1', 1000, 1001, 'index', false, '{"verdict":"","name":"site%2Fa/cars","expected":null,"read":null,"written":null,"stored":null}', 1, false, false);
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled) VALUES ('site-b/boats ''n "more"\', '2024-03-18 10:44:00.123456+00', 'recorded', 'monday', '', '', 1, 'committed', 'copy to site-b/boats ''n "more"\', 'copy', 'v1', 50, 51, 'index', false, '{"verdict":"","name":"site-b/boats ''n \"more\"\\","expected":null,"read":null,"written":null,"stored":null}', 2, false, false);
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled) VALUES ('site-b/boats ''n "more"\', '2024-03-19 10:44:00.123456+00', 'recorded', 'tuesday', '', '', 1, 'rejected', 'copy to site-b/boats ''n "more"\', 'copy', 'v2', 20, 21, 'index', false, '{"verdict":"","name":"site-b/boats ''n \"more\"\\","expected":null,"read":null,"written":null,"stored":null}', 3, false, false);
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, kind, build, severity, alert_kind, level, label, said) VALUES ('site-b/boats ''n "more"\', '2024-03-19 10:44:00.123456+00', 'opened', 'tuesday', '', '', 'copy', 'v2', 'page', 'short', 'protected', '', 'boats are short');
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, said) VALUES ('site-c/bikes', '2024-03-21 10:44:00.123456+00', 'muted', '', 'ann', 'moving', 'site-c/bikes until 2024-04-17T10:44:00Z');
INSERT INTO segmentguard_commits (segment, run, attempt, since, until, token, passed, generation, number) VALUES ('site%2Fa/cars', '', 0, '0001-01-01 00:00:00+00', '0001-01-01 00:00:00+00', 0, 0, 1, 1);
INSERT INTO segmentguard_commits (segment, run, attempt, since, until, token, passed, generation, number) VALUES ('site-b/boats ''n "more"\', '', 0, '0001-01-01 00:00:00+00', '0001-01-01 00:00:00+00', 0, 0, 1, 2);
UPDATE segmentguard_numbers SET number = 3;
INSERT INTO segmentguard_incidents (id, begun, active, severity, level, job_kind, build, site_group, listing, stale, store, incident) VALUES ('copy jobs of build v2 since 2024-03-19T10:44:00Z', '2024-03-19 10:44:00.123456+00', true, 'page', 'protected', 'copy', 'v2', '', false, false, '', '{"id":"copy jobs of build v2 since 2024-03-19T10:44:00Z","cause":{"job_kind":"copy","build":"v2"},"begun":"2024-03-19T10:44:00.123456Z","last":"2024-03-19T10:44:00.123456Z","rings":[{"members":3,"severity":"page","level":"protected","site_group":"site-b"}],"told":[{"members":3,"severity":"page","level":"protected","site_group":"site-b"}],"first":"2024-03-19T10:44:00.123456Z"}');
INSERT INTO segmentguard_ledger (id, identity) VALUES (1, 'LEDGEROFVERSION6');
INSERT INTO segmentguard_mutes (place, segment, site_group, kind, until, by_whom, mute) VALUES (0, 'site-c/bikes', '', '', '2024-04-17 10:44:00.123456+00', 'ann', '{"segment":"site-c/bikes","until":"2024-04-17T10:44:00.123456Z","by":"ann","why":"moving","at":"2024-03-21T10:44:00.123456Z"}');
