package validate

import (
	"context"
	"fmt"
	"slices"
)

// A Comparer compares the users of a side with those of another one where they are,
// in a database for one, so that they need not be moved. See Summary.WithComparer.
type Comparer interface {
	// Compare returns by how much the users of a later side differ from its own, in
	// rows. Where it cannot tell exactly, told is false.
	Compare(ctx context.Context, later Comparer) (c Compared, told bool, err error)
}

// Compared tells by how much a side differs from the one before it, in rows: a user
// that is there three times is three of them. Every number is exact.
type Compared struct {
	Missing  int64 // rows that the later side lacks
	Foreign  int64 // rows that it has beyond the earlier one
	Often    int64 // how many of these are of one user, at most
	Repeated int64 // users of the earlier side that the later one has more often
}

// WithComparer returns the side with a way to compare its users to those of another
// side that has one, should their fingerprints differ. A check asks it before it calls
// what WithRemeasure set, which it calls only if Compare could not tell; never where
// distinct users are compared. WithRemeasure takes the Comparer away.
func (s Summary) WithComparer(c Comparer) Summary {
	s.comparer = nil
	if c != nil {
		s.comparer = &comparer{c}
	}
	return s
}

// A comparer stands behind a pointer so that summaries stay comparable.
type comparer struct{ Comparer }

// A place is two sides that were compared, or could be, where they are. Sides, and
// lists of places, are copied: with pointers into what a judge has, each check would
// have to allocate it.
type place struct {
	stage         stage
	before, after Summary
	found         *Compared
}

// compareInPlace has sides compared where they are, and judges by that. It reports
// whether nothing is left for another look.
func compareInPlace(ctx context.Context, p *Policy, out *Output, report *Report, admitting bool, places []place) bool {
	places = slices.Clone(places)
	for i := range places {
		at := &places[i]
		found, told, err := at.before.comparer.Compare(ctx, at.after.comparer.Comparer)
		switch {
		case err == nil && !told:
			return false
		case err == nil:
			at.found, err = &found, found.problem(at.before.lower, at.after.lower)
		}
		if err != nil {
			report.unlooked(err)
			return true
		}
	}
	var next Report
	j := judge{policy: p, out: out, report: &next, admitting: admitting, places: places}
	j.output()
	if next.Proven() || !report.Proven() {
		*report = next
	}
	return true
}

// unlooked adds why no look says more than the report does.
func (r *Report) unlooked(err error) {
	r.Findings = append(r.Findings, Finding{Kind: Unverified, Severity: Warn, Detail: fmt.Sprintf("why the users differ could not be looked at: %v", err), Cause: err})
}

// problem returns why the numbers cannot be those of two sides with so many users and
// different fingerprints.
func (c *Compared) problem(before, after int64) error {
	net := before - after
	if c.Missing < 0 || c.Missing > before || c.Foreign < 0 || c.Foreign > after || c.Missing == 0 && c.Foreign == 0 ||
		c.Missing-c.Foreign != net || c.Often < 0 || c.Often > c.Foreign || c.Repeated < 0 || c.Repeated > c.Foreign {
		return fmt.Errorf("of %s and %s the comparison says %+v, which does not add up", counted(before, "user"), counted(after, "user"), *c)
	}
	return nil
}

// inPlace returns what a comparison found of a pair; nil where there was none, and
// notes then that there can be.
func (j *judge) inPlace(p *pair) (c *Compared, can bool) {
	if p.distinct || p.before.comparer == nil || p.after.comparer == nil {
		return nil, false
	}
	for _, known := range j.places {
		if known.stage == p.stage {
			return known.found, true
		}
	}
	j.places = append(slices.Clone(j.places), place{stage: p.stage, before: *p.before, after: *p.after})
	return nil, true
}

func (c *Compared) extent() extent {
	x := accounted(c.Missing, c.Foreign)
	x.often = c.Often
	return x
}

// causes returns what is certain of why the users differ.
func (c *Compared) causes(p *pair) []cause {
	if c.Repeated == 0 {
		return nil
	}
	return []cause{{kind: Repeated, detail: fmt.Sprintf("%s of %s %s %s more often than they came", counted(c.Repeated, "user"), p.whose(), areOrIs(c.Repeated), p.stage.done())}}
}
