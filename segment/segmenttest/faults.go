package segmenttest

import (
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// Faults returns all faults of this package, in the order in which TestJob tries
// them.
func Faults() []Fault {
	return []Fault{
		StopsAt10000, StopsAtOddNumber, DropsPage, RepeatsPage, CappedBehindMapping, ReadFails,
		UploadsNothing, FailsWriteSilently, LosesShard, DropsOnePercent, KeepsStaleRows,
		LagsAWhile, LagsForever, ShowsYesterday, ReadBackFails,
		CommitFails, OlderAttempt,
	}
}

// Except returns all [Faults] but these, for a job that one of them cannot happen
// to, or that lets one through and says why:
//
//	faults := segmenttest.Except(segmenttest.LagsAWhile, segmenttest.LagsForever)
//	segmenttest.TestJob(t, job, faults...)
func Except(not ...Fault) []Fault {
	return slices.DeleteFunc(Faults(), func(f Fault) bool {
		return slices.ContainsFunc(not, func(n Fault) bool { return n.name == f.name })
	})
}

// healthy is no fault. TestJob always tries it first: a job that never passes
// would fail with each fault, too.
var healthy = Fault{
	name: "Healthy",
	why:  "Nothing is broken. The job must pass and make the source's users live.",
	set:  set(func(*flaws) {}),
}

// Faults of reading. The source's own count is right; only another path than
// the one that was read shows them.
var (
	// StopsAt10000 ends the read after 10,000 users, without an error. Wanted:
	// Capped.
	StopsAt10000 = Fault{
		name: "StopsAt10000",
		why: "The read ends after 10,000 users without an error, as a search engine's result window does. " +
			"What is stored agrees with what was read; only the source's own count tells.",
		set:  reading(func(users []string) []string { return users[:min(10_000, len(users))] }),
		want: found(validate.Capped),
	}
	// StopsAtOddNumber ends the read after a number of users that is nobody's
	// limit, without an error. Wanted: Short.
	StopsAtOddNumber = Fault{
		name: "StopsAtOddNumber",
		why: "The read ends after 7,301 users without an error, as a cursor does that timed out. " +
			"No list of known limits tells; the source's own count does.",
		set:  reading(func(users []string) []string { return users[:min(7301, len(users))] }),
		want: found(validate.Short),
	}
	// DropsPage leaves out one page of the read. Wanted: Short.
	DropsPage = Fault{
		name: "DropsPage",
		why:  "The read leaves out its fifth page, as paging by offset does while rows are deleted. Counting against the source's own count tells.",
		set:  reading(func(users []string) []string { return slices.Concat(users[:4*pageUsers], users[5*pageUsers:]) }),
		want: found(validate.Short),
	}
	// RepeatsPage reads one page again in place of the next. Wanted: Repeated,
	// Different or Short.
	RepeatsPage = Fault{
		name: "RepeatsPage",
		why: "The read yields its fifth page again in place of the sixth, as a cursor does that was not moved on. " +
			"The number of users is right, the users are not: only their digest or fingerprint, taken by the source itself, tells. " +
			"A job that only counts lets this through, and leaves this fault out.",
		set: reading(func(users []string) []string {
			return slices.Concat(users[:5*pageUsers], users[4*pageUsers:5*pageUsers], users[6*pageUsers:])
		}),
		want: found(validate.Repeated, validate.Different, validate.Short),
	}
	// CappedBehindMapping ends the read after 10,000 of not many more users. For
	// a job that maps ids, what is stored is within the share that has a
	// counterpart. Wanted: Capped.
	CappedBehindMapping = Fault{
		name: "CappedBehindMapping",
		why: "The read ends after 10,000 of 11,170 users, of which four in five have an id in the other site group: the 72% that are stored look like any mapping. " +
			"Reading, mapping and storing must each be held to their own tolerance.",
		set:  slices.Concat(StopsAt10000.set, set(func(broken *flaws) { broken.users = 11_170 })),
		want: found(validate.Capped),
	}
	// ReadFails ends the read in the middle, with an error. Wanted: that error, or
	// Unverified.
	ReadFails = Fault{
		name: "ReadFails",
		why: "The read fails in the middle. The job must fail with that error, or have the guard call it unverified: " +
			"an outage is no verdict on the users, and running the job again may help.",
		set:  set(func(broken *flaws) { broken.readFails = true }),
		want: append(found(validate.Unverified), matching("the read's own", errRead)),
	}
)

// Faults of storing. What was acknowledged is not what is there; only reading
// back shows them.
var (
	// UploadsNothing acknowledges every write and stores nothing. Wanted: Empty.
	UploadsNothing = Fault{
		name: "UploadsNothing",
		why:  "Every write is acknowledged and nothing is stored. Whoever believes the writer publishes an empty segment.",
		set:  writing(func([]string, int) []string { return nil }),
		want: found(validate.Empty),
	}
	// FailsWriteSilently acknowledges a write in the middle and stores nothing of
	// it. Wanted: Short.
	FailsWriteSilently = Fault{
		name: "FailsWriteSilently",
		why:  "One write in the middle fails and is acknowledged all the same, as a bulk request whose items failed. Only reading back tells.",
		set: writing(func(users []string, acknowledged int) []string {
			const lost = 5500 // in the write that holds this one
			if acknowledged <= lost && lost < acknowledged+len(users) {
				return nil
			}
			return users
		}),
		want: found(validate.Short),
	}
	// LosesShard stores nothing of one shard in eight. Wanted: Short.
	LosesShard = Fault{
		name: "LosesShard",
		why:  "One of the destination's eight shards forgets what it is given, so that one user in eight is missing all over the segment. Only reading back tells.",
		set: writing(func(users []string, _ int) []string {
			return without(users, func(_ int, user string) bool { return hash(user)%8 == 5 })
		}),
		want: found(validate.Short),
	}
	// DropsOnePercent loses every hundredth user. Wanted: Short.
	DropsOnePercent = Fault{
		name: "DropsOnePercent",
		why:  "Every hundredth user is lost in storing. A tolerance that a job does not need lets this through, day by day.",
		set: writing(func(users []string, acknowledged int) []string {
			return without(users, func(i int, _ string) bool { return (acknowledged+i)%100 == 99 })
		}),
		want: found(validate.Short),
	}
	// KeepsStaleRows begins with rows of users that the source has no more.
	// Wanted: Surplus or Different.
	KeepsStaleRows = Fault{
		name: "KeepsStaleRows",
		why:  "The destination was not emptied before: users who left the segment yesterday stay in it. More users than expected are as wrong as fewer.",
		set:  set(func(broken *flaws) { broken.stale = true }),
		want: found(validate.Surplus, validate.Different),
	}
)

// Faults of reading back. An answer that is late, old or missing proves nothing.
var (
	// LagsAWhile counts writes a minute after they were acknowledged. Wanted: a
	// pass.
	LagsAWhile = Fault{
		name: "LagsAWhile",
		why: "What is read back is a minute behind the writes, and says so. The job must wait and then pass: " +
			"a rule whose Lag lasts longer than a minute does. A job whose store never lags leaves this fault out.",
		set: set(func(broken *flaws) { broken.behind = time.Minute }),
	}
	// LagsForever never counts what was written. Wanted: Unverified.
	LagsForever = Fault{
		name: "LagsForever",
		why: "What is read back never shows this job's writes, and says so. That is neither a pass nor an empty segment: " +
			"Run.WrittenAt tells an old answer from a bad one. A job whose store never lags leaves this fault out.",
		set:  set(func(broken *flaws) { broken.frozen = true }),
		want: found(validate.Unverified),
	}
	// ShowsYesterday stores nothing and still shows yesterday's segment, which
	// was as large as today's should be. Wanted: Unverified or Different.
	ShowsYesterday = Fault{
		name: "ShowsYesterday",
		why: "Nothing was stored, and what is read back is yesterday's full segment, as many users as there should be today. " +
			"Run.WrittenAt tells an old answer from a new one, and a digest yesterday's users from today's.",
		set:  slices.Concat(UploadsNothing.set, set(func(broken *flaws) { broken.yesterday = true })),
		want: found(validate.Unverified, validate.Different),
	}
	// ReadBackFails gives no answer to what is stored. Wanted: Unverified, or the
	// store's own error.
	ReadBackFails = Fault{
		name: "ReadBackFails",
		why:  "Reading back fails. A store without an answer is neither full nor empty, and nothing goes live.",
		set:  set(func(broken *flaws) { broken.deaf = true }),
		want: append(found(validate.Unverified), matching("the store's own", errReadBack)),
	}
)

// Faults of going live.
var (
	// CommitFails publishes and answers with an error. Wanted: a
	// *segment.UnknownError, and nothing discarded.
	CommitFails = Fault{
		name: "CommitFails",
		why: "Publishing works, and its answer is lost. Nobody knows whether the output is live, so the job must say just that " +
			"and must not discard it: it may be what customers see.",
		set:  set(func(broken *flaws) { broken.lostReply = true }),
		want: []outcome{unknown},
	}
	// OlderAttempt has a newer attempt of the same run overtake the one that is
	// still writing. Wanted: the newer one passes, the older one is ErrSuperseded.
	OlderAttempt = Fault{
		name: "OlderAttempt",
		why: "The attempt was given up as lost while it was writing, and a newer attempt of the same run has passed since. " +
			"The older one goes on: it must be superseded, and take away nothing of what the newer one published.",
		older: []outcome{superseded},
	}
)

func set(flaw func(*flaws)) []func(*flaws) { return []func(*flaws){flaw} }

func reading(misread func([]string) []string) []func(*flaws) {
	return set(func(broken *flaws) { broken.misread = append(broken.misread, misread) })
}

func writing(miswrite func(users []string, acknowledged int) []string) []func(*flaws) {
	return set(func(broken *flaws) { broken.miswrite = append(broken.miswrite, miswrite) })
}

func without(users []string, lost func(i int, user string) bool) (kept []string) {
	for i, user := range users {
		if !lost(i, user) {
			kept = append(kept, user)
		}
	}
	return kept
}
