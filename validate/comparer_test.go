package validate

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// A fake Comparer says what a test wants.
type fake struct {
	found *Compared
	err   error
	asked *int
	later *fake
}

func (f *fake) Compare(_ context.Context, later Comparer) (c Compared, told bool, err error) {
	*f.asked++
	f.later, _ = later.(*fake)
	if f.found == nil {
		return Compared{}, false, f.err
	}
	return *f.found, true, f.err
}

func printOf(users int64, sum uint64) Summary {
	return Fingerprinted(users, Fingerprint{Hash: "engine/hash", Sum: [4]uint64{sum, 1}})
}

// TestComparedInPlace: what a comparison found is judged as exact, and no users are
// read again.
func TestComparedInPlace(t *testing.T) {
	for _, c := range []struct {
		reason        string
		before, after int64
		found         Compared
		tolerance     Tolerance
		kinds         []Kind // none: it passes
		says          string
	}{
		{"one in place of another", 1000, 1000, Compared{Missing: 1, Foreign: 1, Often: 1}, Tolerance{}, []Kind{Different}, "1 is missing (0 allowed) and 1 is stored that should not be (0 allowed)"},
		{"as many as allowed", 1000, 1000, Compared{Missing: 10, Foreign: 10, Often: 1}, Tolerance{Short: Margin{Users: 10}, Surplus: Margin{Users: 10}}, nil, ""},
		{"one more missing", 1000, 1000, Compared{Missing: 11, Foreign: 11, Often: 1}, Tolerance{Short: Margin{Users: 10}, Surplus: Margin{Users: 11}}, []Kind{Different}, "11 are missing (10 allowed)"},
		{"strangers where only losses are allowed", 1000, 995, Compared{Missing: 6, Foreign: 1, Often: 1}, Tolerance{Short: Margin{Users: 10}}, []Kind{Different}, "1 is stored that should not be (0 allowed)"},
		{"losses alone", 1000, 995, Compared{Missing: 5}, Tolerance{Short: Margin{Users: 10}}, nil, ""},
		{"strangers beside losses", 1000, 900, Compared{Missing: 107, Foreign: 7, Often: 2}, Tolerance{}, []Kind{Different, Short}, "7 are stored that should not be (0 allowed), one of them 2 times"},
		{"a user twice", 1000, 1000, Compared{Missing: 1, Foreign: 1, Often: 1, Repeated: 1}, Tolerance{}, []Kind{Repeated, Different}, "1 user of the source is stored more often than they came"},
	} {
		asked, looked := 0, 0
		look := func(context.Context) (Summary, error) { looked++; return Summary{}, errors.New("not to be called") }
		first, second := &fake{found: &c.found, asked: &asked}, &fake{asked: &asked}
		out := Output{
			Expected: printOf(c.before, 5).WithRemeasure(look).WithComparer(first),
			Stored:   printOf(c.after, 6).WithRemeasure(look).WithComparer(second),
		}
		report, err := Check(t.Context(), Policy{Tolerance: c.tolerance}, out)
		require.Equal(t, []int{1, 0}, []int{asked, looked}, c.reason)
		require.Same(t, second, first.later)
		if c.kinds == nil {
			require.NoError(t, err, c.reason)
		}
		for _, kind := range c.kinds {
			require.ErrorIs(t, err, kind, c.reason)
		}
		require.Contains(t, report.String(), c.says, c.reason)
	}
}

// TestNotComparedInPlace: where a comparison cannot tell, or is not to be trusted,
// nothing passes by it.
func TestNotComparedInPlace(t *testing.T) {
	lenient := Tolerance{Short: Margin{Users: 50}, Surplus: Margin{Users: 50}}
	for _, c := range []struct {
		reason string
		found  *Compared
		err    error
		policy Policy
		asked  int
		looked int
		says   string
	}{
		{"it cannot tell", nil, nil, Policy{Tolerance: lenient}, 1, 1, "could not be looked at: streamed"},
		{"it fails", nil, errors.New("no connection"), Policy{Tolerance: lenient}, 1, 0, "could not be looked at: no connection"},
		{"too few missing for the number of users", &Compared{Missing: 4}, nil, Policy{Tolerance: lenient}, 1, 0, "does not add up"},
		{"more missing than there are", &Compared{Missing: 1001, Foreign: 996, Often: 1}, nil, Policy{Tolerance: lenient}, 1, 0, "does not add up"},
		{"fewer than none", &Compared{Missing: 5, Repeated: -1}, nil, Policy{Tolerance: lenient}, 1, 0, "does not add up"},
		{"distinct users are another question", &Compared{Missing: 5}, nil, Policy{Tolerance: lenient, Distinct: true}, 0, 1, "could not be looked at: streamed"},
	} {
		asked, looked := 0, 0
		look := func(context.Context) (Summary, error) { looked++; return Summary{}, errors.New("streamed") }
		side := &fake{found: c.found, err: c.err, asked: &asked}
		report, err := Check(t.Context(), c.policy, Output{
			Expected: printOf(1000, 5).WithRemeasure(look).WithComparer(side),
			Stored:   printOf(995, 6).WithRemeasure(look).WithComparer(side),
		})
		require.Error(t, err, c.reason)
		require.Equal(t, []int{c.asked, c.looked}, []int{asked, looked}, c.reason)
		require.Contains(t, report.String(), c.says, c.reason)
	}
}

// TestNothingToCompare: no comparison is asked for where the users are the same, or
// where one side has none.
func TestNothingToCompare(t *testing.T) {
	asked := 0
	side := &fake{asked: &asked}
	_, err := Check(t.Context(), Policy{}, Output{Expected: printOf(10, 5).WithComparer(side), Stored: printOf(10, 5).WithComparer(side)})
	require.NoError(t, err)
	_, err = Check(t.Context(), Policy{}, Output{Expected: printOf(10, 5).WithComparer(side), Stored: printOf(10, 6)})
	require.ErrorIs(t, err, Different)
	_, err = Check(t.Context(), Policy{}, Output{Expected: printOf(10, 5).WithComparer(side), Stored: printOf(10, 6).WithComparer(side).WithRemeasure(nil)})
	require.ErrorIs(t, err, Different)
	_, err = Check(t.Context(), Policy{}, Output{Expected: printOf(10, 5).WithComparer(side), Stored: printOf(10, 6).WithComparer(nil)})
	require.ErrorIs(t, err, Different)
	require.Zero(t, asked)
	require.Equal(t, printOf(10, 5).WithComparer(nil), printOf(10, 5))
}
