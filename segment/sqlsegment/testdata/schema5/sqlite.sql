-- The schema of version 5, as its program made and filled it.
CREATE TABLE segmentguard_schema (
	version INTEGER PRIMARY KEY,
	at      INTEGER NOT NULL -- microseconds since 1970, UTC
);
CREATE TABLE segmentguard_segments (
	segment        TEXT PRIMARY KEY,
	state          BLOB NOT NULL,
	affected       INTEGER NOT NULL DEFAULT 0, -- an alert is open, or the alerter was told of one
	alert_kind     TEXT, -- of the alert that is open
	alert_severity TEXT,
	alert_since    INTEGER,
	alert          TEXT -- JSON
) WITHOUT ROWID;
CREATE INDEX segmentguard_segments_affected ON segmentguard_segments (segment) WHERE affected = TRUE;
CREATE TABLE segmentguard_log (
	id         INTEGER PRIMARY KEY,
	segment    TEXT NOT NULL,
	at         INTEGER NOT NULL, -- microseconds since 1970, UTC
	action     TEXT NOT NULL, -- 'recorded', 'accepted', …
	run        TEXT NOT NULL,
	by_whom    TEXT NOT NULL,
	why        TEXT NOT NULL,
	attempt    INTEGER, -- this and all below: of a record only
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
	settled    INTEGER
);
CREATE INDEX segmentguard_log_segment ON segmentguard_log (segment, id);
CREATE INDEX segmentguard_log_run ON segmentguard_log (run, segment);
CREATE INDEX segmentguard_log_build ON segmentguard_log (build, id);
CREATE INDEX segmentguard_log_at ON segmentguard_log (at);
CREATE TABLE segmentguard_commits (
	segment    TEXT PRIMARY KEY,
	run        TEXT NOT NULL, -- that has the lease; empty: none has
	attempt    INTEGER NOT NULL,
	since      INTEGER NOT NULL,
	until      INTEGER NOT NULL,
	token      INTEGER NOT NULL, -- of the lease taken last
	passed     INTEGER NOT NULL, -- number of a run that has the lease and may be live
	generation INTEGER NOT NULL, -- how often a run went live
	number     INTEGER NOT NULL -- the latest number of a run that went live
);
CREATE TABLE segmentguard_numbers (
	id     INTEGER PRIMARY KEY,
	number INTEGER NOT NULL -- the last one that a run was given
);
INSERT INTO segmentguard_numbers (id, number) VALUES (1, 0) ON CONFLICT (id) DO NOTHING;
INSERT INTO segmentguard_schema (version, at) VALUES (3, 1710758640000000);
INSERT INTO segmentguard_schema (version, at) VALUES (4, 1710758640000000);
INSERT INTO segmentguard_schema (version, at) VALUES (5, 1710758640000000);
INSERT INTO segmentguard_segments (segment, state, affected, alert_kind, alert_severity, alert_since, alert) VALUES ('incident/a site group of that name', x'0300000000', 1, 'short', 'page', 1710845040123456, '{"open":{"segment":"incident/a site group of that name","severity":"page","kind":"short","text":"incident/a site group of that name is short","protected":false,"job":{"id":"copy site-c/bikes to incident/a site group of that name","kind":"copy","from":["site-c/bikes"],"to":"incident/a site group of that name"},"run_id":"tuesday","attempt":1,"number":3,"state":"rejected","build":"v1","rule":"all","runbook":"look","since":"2024-03-19T10:44:00.123456Z","at":"2024-03-19T11:44:00.123456Z","report":{"verdict":"passed","name":"fixture","expected":{"users":100},"read":null,"written":null,"stored":{"users":100}}}}');
INSERT INTO segmentguard_segments (segment, state, affected, alert) VALUES ('incident/copy capped v1', x'0300000000', 1, '{"told":{"segment":"incident/copy capped v1","severity":"page","kind":"capped","text":"3 segments of 2 site groups affected alike (short, copy jobs, build v2) since 2024-03-18T10:44:00Z, 9,007,199,254,740,993 users at stake; likely cause: cause; next: next","protected":false,"job":{"id":"","kind":"copy","to":"/"},"run_id":"","attempt":0,"build":"v2","since":"2024-03-18T10:44:00.123456Z","at":"2024-03-18T10:44:00.123456Z","incident":{"job_kind":"copy","kind":"short","build":"v2","severity":"page","segments":3,"site_groups":2,"users":9007199254740993,"since":"2024-03-18T10:44:00.123456Z","cause":"cause","next":"next"}}}');
INSERT INTO segmentguard_segments (segment, state, affected, alert_kind, alert_severity, alert_since, alert) VALUES ('incident/copy short v2', x'0300000000', 1, 'short', 'page', 1710758640123456, '{"open":{"segment":"incident/copy short v2","severity":"page","kind":"short","text":"3 segments of 2 site groups affected alike (short, copy jobs, build v2) since 2024-03-18T10:44:00Z, 9,007,199,254,740,993 users at stake; likely cause: cause; next: next","protected":false,"job":{"id":"","kind":"copy","to":"/"},"run_id":"","attempt":0,"build":"v2","since":"2024-03-18T10:44:00.123456Z","at":"2024-03-18T10:44:00.123456Z","incident":{"job_kind":"copy","kind":"short","build":"v2","severity":"page","segments":3,"site_groups":2,"users":9007199254740993,"since":"2024-03-18T10:44:00.123456Z","cause":"cause","next":"next"}},"told":{"segment":"incident/copy short v2","severity":"page","kind":"short","text":"3 segments of 2 site groups affected alike (short, copy jobs, build v2) since 2024-03-18T10:44:00Z, 9,007,199,254,740,993 users at stake; likely cause: cause; next: next","protected":false,"job":{"id":"","kind":"copy","to":"/"},"run_id":"","attempt":0,"build":"v2","since":"2024-03-18T10:44:00.123456Z","at":"2024-03-18T10:44:00.123456Z","incident":{"job_kind":"copy","kind":"short","build":"v2","severity":"page","segments":3,"site_groups":2,"users":9007199254740993,"since":"2024-03-18T10:44:00.123456Z","cause":"cause","next":"next"}}}');
INSERT INTO segmentguard_segments (segment, state, affected, alert) VALUES ('site%2Fa/cars', x'0305020a696e6465780280f9d390a1fb8906d00fd20f000c6d6f6e64617912636f6d6d69747465642a636f707920746f2073697465253246612f6361727308636f70790476310a696e64657802d00fd20f80f9d390a1fb890602d00fd20f0a696e64657880f9d390a1fb890602', 1, '{"told":{"segment":"site%2Fa/cars","severity":"page","kind":"short","text":"site%2Fa/cars is short","protected":false,"job":{"id":"copy site-c/bikes to site%2Fa/cars","kind":"copy","from":["site-c/bikes"],"to":"site%2Fa/cars"},"run_id":"tuesday","attempt":1,"number":3,"state":"rejected","build":"v2","rule":"all","runbook":"look","since":"2024-03-19T10:44:00.123456Z","at":"2024-03-19T11:44:00.123456Z","report":{"verdict":"failed","name":"fixture","expected":{"users":1000},"read":null,"written":null,"stored":{"users":400},"findings":[{"kind":"capped","severity":"warn","step":"store","detail":"capped at 400, a known limit (Vespa maxHits)","caps":[{"users":400,"origin":"Vespa maxHits"}]},{"kind":"short","severity":"fail","step":"store","detail":"stored 400 of 1,000 users (60.0% short, 0 allowed)"}]}}}');
INSERT INTO segmentguard_segments (segment, state, affected, alert_kind, alert_severity, alert_since, alert) VALUES ('site%2Fa/planes', x'0300000000', 1, 'short', 'page', 1711017840123456, '{"open":{"segment":"site%2Fa/planes","severity":"page","kind":"short","text":"site%2Fa/planes is short","protected":false,"job":{"id":"copy site-c/bikes to site%2Fa/planes","kind":"copy","from":["site-c/bikes"],"to":"site%2Fa/planes"},"run_id":"","attempt":0,"build":"v2","rule":"all","runbook":"look","since":"2024-03-21T10:44:00.123456Z","at":"2024-03-21T11:44:00.123456Z","report":{"verdict":"failed","name":"fixture","expected":{"users":1000},"read":null,"written":null,"stored":{"users":950},"findings":[{"kind":"short","severity":"fail","step":"store","detail":"stored 950 of 1,000 users (5.0% short, 0 allowed)"}]}},"told":{"segment":"site%2Fa/planes","severity":"ticket","kind":"dropped","text":"site%2Fa/planes is dropped","protected":true,"job":{"id":"copy site-c/bikes to site%2Fa/planes","kind":"copy","from":["site-c/bikes"],"to":"site%2Fa/planes"},"run_id":"tuesday","attempt":1,"number":3,"state":"rejected","build":"v1","rule":"all","runbook":"look","since":"2024-03-20T10:44:00.123456Z","at":"2024-03-20T11:44:00.123456Z","report":{"verdict":"failed","name":"fixture","expected":{"users":900},"read":null,"written":null,"stored":{"users":800},"findings":[{"kind":"short","severity":"fail","step":"store","detail":"stored 800 of 900 users (11.1% short, 0 allowed)"}]}}}');
INSERT INTO segmentguard_segments (segment, state, affected, alert_kind, alert_severity, alert_since, alert) VALUES ('site%2Fa/trains', x'0300000000', 1, 'unverified', 'ticket', 1710931440123456, '{"open":{"segment":"site%2Fa/trains","severity":"ticket","kind":"unverified","text":"site%2Fa/trains is unverified","protected":true,"job":{"id":"copy site-c/bikes to site%2Fa/trains","kind":"copy","from":["site-c/bikes"],"to":"site%2Fa/trains"},"run_id":"tuesday","attempt":1,"number":3,"state":"rejected","build":"v2","rule":"all","runbook":"look","since":"2024-03-20T10:44:00.123456Z","at":"2024-03-20T11:44:00.123456Z"},"told":{"segment":"site%2Fa/trains","severity":"page","kind":"short","text":"site%2Fa/trains is short","protected":false,"job":{"id":"copy site-c/bikes to site%2Fa/trains","kind":"copy","from":["site-c/bikes"],"to":"site%2Fa/trains"},"run_id":"tuesday","attempt":1,"number":3,"state":"rejected","build":"v1","rule":"all","runbook":"look","since":"2024-03-19T10:44:00.123456Z","at":"2024-03-19T11:44:00.123456Z","report":{"verdict":"failed","name":"fixture","expected":{"users":100},"read":null,"written":null,"stored":{"users":0},"findings":[{"kind":"empty","severity":"fail","step":"store","detail":"nothing is stored"},{"kind":"short","severity":"fail","step":"store","detail":"stored 0 of 100 users (100% short, 0 allowed)"}]}}}');
INSERT INTO segmentguard_segments (segment, state, affected, alert_kind, alert_severity, alert_since, alert) VALUES ('site-b/boats ''n "more"\', x'0305020a696e6465780280f9d390a1fb89066466000e747565736461791072656a65637465643e636f707920746f20736974652d622f626f61747320276e20226d6f7265225c08636f70790476320a696e64657802282a80f98eeea4808a060664660a696e64657880f9d390a1fb890604', 1, 'short', 'page', 1710845040123456, '{"open":{"segment":"site-b/boats ''n \"more\"\\","severity":"page","kind":"short","text":"site-b/boats ''n \"more\"\\ is short","protected":true,"job":{"id":"copy site-c/bikes to site-b/boats ''n \"more\"\\","kind":"copy","from":["site-c/bikes"],"to":"site-b/boats ''n \"more\"\\"},"run_id":"tuesday","attempt":1,"number":3,"state":"rejected","build":"v2","rule":"all","runbook":"look","since":"2024-03-19T10:44:00.123456Z","at":"2024-03-19T11:44:00.123456Z","report":{"verdict":"failed","name":"fixture","expected":{"users":50},"read":null,"written":null,"stored":{"users":20},"findings":[{"kind":"short","severity":"fail","step":"store","detail":"stored 20 of 50 users (60.0% short, 0 allowed)"}]}},"told":{"segment":"site-b/boats ''n \"more\"\\","severity":"page","kind":"short","text":"site-b/boats ''n \"more\"\\ is short","protected":true,"job":{"id":"copy site-c/bikes to site-b/boats ''n \"more\"\\","kind":"copy","from":["site-c/bikes"],"to":"site-b/boats ''n \"more\"\\"},"run_id":"tuesday","attempt":1,"number":3,"state":"rejected","build":"v2","rule":"all","runbook":"look","since":"2024-03-19T10:44:00.123456Z","at":"2024-03-19T11:44:00.123456Z","report":{"verdict":"failed","name":"fixture","expected":{"users":50},"read":null,"written":null,"stored":{"users":20},"findings":[{"kind":"short","severity":"fail","step":"store","detail":"stored 20 of 50 users (60.0% short, 0 allowed)"}]}}}');
INSERT INTO segmentguard_segments (segment, state, affected, alert_kind, alert_severity, alert_since, alert) VALUES ('site-c/bikes', x'030002000280f9d390a1fb89060e000200', 1, 'dropped', 'ticket', 1710931440123456, '{"open":{"segment":"site-c/bikes","severity":"ticket","kind":"dropped","text":"site-c/bikes is dropped","protected":false,"job":{"id":"copy site-c/bikes to site-c/bikes","kind":"copy","from":["site-c/bikes"],"to":"site-c/bikes"},"run_id":"tuesday","attempt":1,"number":3,"state":"rejected","rule":"all","runbook":"look","since":"2024-03-20T10:44:00.123456Z","at":"2024-03-20T11:44:00.123456Z","report":{"verdict":"passed","name":"fixture","expected":{"users":7},"read":null,"written":null,"stored":{"users":7}}},"claimed":"2024-03-21T10:44:00.123456Z"}');
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled) VALUES ('site%2Fa/cars', 1710758640123456, 'recorded', 'monday', '', '', 1, 'started', 'copy to site%2Fa/cars', 'copy', 'v1', 0, 1, 'index', 0, '{"verdict":"failed","name":"fixture","expected":{"users":0},"read":null,"written":null,"stored":{"users":0},"findings":[{"kind":"empty","severity":"fail","step":"store","detail":"nothing is stored, and the policy wants at least one user"}]}', 1, 0, 0);
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled) VALUES ('site%2Fa/cars', 1710758640123456, 'recorded', 'monday', '', '', 1, 'passed', 'copy to site%2Fa/cars', 'copy', 'v1', 1000, 1001, 'index', 0, '{"verdict":"passed","name":"fixture","expected":{"users":1000},"read":null,"written":null,"stored":{"users":1000}}', 1, 0, 0);
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled) VALUES ('site%2Fa/cars', 1710758640123456, 'recorded', 'monday', '', '', 1, 'committed', 'copy to site%2Fa/cars', 'copy', 'v1', 1000, 1001, 'index', 0, '{"verdict":"passed","name":"fixture","expected":{"users":1000},"read":null,"written":null,"stored":{"users":1000}}', 1, 0, 0);
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled) VALUES ('site-b/boats ''n "more"\', 1710758640123456, 'recorded', 'monday', '', '', 1, 'committed', 'copy to site-b/boats ''n "more"\', 'copy', 'v1', 50, 51, 'index', 0, '{"verdict":"passed","name":"fixture","expected":{"users":50},"read":null,"written":null,"stored":{"users":50}}', 2, 0, 0);
INSERT INTO segmentguard_log (segment, at, action, run, by_whom, why, attempt, state, job, kind, build, users, read_users, counter, live, report, number, overlapped, settled) VALUES ('site-b/boats ''n "more"\', 1710845040123456, 'recorded', 'tuesday', '', '', 1, 'rejected', 'copy to site-b/boats ''n "more"\', 'copy', 'v2', 20, 21, 'index', 0, '{"verdict":"failed","name":"fixture","expected":{"users":40},"read":null,"written":null,"stored":{"users":20},"findings":[{"kind":"short","severity":"fail","step":"store","detail":"stored 20 of 40 users (50.0% short, 0 allowed)"}]}', 3, 0, 0);
INSERT INTO segmentguard_commits (segment, run, attempt, since, until, token, passed, generation, number) VALUES ('site%2Fa/cars', '', 0, -62135596800000000, -62135596800000000, 0, 0, 1, 1);
INSERT INTO segmentguard_commits (segment, run, attempt, since, until, token, passed, generation, number) VALUES ('site-b/boats ''n "more"\', '', 0, -62135596800000000, -62135596800000000, 0, 0, 1, 2);
UPDATE segmentguard_numbers SET number = 3;
