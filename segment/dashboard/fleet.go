package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// rowsOfPage is how many rows a page has.
const rowsOfPage = 50

// A fleetView is the page of all segments.
type fleetView struct {
	common

	Tone      tone
	Lead      string // what somebody on call must know
	Sweep     string
	Tiles     []tile
	Incidents []incidentRow
	Table     table
	Filter    filterForm
	Commands  []command
}

// A tile is one number.
type tile struct {
	Name, Value, Note string
	Tone              tone
}

// A table is affected segments.
type table struct {
	Caption string
	Rows    []affectedRow
	Empty   string
	First   string // the address of the first page, on a later one
	Next    string
}

// An affectedRow is an affected segment.
type affectedRow struct {
	Segment                 ref
	Badge                   badge
	Kind, Text, Build       string
	Holds, Should           string
	Spark                   *spark
	Since                   stamp
	Incident                ref
	Muted, Flapping, Damage bool
}

// A filterForm asks for some of the affected segments.
type filterForm struct {
	filter

	Kinds, Groups, Builds, Jobs []option
	Any                         bool // a filter is set
	Clear                       string
}

// An option is a value and how many segments have it.
type option struct {
	Value    string
	Segments int
	Chosen   bool
}

func (s *source) fleetPage(ctx context.Context, q url.Values) (any, error) {
	f := filter{SiteGroup: q.Get("group"), Kind: validate.Kind(q.Get("kind")), JobKind: segment.JobKind(q.Get("job")), Build: q.Get("build")}
	if f.Kind != "" && !slices.Contains(validate.Kinds(), f.Kind) {
		return nil, badRequest("kind", string(f.Kind))
	}
	var err error
	if f.after, err = parsePlace(q.Get("after")); err != nil {
		return nil, err
	}
	return s.fleet(ctx, f, rowsOfPage)
}

func (s *source) fleet(ctx context.Context, f filter, rows int) (*fleetView, error) {
	c, err := takeCensus(ctx, s.ledger, f, rows)
	if err != nil {
		return nil, err
	}
	v := &fleetView{common: s.common("Fleet", "fleet"), Filter: s.filterForm(c)}
	if err := s.lead(ctx, v, &c.all); err != nil {
		return nil, err
	}
	if v.Incidents, err = s.openIncidents(ctx); err != nil {
		return nil, err
	}
	v.Table = s.table(c, s.links.fleet)
	v.Commands = []command{s.commands.of("says the same in a terminal", "", "status")}
	if c.all.segments > 0 {
		v.Commands = append(v.Commands,
			s.commands.of("orders the jobs that must run again", "", "plan"),
			s.commands.of("says which builds fail, and what share of their runs", "", "builds"))
	}
	return v, nil
}

// lead says first what somebody on call must know: whether customers are hit, and
// whether that is all there is to know.
func (s *source) lead(ctx context.Context, v *fleetView, all *counts) error {
	v.Lead, v.Tone = leadOf(all)
	sweeps, err := s.ledger.Sweeps(ctx, sweepsRead)
	if err != nil {
		return fmt.Errorf("reading the last sweeps: %w", err)
	}
	last, complete := lastOf(sweeps)
	var late bool
	v.Sweep, late = sweepText(last, complete, s.config.now())
	if late && v.Tone == fine {
		v.Tone = unknown
	}
	v.Tiles = []tile{
		{"Too few users, live", text.Thousands(int64(all.tooFew)), "customers are hit", toneIf(all.tooFew, bad)},
		{"Live, otherwise affected", text.Thousands(int64(all.live - all.tooFew)), "wrong users, or not verified", toneIf(all.live-all.tooFew, warned)},
		{"Protected", text.Thousands(int64(all.protected)), "the live ones keep their users", toneIf(all.protected, guarded)},
	}
	if complete != nil {
		v.Tiles = append(v.Tiles,
			tile{"Healthy", text.Thousands(int64(complete.Healthy)), "of " + text.Count(complete.Segments, "segment") + " swept", fine},
			tile{"Unwatched", text.Thousands(int64(complete.Unwatched)), "nothing to judge them by", toneIf(complete.Unwatched, warned)},
			tile{"Missing", text.Thousands(int64(complete.Missing)), "known, and not in the store", toneIf(complete.Missing, bad)})
	}
	return nil
}

func toneIf(n int, t tone) tone {
	if n == 0 {
		return unknown
	}
	return t
}

// leadOf returns the sentence about the open alerts.
func leadOf(c *counts) (string, tone) {
	if c.segments == 0 {
		return "No segment is known to be affected.", fine
	}
	is := warned
	lead := "No live segment holds too few users"
	if c.tooFew > 0 {
		is = bad
		lead = text.Count(c.tooFew, "live segment") + " " + text.Plural(c.tooFew, "holds", "hold") + " too few users"
	}
	if others := c.live - c.tooFew; others > 0 {
		lead += ", " + text.Count(others, "live one") + " " + text.Plural(others, "is", "are") + " affected otherwise"
	}
	lead += fmt.Sprintf(", %s %s protected", text.Thousands(int64(c.protected)), text.Plural(c.protected, "is", "are"))
	if is == warned && c.live == 0 {
		is = guarded
	}
	return lead + ".", is
}

// overdue is how long after a complete sweep another one should have come: monitors
// sweep once an hour.
const overdue = 2 * time.Hour

// sweepsRead is how many sweeps a page reads: of each store the last one is among
// them, and the last complete one, unless many did not come to their end.
const sweepsRead = 100

// lastOf returns the last sweep and the last complete one: of many stores their sums,
// and the earlier times.
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
	sum.At = earlier(sum.At, w.At)
	sum.Complete = sum.Complete && w.Complete
	sum.Segments += w.Segments
	sum.Healthy += w.Healthy
	sum.Affected += w.Affected
	sum.Unwatched += w.Unwatched
	sum.Missing += w.Missing
	return sum
}

// sweepText says when all segments were last looked at, and whether that is too long
// ago to call anything well.
func sweepText(last, complete *segment.SweepNumbers, now time.Time) (said string, late bool) {
	if complete == nil {
		return "No complete sweep is known: what is not listed may be anything but fine.", true
	}
	said = fmt.Sprintf("The last complete sweep was %s: %s, %s healthy.",
		ago(now.Sub(complete.At)), text.Count(complete.Segments, "segment"), text.Thousands(int64(complete.Healthy)))
	if late = now.Sub(complete.At) > overdue; late {
		said += " That is overdue: what is not listed may be anything but fine."
	}
	if !last.Complete {
		said += " The last one did not come to its end."
		late = true
	}
	return said, late
}

func (s *source) table(c *census, page func(filter, string) string) table {
	t := table{Caption: "Affected segments, the gravest first"}
	if c.filter.incident != "" {
		t.Caption = "Members of the incident, the gravest first"
	}
	switch {
	case c.chosen.segments == 0 && c.all.segments > 0:
		t.Empty = "None of the " + text.Count(c.all.segments, "affected segment") + " is like that."
	case c.chosen.segments == 0:
		t.Empty = "No alert is open."
	default:
		t.Caption += fmt.Sprintf(": %s of %s", text.Thousands(int64(len(c.rows))), text.Thousands(int64(c.chosen.segments)))
	}
	for i := range c.rows {
		t.Rows = append(t.Rows, s.affectedRow(&c.rows[i]))
	}
	first := c.filter
	if first.after != nil {
		t.Caption += ", continued"
		t.First = page(first, "")
	}
	if c.next != nil {
		t.Next = page(first, c.next.String())
	}
	return t
}

func (s *source) affectedRow(state *segment.SegmentState) affectedRow {
	r := affectedRow{Segment: s.ref(state.Key()), Badge: badgeOfState(state), Spark: newSpark(state)}
	if state.Damaged != nil {
		r.Damage = true
		r.Text = visible(state.Damaged.Error())
	}
	if state.Segment.IsZero() {
		r.Segment = refTo("(its name cannot be read)", "")
	}
	a := state.Alert.Open
	if a == nil {
		return r
	}
	r.Kind, r.Build = string(a.Kind), visible(a.Build)
	r.Since = s.stamp(a.Since)
	r.Holds, r.Should = holds(state)
	r.Text = visible(clause(a))
	r.Muted, r.Flapping = state.Alert.Muted != nil, state.Alert.Flapping
	if state.Alert.Incident != "" {
		r.Incident = incidentRef(state.Alert.Incident, s.links.incident(state.Alert.Incident, ""))
	}
	return r
}

// holds returns how many users a live segment holds, and how many it should, or which
// number was kept away from it.
func holds(s *segment.SegmentState) (users, beside string) {
	a := s.Alert.Open
	found := brieflyOf(a.Report.Stored)
	if !a.Protected() {
		if a.Good != nil {
			beside = "good: " + text.Thousands(a.Good.Users)
		}
		return found, beside
	}
	users = "not known"
	if s.Live != nil {
		users = text.Thousands(s.Live.Users)
	}
	return users, "kept out: " + found
}

func (s *source) filterForm(c *census) filterForm {
	f := filterForm{filter: c.filter, Clear: s.links.fleet(filter{}, "")}
	f.Any = c.filter.SiteGroup != "" || c.filter.Build != "" || c.filter.Kind != "" || c.filter.JobKind != ""
	f.Kinds = options(c.kinds, c.filter.Kind)
	f.Groups = options(c.groups, c.filter.SiteGroup)
	f.Builds = options(c.builds, c.filter.Build)
	f.Jobs = options(c.jobs, c.filter.JobKind)
	return f
}

// mostOptions is how many values a control offers; the rest can be typed.
const mostOptions = 100

// options returns the values that most segments have first, and the chosen one always.
func options[K ~string](segments map[K]int, chosen K) (found []option) {
	if _, known := segments[chosen]; !known && chosen != "" {
		segments[chosen] = 0
	}
	for _, k := range slices.SortedFunc(maps.Keys(segments), func(a, b K) int {
		if segments[a] != segments[b] {
			return segments[b] - segments[a]
		}
		return cmp.Compare(a, b)
	}) {
		if k != "" && (len(found) < mostOptions || k == chosen) {
			found = append(found, option{string(k), segments[k], k == chosen})
		}
	}
	return found
}
