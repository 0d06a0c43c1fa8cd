package validate_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// crowd is how often each user is there.
type crowd map[int]int64

func (m crowd) digest(random *rand.Rand) validate.Summary {
	var all []string
	for u, n := range m {
		for range n {
			all = append(all, fmt.Sprint("id-", u))
		}
	}
	random.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return digest(all).Summary()
}

// changed is the crowd after some users of it left, came or were repeated.
func (m crowd) changed(random *rand.Rand, changes, users int) crowd {
	next := maps.Clone(m)
	for range random.IntN(changes + 1) {
		u := random.IntN(users)
		next[u] = max(0, next[u]+int64(random.IntN(3))-1)
	}
	return next
}

// TestMovingMatchesTheFormulas: per user, lost = max(0, min(before − read, after −
// read)) and foreign = max(0, read − max(before, after)); their sums pass where
// Reading allows them, and not otherwise. Fewer read than were there both times, or
// more than at either, is short or surplus by the numbers alone.
func TestMovingMatchesTheFormulas(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	passes := 0
	trial := func(users, changes int) {
		before := crowd{}
		for u := range users {
			before[u] = int64(random.IntN(3))
		}
		after := before.changed(random, changes, users)
		var read crowd
		if random.IntN(2) == 0 {
			read = before.changed(random, changes, users)
		} else {
			read = after.changed(random, changes, users)
		}
		var lost, foreign int64
		for u := range users {
			lost += max(0, min(before[u]-read[u], after[u]-read[u]))
			foreign += max(0, read[u]-max(before[u], after[u]))
		}
		policy := validate.Policy{AllowEmpty: true, Reading: validate.Tolerance{
			Short:   validate.Margin{Users: random.Int64N(4)},
			Surplus: validate.Margin{Users: random.Int64N(4)},
		}}
		expected := validate.Moving(before.digest(random), after.digest(random))
		report, err := validate.Check(t.Context(), policy, validate.Output{
			Expected: expected, Read: read.digest(random), Stored: read.digest(random),
		})
		right := lost <= policy.Reading.Short.Users && foreign <= policy.Reading.Surplus.Users
		if expected.Users() > 0 && report.Stored.Users() > 0 {
			require.Equal(t, right, err == nil, "%d lost, %d foreign: %v", lost, foreign, report)
			require.NotErrorIs(t, err, validate.Unverified, "%v", report)
		}
		if err == nil {
			passes++
		}
	}
	for range 5000 {
		trial(1+random.IntN(30), 1+random.IntN(12))
	}
	for range 12 {
		trial(15_000, 1+random.IntN(12))
	}
	require.Greater(t, passes, 1000)
}

// TestBoundedMatchesEachNumber: a step with bounds passes where each number within
// them would, and fails where none would.
func TestBoundedMatchesEachNumber(t *testing.T) {
	random := rand.New(rand.NewPCG(23, 24))
	verdicts := map[validate.Verdict]int{}
	check := func(p validate.Policy, expected, stored validate.Summary) validate.Report {
		report, _ := validate.Check(t.Context(), p, validate.Output{Expected: expected, Stored: stored})
		return report
	}
	for range 3000 {
		low := 20 + random.Int64N(100)
		high, other := low+random.Int64N(15), 20+random.Int64N(130)
		policy := validate.Policy{Tolerance: validate.Tolerance{
			Short: validate.Margin{Share: 0.2 * random.Float64()}, Surplus: validate.Margin{Users: random.Int64N(12)},
		}}
		for _, side := range []func(validate.Summary) (expected, stored validate.Summary){
			func(s validate.Summary) (validate.Summary, validate.Summary) { return s, count(other) },
			func(s validate.Summary) (validate.Summary, validate.Summary) { return count(other), s },
		} {
			all, none := true, true
			for n := low; n <= high; n++ {
				expected, stored := side(count(n))
				passed := check(policy, expected, stored).Passed()
				all, none = all && passed, none && !passed
			}
			want := validate.VerdictUnverified
			switch {
			case all:
				want = validate.VerdictPassed
			case none:
				want = validate.VerdictFailed
			}
			expected, stored := side(validate.Bounded(low, high))
			report := check(policy, expected, stored)
			if none && report.Verdict() == validate.VerdictUnverified {
				continue // short of some numbers, more than the others: nobody knows which
			}
			require.Equal(t, want, report.Verdict(), "%d to %d, %d: %v", low, high, other, report)
			verdicts[want]++
			policy.AllowPossible = true
			require.Equal(t, want != validate.VerdictFailed, check(policy, expected, stored).Passed())
			policy.AllowPossible = false
		}
	}
	require.Greater(t, min(verdicts[validate.VerdictPassed], verdicts[validate.VerdictFailed], verdicts[validate.VerdictUnverified]), 300)
}
