-- The first schema, as its program made and filled it.
CREATE TABLE segmentguard_runs (
	segment TEXT NOT NULL,
	run     TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	PRIMARY KEY (segment, run)
) WITHOUT ROWID;
CREATE TABLE segmentguard_attempts (
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
);
CREATE INDEX segmentguard_attempts_run ON segmentguard_attempts (segment, run, attempt);
CREATE INDEX segmentguard_attempts_sizes ON segmentguard_attempts (segment, at, id) WHERE in_baseline;
INSERT INTO segmentguard_runs (segment, run, attempt) VALUES ('site%2Fa/cars', 'monday', 1);
INSERT INTO segmentguard_runs (segment, run, attempt) VALUES ('site%2Fa/cars', 'tuesday', 2);
INSERT INTO segmentguard_runs (segment, run, attempt) VALUES ('site%2Fa/cars', 'untimed', 1);
INSERT INTO segmentguard_runs (segment, run, attempt) VALUES ('site-b/boats ''n "more"\', 'monday', 1);
INSERT INTO segmentguard_runs (segment, run, attempt) VALUES ('site-b/boats ''n "more"\', 'tuesday', 1);
INSERT INTO segmentguard_runs (segment, run, attempt) VALUES ('site-b/boats ''n "more"\', 'wednesday', 1);
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site%2Fa/cars', 'monday', 1, 'accepted', 'copy to site%2Fa/cars', 'copy', 'v1', 1000, 1001, 1710758640123456, 0, '{"verdict":"passed","name":"g/s","expected":{"users":1000},"read":null,"written":null,"stored":{"users":1000}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site%2Fa/cars', 'monday', 1, 'committed', 'copy to site%2Fa/cars', 'copy', 'v1', 1000, 1001, 1710758640123456, 1, '{"verdict":"passed","name":"g/s","expected":{"users":1000},"read":null,"written":null,"stored":{"users":1000}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site-b/boats ''n "more"\', 'monday', 1, 'observed', 'copy to site-b/boats ''n "more"\', 'copy', 'v1', 50, 51, 1710758640123456, 1, '{"verdict":"passed","name":"g/s","expected":{"users":50},"read":null,"written":null,"stored":{"users":50}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site%2Fa/cars', 'tuesday', 1, 'rejected', 'copy to site%2Fa/cars', 'copy', 'v2', 400, 401, 1710845040123456, 0, '{"verdict":"failed","name":"g/s","expected":{"users":1000},"read":null,"written":null,"stored":{"users":400},"findings":[{"kind":"capped","severity":"fail","step":"store","detail":"capped at 400, a known limit (Vespa maxHits)","caps":[{"users":400,"origin":"Vespa maxHits"}]},{"kind":"short","severity":"fail","step":"store","detail":"stored 400 of 1,000 users (60.0% short, 0 allowed)"}]}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site%2Fa/cars', 'tuesday', 2, 'committed', 'copy to site%2Fa/cars', 'copy', 'v1', 1010, 1011, 1710845040123456, 1, '{"verdict":"passed","name":"g/s","expected":{"users":1010},"read":null,"written":null,"stored":{"users":1010}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site-b/boats ''n "more"\', 'tuesday', 1, 'observed', 'copy to site-b/boats ''n "more"\', 'copy', 'v2', 20, 21, 1710845040123456, 0, '{"verdict":"failed","name":"g/s","expected":{"users":50},"read":null,"written":null,"stored":{"users":20},"findings":[{"kind":"short","severity":"fail","step":"store","detail":"stored 20 of 50 users (60.0% short, 0 allowed)"}]}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site-b/boats ''n "more"\', 'wednesday', 1, 'accepted', 'copy to site-b/boats ''n "more"\', 'copy', 'v1', 51, 52, 1710931440123456, 0, '{"verdict":"passed","name":"g/s","expected":{"users":51},"read":null,"written":null,"stored":{"users":51}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site-b/boats ''n "more"\', 'wednesday', 1, 'unknown', 'copy to site-b/boats ''n "more"\', 'copy', 'v1', 51, 52, 1710931440123456, 0, '{"verdict":"passed","name":"g/s","expected":{"users":51},"read":null,"written":null,"stored":{"users":51}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site%2Fa/cars', 'untimed', 1, 'rejected', 'j', 'lookalike', '', 0, 0, -62135596800000000, 0, '{"verdict":"","name":"","expected":null,"read":null,"written":null,"stored":null}');
