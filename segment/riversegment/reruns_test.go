package riversegment

import (
	"slices"
	"testing"
)

func TestPriorities(t *testing.T) {
	for _, test := range []struct {
		plan   []int
		river  map[int]int
		reason string
	}{
		{[]int{0}, map[int]int{0: 1}, "all are alike"},
		{[]int{-5, 7, 0}, map[int]int{7: 1, 0: 2, -5: 3}, "higher ones first"},
		{[]int{1, 2, 3, 4}, map[int]int{4: 1, 3: 2, 2: 3, 1: 4}, "River's other way round"},
		{[]int{1, 2, 3, 4, 5, 6, 7, 8}, map[int]int{8: 1, 7: 1, 6: 2, 5: 2, 4: 3, 3: 3, 2: 4, 1: 4}, "shared evenly"},
		{[]int{1, 2, 3, 4, 5}, map[int]int{5: 1, 4: 1, 3: 2, 2: 3, 1: 4}, "as evenly as it goes"},
	} {
		b := bounds(slices.Clone(test.plan))
		for of, want := range test.river {
			if got := priority(of, b); got != want {
				t.Errorf("%s: of %v, %d has River's %d, want %d", test.reason, test.plan, of, got, want)
			}
		}
	}
}
