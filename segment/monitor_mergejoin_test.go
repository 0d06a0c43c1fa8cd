package segment

import (
	"errors"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// TestJoinListsEachSegmentOnce: each segment of a listing once, with how often it
// was listed and what was said of it first; what came before an error, too.
func TestJoinListsEachSegmentOnce(t *testing.T) {
	broken := errors.New("broken")
	yields := func(names []string, last error) iter.Seq2[CurrentSize, error] {
		return func(yield func(CurrentSize, error) bool) {
			for i, n := range names {
				if !yield(CurrentSize{Segment: ID{Name: n}, Stored: validate.Count(int64(i + 1))}, nil) {
					return
				}
			}
			if last != nil {
				yield(CurrentSize{Segment: ID{Name: "a"}}, last)
			}
		}
	}
	type got struct {
		name   string
		users  int64
		listed int
	}
	for _, c := range []struct {
		reason string
		names  []string
		last   error
		want   []got
	}{
		{"nothing", nil, nil, nil},
		{"nothing but an error", nil, broken, nil},
		{"each once", []string{"a", "b"}, nil, []got{{"a", 1, 1}, {"b", 2, 1}}},
		{"some twice", []string{"a", "b", "b", "b", "c"}, nil, []got{{"a", 1, 1}, {"b", 2, 3}, {"c", 5, 1}}},
		{"one without a name", []string{"", "a"}, nil, []got{{"", 1, 1}, {"a", 2, 1}}},
		{"an error with a segment that was listed", []string{"a"}, broken, []got{{"a", 1, 1}}},
	} {
		var all []got
		pairs := newBatches[pair](1)
		f := feeder{"", open(t.Context(), func(func(SegmentState, error) bool) {}), pairs}
		err := f.join(t.Context(), yields(c.names, c.last))
		f.ledger.stop()
		require.NoError(t, pairs.flush(t.Context()))
		pairs.end()
		for batch := range pairs.full {
			for _, p := range batch {
				all = append(all, got{p.current.Segment.Name, p.current.Stored.Users(), p.listed})
			}
		}
		require.Equal(t, c.want, all, c.reason)
		require.ErrorIs(t, err, c.last, c.reason)
	}
}
