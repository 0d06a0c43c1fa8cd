package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// Lead returns what somebody on call must know first of the open alerts.
func (c *Counts) Lead() (string, Tone) {
	if c.Segments == 0 {
		return "No segment is known to be affected.", Fine
	}
	is := Warned
	lead := "No live segment holds too few users"
	if c.TooFew > 0 {
		is = Bad
		lead = text.Count(c.TooFew, "live segment") + " " + text.Plural(c.TooFew, "holds", "hold") + " too few users"
	}
	if others := c.Live - c.TooFew; others > 0 {
		lead += ", " + text.Count(others, "live one") + " " + text.Plural(others, "is", "are") + " affected otherwise"
	}
	lead += fmt.Sprintf(", %s %s protected", text.Thousands(int64(c.Protected)), text.Plural(c.Protected, "is", "are"))
	if is == Warned && c.Live == 0 {
		is = Guarded
	}
	return lead + ".", is
}

// Overdue is how long after a complete sweep another one should have come: monitors
// sweep once an hour.
const Overdue = 2 * time.Hour

// sweepsRead is how many sweeps are read: of each store the last one is among them,
// and the last complete one, unless many did not come to their end.
const sweepsRead = 100

// Sweeps are the last sweep and the last complete one: of many stores their sums, and
// the earlier times.
type Sweeps struct {
	Last, Complete *segment.SweepNumbers // nil: none is known of every store
	Text           string                // when all segments were last looked at
	Late           bool                  // that is too long ago to call anything well
}

// LastSweeps reads the last sweeps.
func LastSweeps(ctx context.Context, l segment.Ledger, now time.Time) (Sweeps, error) {
	all, err := l.Sweeps(ctx, sweepsRead)
	if err != nil {
		return Sweeps{}, fmt.Errorf("reading the last sweeps: %w", err)
	}
	var s Sweeps
	s.Last, s.Complete = lastOf(all)
	s.say(now)
	return s, nil
}

func lastOf(sweeps []segment.SweepNumbers) (last, complete *segment.SweepNumbers) {
	seen, whole := map[string]bool{}, map[string]bool{}
	for i := range sweeps {
		w := &sweeps[i]
		if !seen[w.Store] {
			seen[w.Store] = true
			last = plus(last, w)
		}
		if w.Complete && !whole[w.Store] {
			whole[w.Store] = true
			complete = plus(complete, w)
		}
	}
	if len(whole) < len(seen) { // of one store nothing is known
		return last, nil
	}
	return last, complete
}

func plus(sum, w *segment.SweepNumbers) *segment.SweepNumbers {
	if sum == nil {
		return new(*w)
	}
	if w.At.Before(sum.At) {
		sum.At = w.At
	}
	sum.Complete = sum.Complete && w.Complete
	sum.Segments += w.Segments
	sum.Healthy += w.Healthy
	sum.Affected += w.Affected
	sum.Unwatched += w.Unwatched
	sum.Missing += w.Missing
	return sum
}

func (s *Sweeps) say(now time.Time) {
	if s.Complete == nil {
		s.Text, s.Late = "No complete sweep is known: what is not listed may be anything but fine.", true
		return
	}
	s.Text = fmt.Sprintf("The last complete sweep was %s: %s, %s healthy.",
		text.Ago(now.Sub(s.Complete.At)), text.Count(s.Complete.Segments, "segment"), text.Thousands(int64(s.Complete.Healthy)))
	if s.Late = now.Sub(s.Complete.At) > Overdue; s.Late {
		s.Text += " That is overdue: what is not listed may be anything but fine."
	}
	if !s.Last.Complete {
		s.Text += " The last one did not come to its end."
		s.Late = true
	}
}
