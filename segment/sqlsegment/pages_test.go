package sqlsegment

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// counting is a table of n numbers from 0, read in pages.
func counting(n int, reads *int) func(context.Context, any, int) ([]int, error) {
	return func(ctx context.Context, after any, size int) (page []int, err error) {
		*reads++
		last, ok := after.(int)
		if !ok {
			return nil, fmt.Errorf("after %v, want a number", after)
		}
		for i := last + 1; i < min(last+1+size, n); i++ {
			page = append(page, i)
		}
		return page, context.Cause(ctx)
	}
}

func key(i *int) any { return *i }

func TestAheadReadsAll(t *testing.T) {
	for _, n := range []int{0, 1, pageSize - 1, pageSize, pageSize + 1, 3 * pageSize} {
		var all []int
		var reads int
		for page, err := range ahead(t.Context(), -1, 0, counting(n, &reads), key) {
			require.NoError(t, err)
			all = append(all, page...)
		}
		require.Len(t, all, n)
		require.Equal(t, n/pageSize+1, reads, "a page that is not full is the last")
		for i := range all {
			require.Equal(t, i, all[i])
		}
	}
}

// Nobody reads more than was asked for.
func TestAheadReadsUpToALimit(t *testing.T) {
	for _, limit := range []int{1, 10, pageSize - 1, pageSize, pageSize + 1, 2 * pageSize, 3*pageSize + 5} {
		for _, n := range []int{0, 5, limit, 10 * pageSize} {
			var all []int
			var reads int
			for page, err := range ahead(t.Context(), -1, limit, counting(n, &reads), key) {
				require.NoError(t, err)
				all = append(all, page...)
			}
			require.Len(t, all, min(n, limit), "%d of %d", limit, n)
			require.LessOrEqual(t, reads, (limit+pageSize-1)/pageSize, "%d of %d", limit, n)
		}
	}
}

// The end of the context is an error, never the end of the table.
func TestAheadTellsThatItWasCancelled(t *testing.T) {
	for range 100 {
		require.ErrorIs(t, cancelledOnTheWay(t.Context()), context.Canceled)
	}
}

func cancelledOnTheWay(ctx context.Context) (told error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var reads int
	for _, err := range ahead(ctx, -1, 0, counting(10*pageSize, &reads), key) {
		cancel()
		told = err
	}
	return told
}

// Whoever leaves early, or panics, leaves nobody behind: and no more than one page
// is read ahead.
func TestAheadEndsWithItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which waits for all that was started
		var reads int
		for range ahead(t.Context(), -1, 0, counting(10*pageSize, &reads), key) {
			synctest.Wait()
			require.Equal(t, 2, reads)
			break
		}
		require.PanicsWithValue(t, "lost", func() {
			for range ahead(t.Context(), -1, 0, counting(10*pageSize, &reads), key) {
				panic("lost")
			}
		})
	})
}
