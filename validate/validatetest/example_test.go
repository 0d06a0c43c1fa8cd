package validatetest_test

import (
	"context"
	"fmt"

	"github.com/segmentguard/segmentguard/validate"
	"github.com/segmentguard/segmentguard/validate/validatetest"
)

// printer stands for the *testing.T of your test.
type printer struct{}

func (printer) Helper()                           {}
func (printer) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (printer) FailNow()                          { fmt.Println("the test ends here") }

func ExampleRequireComplete() {
	t := printer{}
	report := validatetest.RequireComplete(t, validate.Policy{Tolerance: validate.Within(0.01)}, validate.Output{
		Name:     "site-b/cars",
		Expected: validate.Count(812_345),
		Stored:   validate.Count(806_345),
	})
	fmt.Println(report.Passed())
	validatetest.RequireComplete(t, validate.Policy{}, validate.Output{
		Name:     "site-b/cars",
		Expected: validate.Count(812_345),
		Stored:   validate.Count(806_345),
	})
	// Output:
	// true
	// the output is not complete: site-b/cars: stored 806,345 of 812,345 users (0.7% short, 0 allowed)
	// site-b/cars: failed
	//   expected   812,345 users
	//   stored     806,345 users
	//   short      at store: stored 806,345 of 812,345 users (0.7% short, 0 allowed)
	// the test ends here
}

func ExampleRequireKind() {
	t := printer{}
	_, err := validate.Check(context.Background(), validate.Policy{}, validate.Output{
		Name:     "site-b/cars",
		Expected: validate.Count(812_345),
		Stored:   validate.Count(0),
	})
	validatetest.RequireKind(t, err, validate.Empty) // holds
	validatetest.RequireKind(t, err, validate.Capped)
	// Output:
	// want an error that is capped, found empty, short: site-b/cars: stored 0 of 812,345 users (100% short, 0 allowed)
	// site-b/cars: failed
	//   expected   812,345 users
	//   stored     0 users
	//   empty      at store: nothing is stored
	//   short      at store: stored 0 of 812,345 users (100% short, 0 allowed)
	// the test ends here
}
