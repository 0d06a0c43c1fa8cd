-- The first schema, as its program made and filled it.
CREATE TABLE segmentguard_runs (
	segment text COLLATE "C" NOT NULL,
	run     text COLLATE "C" NOT NULL,
	attempt bigint NOT NULL,
	PRIMARY KEY (segment, run)
);
CREATE TABLE segmentguard_attempts (
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
);
CREATE INDEX segmentguard_attempts_run ON segmentguard_attempts (segment, run, attempt);
CREATE INDEX segmentguard_attempts_sizes ON segmentguard_attempts (segment, at, id) WHERE in_baseline;
INSERT INTO segmentguard_runs (segment, run, attempt) VALUES ('site%2Fa/cars', 'monday', 1);
INSERT INTO segmentguard_runs (segment, run, attempt) VALUES ('site%2Fa/cars', 'tuesday', 2);
INSERT INTO segmentguard_runs (segment, run, attempt) VALUES ('site%2Fa/cars', 'untimed', 1);
INSERT INTO segmentguard_runs (segment, run, attempt) VALUES ('site-b/boats ''n "more"\', 'monday', 1);
INSERT INTO segmentguard_runs (segment, run, attempt) VALUES ('site-b/boats ''n "more"\', 'tuesday', 1);
INSERT INTO segmentguard_runs (segment, run, attempt) VALUES ('site-b/boats ''n "more"\', 'wednesday', 1);
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site%2Fa/cars', 'monday', 1, 'accepted', 'copy to site%2Fa/cars', 'copy', 'v1', 1000, 1001, '2024-03-18 10:44:00.123456+00', false, '{"verdict":"passed","name":"g/s","expected":{"users":1000},"read":null,"written":null,"stored":{"users":1000}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site%2Fa/cars', 'monday', 1, 'committed', 'copy to site%2Fa/cars', 'copy', 'v1', 1000, 1001, '2024-03-18 10:44:00.123456+00', true, '{"verdict":"passed","name":"g/s","expected":{"users":1000},"read":null,"written":null,"stored":{"users":1000}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site-b/boats ''n "more"\', 'monday', 1, 'observed', 'copy to site-b/boats ''n "more"\', 'copy', 'v1', 50, 51, '2024-03-18 10:44:00.123456+00', true, '{"verdict":"passed","name":"g/s","expected":{"users":50},"read":null,"written":null,"stored":{"users":50}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site%2Fa/cars', 'tuesday', 1, 'rejected', 'copy to site%2Fa/cars', 'copy', 'v2', 400, 401, '2024-03-19 10:44:00.123456+00', false, '{"verdict":"failed","name":"g/s","expected":{"users":1000},"read":null,"written":null,"stored":{"users":400},"findings":[{"kind":"capped","severity":"fail","step":"store","detail":"capped at 400, a known limit (Vespa maxHits)","caps":[{"users":400,"origin":"Vespa maxHits"}]},{"kind":"short","severity":"fail","step":"store","detail":"stored 400 of 1,000 users (60.0% short, 0 allowed)"}]}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site%2Fa/cars', 'tuesday', 2, 'committed', 'copy to site%2Fa/cars', 'copy', 'v1', 1010, 1011, '2024-03-19 10:44:00.123456+00', true, '{"verdict":"passed","name":"g/s","expected":{"users":1010},"read":null,"written":null,"stored":{"users":1010}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site-b/boats ''n "more"\', 'tuesday', 1, 'observed', 'copy to site-b/boats ''n "more"\', 'copy', 'v2', 20, 21, '2024-03-19 10:44:00.123456+00', false, '{"verdict":"failed","name":"g/s","expected":{"users":50},"read":null,"written":null,"stored":{"users":20},"findings":[{"kind":"short","severity":"fail","step":"store","detail":"stored 20 of 50 users (60.0% short, 0 allowed)"}]}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site-b/boats ''n "more"\', 'wednesday', 1, 'accepted', 'copy to site-b/boats ''n "more"\', 'copy', 'v1', 51, 52, '2024-03-20 10:44:00.123456+00', false, '{"verdict":"passed","name":"g/s","expected":{"users":51},"read":null,"written":null,"stored":{"users":51}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site-b/boats ''n "more"\', 'wednesday', 1, 'unknown', 'copy to site-b/boats ''n "more"\', 'copy', 'v1', 51, 52, '2024-03-20 10:44:00.123456+00', false, '{"verdict":"passed","name":"g/s","expected":{"users":51},"read":null,"written":null,"stored":{"users":51}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, at, in_baseline, report) VALUES ('site%2Fa/cars', 'untimed', 1, 'rejected', 'j', 'lookalike', '', 0, 0, '0001-01-01 00:00:00.000000+00', false, '{"verdict":"","name":"","expected":null,"read":null,"written":null,"stored":null}');
