package segment

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// The table: what an observation (a row) leads to, by what is open (a column).
//
//	nothing   no alert is open
//	page      a guard rejected a run: users are proven to be missing, the live segment is protected
//	ticket    a guard could not verify a run
//	size      a guard rejected a size that is off its history
//	sweep's   a sweep found that users are missing from the live segment
//	unknown   a commit failed: its users are live or not
//	member    a page in an incident
//	flapping  a page that opened three times within a day
//	muted     a page, which was muted when it had been told
//	missing   the segment is missing from a listing
//	early     a page of a segment that was muted before
//
// What follows: "opens" a page or a ticket; "over"; "counts" towards its being over; it
// "goes along" under another name; "joins" and "leaves" the incident, or is "in the incident" again; "rings" by itself; "incident rings". Where a cell
// is empty, all stays as it is.
const table = `
observation                          | nothing                           | page                      | ticket                       | size                         | sweep's                   | unknown                      | member                                              | flapping                  | muted                 | missing                   | early
the same fault, equal or better      | opens page, rings                 |                           |                              |                              |                           |                              |                                                     |                           |                       |                           |                      
worse: live, half of the users lost  | opens page, rings                 | rings                     | rings                        | rings                        | rings                     | rings                        | incident rings                                      | rings                     | rings                 | rings                     | rings
another kind, graver                 | opens page, rings                 | rings                     | rings                        | rings                        | rings                     | rings                        |                                                     | rings                     | rings                 | rings                     | rings
another kind, milder                 | opens page, rings                 |                           | rings                        | rings                        |                           | rings                        |                                                     |                           |                       | rings                     |                      
a run passes                         |                                   | over                      | over                         | counts                       | counts                    |                              | over, leaves                                        |                           | over                  | counts                    | over
runs pass on two days                |                                   | over                      | over                         | over                         | counts                    |                              | over, leaves                                        | over                      | over                  | counts                    | over
a run passes that began earlier      |                                   |                           |                              |                              |                           |                              |                                                     |                           |                       |                           |                      
passes, off its history              | opens ticket, rings               | over, opens ticket, rings | over, opens ticket, rings    |                              | counts                    | rings                        | over, opens ticket, in the incident                 |                           | over, opens ticket    | counts                    | over, opens ticket
passes, with what only explains it   |                                   | over                      | over                         | counts                       | counts                    |                              | over, leaves                                        |                           | over                  | counts                    | over
ends unverified                      | opens ticket, rings               |                           |                              |                              |                           |                              |                                                     |                           |                       |                           |                      
ends unverified, live                | opens page, rings                 | rings                     | rings                        | rings                        |                           | rings                        | incident rings                                      | rings                     | rings                 |                           | rings
its time is over, staged             | opens ticket, rings               |                           |                              |                              |                           |                              |                                                     |                           |                       |                           |                      
its write fails, live                | opens page, rings                 | rings                     | rings                        | rings                        |                           | rings                        | incident rings                                      | rings                     | rings                 |                           | rings
rejected, with an older number       |                                   |                           |                              |                              |                           |                              |                                                     |                           |                       |                           |                      
rejected, with an older number, live | opens page, rings                 | rings                     | rings                        | rings                        |                           | rings                        | incident rings                                      | rings                     | rings                 | rings                     | rings
a sweep finds it healthy             |                                   |                           |                              |                              | counts                    | over                         |                                                     |                           |                       | counts                    |                      
healthy in two sweeps                |                                   |                           |                              |                              | over                      | over                         |                                                     |                           |                       | over                      |                      
healthy, and a later run is live     |                                   | over                      | over                         | counts                       | counts                    | over                         | over, leaves                                        |                           | over                  | counts                    | over
the same on two days                 |                                   | over                      | over                         | over                         | over                      | over                         | over, leaves                                        | over                      | over                  | over                      | over
healthy, but not half-way inside     |                                   |                           |                              |                              |                           |                              |                                                     |                           |                       |                           |                      
a sweep cannot count it              | opens ticket, rings               |                           |                              |                              |                           |                              |                                                     |                           |                       |                           |                      
a listing breaks off                 |                                   |                           |                              |                              |                           |                              |                                                     |                           |                       |                           |                      
missing from the listing             | opens page, rings                 | rings                     | rings                        | rings                        | rings                     | rings                        | incident rings                                      | rings                     | rings                 |                           | rings
back from it, and empty              | opens page, rings                 | rings                     | rings                        | rings                        | rings                     | rings                        | incident rings                                      | rings                     | rings                 | rings                     | rings
an incident forms                    | incident rings                    | joins, incident rings     | joins, incident rings        | joins, incident rings        | joins, incident rings     | joins, incident rings        |                                                     |                           | joins, incident rings | incident rings            | joins, incident rings
one forms 7 hours later              | incident rings                    | incident rings            | incident rings               | incident rings               | incident rings            | incident rings               | incident rings                                      |                           | incident rings        | incident rings            | incident rings
one formed 7 hours before            | opens page, incident rings, rings | joins, incident rings     | joins, incident rings, rings | joins, incident rings, rings | joins, incident rings     | joins, incident rings, rings |                                                     |                           | joins, incident rings | incident rings, rings     | joins, incident rings
its size is accepted                 |                                   | over                      | over                         | over                         | over                      | over                         | over, leaves                                        | over                      | over                  | over                      | over
the segment is forgotten             |                                   | over                      | over                         | over                         | over                      | over                         | over, leaves                                        | over                      | over                  | over                      | over
called a false alarm                 |                                   | over                      | over                         | over                         | over                      | over                         | over, leaves                                        | over                      | over                  | over                      | over
the segment is renamed               |                                   | over, goes along, rings   | over, goes along, rings      | over, goes along, rings      | over, goes along, rings   | over, goes along, rings      | over, goes along, in the incident                   | over, goes along, rings   | over, goes along      | over                      | over, goes along
relearned                            | opens ticket, rings               | over, opens ticket, rings | over, opens ticket, rings    | over, opens ticket, rings    | over, opens ticket, rings | rings                        | over, opens ticket, in the incident, incident rings | over, opens ticket, rings | over, opens ticket    | over, opens ticket, rings | over, opens ticket
vouched for on seven days            |                                   | over                      | over                         | over                         | over                      |                              | over, leaves                                        | over                      | over                  | over                      | over
its size is excused for a while      |                                   |                           |                              | over                         |                           |                              |                                                     |                           |                       |                           |                      
a run that began earlier is excused  |                                   |                           |                              |                              |                           |                              |                                                     |                           |                       |                           |                      
excused, and then still off          | opens ticket, rings               | rings                     | rings                        | over, opens ticket, rings    |                           | rings                        | incident rings                                      |                           | rings                 |                           | rings
a mute begins                        |                                   |                           |                              |                              |                           |                              |                                                     |                           |                       |                           |                      
a mute ends                          |                                   |                           |                              |                              |                           |                              |                                                     |                           |                       |                           | rings
ended by hand in the alerter         |                                   | rings                     | rings                        | rings                        | rings                     | rings                        |                                                     | rings                     |                       | rings                     |                      
the outcome is unknown               | opens ticket, rings               | rings                     | rings                        | rings                        |                           |                              | incident rings                                      |                           | rings                 |                           | rings
`

// observations are the rows.
var observations = map[string]func(*room){
	"the same fault, equal or better": func(r *room) {
		again := r.fault(validate.Short, Page, LevelProtected, 30)
		if a := r.state().Alert.Open; a != nil {
			again = *a
			again.Number, again.Since, again.At = 30, r.now, r.now
		}
		r.observe(again)
	},
	"worse: live, half of the users lost": func(r *room) { r.observe(r.swept(validate.Short, Page, LevelLost50)) },
	"another kind, graver":                func(r *room) { r.observe(r.fault(validate.Empty, Page, LevelProtected, 30)) },
	"another kind, milder":                func(r *room) { r.observe(r.fault(validate.Surplus, Page, LevelProtected, 30)) },
	"a run passes":                        func(r *room) { r.pass(30, nil) },
	"runs pass on two days":               func(r *room) { r.pass(30, nil); r.now = r.now.Add(25 * time.Hour); r.pass(40, nil) },
	"a run passes that began earlier":     func(r *room) { r.pass(1, nil) },
	"passes, off its history": func(r *room) {
		r.pass(30, new(r.fault(validate.Dropped, Ticket, LevelProtected, 30)))
	},
	"passes, with what only explains it": func(r *room) { r.pass(30, nil, validate.Short, validate.Unverified) },
	"ends unverified":                    func(r *room) { r.observe(r.fault(validate.Unverified, Ticket, LevelProtected, 30)) },
	"ends unverified, live":              func(r *room) { r.observe(r.fault(validate.Unverified, Page, LevelLive, 30)) },
	"its time is over, staged": func(r *room) {
		a := r.fault(validate.Unverified, Ticket, LevelProtected, 30)
		a.State = RunFailed
		r.observe(a)
	},
	"its write fails, live": func(r *room) {
		a := r.fault(validate.Unverified, Page, LevelLive, 30)
		a.State = RunFailed
		r.observe(a)
	},
	"rejected, with an older number": func(r *room) {
		r.goesLive(50)
		r.observe(r.fault(validate.Empty, Page, LevelProtected, 30))
	},
	"rejected, with an older number, live": func(r *room) {
		r.goesLive(50)
		r.observe(r.fault(validate.Short, Page, LevelLive, 30))
	},
	"a sweep finds it healthy": func(r *room) { r.healthy(true, false) },
	"healthy in two sweeps":    func(r *room) { r.healthy(true, false); r.healthy(true, false) },
	"healthy, and a later run is live": func(r *room) {
		r.healthy(true, true)
	},
	"the same on two days": func(r *room) {
		r.healthy(true, true)
		r.now = r.now.Add(25 * time.Hour)
		r.healthy(true, true)
	},
	"healthy, but not half-way inside": func(r *room) { r.healthy(false, true); r.healthy(false, true) },
	"a sweep cannot count it":          func(r *room) { r.observe(r.swept(validate.Unverified, Ticket, LevelLive)) },
	"missing from the listing": func(r *room) {
		a := r.swept(validate.Unverified, Page, LevelLost100)
		a.Missing = true
		r.observe(a)
	},
	"a listing breaks off": func(r *room) {
		r.goesLive(5) // which the listing lacks
		m, err := NewMonitor(r.config)
		require.NoError(r.t, err)
		sweep, err := m.Sweep(r.t.Context(), func(yield func(CurrentSize, error) bool) { yield(CurrentSize{}, errOut) })
		require.ErrorIs(r.t, err, errOut)
		require.False(r.t, sweep.Complete)
	},
	"back from it, and empty": func(r *room) { r.observe(r.swept(validate.Empty, Page, LevelLost100)) },
	"an incident forms": func(r *room) {
		r.others("u", "v", "w")
	},
	"one forms 7 hours later": func(r *room) { r.now = r.now.Add(7 * time.Hour); r.others("u", "v", "w") },
	"one formed 7 hours before": func(r *room) {
		r.others("u", "v", "w")
		r.now = r.now.Add(7 * time.Hour)
		r.observe(r.fault(validate.Short, Page, LevelProtected, 30))
	},
	"its size is accepted": func(r *room) {
		r.change(func(s *SegmentState) {
			(&choice{Decision: r.decision()}).accepted(s, "", validate.Size{Users: 7, At: r.now}, true)
		})
	},
	"the segment is forgotten": func(r *room) {
		require.NoError(r.t, Forget(r.t.Context(), r.ledger, Selection{Keys: []Key{theOne.In("")}}, r.decision()))
	},
	"called a false alarm": func(r *room) {
		err := FalseAlarm(r.t.Context(), r.ledger, theOne.In(""), r.decision())
		if err != nil {
			require.ErrorContains(r.t, err, "no alert is open for site-a/one")
		}
	},
	"the segment is renamed": func(r *room) {
		err := Rename(r.t.Context(), r.ledger, []Renaming{{From: r.one.In(""), To: renamed.In("")}}, r.decision())
		if err != nil {
			require.ErrorContains(r.t, err, "nothing is known of site-a/one")
		}
		r.one = renamed
	},
	"relearned":                 func(r *room) { r.levelled(30, false) },
	"vouched for on seven days": func(r *room) { r.levelled(30, true) },
	"its size is excused for a while": func(r *room) {
		r.change(func(s *SegmentState) { s.observe(observation{event: anExcuse, at: r.now, why: "a migration"}) })
	},
	"a run that began earlier is excused": func(r *room) {
		r.change(func(s *SegmentState) {
			s.observe(observation{event: anExcuse, at: r.now, number: 1, why: "a migration"})
		})
	},
	"excused, and then still off": func(r *room) {
		r.change(func(s *SegmentState) { s.observe(observation{event: anExcuse, at: r.now, why: "a migration"}) })
		r.now = r.now.Add(25 * time.Hour)
		r.observe(r.swept(validate.Dropped, Ticket, LevelLive))
	},
	"a mute begins": func(r *room) { r.mute(5 * time.Hour) },
	"a mute ends": func(r *room) {
		require.NoError(r.t, UnmuteAlerts(r.t.Context(), r.ledger, Mute{Segment: theOne, Decision: r.decision()}))
	},
	"ended by hand in the alerter": func(r *room) {
		for l := range r.keeper.alerts {
			if l.key.Segment == theOne {
				delete(r.keeper.alerts, l)
			}
		}
		require.NoError(r.t, r.n.reconcile(r.t.Context()))
	},
	"the outcome is unknown": func(r *room) {
		a := r.fault(validate.Unverified, Ticket, LevelLive, 30)
		a.State = RunUnknown
		r.observe(a)
	},
}

// openings bring about what is open, the columns.
var openings = map[string]func(*room){
	"nothing": func(*room) {},
	"page":    func(r *room) { r.observe(r.fault(validate.Short, Page, LevelProtected, 10)) },
	"ticket":  func(r *room) { r.observe(r.fault(validate.Unverified, Ticket, LevelProtected, 10)) },
	"size":    func(r *room) { r.observe(r.fault(validate.Dropped, Ticket, LevelProtected, 10)) },
	"sweep's": func(r *room) { r.observe(r.swept(validate.Short, Page, LevelLost10)) },
	"unknown": func(r *room) {
		a := r.fault(validate.Unverified, Ticket, LevelLive, 10)
		a.State = RunUnknown
		r.observe(a)
	},
	"member": func(r *room) {
		r.others("x", "y", "z")
		r.observe(r.fault(validate.Short, Page, LevelProtected, 10))
	},
	"flapping": func(r *room) {
		for n := range int64(3) {
			r.pass(2*n+2, nil)
			r.observe(r.fault(validate.Short, Page, LevelProtected, 2*n+3))
		}
	},
	"muted": func(r *room) {
		r.observe(r.fault(validate.Short, Page, LevelProtected, 10))
		r.mute(100 * time.Hour)
	},
	"missing": func(r *room) {
		a := r.swept(validate.Unverified, Page, LevelLost100)
		a.Missing = true
		r.observe(a)
	},
	"early": func(r *room) {
		r.mute(100 * time.Hour)
		r.observe(r.fault(validate.Short, Page, LevelProtected, 10))
	},
}

// TestTable holds every cell.
func TestTable(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(table), "\n")
	columns := cells(lines[0])
	require.Len(t, openings, len(columns)-1)
	require.Len(t, observations, len(lines)-1, "each row is in the table")
	for _, line := range lines[1:] {
		row := cells(line)
		require.Len(t, row, len(columns), line)
		for i, column := range columns[1:] {
			t.Run(row[0]+"/"+column, func(t *testing.T) {
				r := newRoom(t)
				openings[column](r)
				r.deliver()
				require.Equal(t, column != "nothing", r.state().Alert.Open != nil)
				r.now = r.now.Add(time.Hour) // what was told has rung
				require.Equal(t, row[i+1], r.follows(observations[row[0]]))
				r.agrees()
			})
		}
	}
}

// TestLevelledAndCapped: a level that became normal ends no warning of another kind that
// the run passed with again.
func TestLevelledAndCapped(t *testing.T) {
	r := newRoom(t)
	capped := r.fault(validate.Capped, Ticket, LevelLive, 10)
	capped.Report.Findings = []validate.Finding{{Kind: validate.Capped, Severity: validate.Warn}, {Kind: validate.Dropped, Severity: validate.Warn}}
	r.pass(10, &capped)
	r.deliver()
	require.Equal(t, validate.Capped, r.state().Alert.Open.Kind)
	r.now = r.now.Add(25 * time.Hour)
	again := r.fault(validate.Capped, Ticket, LevelLive, 20)
	again.Report = validate.Report{Level: validate.LevelNew, NewLevel: make([]validate.Size, 6), Vouched: true, Findings: slices.Clone(capped.Report.Findings)}
	again.Report.Findings[1].Explains = true
	require.Empty(t, r.follows(func(r *room) { require.NoError(t, r.n.passed(t.Context(), theOne.In(""), 20, &again.Report, &again)) }))
	r.agrees()
}

func cells(line string) []string {
	all := strings.Split(line, "|")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}

// theOne is the segment that the table is about, and renamed another name for it.
var (
	theOne  = ID{SiteGroup: "site-a", Name: "one"}
	renamed = ID{SiteGroup: "site-b", Name: "renamed"}
)

// A room is a ledger, an alerter that keeps alerts, and who tells it.
type room struct {
	t      *testing.T
	now    time.Time
	one    ID // what theOne is called
	ledger *Memory
	keeper *keeper
	n      *notifier
	store  map[ID]int64 // as a sweep lists it
	config MonitorConfig
}

func newRoom(t *testing.T) *room {
	r := &room{t: t, one: theOne, now: time.Date(2024, 3, 18, 2, 0, 0, 0, time.UTC), ledger: NewMemory(), keeper: &keeper{alerts: map[labels]Alert{}}, store: map[ID]int64{}}
	r.keeper.now = func() time.Time { return r.now }
	r.config = MonitorConfig{Ledger: r.ledger, Alerter: r.keeper, Now: r.keeper.now}
	r.n = newNotifier(r.ledger, r.keeper, defaultTimeout, 2*time.Second, func() time.Time { return r.now })
	r.n.store = new("")
	return r
}

// A keeper keeps alerts by their labels. A new one rings, unless the incident holds it
// back that it is a member of.
type keeper struct {
	alerts map[labels]Alert
	rang   []string
	fail   error
	now    func() time.Time
}

func (k *keeper) Tell(_ context.Context, firing, resolved []Alert) error {
	if k.fail != nil {
		return k.fail
	}
	for i := range firing {
		a := &firing[i]
		_, known := k.alerts[a.labels()]
		if a.Told.IsZero() {
			a.Told = k.now()
		}
		k.alerts[a.labels()] = *a
		switch {
		case known || a.Incident != "" && a.Ring == 0 && k.holdsBack(a.Incident):
		case a.Ring > 0:
			k.rang = append(k.rang, "incident")
		default:
			k.rang = append(k.rang, a.Segment.Name)
		}
	}
	for i := range resolved {
		delete(k.alerts, resolved[i].labels())
	}
	return nil
}

func (k *keeper) holdsBack(incident string) bool {
	for l := range k.alerts {
		if l.ring > 0 && l.incident == incident {
			return true
		}
	}
	return false
}

func (k *keeper) Open(context.Context, string) iter.Seq2[Alert, error] {
	return func(yield func(Alert, error) bool) {
		for _, a := range k.alerts {
			if !yield(a, nil) {
				return
			}
		}
	}
}

// fault is what a guard found; the run began as the number says.
func (r *room) fault(kind validate.Kind, u Urgency, l Level, number int64) Alert {
	return Alert{
		Segment: theOne, Urgency: u, Kind: kind, Level: l, RunID: "run", State: RunRejected, Number: number,
		Job: Job{Kind: JobKindCopy, To: theOne}, Build: "7", Since: r.now, At: r.now, Users: 1000, Text: string(kind),
	}
}

// swept is what a sweep found.
func (r *room) swept(kind validate.Kind, u Urgency, l Level) Alert {
	a := r.fault(kind, u, l, 5)
	a.RunID, a.State = "", ""
	return a
}

// observe has a guard or a sweep tell.
func (r *room) observe(a Alert) { require.NoError(r.t, r.n.fire(r.t.Context(), a)) }

// others has guards find faults of other segments, by the same job kind and build.
func (r *room) others(names ...string) {
	for _, name := range names {
		a := r.fault(validate.Short, Page, LevelProtected, 10)
		a.Segment.Name = name
		r.observe(a)
	}
}

// pass has a run pass, with a warning that people are told of, or with findings that
// they are not.
func (r *room) pass(number int64, warning *Alert, explains ...validate.Kind) {
	var report validate.Report
	for _, kind := range explains {
		report.Findings = append(report.Findings, validate.Finding{Kind: kind, Severity: validate.Warn})
	}
	if warning != nil {
		warning.State = RunCommitted
		report.Findings = append(report.Findings, validate.Finding{Kind: warning.Kind, Severity: validate.Warn})
	}
	require.NoError(r.t, r.n.passed(r.t.Context(), theOne.In(""), number, &report, warning))
}

// levelled has a run pass whose size is a new level: it was so for days, and by itself
// that is told, or the source vouches for it.
func (r *room) levelled(number int64, vouched bool) {
	f := validate.Finding{Kind: validate.Dropped, Severity: validate.Warn, Explains: vouched}
	report := validate.Report{Level: validate.LevelNew, NewLevel: make([]validate.Size, 6), Vouched: vouched, Findings: []validate.Finding{f}}
	var warning *Alert
	if !vouched {
		warning = new(r.fault(validate.Dropped, Ticket, LevelLive, number))
		warning.State, warning.Report = RunCommitted, report
	}
	require.NoError(r.t, r.n.passed(r.t.Context(), theOne.In(""), number, &report, warning))
}

// goesLive has a run go live, with a number.
func (r *room) goesLive(number int64) {
	require.NoError(r.t, r.ledger.Record(r.t.Context(), Record{Segment: theOne, RunID: "later", State: RunCommitted, Number: number, Users: 1000, At: r.now}))
}

// healthy has a sweep find nothing. later says that a run that began later than the
// alert's is live.
func (r *room) healthy(inside, later bool) {
	r.change(func(s *SegmentState) {
		s.observe(observation{event: aHealthySweep, at: r.now, inside: inside, known: true, later: later})
	})
	r.deliver()
}

func (r *room) mute(d time.Duration) {
	require.NoError(r.t, MuteAlerts(r.t.Context(), r.ledger, Mute{Segment: theOne, Until: r.now.Add(d), Decision: r.decision()}))
}

func (r *room) decision() Decision { return Decision{By: "ann", Why: "she looked", At: r.now} }

func (r *room) change(change func(*SegmentState)) {
	require.NoError(r.t, r.ledger.Change(r.t.Context(), []Key{theOne.In("")}, func(s *SegmentState) error { change(s); return nil }))
}

func (r *room) deliver() { require.NoError(r.t, r.n.deliverAll(r.t.Context())) }

func (r *room) state() SegmentState {
	for s, err := range r.ledger.Segments(r.t.Context(), SegmentFilter{Segment: r.one}) {
		require.NoError(r.t, err)
		return s
	}
	return SegmentState{Segment: r.one}
}

// follows returns what an observation leads to.
func (r *room) follows(see func(*room)) string {
	before := r.state()
	entries := r.logged()
	r.keeper.rang = nil
	see(r)
	r.deliver()
	after := r.state()
	var all []string
	for _, e := range r.logged()[len(entries):] {
		switch e.Action { //nolint:exhaustive // the rest is not of the table
		case ActionOver:
			all = append(all, "over")
		case ActionOpened:
			all = append(all, "opens "+string(e.Mark.Urgency))
		}
	}
	count := func(s *AlertState) (n int) {
		if s.Passed {
			n++
		}
		return n + s.Healthy + len(s.Days)
	}
	if after.Alert.Open != nil && count(&after.Alert) > count(&before.Alert) {
		all = append(all, "counts")
	}
	if after.Alert.Open != nil && after.Segment != before.Segment {
		all = append(all, "goes along")
	}
	switch {
	case before.Alert.Incident != "" && after.Alert.Incident == "":
		all = append(all, "leaves")
	case before.Alert.Incident != "" && slices.Contains(all, "over"):
		all = append(all, "in the incident")
	case before.Alert.Incident == "" && after.Alert.Incident != "":
		all = append(all, "joins")
	}
	for _, rang := range r.keeper.rang {
		switch rang {
		case r.one.Name:
			all = append(all, "rings")
		case "incident":
			all = append(all, "incident rings")
		}
	}
	return strings.Join(all, ", ")
}

func (r *room) logged() (all []LogEntry) {
	for e, err := range r.ledger.Log(r.t.Context(), LogFilter{}) {
		require.NoError(r.t, err)
		if e.Segment == theOne || e.Segment == renamed {
			all = append(all, e)
		}
	}
	return all
}

// agrees holds that the alerter has just what the ledger says that it was told.
func (r *room) agrees() {
	s := r.state()
	has := 0
	for l := range r.keeper.alerts {
		if l.key.Segment == theOne || l.key.Segment == renamed {
			has++
		}
	}
	require.Len(r.t, s.Alert.Told, has)
	for _, told := range s.Alert.Told {
		require.Contains(r.t, r.keeper.alerts, new(s.Alert.alert(r.one.In(""), told.Mark)).labels())
	}
}
