package segment_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

var (
	from  = segment.ID{SiteGroup: "site-a", Name: "cars"}
	to    = segment.ID{SiteGroup: "site-b", Name: "cars"}
	quiet = segment.LogAlerter(slog.New(slog.DiscardHandler))
)

// A store keeps users, and says how many there are.
type store struct{ staged, live int64 }

func (s *store) stored(context.Context) (validate.Summary, error) {
	return validate.Count(s.staged).AsOf(time.Now()), nil
}

func (s *store) publish(context.Context) error { s.live = s.staged; return nil }
func (s *store) discard(context.Context) error { s.staged = 0; return nil }

func ExampleGuard_Commit() {
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: segment.NewMemory(), Alerter: quiet})
	if err != nil {
		panic(err)
	}
	s := &store{live: 811_900, staged: 10_000} // the read stopped there
	_, err = guard.Commit(context.Background(), segment.Run{
		ID: "2024-03-18", Job: segment.Copy(to, from),
		Expected: validate.Count(812_345), // the source's own count, never what the job read
		Read:     validate.Count(10_000),
		Stored:   s.stored,
		Staging:  segment.Staging{Commit: s.publish, Discard: s.discard},
	})
	fmt.Println(err)
	fmt.Println(s.live, "users live")
	// Output:
	// site-b/cars: stored 10,000 of 812,345 users (98.8% short, 0 allowed), lost while reading: capped at 10,000, a known limit (Elasticsearch index.max_result_window, …)
	// 811900 users live
}

// A store that cannot stage is judged before its first write: what is known to be
// wrong by then does not reach it.
func ExampleGuard_Admit() {
	guard, err := segment.NewGuard(segment.GuardConfig{Alerter: quiet})
	if err != nil {
		panic(err)
	}
	run := segment.Run{
		ID: "2024-03-18", Job: segment.Copy(to, from), Live: true,
		Expected: validate.Count(812_345),
		Read:     validate.Count(10_000), // all read, nothing written yet
	}
	_, err = guard.Admit(context.Background(), run)
	fmt.Println(errors.Is(err, validate.Capped))
	// Output: true
}

// And it is judged again when all is written. The job fails hard, and says that
// the users are gone: nothing can keep them where what is written is live.
func ExampleRun_live() {
	guard, err := segment.NewGuard(segment.GuardConfig{Alerter: quiet})
	if err != nil {
		panic(err)
	}
	s := &store{staged: 0} // all writes were acknowledged, and nothing is there
	_, err = guard.Commit(context.Background(), segment.Run{
		ID: "2024-03-18", Job: segment.Copy(to, from), Live: true,
		Expected: validate.Count(812_345),
		Read:     validate.Count(812_345),
		Stored:   s.stored, // no Commit, and no Discard
	})
	fmt.Println(err)
	// Output: site-b/cars: stored 0 of 812,345 users (100% short, 0 allowed), lost while storing (live already: the segment is not protected)
}

// A store that keeps generations protects the live one: write under a stamp that
// no other attempt has, and purge the others once it is verified.
func ExampleRun_stamped() {
	guard, err := segment.NewGuard(segment.GuardConfig{Alerter: quiet})
	if err != nil {
		panic(err)
	}
	generations := map[string]int64{"yesterday": 811_900}
	run := segment.Run{ID: "2024-03-18", Attempt: 2, Job: segment.Copy(to, from), Expected: validate.Count(812_345)}
	stamp := fmt.Sprint(run.ID, "/", run.Attempt)
	generations[stamp] = 10_000 // written
	run.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(generations[stamp]), nil }
	run.Staging.Commit = func(context.Context) error { delete(generations, "yesterday"); return nil }
	run.Staging.Discard = func(context.Context) error { delete(generations, stamp); return nil }
	_, err = guard.Commit(context.Background(), run)
	fmt.Println(errors.Is(err, validate.Capped), generations)
	// Output: true map[yesterday:811900]
}

// A lookalike's own count vouches for the storing; its size is judged by the
// segment's history.
func ExampleLookalike() {
	history := segment.NewMemory()
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: history, Alerter: quiet})
	if err != nil {
		panic(err)
	}
	err = segment.Import(context.Background(), history, []segment.SizeImport{{Segment: segment.ID{SiteGroup: "site-a", Name: "cars-like"}, Sizes: nights(50_100, 49_800, 50_300)}})
	if err != nil {
		panic(err)
	}
	night := func(run string, users int64) error {
		s := &store{staged: users}
		_, err := guard.Commit(context.Background(), segment.Run{
			ID: run, Job: segment.Lookalike(segment.ID{SiteGroup: "site-a", Name: "cars-like"}, from),
			Expected: validate.Count(users), Stored: s.stored, Staging: segment.Staging{Commit: s.publish, Discard: s.discard},
		})
		return err
	}
	for i, users := range []int64{50_000, 9_400} {
		if err := night(fmt.Sprint("night ", i+1), users); err != nil {
			fmt.Println(err)
		}
	}
	// Output: site-a/cars-like: off its history: 9,400 users, 81% below its lowest of the last week (50,000); in 4 sizes it never moved by more than 1.0%, so 33,200 to 81,800 are allowed
}

// A rule that only observes tells of everything and stops nothing: the way to
// begin.
func ExampleRule_observe() {
	guard, err := segment.NewGuard(segment.GuardConfig{
		Alerter: quiet,
		Rules: func(context.Context, segment.Job) (segment.Rule, error) {
			return segment.Rule{Mode: segment.Observe, Runbook: "https://example.com/runbooks/segments"}, nil
		},
	})
	if err != nil {
		panic(err)
	}
	s := &store{staged: 10_000}
	report, err := guard.Commit(context.Background(), segment.Run{
		ID: "2024-03-18", Job: segment.Copy(to, from),
		Expected: validate.Count(812_345), Stored: s.stored, Staging: segment.Staging{Commit: s.publish, Discard: s.discard},
	})
	fmt.Println(err, report.Passed(), s.live)
	// Output: <nil> false 10000
}

// nights returns sizes of the nights before now, oldest first.
func nights(users ...int64) (sizes []validate.Size) {
	for i, n := range users {
		sizes = append(sizes, validate.Size{Users: n, At: time.Now().AddDate(0, 0, i-len(users))})
	}
	return sizes
}
