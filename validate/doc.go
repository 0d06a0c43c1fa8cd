// Package validate judges whether what a job stored is what it was given. It
// knows users and how many there are; it knows nothing of segments, databases
// or clocks, and does no I/O.
//
// Measure each side of the job with a [Summary] ([Count], [Estimate],
// [Fingerprinted], [Digest.Summary], …), put them into an [Output], and have a
// [Policy] judge it:
//
//	report, err := validate.Check(ctx, validate.Policy{}, validate.Output{
//		Name:     "site-b/cars",
//		Expected: validate.Count(asked), // what the source itself says it holds
//		Read:     validate.Count(read),  // what this job took in
//		Stored:   validate.Count(found), // what is there, read back
//	})
//
// The zero Policy is the strictest: exactly the expected users, and at least
// one. err is nil if and only if the check ran to completion and the output
// passed.
//
// Expected must come from another path than the one on which the job reads. A
// job whose read stops at 10,000 users and whose store holds 10,000 users agrees
// with itself.
//
// # Sides
//
// A side is counted ([Count]), estimated within an error ([Estimate]), counted and
// fingerprinted by an engine ([Fingerprinted]), digested ([Digest.Summary]), known
// within bounds ([Bounded]), [Unknown], or [Unmeasured] because something failed. The
// zero Summary is a side that nobody measured; an Output needs Expected and Stored.
// A source that changes while it is read is measured before and after ([Moving]).
// [Summary.AsOf] says up to when an answer is complete: Stored must be complete up to
// Output.WrittenAt, and Expected as recent as Policy.MaxSourceLag asks;
// [Summary.LagUnknown] is for a replica that cannot say.
//
// Each side is judged against the one before it: Read against Expected by
// Policy.Reading, Written against Read by Policy.Mapping, Stored against Written by
// Policy.Tolerance; where a side between is not measured, against the nearest that
// is. With a Mapping the way from Read to Stored leads over Written, which must be
// measured then. Sides are compared user by user where both are known by one [Hash];
// where only Expected and Stored are, these two decide on the whole way, and Read is
// judged by its number. Report.SameUsers is true only where Stored is proven to hold
// just the users of Expected.
//
// A step of which bounds are all that is in doubt is Unverified; with
// Policy.AllowPossible it passes with a warning.
//
// # What a kind proves
//
// Counted sides prove [Short], [Surplus] and [Empty] as integers; an [Estimate]
// proves them beyond three standard errors and is [Unverified] within. [Capped]
// says that a side stops exactly at a documented limit ([KnownCaps]): that it
// was this limit which cut it is the likeliest cause, not a proof; a limit below
// 1,000 is never more than a warning, and a size that the segment had before is no
// limit's; nor is half or more of a number as round as the limit, where ids are mapped
// and the size did not fall, or digests show a [Gap] in place of a lost end. [Dropped] and [Risen] are suspicions
// of the segment's own history, of its size and, where ids are mapped, of the share of
// them that is; see [Band] for the method, and below for what becomes of such sizes.
// [Leaking] and [Frozen] warn of what no day shows by itself, as [Size] says; [Stale] is
// what [Runs.Stale] finds.
//
// Two sides that were digested ([Digest], [Tee]) or fingerprinted by an engine
// prove, by equal fingerprints and equal counts, that they hold the same users.
// Where they do not, sums of the source's checkpoints prove
//
//   - [Truncated]: what is stored is exactly the source's first N users;
//   - [Gap]: what is missing is exactly a run of the source, or several;
//   - [Repeated]: a run of the source is stored several times, alone, besides
//     the others, or in place of another.
//
// Off the checkpoints, the samples of two digests make the same causes likely:
// the detail then begins with "likely" and ends with how likely losses at random
// would look like that, where as many users are lost as around the place in
// question. None is claimed above 1 in 10^9, so that a handful of lost users has no
// cause, even if they are the last ones; nor has it a cause if every other user is
// lost, as with a shard, or half of the newest. Up to some thousand users a digest
// holds all of them, and then everything is proven.
//
// [Different] says that users are missing, or there that should not be, by more than
// is allowed, though their number may be right. Two digests tell by exactly how many,
// and [Diff] by which, as long as some 19,000 users differ at most, or as many as
// [Digest.Resolve] asked for. Tolerances are judged by these integers: Short by how
// many are missing, Surplus by how many should not be there. Beyond that, and once in
// some ten thousand times below it, they tell bounds: a tolerance outside the bounds
// is decided, and one within is [Unverified], as is always one of zero. The upper
// bounds allow for five standard errors. A sample says, above that, of which kind the
// users are and where they were.
//
// Where an engine's fingerprints differ, the sides are compared where they are, if they
// say how ([Summary.WithComparer]), which tells exact numbers, too. Where that cannot
// tell they are measured again as digests, if they say how ([Summary.WithRemeasure]); a
// second look that does not say which users there are decides nothing.
//
// # Stores that keep a user once
//
// Policy.Distinct compares distinct users at the step store. A difference of digests
// tells that a user came more often than it is stored, and not if it is stored: that
// is known where the digest holds all users, where each was digested once ([TeeOnce]),
// or where a second look asks the store for these users alone ([InQuestion]). A side
// that was only counted is taken to have counted distinct users.
//
// # Sizes over time
//
// What a size is judged by depends on what was judged before. A [Baseline] remembers,
// for each segment, the sizes that passed and the candidates for a new level; it goes
// into the next Output, and takes in the Report:
//
//	out.Sizes, out.Candidates = baseline.Sizes, baseline.Candidates
//	report, err := validate.Check(ctx, policy, out)
//	… once the output is live, or rejected:
//	baseline.Take(&report, validate.Size{Users: out.Stored.Users(), Read: out.Read.Users(), At: out.At})
//
// Report.Level says what a size was to its history. One that is off it is no measure for
// later ones until somebody accepts it ([Baseline.Accept]); until an independent Expected
// has vouched for its level on seven UTC days; or, if Policy.Relearn asks for it, until it
// stood for so many days. For 30 days after that the level before passes as well, with a
// warning: a repair is no anomaly. What is planned is said before ([Excuse]). After 28
// days without a size that passed an independent Expected alone judges the size; where
// there is none the output is Unverified, unless it has again the size it had before
// others were rejected.
//
// A warning that only says why something passed has Finding.Explains set; any other asks
// for somebody's attention.
//
// # Which users differ
//
// [Diff] tells of two digests how many rows one lacks and how many it has beyond the
// other, and of each user whether it is among them. It is exact where no more than
// some 19,000 users differ, of any number of users, or as many as [Digest.Resolve]
// asked for. Beyond that it gives bounds, and knows of some users only that they are
// the same. A digest keeps hashes, so the ids come from a second look at the source: a
// job that asks about each of its users uploads those that are missing, and no others.
// A store that keeps a user once holds what [TeeOnce] digested.
//
// # What no fingerprint of this sort proves
//
// They detect faults, not attackers. A fingerprint is a sum of hashes that are
// not secret, so whoever chooses the ids can make two sets collide: with XXH3
// by its published collisions, and with any hash by solving for a subset with a
// given sum, which Wagner's "A Generalized Birthday Problem" (CRYPTO 2002) makes
// far cheaper than breaking the hash. Bellare and Micciancio, "A New Paradigm for
// Collision-Free Hashing: Incrementality at Reduced Cost" (EUROCRYPT 1997),
// describe such sums, and the much longer ones that would keep that out. For
// faults, which choose nothing, two different sides of n users collide with a
// chance of about 2^-128.
//
// A shard of somebody else's store that was lost looks like losses at random;
// a job that writes to shards keeps one digest for each and merges them. An id
// written in another way, a UUID as text and as 16 bytes, is another user:
// canonicalise ids before they are digested.
//
// # Errors
//
// An error of [Check] is an [*Error]. It matches, with [errors.Is], the [Kind] of
// each finding that fails, carries the whole [Report], and unwraps to the causes
// of what could not be checked: an [*InputError] for bad input, [ErrLagging] for
// a store that has not shown the last write yet, whatever [Unmeasured] was given.
// "It differs" and "it could not be verified" are different kinds, and neither
// is a pass.
//
// # Telemetry
//
// Under the scope github.com/segmentguard/segmentguard/validate:
//
//   - spans "check output" and "admit output" with segmentguard.output,
//     segmentguard.verdict (passed, failed, unverified), segmentguard.job.kind,
//     segmentguard.users.expected, segmentguard.users.stored,
//     segmentguard.findings; a failure sets the status and error.type, the
//     gravest kind;
//   - segmentguard.check.duration (s) and segmentguard.check.shortfall ({user}),
//     histograms with segmentguard.verdict, segmentguard.job.kind and
//     error.type; never with a name;
//   - one log record a check, if [Config] has a Logger.
//
// While no global TracerProvider is set and no span is around, none is started.
package validate
