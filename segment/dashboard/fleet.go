package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// rowsOfPage is how many rows a page has.
const rowsOfPage = 50

// A fleetView is the page of all segments.
type fleetView struct {
	common

	Tone      fleet.Tone
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
	Tone              fleet.Tone
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
	Badge                   fleet.Badge
	Kind, Text, Build       string
	Holds, Should           string
	Spark                   *spark
	Since                   stamp
	Incident                ref
	Muted, Flapping, Damage bool
}

// A filterForm asks for some of the affected segments.
type filterForm struct {
	fleet.Filter

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
	f := fleet.Filter{SiteGroup: q.Get("group"), Kind: validate.Kind(q.Get("kind")), JobKind: segment.JobKind(q.Get("job")), Build: q.Get("build")}
	if f.Kind != "" && !slices.Contains(validate.Kinds(), f.Kind) {
		return nil, badRequest("kind", string(f.Kind))
	}
	var err error
	if f.After, err = parsePlace(q.Get("after")); err != nil {
		return nil, err
	}
	return s.fleet(ctx, f, rowsOfPage)
}

func (s *source) fleet(ctx context.Context, f fleet.Filter, rows int) (*fleetView, error) {
	c, err := fleet.TakeCensus(ctx, s.ledger, f, rows)
	if err != nil {
		return nil, err
	}
	v := &fleetView{common: s.common("Fleet", "fleet"), Filter: s.filterForm(c)}
	if err := s.lead(ctx, v, &c.All); err != nil {
		return nil, err
	}
	if v.Incidents, err = s.openIncidents(ctx); err != nil {
		return nil, err
	}
	v.Table = s.table(c, s.links.fleet)
	v.Commands = []command{s.commands.of("says the same in a terminal", "", "status")}
	if c.All.Segments > 0 {
		v.Commands = append(v.Commands,
			s.commands.of("orders the jobs that must run again", "", "plan"),
			s.commands.of("says which builds fail, and what share of their runs", "", "builds"))
	}
	return v, nil
}

// lead says first what somebody on call must know: whether customers are hit, and
// whether that is all there is to know.
func (s *source) lead(ctx context.Context, v *fleetView, all *fleet.Counts) error {
	v.Lead, v.Tone = all.Lead()
	sweeps, err := fleet.LastSweeps(ctx, s.ledger, s.config.now())
	if err != nil {
		return err
	}
	v.Sweep = sweeps.Text
	if sweeps.Late && v.Tone == fleet.Fine {
		v.Tone = fleet.Unknown
	}
	v.Tiles = []tile{
		{"Too few users, live", text.Thousands(int64(all.TooFew)), "customers are hit", toneIf(all.TooFew, fleet.Bad)},
		{"Live, otherwise affected", text.Thousands(int64(all.Live - all.TooFew)), "wrong users, or not verified", toneIf(all.Live-all.TooFew, fleet.Warned)},
		{"Protected", text.Thousands(int64(all.Protected)), "the live ones keep their users", toneIf(all.Protected, fleet.Guarded)},
	}
	if complete := sweeps.Complete; complete != nil {
		v.Tiles = append(v.Tiles,
			tile{"Healthy", text.Thousands(int64(complete.Healthy)), "of " + text.Count(complete.Segments, "segment") + " swept", fleet.Fine},
			tile{"Unwatched", text.Thousands(int64(complete.Unwatched)), "nothing to judge them by", toneIf(complete.Unwatched, fleet.Warned)},
			tile{"Missing", text.Thousands(int64(complete.Missing)), "known, and not in the store", toneIf(complete.Missing, fleet.Bad)})
	}
	return nil
}

func toneIf(n int, t fleet.Tone) fleet.Tone {
	if n == 0 {
		return fleet.Unknown
	}
	return t
}

func (s *source) table(c *fleet.Census, page func(fleet.Filter, string) string) table {
	t := table{Caption: "Affected segments, the gravest first"}
	if c.Filter.Incident != "" {
		t.Caption = "Members of the incident, the gravest first"
	}
	switch {
	case c.Chosen.Segments == 0 && c.Filter.Incident != "":
		t.Empty = "No member is affected any more."
	case c.Chosen.Segments == 0 && c.All.Segments > 0:
		t.Empty = "None of the " + text.Count(c.All.Segments, "affected segment") + " is like that."
	case c.Chosen.Segments == 0:
		t.Empty = "No alert is open."
	default:
		t.Caption += fmt.Sprintf(": %s of %s", text.Thousands(int64(len(c.Rows))), text.Thousands(int64(c.Chosen.Segments)))
	}
	for i := range c.Rows {
		t.Rows = append(t.Rows, s.affectedRow(&c.Rows[i]))
	}
	first := c.Filter
	if first.After != nil {
		t.Caption += ", continued"
		t.First = page(first, "")
	}
	if c.Next != nil {
		t.Next = page(first, c.Next.String())
	}
	return t
}

func (s *source) affectedRow(state *segment.SegmentState) affectedRow {
	r := affectedRow{Segment: s.ref(state.Key()), Badge: fleet.BadgeOf(state), Spark: newSpark(state)}
	if state.Damaged != nil {
		r.Damage = true
		r.Text = text.Visible(state.Damaged.Error())
	}
	if state.Segment.IsZero() {
		r.Segment = refTo("(its name cannot be read)", "")
	}
	a := state.Alert.Open
	if a == nil {
		return r
	}
	r.Kind, r.Build = string(a.Kind), text.Visible(a.Build)
	r.Since = s.stamp(a.Since)
	r.Holds, r.Should = fleet.Holds(state)
	r.Text = text.Visible(fleet.Clause(a))
	r.Muted, r.Flapping = state.Alert.Muted != nil, state.Alert.Flapping
	if state.Alert.Incident != "" {
		r.Incident = incidentRef(state.Alert.Incident, s.links.incident(state.Alert.Incident, ""))
	}
	return r
}

func (s *source) filterForm(c *fleet.Census) filterForm {
	f := filterForm{Filter: c.Filter, Clear: s.links.fleet(fleet.Filter{}, "")}
	f.Any = c.Filter.SiteGroup != "" || c.Filter.Build != "" || c.Filter.Kind != "" || c.Filter.JobKind != ""
	f.Kinds = options(c.Kinds, c.Filter.Kind)
	f.Groups = options(c.Groups, c.Filter.SiteGroup)
	f.Builds = options(c.Builds, c.Filter.Build)
	f.Jobs = options(c.Jobs, c.Filter.JobKind)
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
