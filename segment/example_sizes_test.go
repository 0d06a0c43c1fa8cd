package segment_test

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A customer halves all segments tomorrow. One word says so of all, today.
func ExampleAcceptWithin() {
	ctx, ledger := context.Background(), segment.NewMemory()
	today := time.Date(2024, 3, 18, 9, 0, 0, 0, time.UTC)
	cars := segment.ID{SiteGroup: "site-b", Name: "cars"}
	_ = segment.Import(ctx, ledger, []segment.SizeImport{{Segment: cars, Sizes: []validate.Size{{Users: 812_000, At: today.Add(-time.Hour)}}}})

	half := validate.Excuse{LowShare: 0.45, HighShare: 0.55, From: today, Until: today.AddDate(0, 0, 3), ForGood: true}
	_, err := segment.AcceptWithin(ctx, ledger, segment.Selection{SiteGroup: "site-b"}, half, segment.Decision{By: "ann", Why: "site B moves", At: today})
	fmt.Println(err)

	guard, _ := segment.NewGuard(segment.GuardConfig{Ledger: ledger, Alerter: silent{}, Now: func() time.Time { return today.AddDate(0, 0, 1) }})
	for _, users := range []int64{203_000, 406_000} { // the first is a quarter, which nobody planned
		run := segment.Run{
			ID: fmt.Sprint(users), Job: segment.Copy(cars, segment.ID{SiteGroup: "site-a", Name: "cars"}), Expected: validate.Unknown(),
			Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(users), nil },
			Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
		}
		report, _ := guard.Do(ctx, run, func(context.Context, *segment.Run) error { return nil })
		fmt.Println(users, report.Passed())
	}
	// Output:
	// <nil>
	// 203000 false
	// 406000 true
}

// What a guard or a sweep found off its history is right. The output was discarded, so
// its job runs again.
func ExampleAccept() {
	ctx, ledger := context.Background(), segment.NewMemory()
	today := time.Date(2024, 3, 18, 9, 0, 0, 0, time.UTC)
	cars := segment.ID{SiteGroup: "site-b", Name: "cars"}
	_ = segment.Import(ctx, ledger, []segment.SizeImport{{Segment: cars, Sizes: []validate.Size{{Users: 812_000, At: today.AddDate(0, 0, -1)}}}})
	guard, _ := segment.NewGuard(segment.GuardConfig{Ledger: ledger, Alerter: silent{}, Now: func() time.Time { return today }})
	_, err := guard.Do(ctx, segment.Run{
		ID: "monday", Job: segment.Copy(cars, segment.ID{SiteGroup: "site-a", Name: "cars"}), Expected: validate.Unknown(),
		Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(203_000), nil },
		Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
	}, func(context.Context, *segment.Run) error { return nil })
	fmt.Println(err != nil)

	rerun, err := segment.Accept(ctx, ledger, segment.Selection{Keys: []segment.Key{cars.In("")}}, segment.Decision{By: "ann", Why: "a vendor left", At: today})
	fmt.Println(rerun[0].Segment, rerun[0].Users, err)
	// Output:
	// true
	// site-b/cars 203000 <nil>
}

// silent tells nobody.
type silent struct{}

func (silent) Tell(context.Context, []segment.Alert, []segment.Alert) error { return nil }
