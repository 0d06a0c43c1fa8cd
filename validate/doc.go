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
// # What a kind proves
//
// Counted sides prove [Short], [Surplus] and [Empty] as integers; an [Estimate]
// proves them beyond three standard errors and is [Unverified] within. [Capped]
// says that a side stops exactly at a documented limit ([KnownCaps]): that it
// was this limit which cut it is the likeliest story, not a proof. [Dropped] and
// [Risen] are suspicions of the segment's own history; see [Band] for the
// method. [Different] needs fingerprints: it says that the users are not the
// right ones, though their number is.
//
// Equal fingerprints of equal counts prove the users to be the same as far as
// faults go. They are sums of hashes that are not secret, so whoever chooses
// the ids can make two sets collide; Bellare and Micciancio, "A New Paradigm for
// Collision-Free Hashing: Incrementality at Reduced Cost" (EUROCRYPT 1997), show
// what it would take to keep that out. segmentguard detects faults, not
// attackers.
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
