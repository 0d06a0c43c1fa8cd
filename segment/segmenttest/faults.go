package segmenttest

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// Faults returns the faults that can happen to every job, in the order in which TestJob
// tries them. Those of a model and KeepsOnce are not among them.
func Faults() []Fault {
	return []Fault{
		StopsAt10000, StopsAtOddNumber, DropsPage, RepeatsPage, CappedBehindMapping, ReadFails,
		UploadsNothing, FailsWriteSilently, LosesShard, DropsOnePercent, KeepsStaleRows,
		LowersIDs, TrimsIDs, HashesIDs,
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

// Faults of storing that leave the number of users as it is. A job that only counts lets
// them through, and leaves them out.
var (
	// LowersIDs stores ids in lower case. Wanted: Different.
	LowersIDs = Fault{
		name: "LowersIDs",
		why:  "The destination stores ids in lower case, as a column does that is normalised. There are as many users as there should be, and nobody finds them by their ids: only which they are tells.",
		set:  rewriting(strings.ToLower),
		want: found(validate.Different),
	}
	// TrimsIDs stores the first ten characters of ids, so that several users have one
	// id. Wanted: Different or Repeated.
	TrimsIDs = Fault{
		name: "TrimsIDs",
		why:  "The destination cuts ids to ten characters without a word, as a column does that is too narrow. Ten users become one, ten times.",
		set:  rewriting(func(user string) string { return user[:min(10, len(user))] }),
		want: found(validate.Different, validate.Repeated),
	}
	// HashesIDs stores hashes in place of ids. Wanted: Different.
	HashesIDs = Fault{
		name: "HashesIDs",
		why:  "The destination hashes ids again that were hashed before, as an API does that takes both. There are as many users as there should be, and it matches none.",
		set: rewriting(func(user string) string {
			sum := sha256.Sum256([]byte(user))
			return hex.EncodeToString(sum[:])
		}),
		want: found(validate.Different),
	}
)

// LookalikeFaults returns Faults and those of a model, for a job that asks Store.Model.
func LookalikeFaults() []Fault { return append(Faults(), ModelFindsHalf, ModelFindsNobody) }

// Faults of a model. What it puts out is its own word for how many users there should
// be, and all of them are stored; only the seed tells.
var (
	// ModelFindsHalf leaves out every second user. Wanted: Short or Dropped.
	ModelFindsHalf = Fault{
		name: "ModelFindsHalf",
		why: "The model finds half of the users that are like the seed, as one does that lost a feature. " +
			"What it found is what is stored; how many it found for each of the seed (Policy.Mapping), or the segment's history, tells.",
		set: set(func(broken *flaws) {
			broken.unlike = func(users []string) []string {
				return without(users, func(i int, _ string) bool { return i%2 == 1 })
			}
		}),
		want: found(validate.Short, validate.Dropped),
	}
	// ModelFindsNobody finds no users. Wanted: Empty or Short.
	ModelFindsNobody = Fault{
		name: "ModelFindsNobody",
		why:  "The model finds nobody and reports success. Nobody is what is stored, as many as it found.",
		set:  set(func(broken *flaws) { broken.unlike = func([]string) []string { return nil } }),
		want: found(validate.Empty, validate.Short),
	}
)

// KeepsOnce is a destination that keeps a user once, as a set does, and a source that has
// some twice. Wanted: a pass. It is for jobs whose rule says so (Policy.Distinct); to
// others it is a loss. Compose it with faults of storing, which must not hide among the
// users that are there twice:
//
//	segmenttest.TestJob(t, job, segmenttest.KeepsOnce, segmenttest.KeepsOnce.With(segmenttest.DropsOnePercent))
var KeepsOnce = Fault{
	name: "KeepsOnce",
	why: "The source has one user in twenty twice, and the destination keeps each once. Nobody is lost, and the job must pass: " +
		"a rule with Policy.Distinct does. A tolerance does, too, and lets as many be lost.",
	set: set(func(broken *flaws) { broken.once = true }),
}

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

func rewriting(rewrite func(string) string) []func(*flaws) {
	return writing(func(users []string, _ int) []string {
		rewritten := make([]string, len(users))
		for i, user := range users {
			rewritten[i] = rewrite(user)
		}
		return rewritten
	})
}

func without(users []string, lost func(i int, user string) bool) (kept []string) {
	for i, user := range users {
		if !lost(i, user) {
			kept = append(kept, user)
		}
	}
	return kept
}
