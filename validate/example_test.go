package validate_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/segmentguard/segmentguard/validate"
)

func ExampleCheck() {
	_, err := validate.Check(context.Background(), validate.Policy{}, validate.Output{
		Name:     "site-b/cars",
		Expected: validate.Count(812_345), // the source's own count
		Read:     validate.Count(10_000),  // what the job took in
		Stored:   validate.Count(10_000),  // what is there, read back
	})
	fmt.Println(err)
	fmt.Println(errors.Is(err, validate.Capped), errors.Is(err, validate.Different))
	// Output:
	// site-b/cars: stored 10,000 of 812,345 users (98.8% short, 0 allowed), lost while reading: capped at 10,000, a known limit (Elasticsearch index.max_result_window, …)
	// true false
}

// A digest of each side proves not only how many users are stored but which, and
// explains what is missing.
func ExampleDigest() {
	source := numbered(50_000)
	stored := slices.Concat(source[:7000], source[3000:4000], source[8000:]) // one page in place of another

	var read, found validate.Digest
	read.AddStrings(source)
	found.AddStrings(stored)
	report, _ := validate.Check(context.Background(), validate.Policy{}, validate.Output{
		Name:     "site-b/cars",
		Expected: validate.Count(50_000),
		Read:     read.Summary(),
		Stored:   found.Summary(),
	})
	fmt.Println(report)
	// Output:
	// site-b/cars: failed
	//   expected   50,000 users
	//   read       50,000 users
	//   stored     50,000 users
	//   gap        at store: users 7,001–8,000 of the source are missing
	//   repeated   at store: users 3,001–4,000 of the source are stored twice
	//   different  at store: stored as many users as were read, but not the same ones: 1,000 are missing (0 allowed) and 1,000 are stored that should not be (0 allowed)
}

// A second look at the source lists the users to upload again: a repair, not a
// rerun.
func ExampleDiff() {
	source := numbered(50_000)
	stored := slices.Concat(source[:41], source[43:], []string{"stranger"}) // two lost, one that is not of the source

	var read, found validate.Digest
	read.AddStrings(source)
	found.AddStrings(stored)
	diff, err := validate.Diff(read.Summary(), found.Summary())
	if err != nil {
		fmt.Println(err)
		return
	}
	missing, _ := diff.Missing()
	foreign, _ := diff.Foreign()
	fmt.Println(missing, "missing,", foreign, "foreign, exact:", diff.Exact())
	for _, user := range source {
		if times, known := diff.Of(user); times > 0 || !known {
			fmt.Println("upload", user)
		}
	}
	// Output:
	// 2 missing, 1 foreign, exact: true
	// upload user-42
	// upload user-43
}

// A stream that breaks is never a stream of the users before it broke.
func ExampleTee() {
	var read validate.Digest
	for user, err := range validate.Tee(&read, broken(numbered(3))) {
		if err != nil {
			break // a job that takes the error for the end
		}
		_ = user // stored
	}
	_, err := validate.Check(context.Background(), validate.Policy{}, validate.Output{
		Name: "site-b/cars", Expected: validate.Unknown(), Read: read.Summary(), Stored: validate.Count(3),
	})
	fmt.Println(errors.Is(err, validate.Unverified), errors.Is(err, errReset))
	// Output: true true
}

// An approximate counter is held to what its error can tell.
func ExampleEstimate() {
	stored := validate.Estimate(99_300, 0.0081) // HyperLogLog, 2^14 registers
	for _, tolerance := range []float64{0, 0.05} {
		_, err := validate.Check(context.Background(), validate.Policy{Tolerance: validate.Within(tolerance)}, validate.Output{
			Name: "site-b/cars", Expected: validate.Count(100_000), Stored: stored,
		})
		fmt.Println(err)
	}
	// Output:
	// site-b/cars: could not be verified: stored about 99,300 users ± 0.81% where 100,000 were expected: the counters' error of 2,412 users (three standard errors) is too wide where exactly 100,000 are allowed; an exact count or a tolerance of 3.2% would decide it
	// <nil>
}

// Users leave the source while a job reads it in pages by OFFSET: each of them who
// stood on a page already read shifts one who stays past the reader. The number of
// users is one that the source had; only a digest before and one after show who is
// missing.
func ExampleMoving() {
	source := numbered(50_000)
	after := source[3:]                                      // three leave while the first page is read
	read := slices.Concat(source[:1000], after[1000:49_997]) // and three who stay are skipped

	var before, then, taken, stored validate.Digest
	before.AddStrings(source)
	then.AddStrings(after)
	taken.AddStrings(read)
	stored.AddStrings(read)
	_, err := validate.Check(context.Background(), validate.Policy{}, validate.Output{
		Name:     "site-b/cars",
		Expected: validate.Moving(before.Summary(), then.Summary()),
		Read:     taken.Summary(),
		Stored:   stored.Summary(),
	})
	fmt.Println(err)

	// Counts cannot show it, and say so, unless so many may be missing.
	counted := validate.Output{
		Name:     "site-b/cars",
		Expected: validate.Moving(validate.Count(50_000), validate.Count(49_997)),
		Read:     validate.Count(49_997),
		Stored:   validate.Count(49_997),
	}
	_, err = validate.Check(context.Background(), validate.Policy{}, counted)
	fmt.Println(errors.Is(err, validate.Unverified))
	_, err = validate.Check(context.Background(), validate.Policy{Reading: validate.Within(0.001)}, counted)
	fmt.Println(err)
	// Output:
	// site-b/cars: read 49,997 users, and 3 in the source before and after are missing (0 allowed), lost while reading
	// true
	// <nil>
}

// An API says no more than "below 1,000".
func ExampleBounded() {
	out := validate.Output{
		Name:     "site-b/cars",
		Expected: validate.Count(450),
		Stored:   validate.Bounded(1, 999),
	}
	_, err := validate.Check(context.Background(), validate.Policy{}, out)
	fmt.Println(err)
	report, err := validate.Check(context.Background(), validate.Policy{AllowPossible: true}, out)
	fmt.Println(err, report.Verdict(), report.Gravest())
	// Output:
	// site-b/cars: could not be verified: stored 1 to 999 users, and no more is known, where exactly 450 are allowed: an exact count would decide it
	// <nil> passed unverified
}

// A live segment may drift from its source between two runs: by 50 users or 2%, the
// larger, below it, and not above.
func ExampleTolerance() {
	drift := validate.Policy{Tolerance: validate.Tolerance{Short: validate.Margin{Users: 50, Share: 0.02}}}
	for _, stored := range []int64{950, 949, 1001} {
		_, err := validate.Check(context.Background(), drift, validate.Output{
			Name: "site-b/cars", Expected: validate.Count(1000), Stored: validate.Count(stored),
		})
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// site-b/cars: stored 949 of 1,000 users (5.1% short, 50 allowed)
	// site-b/cars: stored 1,001 users where 1,000 were expected (0.1% surplus, 0 allowed)
}

// Each shard is digested where it is, and the digests meet on the wire.
func ExampleDigest_Merge() {
	source := numbered(30_000)
	var all validate.Digest
	for _, shard := range [][]string{source[:10_000], source[10_000:20_000], source[20_000:]} {
		var d validate.Digest
		d.AddStrings(shard)
		sent, err := d.MarshalBinary()
		if err != nil {
			fmt.Println(err)
			return
		}
		var received validate.Digest
		if err := errors.Join(received.UnmarshalBinary(sent), all.Merge(&received)); err != nil {
			fmt.Println(err)
			return
		}
	}
	var stored validate.Digest
	stored.AddStrings(source)
	report, err := validate.Check(context.Background(), validate.Policy{}, validate.Output{
		Name: "site-b/cars", Expected: all.Summary(), Stored: stored.Summary(),
	})
	fmt.Println(err, report.SameUsers)
	// Output: <nil> true
}

// Where ids are mapped from one site group to another and some have no
// counterpart, reading and storing stay exact.
func ExamplePolicy_mapped() {
	policy := validate.Policy{Mapping: validate.Ratio{Min: 0.70, Max: 0.95}}
	_, err := validate.Check(context.Background(), policy, validate.Output{
		Name:     "site-b/cars",
		Expected: validate.Count(812_345),
		Read:     validate.Count(10_000),
		Written:  validate.Count(8_512),
		Stored:   validate.Count(8_512),
	})
	fmt.Println(err)
	// Output: site-b/cars: read 10,000 of 812,345 users (98.8% short, 0 allowed), lost while reading: capped at 10,000, a known limit (Elasticsearch index.max_result_window, …)
}

var errReset = errors.New("connection reset")

func numbered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("user-%d", i+1)
	}
	return all
}

func broken(users []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, u := range users {
			if !yield(u, nil) {
				return
			}
		}
		yield("", errReset)
	}
}
