package segmenttest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// problems returns what the suite says of a job: one sentence for each fault that it
// handles wrongly.
func problems(t *testing.T, job Job, faults []Fault) map[string]string {
	t.Helper()
	said := map[string]string{}
	for _, f := range append([]Fault{healthy}, faults...) {
		synctest.Test(t, func(t *testing.T) {
			if problem := try(t.Context(), job, f); problem != "" {
				said[f.String()] = problem
			}
		})
	}
	return said
}

// The same job, done right in each way that the store offers.
var right = map[string]variant{
	"staged":   {rule: segment.Rule{Lag: waits}},
	"in place": {rule: segment.Rule{Lag: waits}, inPlace: byAttempt},
	"mapped": {
		rule:   segment.Rule{Lag: waits, Policy: validate.Policy{Mapping: validate.Ratio{Min: 0.7, Max: 0.95}}},
		mapped: true,
	},
	"admitted": {rule: segment.Rule{Lag: waits}, inPlace: byAttempt, admit: true},
	"wide":     {rule: segment.Rule{Lag: waits}, wide: true},
	"teed":     {rule: segment.Rule{Lag: waits}, teed: true},
}

func TestRightJobs(t *testing.T) {
	for name, v := range right {
		t.Run(name, func(t *testing.T) { TestJob(t, v.job) })
	}
}

// TestRightLookalike has a job that makes its users itself: how many there should
// be is its own word, so it leaves out the faults of reading.
func TestRightLookalike(t *testing.T) {
	v := variant{
		rule:    segment.Rule{Lag: waits},
		expects: func(made *validate.Digest) validate.Summary { return validate.Count(made.Users()) },
		edit: func(r *segment.Run, _ *validate.Digest) {
			r.Job = segment.Lookalike(r.Job.To, r.Job.From...)
		},
	}
	TestJob(t, v.job, Except(StopsAt10000, StopsAtOddNumber, DropsPage, RepeatsPage, CappedBehindMapping)...)
}

// TestRightModel has a job that asks a model, and holds what that finds against the
// seed.
func TestRightModel(t *testing.T) {
	v := variant{
		rule:   segment.Rule{Lag: waits, Policy: validate.Policy{Mapping: validate.Ratio{Min: 1.9, Max: 2.1}}},
		models: true,
	}
	TestJob(t, v.job, LookalikeFaults()...)
}

// TestWrongModel has jobs that believe the model, or never ask it.
func TestWrongModel(t *testing.T) {
	believes := variant{
		rule: segment.Rule{Lag: waits}, models: true,
		edit: func(r *segment.Run, wrote *validate.Digest) {
			r.Expected, r.Read, r.Written = validate.Count(wrote.Users()), validate.Summary{}, validate.Summary{}
		},
	}
	said := problems(t, believes.job, LookalikeFaults())
	require.ElementsMatch(t, names([]Fault{StopsAt10000, StopsAtOddNumber, DropsPage, RepeatsPage, CappedBehindMapping, LowersIDs, TrimsIDs, HashesIDs, ModelFindsHalf}),
		slices.Collect(maps.Keys(said)), "its Expected is only counted; nobody at all is caught by the empty output")
	require.Equal(t, "the fault went through: the job reported success, want an error that is short or dropped. Live are 12,310 users where 24,620 users should be: 12,310 users missing.", said["ModelFindsHalf"])

	loose := believes
	loose.rule.Policy = validate.Policy{Mapping: validate.Ratio{Max: 2.1}, AllowEmpty: true}
	loose.edit = func(r *segment.Run, wrote *validate.Digest) {
		r.Expected, r.Read = validate.Count(wrote.Users()), validate.Summary{}
	}
	said = problems(t, loose.job, []Fault{ModelFindsNobody})
	require.Contains(t, said["ModelFindsNobody"], "the fault went through: the job reported success, want an error that is empty or short. Live is nobody: the segment is empty.")

	never := right["staged"]
	require.Len(t, problems(t, never.job, []Fault{ModelFindsHalf, ModelFindsNobody}), 2)
}

// onceFaults are what a set may lose, and those who are there twice might hide.
func onceFaults() []Fault {
	return []Fault{
		KeepsOnce, KeepsOnce.With(DropsOnePercent), KeepsOnce.With(LosesShard), KeepsOnce.With(FailsWriteSilently),
		KeepsOnce.With(UploadsNothing), KeepsOnce.With(HashesIDs), KeepsOnce.With(TrimsIDs), KeepsOnce.With(StopsAt10000), KeepsOnce.With(CommitFails),
	}
}

func TestKeepsOnce(t *testing.T) {
	distinct := variant{rule: segment.Rule{Lag: waits, Policy: validate.Policy{Distinct: true}}}
	TestJob(t, distinct.job, onceFaults()...)

	strict := variant{rule: segment.Rule{Lag: waits}}
	require.Contains(t, problems(t, strict.job, []Fault{KeepsOnce})["KeepsOnce"], "the job failed where it should have passed")

	tolerates := variant{rule: segment.Rule{Lag: waits, Policy: validate.Policy{Tolerance: validate.Within(0.07)}}, counted: true}
	said := problems(t, tolerates.job, onceFaults())
	require.ElementsMatch(t, []string{"KeepsOnce+DropsOnePercent", "KeepsOnce+HashesIDs", "KeepsOnce+TrimsIDs"}, slices.Collect(maps.Keys(said)))
	require.Contains(t, said["KeepsOnce+DropsOnePercent"], "the fault went through: the job reported success")
}

// TestRightCounter has a job that only counts, and a store that never lags.
func TestRightCounter(t *testing.T) {
	v := variant{counted: true}
	TestJob(t, v.job, Except(RepeatsPage, LowersIDs, TrimsIDs, HashesIDs, LagsAWhile)...)
}

func TestExcept(t *testing.T) {
	require.Equal(t, names(Faults()), names(Except()))
	require.Equal(t, names(Faults()[1:]), names(Except(StopsAt10000, StopsAt10000.With(DropsPage))), "what is composed is none of all")
	require.Empty(t, Except(Faults()...))
}

// TestFaultsCompose has each fault together with the next one, and all of them
// at once.
func TestFaultsCompose(t *testing.T) {
	all := Faults()
	var pairs []Fault
	for i, f := range all {
		pairs = append(pairs, f.With(all[(i+1)%len(all)]))
	}
	v := right["mapped"]
	TestJob(t, v.job, append(pairs, all[0].With(all[1:]...))...)
	require.Equal(t, "LagsAWhile+CommitFails", LagsAWhile.With(CommitFails).String())
	require.Equal(t, "LagsAWhile", LagsAWhile.String(), "composing leaves a fault as it was")
}

// TestWrongJobs has jobs that are wrong in each way that jobs are wrong: the
// suite must say so for just these faults, and of one of them in these words.
func TestWrongJobs(t *testing.T) {
	strict := segment.Rule{Lag: waits}
	for _, c := range []struct {
		name, reason string
		job          variant
		tried        []Fault // none: all
		caught       []Fault // none: all of them
		of, says     string
	}{
		{
			name: "forgot the guard", reason: "whatever is written goes live; only where counts lag is that right",
			job: variant{finish: func(ctx context.Context, _ *segment.Guard, r segment.Run, _ *Target) error {
				return r.Staging.Commit(ctx)
			}},
			caught: Except(ReadFails, LagsAWhile),
			of:     "StopsAt10000", says: "the fault went through: the job reported success, want an error that is capped. Live are 10,000 users where 12,310 users should be: 2,310 users missing.",
		},
		{
			name: "takes Expected from what it read", reason: "10,000 stored of 10,000 read",
			job:    variant{rule: strict, expects: func(read *validate.Digest) validate.Summary { return validate.Count(read.Users()) }},
			caught: []Fault{StopsAt10000, StopsAtOddNumber, DropsPage, RepeatsPage, CappedBehindMapping},
			of:     "StopsAtOddNumber", says: "the fault went through: the job reported success, want an error that is short. Live are 7,301 users where 12,310 users should be: 5,009 users missing.",
		},
		{
			name: "believes its writer", reason: "what was acknowledged is not what is stored",
			job: variant{rule: strict, edit: func(r *segment.Run, wrote *validate.Digest) {
				r.Stored = func(context.Context) (validate.Summary, error) { return wrote.Summary().AsOf(r.WrittenAt), nil }
			}},
			caught: []Fault{UploadsNothing, FailsWriteSilently, LosesShard, DropsOnePercent, KeepsStaleRows, LowersIDs, TrimsIDs, HashesIDs, LagsForever, ShowsYesterday, ReadBackFails},
			of:     "UploadsNothing", says: "the fault went through: the job reported success, want an error that is empty. Live is nobody: the segment is empty.",
		},
		{
			name: "ignores the guard's error", reason: "nothing goes live, and nobody hears of it",
			job: variant{rule: strict, finish: func(ctx context.Context, g *segment.Guard, r segment.Run, _ *Target) error {
				_, _ = g.Commit(ctx, r)
				return nil
			}},
			tried: []Fault{StopsAt10000, LagsForever, CommitFails, OlderAttempt},
			of:    "StopsAt10000", says: "the fault went through: the job reported success, want an error that is capped. Live are the users from before.",
		},
		{
			name: "takes a failed read for its end", reason: "an outage becomes a verdict that no retry helps against",
			job:    variant{rule: strict, deaf: true},
			tried:  []Fault{ReadFails, DropsPage, ReadBackFails},
			caught: []Fault{ReadFails},
			of:     "ReadFails", says: "the job failed, but not with an error that is unverified or the read's own: site-b/cars: stored 6,155 of 12,310 users",
		},
		{
			name: "digests nothing", reason: "a repeated page has the right number of users",
			job:    variant{rule: strict, counted: true},
			caught: []Fault{RepeatsPage, LowersIDs, TrimsIDs, HashesIDs},
			of:     "RepeatsPage", says: "the fault went through: the job reported success, want an error that is repeated or different or short. Live are 12,310 users where 12,310 users should be: 1,000 users missing, 1,000 users there too often.",
		},
		{
			name: "does not wait", reason: "a store that lags behind never passes",
			job:    variant{},
			tried:  []Fault{LagsAWhile, LagsForever, ShowsYesterday},
			caught: []Fault{LagsAWhile},
			of:     "LagsAWhile", says: "the job failed where it should have passed: site-b/cars: could not be verified: stored is complete up to 1999-12-31T23:59:00Z, and the last write was acknowledged at 2000-01-01T00:00:00Z: read it back again later",
		},
		{
			name: "says not when it wrote", reason: "yesterday's count looks like today's, and a late one like a lost upload",
			job:    variant{counted: true, edit: func(r *segment.Run, _ *validate.Digest) { r.WrittenAt = never }},
			caught: []Fault{RepeatsPage, LowersIDs, TrimsIDs, HashesIDs, LagsAWhile, LagsForever, ShowsYesterday},
			of:     "ShowsYesterday", says: "the fault went through: the job reported success, want an error that is unverified or different. Live is nobody: the segment is empty.",
		},
		{
			name: "says not when it wrote, and maps ids", reason: "yesterday's segment has as many mapped users as today's",
			job: variant{
				rule:    segment.Rule{Policy: validate.Policy{Mapping: validate.Ratio{Min: 0.7, Max: 0.95}}},
				counted: true, mapped: true, edit: func(r *segment.Run, _ *validate.Digest) { r.WrittenAt = never },
			},
			tried: []Fault{ShowsYesterday},
			of:    "ShowsYesterday", says: "the fault went through: the job reported success, want an error that is unverified or different. Live is nobody: the segment is empty.",
		},
		{
			name: "has one loose tolerance over all steps", reason: "what the mapping leaves out hides what the read does",
			job: variant{
				rule:    segment.Rule{Lag: waits, Policy: validate.Policy{Tolerance: validate.Within(0.30)}},
				counted: true, mapped: true,
				edit: func(r *segment.Run, _ *validate.Digest) { r.Read, r.Written = validate.Summary{}, validate.Summary{} },
			},
			// Of 10,000 read, 8,034 are stored: short, but nothing names the cap.
			caught: []Fault{StopsAt10000, DropsPage, RepeatsPage, CappedBehindMapping, FailsWriteSilently, LosesShard, DropsOnePercent, KeepsStaleRows, LowersIDs, TrimsIDs, HashesIDs},
			of:     "CappedBehindMapping", says: "the fault went through: the job reported success, want an error that is capped. Live are 8,034 users where 8,969 users should be: 935 users missing.",
		},
		{
			name: "tolerates one percent", reason: "a tolerance nobody needs loses users day by day",
			job:    variant{rule: segment.Rule{Lag: waits, Policy: validate.Policy{Tolerance: validate.Within(0.01)}}},
			caught: []Fault{DropsOnePercent},
			of:     "DropsOnePercent", says: "Live are 12,187 users where 12,310 users should be: 123 users missing.",
		},
		{
			name: "observes", reason: "a rule that only observes lets everything through",
			job:   variant{rule: segment.Rule{Mode: segment.Observe}},
			tried: []Fault{StopsAt10000, UploadsNothing, LagsForever, OlderAttempt},
			of:    "OlderAttempt", says: "the older attempt: the fault went through: the job reported success, want an error that is superseded. Live are 11,579 users where 12,310 users should be: 731 users missing.",
		},
		{
			name: "names its run anew each time", reason: "no attempt knows of the other",
			job:    variant{rule: strict, edit: func(r *segment.Run, _ *validate.Digest) { r.ID += string(rune('0' + r.Attempt)) }},
			tried:  []Fault{OlderAttempt, StopsAt10000, CommitFails},
			caught: []Fault{OlderAttempt},
			of:     "OlderAttempt", says: "the older attempt: the fault went through: the job reported success, want an error that is superseded. Live are 11,579 users where",
		},
		{
			name: "stamps by run, not by attempt", reason: "the older attempt discards what the newer one published",
			job:    variant{rule: strict, inPlace: func(r segment.Run) string { return r.ID }},
			tried:  []Fault{OlderAttempt, StopsAt10000, CommitFails},
			caught: []Fault{OlderAttempt},
			of:     "OlderAttempt", says: "Live is nobody: the segment is empty.",
		},
		{
			name: "in place, discards nothing", reason: "the job fails and what it wrote stays",
			job:   variant{rule: strict, inPlace: byAttempt, edit: func(r *segment.Run, _ *validate.Digest) { r.Staging.Discard = nil }},
			tried: []Fault{StopsAt10000, KeepsStaleRows, ReadBackFails, OlderAttempt},
			of:    "StopsAt10000", says: "Live are 22,310 users where the 12,310 users from before should be: 9,754 users there too often, 246 users not to be there.",
		},
		{
			name: "publishes before it is judged", reason: "the right error, too late",
			job: variant{rule: strict, finish: func(ctx context.Context, g *segment.Guard, r segment.Run, _ *Target) error {
				if err := r.Staging.Commit(ctx); err != nil {
					return err
				}
				r.Staging.Commit, r.Staging.Discard = func(context.Context) error { return nil }, nil
				_, err := g.Commit(ctx, r)
				return err
			}},
			tried: []Fault{StopsAt10000, ShowsYesterday, CommitFails, OlderAttempt},
			of:    "StopsAt10000", says: "the job failed as it should, but changed what is live: site-b/cars: stored 10,000 of 12,310 users (18.8% short, 0 allowed), lost while reading: exactly the first 10,000 of 12,310 users; capped at 10,000, a known limit (Elasticsearch index.max_result_window, …). Live are 10,000 users where the 12,310 users from before should be: 2,556 users missing, 246 users not to be there.",
		},
		{
			name: "says that it is live", reason: "a store that can stage must not be judged after it published",
			job: variant{rule: strict, finish: func(ctx context.Context, g *segment.Guard, r segment.Run, _ *Target) error {
				if err := r.Staging.Commit(ctx); err != nil {
					return err
				}
				r.Live, r.Staging.Commit, r.Staging.Discard = true, nil, nil
				_, err := g.Commit(ctx, r)
				return err
			}},
			tried: []Fault{UploadsNothing, StopsAt10000, LagsForever, ReadBackFails, CommitFails, OlderAttempt},
			of:    "UploadsNothing", says: "the job failed as it should, but changed what is live: site-b/cars: stored 0 of 12,310 users (100% short, 0 allowed), lost while storing (live already: the segment is not protected). Live is nobody: the segment is empty.",
		},
		{
			name: "takes unverified for a pass", reason: "what nobody could check is reported as done",
			job: variant{rule: strict, finish: func(ctx context.Context, g *segment.Guard, r segment.Run, _ *Target) error {
				_, err := g.Commit(ctx, r)
				if errors.Is(err, validate.Unverified) {
					return nil
				}
				return err
			}},
			tried:  []Fault{LagsForever, ShowsYesterday, ReadBackFails, StopsAt10000},
			caught: []Fault{LagsForever, ShowsYesterday, ReadBackFails},
			of:     "ReadBackFails", says: "the fault went through: the job reported success, want an error that is unverified or the store's own. Live are the users from before.",
		},
		{
			name: "loses what its error is", reason: "a caller that asks for the kind, or whether a retry helps, gets no answer",
			job: variant{rule: strict, finish: func(ctx context.Context, g *segment.Guard, r segment.Run, _ *Target) error {
				_, err := g.Commit(ctx, r)
				if err != nil {
					return fmt.Errorf("copying: %v", err) //nolint:errorlint // that is what is wrong
				}
				return nil
			}},
			tried: []Fault{StopsAt10000, DropsPage, CommitFails},
			of:    "StopsAt10000", says: "the job failed, but not with an error that is capped: errors.Is does not find it, as with an error that is wrapped without %w: copying: site-b/cars: stored 10,000",
		},
		{
			name: "discards after a failed commit", reason: "what was discarded was live",
			job: variant{rule: strict, finish: func(ctx context.Context, g *segment.Guard, r segment.Run, target *Target) error {
				_, err := g.Commit(ctx, r)
				if err != nil {
					err = errors.Join(err, target.Discard(ctx))
				}
				return err
			}},
			tried:  []Fault{CommitFails, OlderAttempt, ReadBackFails},
			caught: []Fault{CommitFails},
			of:     "CommitFails", says: "the job failed as it should, but changed what is live: site-b/cars: run monday may be live or not: the commit failed: segmenttest: the connection broke before publishing was answered. Live is nobody: the segment is empty.",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.tried == nil {
				c.tried = Faults()
			}
			if c.caught == nil {
				c.caught = c.tried
			}
			said := problems(t, c.job.job, c.tried)
			require.ElementsMatch(t, names(c.caught), slices.Collect(maps.Keys(said)), c.reason)
			require.Contains(t, said[c.of], c.says, c.reason)
		})
	}
}

func names(faults []Fault) (all []string) {
	for _, f := range faults {
		all = append(all, f.String())
	}
	return all
}

// TestNoJob has what is no job at all: neither one that always fails nor one
// that does nothing is a job that fails hard.
func TestNoJob(t *testing.T) {
	down := errors.New("connection refused")
	always := problems(t, func(context.Context, *Store) error { return down }, Faults())
	require.Len(t, always, len(Faults())+1, "a job that always fails is wrong healthy, and with each fault")
	require.Equal(t, "the job failed where it should have passed: connection refused. Live are the users from before.", always["Healthy"])
	require.Equal(t, "the older attempt: the job failed where it should have passed: connection refused. Live are the users from before.", always["OlderAttempt"])
	nothing := problems(t, func(context.Context, *Store) error { return nil }, Faults())
	require.Len(t, nothing, len(Faults())+1)
	require.Equal(t, "the job reported success. Live are the users from before.", nothing["Healthy"])
}

// TestPublishesNothing has a job that forgot to write.
func TestPublishesNothing(t *testing.T) {
	said := problems(t, func(ctx context.Context, s *Store) error { return s.Stage().Publish(ctx) }, nil)
	require.Equal(t, "the job reported success. Live is nobody: the segment is empty.", said["Healthy"])
}

// TestNewerAttempt: that the older attempt was superseded does not help if the
// newer one did not pass.
func TestNewerAttempt(t *testing.T) {
	v := right["staged"]
	said := problems(t, func(ctx context.Context, s *Store) error {
		err := v.job(ctx, s)
		if s.Run().Attempt == 2 {
			err = errors.Join(err, errors.New("connection refused"))
		}
		return err
	}, []Fault{OlderAttempt})
	require.Equal(t, map[string]string{
		"OlderAttempt": "the newer attempt: the job failed where it should have passed: connection refused. Live are the right users.",
	}, said)
}

// TestComposedIsTried: what is wrong under one fault is wrong under it and
// another, whichever comes first.
func TestComposedIsTried(t *testing.T) {
	v := variant{finish: func(ctx context.Context, _ *segment.Guard, r segment.Run, _ *Target) error {
		return r.Staging.Commit(ctx)
	}}
	for _, f := range []Fault{OlderAttempt, DropsPage, KeepsStaleRows} {
		said := problems(t, v.job, []Fault{LagsAWhile, LagsAWhile.With(f), f.With(LagsAWhile)})
		require.Len(t, said, 2, f.String())
	}
}

// TestZeroFault: a fault that nobody set must not pass for one that was tried.
func TestZeroFault(t *testing.T) {
	v := right["staged"]
	said := problems(t, v.job, []Fault{{}, Fault{}.With(Fault{})})
	require.Len(t, said, 2)
	for _, problem := range said {
		require.Contains(t, problem, "the zero Fault breaks nothing")
	}
}
