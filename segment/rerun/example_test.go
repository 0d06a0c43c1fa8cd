package rerun_test

import (
	"context"
	"fmt"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

// A lookalike came out empty, so its copy in another site group is wrong, too, and a
// third job reads that copy. All three must run again, in this order and in no other.
// The copy of the boats is not affected.
func ExampleNew() {
	buyers := segment.ID{SiteGroup: "site-a", Name: "buyers"}
	cars := segment.ID{SiteGroup: "site-a", Name: "cars"}
	carsB := segment.ID{SiteGroup: "site-b", Name: "cars"}
	likeCars := segment.ID{SiteGroup: "site-b", Name: "like-cars"}
	boats := segment.ID{SiteGroup: "site-b", Name: "boats"}

	plan, err := rerun.New(
		[]segment.Job{ // all jobs of the platform, in any order
			segment.Copy(boats, segment.ID{SiteGroup: "site-a", Name: "boats"}),
			segment.Lookalike(likeCars, carsB),
			segment.Copy(carsB, cars),
			segment.Lookalike(cars, buyers),
		},
		[]segment.Affected{{Segment: carsB, Users: 10_000}, {Segment: cars, Users: 812_345}},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan)

	outcome, err := plan.Run(context.Background(), rerun.RunOptions{Limit: 8}, func(_ context.Context, job segment.Job) error {
		fmt.Println("running", job.ID)
		return nil // the job, guarded: an error keeps what depends on it from running
	})
	if err != nil {
		fmt.Println(err) // plan.Run with Resume: outcome does only what is left
	}
	fmt.Println(outcome)
	// Output:
	// Rerun 3 jobs for 2 affected segments, 822,345 users at stake.
	// By kind: 2 lookalike, 1 copy.
	// By site group: 2 site-b, 1 site-a.
	// 1 can start at once; the longest chain has 3 steps.
	//
	//   1. lookalike site-a/buyers to site-a/cars: affected, 812,345 users at stake
	//   2. copy site-a/cars to site-b/cars: affected, 10,000 users at stake, reads site-a/cars; after 1
	//   3. lookalike site-b/cars to site-b/like-cars: reads site-b/cars; after 2
	// running lookalike site-a/buyers to site-a/cars
	// running copy site-a/cars to site-b/cars
	// running lookalike site-b/cars to site-b/like-cars
	// 3 done
}

// A queue of its own runs what is ready, notes what is done, and asks again.
func ExamplePlan_Ready() {
	raw := segment.ID{SiteGroup: "site-a", Name: "raw"}
	cars := segment.ID{SiteGroup: "site-a", Name: "cars"}
	carsB := segment.ID{SiteGroup: "site-b", Name: "cars"}
	plan, err := rerun.New(
		[]segment.Job{segment.Copy(carsB, cars), segment.Lookalike(cars, raw)},
		[]segment.Affected{{Segment: cars, Users: 812_345}},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	var outcome rerun.Outcome
	for {
		ready, err := plan.Ready(outcome)
		if err != nil {
			fmt.Println(err)
			return
		}
		if len(ready) == 0 {
			break
		}
		for _, step := range ready {
			fmt.Println("running", step.Job.ID)
			outcome.Done = append(outcome.Done, rerun.Result{JobID: step.Job.ID})
		}
	}
	fmt.Println(outcome, plan.Incomplete(outcome))
	// Output:
	// running lookalike site-a/raw to site-a/cars
	// running copy site-a/cars to site-b/cars
	// 2 done <nil>
}
