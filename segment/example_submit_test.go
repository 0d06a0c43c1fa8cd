package segment_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// An audience is at an API that takes uploads in, and shows them hours later.
type audience struct{ uploaded, shows int64 }

func (a *audience) upload(users int64)   { a.uploaded = users }
func (a *audience) processed(late int64) { a.shows = a.uploaded - late }
func (a *audience) size(context.Context, segment.Submitted) (validate.Summary, error) {
	return validate.Count(a.shows), nil // of the audience that Submitted.Segment is
}

// A job uploads, submits, and ends. Another one settles what was submitted every few
// minutes: here an hour later, and at the time at which the API should have been done.
func ExampleGuard_Submit() {
	now := time.Date(2024, 3, 18, 2, 0, 0, 0, time.UTC)
	guard, err := segment.NewGuard(segment.GuardConfig{
		Ledger: segment.NewMemory(), Alerter: pager{}, Now: func() time.Time { return now },
	})
	if err != nil {
		panic(err)
	}
	api, ctx := &audience{}, context.Background()
	run := segment.Run{ID: "2024-03-18", Job: segment.Copy(to, from), Live: true}
	_, err = guard.Do(ctx, run, func(ctx context.Context, run *segment.Run) error {
		run.Expected, run.Read = validate.Count(812_345), validate.Count(812_345)
		api.upload(812_345)
		return guard.Submit(ctx, *run, now.Add(24*time.Hour))
	})
	fmt.Println("submitted:", err)

	now = now.Add(time.Hour)
	settled, err := guard.Settle(ctx, api.size)
	fmt.Printf("%+v %v\n", settled, err)

	now = now.Add(23 * time.Hour)
	api.processed(500_000) // a part of them was lost, and the upload was answered with 200
	settled, err = guard.Settle(ctx, api.size)
	fmt.Printf("%+v %v\n", settled, errors.Is(err, validate.Short))
	// Output:
	// submitted: <nil>
	// {Passed:0 Failed:0 Waiting:1} <nil>
	// alert: customers hit: the live segment lost 50% of its users or more; site-b/cars: stored 312,345 of 812,345 users (61.6% short, 0 allowed), lost while storing; next: mend the cause, then run the job again and what is made from the segment (rerun.New)
	// {Passed:0 Failed:1 Waiting:0} true
}
