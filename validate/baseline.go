package validate

import "slices"

// How long sizes are remembered.
const (
	keptLast  = 8         // whatever their days
	keptDaily = 35 * day  // the last one of each UTC day
	keptLong  = 150 * day // the last one of every five days
)

// A Baseline is what is remembered of a segment's sizes: those that later ones are
// judged by, and the candidates for a new level. Both go into the next Output.
//
// It remembers the last eight sizes, and the last one of each UTC day for 35 days, of
// every five days for 150, and the first new level of each day: some 66 in all.
type Baseline struct {
	Sizes      []Size `json:"sizes"`                // oldest first
	Candidates []Size `json:"candidates,omitempty"` // those since the last of Sizes that were off the history (LevelOff, LevelApart), or proven wrong
}

// Take remembers the size that a check was about, by what its report says. Call it
// once the output is live, or rejected.
//
//   - A size that passed is judged by from then on; LevelNew brings the candidates
//     along, and the candidates are over.
//   - One that is only off its history is a candidate, whether it passed or not.
//   - One that is proven wrong in any other way is kept among the candidates, for what is
//     broken in between is no steady level.
//   - One that is excused for a while, or could not be verified, leaves no trace.
func (b *Baseline) Take(r *Report, size Size) {
	size.Level, size.Vouched = r.Level, r.Vouched
	switch {
	case r.Level == LevelOff, r.Level == LevelApart, r.Proven():
		b.Candidates = keepCandidates(insert(b.Candidates, size))
	case r.Level == LevelExcused:
	case r.Passed():
		b.Add(r.NewLevel...)
		b.Add(size)
		b.Candidates = nil
	}
}

// Accept remembers a size as if it had passed, as a new level, and takes nothing out:
// for 30 days the level before passes, too, with a warning. A size of 0 is remembered
// and judged by in nothing: one accepted zero excuses itself only.
func (b *Baseline) Accept(size Size) {
	size.Level = LevelNew
	b.Add(size)
	b.Candidates = nil
}

// Add puts sizes where their times belong, and drops those that need no longer be
// remembered.
func (b *Baseline) Add(sizes ...Size) {
	for _, size := range sizes {
		b.Sizes = insert(b.Sizes, size)
	}
	b.Sizes = keepSizes(b.Sizes)
}

// insert adds a size in order of time, after those of the same time: a guard whose
// clock is behind must not make the history bad input.
func insert(sizes []Size, size Size) []Size {
	i, _ := slices.BinarySearchFunc(sizes, size, func(a, b Size) int {
		if a.At.After(b.At) {
			return 1
		}
		return -1
	})
	return slices.Insert(sizes, i, size)
}

// keepSizes drops the sizes, oldest first, that need no longer be remembered, in place.
// It never needs one that it dropped earlier.
func keepSizes(sizes []Size) []Size {
	if len(sizes) <= keptLast {
		return sizes
	}
	last := sizes[len(sizes)-1].At.Unix()
	kept := len(sizes) // what is kept fills the end
	for i, size := range slices.Backward(sizes) {
		at := size.At.Unix()
		span := int64(day)
		if last-at > keptDaily {
			span = 5 * day
		}
		closing := !slices.ContainsFunc(sizes[kept:], func(s Size) bool {
			return s.Counter == size.Counter && s.At.Unix()/span == at/span
		})
		opening := size.Level == LevelNew && !slices.ContainsFunc(sizes[:i], func(s Size) bool {
			return s.Level == LevelNew && s.Counter == size.Counter && s.At.Unix()/day == at/day
		})
		if i >= len(sizes)-keptLast || last-at <= keptLong && (closing || opening) {
			kept--
			sizes[kept] = size
		}
	}
	return slices.Delete(sizes, 0, kept)
}

// keepCandidates keeps of each UTC day the last candidate, and the last one that was
// proven wrong, for as long as a history may be used without one that passed.
func keepCandidates(sizes []Size) []Size {
	last := sizes[len(sizes)-1].At
	kept := sizes[:0]
	for i, size := range sizes {
		again := slices.ContainsFunc(sizes[i+1:], func(s Size) bool {
			return s.Level == size.Level && s.Counter == size.Counter && s.At.Unix()/day == size.At.Unix()/day
		})
		if !again && last.Sub(size.At) <= usable {
			kept = append(kept, size)
		}
	}
	clear(sizes[len(kept):])
	return kept
}
