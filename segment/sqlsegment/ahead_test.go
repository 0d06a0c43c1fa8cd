package sqlsegment

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// counting is a table of n numbers from 0, read in pages.
func counting(n int, reads *int) func(context.Context, []any) ([]int, error) {
	return func(ctx context.Context, at []any) (page []int, err error) {
		*reads++
		from, ok := at[0].(int)
		if !ok {
			return nil, fmt.Errorf("at %v, want a number", at[0])
		}
		for i := from; i < min(from+pageSize, n); i++ {
			page = append(page, i)
		}
		return page, context.Cause(ctx)
	}
}

func after(i *int) []any { return []any{*i + 1} }

func TestAheadReadsAll(t *testing.T) {
	for _, n := range []int{0, 1, pageSize - 1, pageSize, pageSize + 1, 3 * pageSize} {
		var all []int
		var reads int
		for page, err := range ahead(t.Context(), []any{0}, counting(n, &reads), after) {
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
	for _, err := range ahead(ctx, []any{0}, counting(10*pageSize, &reads), after) {
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
		for range ahead(t.Context(), []any{0}, counting(10*pageSize, &reads), after) {
			synctest.Wait()
			require.Equal(t, 2, reads)
			break
		}
		require.PanicsWithValue(t, "lost", func() {
			for range ahead(t.Context(), []any{0}, counting(10*pageSize, &reads), after) {
				panic("lost")
			}
		})
	})
}
