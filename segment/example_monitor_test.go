package segment_test

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/validate"
)

// listing is the store's own: every segment with its size, in byte order of the
// ids, the empty ones too.
func listing(sizes map[segment.ID]int64, ids ...segment.ID) iter.Seq2[segment.CurrentSize, error] {
	return func(yield func(segment.CurrentSize, error) bool) {
		for _, id := range ids {
			if !yield(segment.CurrentSize{Segment: id, Stored: validate.Count(sizes[id])}, nil) {
				return
			}
		}
	}
}

// A lookalike was emptied with no job running, and so was its copy. Sizes from
// before the guard make the first sweep no cold start.
func ExampleMonitor_Sweep() {
	ctx := context.Background()
	like, copied := segment.ID{SiteGroup: "site-a", Name: "cars-like"}, segment.ID{SiteGroup: "site-b", Name: "cars-like"}
	ledger := segment.NewMemory()
	yesterday := time.Now().AddDate(0, 0, -1)
	err := segment.Import(ctx, ledger, []segment.SizeImport{
		{Segment: like, Sizes: []validate.Size{{Users: 41_000, At: yesterday}}},
		{Segment: copied, Sizes: []validate.Size{{Users: 38_000, At: yesterday}}},
	})
	if err != nil {
		panic(err)
	}
	monitor, err := segment.NewMonitor(segment.MonitorConfig{
		Ledger: ledger, Alerter: quiet,
		Jobs: []segment.Job{segment.Lookalike(like, from), segment.Copy(copied, like)},
	})
	if err != nil {
		panic(err)
	}
	sweep, err := monitor.Sweep(ctx, listing(map[segment.ID]int64{}, like, copied))
	if err != nil {
		panic(err)
	}
	fmt.Print(sweep)
	plan, err := rerun.New([]segment.Job{segment.Lookalike(like, from), segment.Copy(copied, like)}, sweep.Affected)
	if err != nil {
		panic(err)
	}
	fmt.Println(len(plan.Steps), "jobs to run again, first", plan.Steps[0].Job.ID)
	// Output:
	// 2 segments: 0 healthy, 2 affected.
	// page: site-a/cars-like: nothing is stored, and nothing vouches for that; off its history: 0 users, where there were 41,000 before
	// page: site-b/cars-like: nothing is stored, and nothing vouches for that; off its history: 0 users, where there were 38,000 before; it is made from site-a/cars-like, which is affected itself
	// 2 jobs to run again, first lookalike site-a/cars to site-a/cars-like
}

// A search index shows today's users some time after they were written. Until it
// says that it is complete up to the last write, its count proves nothing.
func ExampleLag() {
	guard, err := segment.NewGuard(segment.GuardConfig{
		Alerter: quiet,
		Rules: func(context.Context, segment.Job) (segment.Rule, error) {
			return segment.Rule{Lag: segment.Lag{Min: time.Millisecond, Every: time.Millisecond, Max: time.Second}}, nil
		},
	})
	if err != nil {
		panic(err)
	}
	written := time.Now()
	readings := 0
	_, err = guard.Commit(context.Background(), segment.Run{
		ID: "2024-03-18", Job: segment.Copy(to, from), Expected: validate.Count(500), WrittenAt: written,
		Stored: func(context.Context) (validate.Summary, error) {
			if readings++; readings < 3 {
				return validate.Count(480).AsOf(written.Add(-time.Minute)), nil // still yesterday's
			}
			return validate.Count(500).AsOf(written), nil
		},
		Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
	})
	fmt.Println(err, readings)
	// Output: <nil> 4
}
