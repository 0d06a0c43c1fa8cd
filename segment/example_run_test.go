package segment_test

import (
	"context"
	"fmt"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
	"github.com/segmentguard/segmentguard/validate"
)

// A pager shows which alerts open and which are resolved.
type pager struct{}

func (pager) Tell(_ context.Context, firing, resolved []segment.Alert) error {
	for _, a := range firing {
		fmt.Println("alert:", a.Text)
	}
	for _, a := range resolved {
		fmt.Println("resolved:", a.Segment)
	}
	return nil
}

// Reruns are guarded like every run: one that makes the same mistake fails, and
// what reads it is not run on it. What is right resolves its segment's alert.
func ExamplePlan_Run() {
	carsA, carsB := segment.ID{SiteGroup: "site-a", Name: "cars"}, segment.ID{SiteGroup: "site-b", Name: "cars"}
	boatsA, boatsB := segment.ID{SiteGroup: "site-a", Name: "boats"}, segment.ID{SiteGroup: "site-b", Name: "boats"}
	likeCars := segment.ID{SiteGroup: "site-b", Name: "like-cars"}
	jobs := []segment.Job{segment.Copy(carsB, carsA), segment.Copy(boatsB, boatsA), segment.Lookalike(likeCars, carsB)}
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: segment.NewMemory(), Alerter: pager{}})
	if err != nil {
		panic(err)
	}
	live := map[segment.ID]int64{carsA: 812_345, boatsA: 9_100}
	limit := int64(1_000) // the bug
	run := func(ctx context.Context, job segment.Job) error {
		source := live[job.From[0]]
		s := &store{staged: min(source, limit)}
		_, err := guard.Commit(ctx, segment.Run{
			ID: job.ID + ", 2024-03-18", Job: job,
			Expected: validate.Count(source),
			Stored:   s.stored,
			Staging:  segment.Staging{Commit: func(context.Context) error { live[job.To] = s.staged; return nil }, Discard: s.discard},
		})
		return err
	}

	for _, job := range jobs[:2] {
		if err := run(context.Background(), job); err == nil {
			panic("it made the mistake unnoticed")
		}
	}

	plan, err := rerun.New(jobs, []segment.Affected{{Segment: carsB, Users: 812_345}, {Segment: boatsB, Users: 9_100}})
	if err != nil {
		panic(err)
	}
	limit = 10_000 // taken for the fix
	outcome, err := plan.Run(context.Background(), rerun.RunOptions{}, run)
	fmt.Println(err)
	limit = 1_000_000 // the fix: go on with what is left
	outcome, err = plan.Run(context.Background(), rerun.RunOptions{Resume: outcome}, run)
	if err != nil {
		panic(err)
	}
	fmt.Println(outcome)
	// Output:
	// alert: customers not hit: the live segment keeps its users; site-b/cars: stored 1,000 of 812,345 users (99.9% short, 0 allowed): capped at 1,000, a known limit (Elasticsearch ES|QL LIMIT (default), …); next: mend the cause, then run the job again and what is made from the segment (rerun.New)
	// alert: customers not hit: the live segment keeps its users; site-b/boats: stored 1,000 of 9,100 users (89.0% short, 0 allowed): capped at 1,000, a known limit (Elasticsearch ES|QL LIMIT (default), …); next: mend the cause, then run the job again and what is made from the segment (rerun.New)
	// resolved: site-b/boats
	// rerun: 1 done, 1 failed, 1 blocked: copy site-a/cars to site-b/cars: site-b/cars: stored 10,000 of 812,345 users (98.8% short, 0 allowed): capped at 10,000, a known limit (Elasticsearch index.max_result_window, …)
	// resolved: site-b/cars
	// 3 done
}
