-- The second schema, as its program made and filled it.
CREATE TABLE segmentguard_segments (
	segment text COLLATE "C" PRIMARY KEY,
	packed  bytea NOT NULL
);
CREATE TABLE segmentguard_attempts (
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
);
CREATE INDEX segmentguard_attempts_run ON segmentguard_attempts (segment, run, attempt, id);
CREATE INDEX segmentguard_attempts_at ON segmentguard_attempts (at);
CREATE TABLE segmentguard_alerts (
	segment text COLLATE "C" PRIMARY KEY,
	state   text NOT NULL
);
CREATE TABLE segmentguard_words (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	segment text COLLATE "C" NOT NULL,
	run     text NOT NULL,
	word    text NOT NULL, -- 'accepted' or 'suspected'
	by_whom text NOT NULL,
	why     text NOT NULL,
	at      timestamptz NOT NULL
);
INSERT INTO segmentguard_segments (segment, packed) VALUES ('site%2Fa/cars', '\x0107020a696e6465780480f98eeea4808a06a006a206008080f6ba870a14b60600127765646e657364617912636f6d6d69747465642a636f707920746f2073697465253246612f6361727308636f70790476320a696e64657802b406b60680f984a9ac8a8a060e7475657364617906616e6e1261206d65726765720a80f9c9cba8858a06b406b6060a696e64657880f984a9ac8a8a06');
INSERT INTO segmentguard_segments (segment, packed) VALUES ('site-b/boats ''n "more"\', '\x010500000e747565736461791072656a65637465643e636f707920746f20736974652d622f626f61747320276e20226d6f7265225c08636f70790476320a696e64657802282a80f98eeea4808a0664660a696e64657880f9d390a1fb8906');
INSERT INTO segmentguard_segments (segment, packed) VALUES ('site-c/bikes', '\x010002000480f9d390a1fb89060e00028080bbdd8305020002');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, counter, at, report) VALUES ('site%2Fa/cars', 'monday', 1, 'accepted', 'copy to site%2Fa/cars', 'copy', 'v1', 1000, 1001, 'index', '2024-03-18 10:44:00.123456+00', '{"verdict":"passed","name":"g/s","expected":{"users":1000},"read":null,"written":null,"stored":{"users":1000}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, counter, at, report) VALUES ('site%2Fa/cars', 'monday', 1, 'committed', 'copy to site%2Fa/cars', 'copy', 'v1', 1000, 1001, 'index', '2024-03-18 10:44:00.123456+00', '{"verdict":"passed","name":"g/s","expected":{"users":1000},"read":null,"written":null,"stored":{"users":1000}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, counter, at, report) VALUES ('site-b/boats ''n "more"\', 'monday', 1, 'committed', 'copy to site-b/boats ''n "more"\', 'copy', 'v1', 50, 51, 'index', '2024-03-18 10:44:00.123456+00', '{"verdict":"passed","name":"g/s","expected":{"users":50},"read":null,"written":null,"stored":{"users":50}}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, counter, at, report) VALUES ('site%2Fa/cars', 'tuesday', 1, 'rejected', 'copy to site%2Fa/cars', 'copy', 'v2', 400, 401, 'index', '2024-03-19 10:44:00.123456+00', '{"verdict":"failed","name":"g/s","expected":{"users":1000},"read":null,"written":null,"stored":{"users":400},"findings":[{"kind":"capped","severity":"fail","step":"store","detail":"capped at 400, a known limit (Vespa maxHits)","caps":[{"users":400,"origin":"Vespa maxHits"}]},{"kind":"short","severity":"fail","step":"store","detail":"stored 400 of 1,000 users (60.0% short, 0 allowed)"}]}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, counter, at, report) VALUES ('site-b/boats ''n "more"\', 'tuesday', 1, 'rejected', 'copy to site-b/boats ''n "more"\', 'copy', 'v2', 20, 21, 'index', '2024-03-19 10:44:00.123456+00', '{"verdict":"failed","name":"g/s","expected":{"users":50},"read":null,"written":null,"stored":{"users":20},"findings":[{"kind":"short","severity":"fail","step":"store","detail":"stored 20 of 50 users (60.0% short, 0 allowed)"}]}');
INSERT INTO segmentguard_attempts (segment, run, attempt, state, job, kind, build, users, read_users, counter, at, report) VALUES ('site%2Fa/cars', 'wednesday', 1, 'committed', 'copy to site%2Fa/cars', 'copy', 'v2', 410, 411, 'index', '2024-03-21 10:44:00.123456+00', '{"verdict":"passed","name":"g/s","expected":{"users":410},"read":null,"written":null,"stored":{"users":410}}');
INSERT INTO segmentguard_alerts (segment, state) VALUES ('incident/copy short v2', '{"segment":"incident/copy short v2","open":{"segment":"incident/copy short v2","severity":"page","kind":"short","text":"2 segments","protected":false,"job":{"id":"","kind":"","to":"/"},"run":"","attempt":0,"since":"2024-03-18T10:44:00.123456Z","at":"2024-03-18T10:44:00.123456Z","incident":{"job":"copy","kind":"short","build":"v2","severity":"page","segments":2,"site_groups":2,"users":9007199254740993,"since":"2024-03-18T10:44:00.123456Z","cause":"","next":""}}}');
INSERT INTO segmentguard_alerts (segment, state) VALUES ('site%2Fa/cars', '{"segment":"site%2Fa/cars","told":{"segment":"site%2Fa/cars","severity":"page","kind":"short","text":"site%2Fa/cars: 20 of 50","protected":false,"job":{"id":"copy site-c/bikes to site%2Fa/cars","kind":"copy","from":["site-c/bikes"],"to":"site%2Fa/cars"},"run":"tuesday","attempt":1,"build":"v2","since":"2024-03-19T10:44:00.123456Z","at":"2024-03-19T10:44:00.123456Z","report":{"verdict":"failed","name":"g/s","expected":{"users":50},"read":null,"written":null,"stored":{"users":20},"findings":[{"kind":"short","severity":"fail","step":"store","detail":"stored 20 of 50 users (60.0% short, 0 allowed)"}]}}}');
INSERT INTO segmentguard_alerts (segment, state) VALUES ('site-b/boats ''n "more"\', '{"segment":"site-b/boats ''n \"more\"\\","open":{"segment":"site-b/boats ''n \"more\"\\","severity":"page","kind":"short","text":"site-b/boats ''n \"more\"\\: 20 of 50","protected":false,"job":{"id":"copy site-c/bikes to site-b/boats ''n \"more\"\\","kind":"copy","from":["site-c/bikes"],"to":"site-b/boats ''n \"more\"\\"},"run":"tuesday","attempt":1,"build":"v2","since":"2024-03-19T10:44:00.123456Z","at":"2024-03-19T10:44:00.123456Z","report":{"verdict":"failed","name":"g/s","expected":{"users":50},"read":null,"written":null,"stored":{"users":20},"findings":[{"kind":"short","severity":"fail","step":"store","detail":"stored 20 of 50 users (60.0% short, 0 allowed)"}]}},"told":{"segment":"site-b/boats ''n \"more\"\\","severity":"page","kind":"short","text":"site-b/boats ''n \"more\"\\: 20 of 50","protected":false,"job":{"id":"copy site-c/bikes to site-b/boats ''n \"more\"\\","kind":"copy","from":["site-c/bikes"],"to":"site-b/boats ''n \"more\"\\"},"run":"tuesday","attempt":1,"build":"v2","since":"2024-03-19T10:44:00.123456Z","at":"2024-03-19T10:44:00.123456Z","report":{"verdict":"failed","name":"g/s","expected":{"users":50},"read":null,"written":null,"stored":{"users":20},"findings":[{"kind":"short","severity":"fail","step":"store","detail":"stored 20 of 50 users (60.0% short, 0 allowed)"}]}},"claimed":"2024-03-19T10:44:00.123456Z"}');
INSERT INTO segmentguard_words (segment, run, word, by_whom, why, at) VALUES ('site%2Fa/cars', 'tuesday', 'accepted', 'ann', 'a merger
', '2024-03-20 10:44:00.123456+00');
INSERT INTO segmentguard_words (segment, run, word, by_whom, why, at) VALUES ('site-b/boats ''n "more"\', 'monday', 'suspected', 'bob', 'a limit', '2024-03-22 10:44:00.123456+00');
