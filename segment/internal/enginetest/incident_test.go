package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// The incidents of the tests.
const (
	incidentA = "copy jobs of build v1 since 2024-03-18T10:44:00Z"
	incidentB = "site group é/b since 2024-03-18T10:44:00Z"
)

// alertStates returns a segment of each sort that an alert can be of.
func alertStates() (found []segment.SegmentState) {
	pick := func(i int, of ...string) string { return of[i%len(of)] }
	for i := range 240 {
		id := segment.ID{SiteGroup: pick(i, "a", "a/b", "é", "z"), Name: fmt.Sprintf("%03d", i)}
		open := segment.Alert{
			Segment: id, Urgency: segment.Page, Kind: validate.Kind(pick(i/3, string(validate.Short), string(validate.Empty), string(validate.Dropped))),
			Level: segment.Level(pick(i/7, "protected", "live", "lost 10%", "lost 100%")), Job: segment.Job{Kind: segment.JobKind(pick(i/2, "copy", "lookalike"))},
			Build: pick(i/5, "v1", "v2", ""), Text: "text", Since: start.Add(time.Duration(i) * time.Hour), At: start, Users: int64(i), Store: pick(i, "", "vespa"),
		}
		if i%3 == 0 {
			open.Urgency = segment.Ticket
		}
		mark := segment.Mark{Urgency: open.Urgency, Kind: open.Kind, Level: open.Level, JobKind: open.Job.Kind, Build: open.Build}
		worse := mark
		worse.Urgency, worse.Level = segment.Page, segment.LevelLost50
		s := segment.SegmentState{Segment: id, Alert: segment.AlertState{Open: &open, Incident: pick(i/11, incidentA, incidentB, ""), Marks: []segment.Mark{mark}}}
		switch a := &s.Alert; i % 8 {
		case 0: // told
			a.Told = []segment.Told{{Mark: mark, At: start}}
		case 1: // worse than told
			a.Marks, a.Told = append(a.Marks, worse), []segment.Told{{Mark: mark, At: start}}
		case 2: // being told
			a.Trying, a.Claimed = []segment.Mark{mark}, start
		case 3: // over
			*a = segment.AlertState{Told: []segment.Told{{Mark: mark, At: start}}}
		case 4: // over, and told so
			*a = segment.AlertState{Opened: []time.Time{start}}
		case 7: // opened three times within a day
			a.Flapping = true
		case 5: // muted
			a.Muted = &mark
		case 6: // worse than when it was muted
			a.Marks, a.Muted = append(a.Marks, worse), &mark
		}
		s.Log = []segment.LogEntry{
			{Segment: id, At: open.Since, Action: segment.ActionOpened, RunID: pick(i, "r1", "r2"), Mark: &mark, Incident: s.Alert.Incident, Text: "text"},
			{Segment: id, At: open.Since, Action: segment.Action(pick(i, "told", "worse", "muted")), By: "ann", Why: "why", Incident: s.Alert.Incident},
		}
		found = append(found, s)
	}
	return found
}

// fillAlerts puts the same into a ledger.
func fillAlerts(t *testing.T, l segment.Ledger) {
	t.Helper()
	states := map[segment.Key]segment.SegmentState{}
	for _, s := range alertStates() {
		states[s.Key()] = s
	}
	require.NoError(t, changeAlert(t, l, slices.Collect(maps.Keys(states)), func(s *segment.SegmentState) {
		s.Alert, s.Log = states[s.Key()].Alert, states[s.Key()].Log
	}))
	for _, i := range []segment.Incident{
		{ID: incidentA, Cause: segment.Cause{JobKind: "copy", Build: "v1"}, Begun: start.Add(time.Hour), Rings: []segment.Ring{{Members: 3, Urgency: segment.Page}}},
		{ID: incidentB, Cause: segment.Cause{SiteGroup: "é/b"}, Begun: start},
		{ID: "over", Cause: segment.Cause{JobKind: "copy", Build: "v1"}, Begun: start, Over: start.Add(time.Hour), Last: start, Good: &validate.Size{Users: 5, At: start}},
		{ID: "over, and not told", Cause: segment.Cause{Listing: true, Store: "vespa"}, Begun: start, Over: start.Add(time.Hour), Told: []segment.Ring{{Members: 3}}},
		{ID: "stale", Cause: segment.Cause{JobKind: "copy", Stale: true}, Begun: start.AddDate(0, 0, -1), Claimed: start},
	} {
		require.NoError(t, l.ChangeIncident(t.Context(), i.ID, func(known *segment.Incident) error {
			members := known.Members
			*known = i
			known.Members = members
			known.Log = []segment.LogEntry{{At: i.Begun, Action: segment.ActionOpened, Incident: i.ID, Text: "incident"}}
			return nil
		}))
	}
}

func collect[T any](t *testing.T, items iter.Seq2[T, error]) (found []T) {
	t.Helper()
	for item, err := range items {
		require.NoError(t, err)
		found = append(found, item)
	}
	return found
}

// A ledger in a database selects what one in memory selects, and counts alike.
func TestAlertsAsInMemory(t *testing.T) {
	memory := segment.NewMemory()
	fillAlerts(t, memory)
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h := d.History(t)
		fillAlerts(t, h)
		sameSegments(t, memory, h)
		sameLog(t, memory, h)
		sameIncidents(t, memory, h)
	})
}

func sameSegments(t *testing.T, memory, h segment.Ledger) {
	t.Helper()
	seen := map[int]bool{}
	one := alertStates()[5].Segment
	for _, affected := range []bool{false, true} {
		for _, pending := range []bool{false, true} {
			for _, incident := range []string{"", incidentA, incidentB, "none"} {
				for _, kind := range []segment.JobKind{"", "copy"} {
					for _, build := range []string{"", "v2"} {
						for _, f := range []segment.SegmentFilter{
							{}, {Segment: one}, {SiteGroup: "a"}, {SiteGroup: "a/b", Limit: 7}, {After: one.In(""), Limit: 20},
							{Alone: start.Add(60 * time.Hour)}, {SiteGroup: "z", Alone: start.Add(60 * time.Hour), Limit: 3},
						} {
							f.Affected, f.Pending, f.Incident, f.JobKind, f.Build = affected, pending, incident, kind, build
							want := collect(t, memory.Segments(t.Context(), f))
							require.Equal(t, want, collect(t, h.Segments(t.Context(), f)), "%+v", f)
							seen[len(want)] = true
						}
					}
				}
			}
		}
	}
	require.Greater(t, len(seen), 20, "the filters select something")
}

func sameLog(t *testing.T, memory, h segment.Ledger) {
	t.Helper()
	one := alertStates()[5].Segment
	for _, action := range []segment.Action{"", segment.ActionOpened, segment.ActionTold, segment.ActionRecorded} {
		for _, limit := range []int{0, 1, 50, 10_000} {
			for _, f := range []segment.LogFilter{
				{}, {SiteGroup: "a"}, {SiteGroup: "a/b", JobKind: "copy"}, {Segment: one}, {Build: "v2"}, {JobKind: "lookalike", RunID: "r1"},
				{Since: start.Add(20 * time.Hour), Until: start.Add(100 * time.Hour)}, {SiteGroup: "none"},
			} {
				f.Action, f.Limit = action, limit
				require.Equal(t, collect(t, memory.Log(t.Context(), f)), collect(t, h.Log(t.Context(), f)), "%+v", f)
			}
		}
	}
}

func sameIncidents(t *testing.T, memory, h segment.Ledger) {
	t.Helper()
	exported := func(found []segment.Incident) []segment.Incident {
		for i := range found {
			m := found[i].Members
			found[i].Members = segment.Members{Segments: m.Segments, Pages: m.Pages, Live: m.Live, SiteGroups: m.SiteGroups, SiteGroup: m.SiteGroup, Users: m.Users, Level: m.Level, Kinds: m.Kinds}
		}
		return found
	}
	for _, f := range []segment.IncidentFilter{
		{}, {ID: incidentA}, {ID: "none"}, {Open: true}, {Open: true, Bare: true}, {Since: start.Add(time.Minute)}, {Open: true, Since: start},
		{Cause: segment.Cause{JobKind: "copy", Build: "v1"}}, {Cause: segment.Cause{JobKind: "copy"}}, {Cause: segment.Cause{JobKind: "copy", Stale: true}},
		{Cause: segment.Cause{Listing: true, Store: "vespa"}}, {Cause: segment.Cause{SiteGroup: "é/b"}}, {Cause: segment.Cause{Listing: true}},
	} {
		want := exported(collect(t, memory.Incidents(t.Context(), f)))
		require.Equal(t, want, exported(collect(t, h.Incidents(t.Context(), f))), "%+v", f)
	}
	all := collect(t, h.Incidents(t.Context(), segment.IncidentFilter{ID: incidentA}))
	require.Len(t, all, 1)
	require.Greater(t, all[0].Members.Segments, 50)
	require.Equal(t, 4, all[0].Members.SiteGroups)
}

// More incidents than are read at a time come in the order in which they began.
func TestManyIncidents(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h := d.History(t)
		manyIncidents(t, d, h)
		found := collect(t, h.Incidents(t.Context(), segment.IncidentFilter{}))
		require.Len(t, found, 2048)
		for n, i := range found {
			require.Equal(t, fmt.Sprintf("%04d", n), i.ID)
		}
		require.Empty(t, collect(t, h.Incidents(t.Context(), segment.IncidentFilter{Open: true})))
	})
}

// manyIncidents makes 2,048 incidents that are over, named 0000 to 2047.
func manyIncidents(t *testing.T, d enginetest.Database, h segment.Ledger) {
	t.Helper()
	require.NoError(t, h.ChangeIncident(t.Context(), "0000", func(i *segment.Incident) error {
		i.Begun, i.Over = start, start
		return nil
	}))
	const columns = "begun, ended, active, severity, level, job_kind, build, site_group, listing, stale, store, incident"
	id := map[sqlsegment.Dialect]string{
		sqlsegment.PostgreSQL: "lpad((id::int + %d)::text, 4, '0')",
		sqlsegment.MySQL:      "lpad(id + %d, 4, '0')",
		sqlsegment.SQLite:     "printf('%%04d', id + %d)",
	}[d.Dialect]
	for n := range 11 {
		execute(t, d.Open(t), "INSERT INTO segmentguard_incidents (id, "+columns+") SELECT "+fmt.Sprintf(id, 1<<n)+", "+columns+" FROM segmentguard_incidents")
	}
}

// Guards on many machines change an incident at the same moment, each with all its
// members that there are.
func TestIncidentChangedAtOnce(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		const goroutines, times = 8, 10
		ledgers := []*sqlsegment.Ledger{d.History(t), d.History(t)}
		var wg sync.WaitGroup
		for g := range goroutines {
			h := ledgers[g%2]
			wg.Go(func() {
				for n := range times {
					id := segment.ID{SiteGroup: fmt.Sprint(g), Name: fmt.Sprint(n)}
					err := h.Change(t.Context(), []segment.Key{id.In("")}, func(s *segment.SegmentState) error {
						s.Alert = segment.AlertState{Incident: "i", Open: &segment.Alert{Segment: id, Users: 1}, Marks: []segment.Mark{{Urgency: segment.Page}}}
						return nil
					})
					err = errors.Join(err, h.ChangeIncident(t.Context(), "i", func(i *segment.Incident) error {
						if i.Begun = start; i.Members.Segments < n+1 {
							return fmt.Errorf("%d members, and %d of this caller", i.Members.Segments, n+1)
						}
						i.Most++
						i.Rings = append(i.Rings, segment.Ring{Members: i.Members.Segments})
						i.Log = append(i.Log, segment.LogEntry{At: start, Action: segment.ActionWorse, Incident: i.ID})
						return nil
					}))
					if err != nil {
						t.Errorf("changing an incident: %v", err)
					}
				}
			})
		}
		wg.Wait()
		found := collect(t, ledgers[0].Incidents(t.Context(), segment.IncidentFilter{}))
		require.Len(t, found, 1)
		require.Equal(t, int64(goroutines*times), found[0].Most, "a change that another one overwrote is a ring lost")
		members := 0
		for _, r := range found[0].Rings {
			require.GreaterOrEqual(t, r.Members, members, "who comes later counts no fewer")
			members = r.Members
		}
		require.Equal(t, goroutines*times, members, "the last one counts all")
		require.Len(t, collect(t, ledgers[1].Log(t.Context(), segment.LogFilter{Action: segment.ActionWorse})), goroutines*times)
	})
}

// What fails, or panics, changes nothing and holds nothing.
func TestIncidentNotChanged(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h := d.History(t)
		no := errors.New("no")
		require.Equal(t, no, h.ChangeIncident(t.Context(), "i", func(i *segment.Incident) error {
			i.Begun = start
			i.Log = []segment.LogEntry{{At: start, Action: segment.ActionOpened, Incident: i.ID}}
			return no
		}), "the caller's error as it is")
		require.PanicsWithValue(t, "boom", func() {
			_ = h.ChangeIncident(t.Context(), "i", func(*segment.Incident) error { panic("boom") })
		})
		require.Empty(t, collect(t, h.Incidents(t.Context(), segment.IncidentFilter{})))
		require.Empty(t, collect(t, h.Log(t.Context(), segment.LogFilter{})))
		require.NoError(t, h.ChangeIncident(t.Context(), "i", func(*segment.Incident) error { return nil }))
		if d.Dialect == sqlsegment.SQLite {
			return // has one lock, for which others wait as long as busy_timeout says
		}
		tx, err := d.Open(t).BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), "SELECT id FROM segmentguard_incidents FOR UPDATE")
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, h.ChangeIncident(ctx, "i", func(*segment.Incident) error { return nil }), context.DeadlineExceeded)
		require.Len(t, collect(t, h.Incidents(t.Context(), segment.IncidentFilter{})), 1, "who reads does not wait")
		require.NoError(t, changeAlert(t, h, []segment.Key{idS.In("")}, func(s *segment.SegmentState) {
			s.Alert.Open, s.Alert.Incident = &segment.Alert{Segment: idS}, "i"
		}), "nor does who changes a member")
		require.NoError(t, tx.Rollback())
	})
}

// A row that is damaged keeps nobody from the others.
func TestDamagedIncident(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		fillAlerts(t, h)
		for _, id := range []string{incidentA, "over"} {
			execute(t, db, "UPDATE segmentguard_incidents SET incident = '[7]' WHERE id = '"+id+"'")
		}
		found := map[string]segment.Incident{}
		for _, i := range collect(t, h.Incidents(t.Context(), segment.IncidentFilter{})) {
			found[i.ID] = i
		}
		require.Len(t, found, 5)
		a := found[incidentA]
		require.Equal(t, segment.Cause{JobKind: "copy", Build: "v1"}, a.Cause)
		require.True(t, start.Add(time.Hour).Equal(a.Begun))
		require.Greater(t, a.Members.Segments, 50)
		require.Contains(t, a.Likely, "damaged")
		require.True(t, start.Add(time.Hour).Equal(found["over"].Over), "what is over stays so")
		require.NoError(t, h.ChangeIncident(t.Context(), incidentA, func(i *segment.Incident) error {
			i.Likely = "known again"
			return nil
		}))
		require.Equal(t, "known again", collect(t, h.Incidents(t.Context(), segment.IncidentFilter{ID: incidentA}))[0].Likely)

		mute := segment.Mute{Segment: idS, SiteGroup: "g", Kind: validate.Short, Until: start, Decision: segment.Decision{By: "ann", Why: "why", At: start}}
		require.NoError(t, h.ChangeMutes(t.Context(), func([]segment.Mute) ([]segment.Mute, error) { return []segment.Mute{mute, {SiteGroup: "h"}}, nil }))
		execute(t, db, "UPDATE segmentguard_mutes SET mute = '[7]'")
		mutes, err := h.Mutes(t.Context())
		require.NoError(t, err)
		require.Len(t, mutes, 2)
		require.Contains(t, mutes[0].Why, "damaged")
		mute.Decision = segment.Decision{By: "ann", Why: mutes[0].Why}
		require.Equal(t, mute, mutes[0])
		require.Equal(t, "h", mutes[1].SiteGroup)
		require.True(t, mutes[1].Segment.IsZero())
	})
}

func TestIdentity(t *testing.T) {
	var seen sync.Map // as engines are asked at the same time
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		name, err := d.History(t).Identity(t.Context())
		require.NoError(t, err)
		again, err := d.History(t).Identity(t.Context())
		require.NoError(t, err)
		require.Equal(t, name, again, "one name for all processes")
		require.NotEmpty(t, name)
		_, known := seen.LoadOrStore(name, true)
		require.False(t, known, "and another one for each ledger")
		execute(t, d.Open(t), "DELETE FROM segmentguard_ledger")
		name, err = d.History(t).Identity(t.Context())
		require.Error(t, err, "a name that was lost is not made up anew")
		require.Empty(t, name)
	})
}

func TestMutes(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, other := d.History(t), d.History(t)
		mutes := []segment.Mute{
			{Segment: segment.ID{SiteGroup: "a/b", Name: "c"}, Until: start, Decision: segment.Decision{By: "ann", Why: "holidays", At: start}},
			{SiteGroup: "é", Kind: validate.Dropped, Until: start.Add(time.Hour), Decision: segment.Decision{By: "bob", Why: `"why"`, At: start}},
		}
		put := func(m []segment.Mute) {
			require.NoError(t, h.ChangeMutes(t.Context(), func([]segment.Mute) ([]segment.Mute, error) { return m, nil }))
			found, err := other.Mutes(t.Context())
			require.NoError(t, err)
			require.Equal(t, m, found)
		}
		put(mutes)
		put(mutes[1:])
		no := errors.New("no")
		require.Equal(t, no, h.ChangeMutes(t.Context(), func([]segment.Mute) ([]segment.Mute, error) { return nil, no }))
		found, err := other.Mutes(t.Context())
		require.NoError(t, err)
		require.Equal(t, mutes[1:], found, "what was refused changed nothing")
		put(nil)
		var wg sync.WaitGroup
		for g := range 8 {
			l := []*sqlsegment.Ledger{h, other}[g%2]
			wg.Go(func() {
				for range 10 {
					err := l.ChangeMutes(t.Context(), func(m []segment.Mute) ([]segment.Mute, error) {
						return append(m, segment.Mute{SiteGroup: fmt.Sprint(len(m)), Until: start}), nil
					})
					if err != nil {
						t.Errorf("changing the mutes: %v", err)
					}
				}
			})
		}
		wg.Wait()
		found, err = h.Mutes(t.Context())
		require.NoError(t, err)
		require.Len(t, found, 80, "none was overwritten")
		for n := range found {
			require.Equal(t, fmt.Sprint(n), found[n].SiteGroup)
		}
	})
}

// The query that the package's documentation shows is answered.
func TestOpenAlertsView(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "sqlsegment", "doc.go"))
	require.NoError(t, err)
	_, query, found := strings.Cut(string(text), "//\tSELECT segment, severity")
	require.True(t, found)
	query, _, found = strings.Cut(query, "\n//\n")
	require.True(t, found)
	query = "SELECT segment, severity" + strings.ReplaceAll(query, "\n//", "\n")
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		fillAlerts(t, h)
		rows, err := db.QueryContext(t.Context(), query)
		require.NoError(t, err)
		defer rows.Close()
		var lines []string
		for rows.Next() {
			var id, severity, kind, level, text string
			var users int64
			require.NoError(t, rows.Scan(&id, &severity, &kind, &level, &users, &text))
			lines = append(lines, fmt.Sprint(id, " ", severity, " ", kind, " ", level, " ", users, " ", text))
		}
		require.NoError(t, rows.Err())
		require.Len(t, lines, 20)
		require.Equal(t, "z/239 page empty lost 10% 239 text", lines[0])
		var since string
		query := "SELECT CAST(since AS char(19)) FROM segmentguard_open_alerts WHERE segment = 'a/000' AND store = '' AND build = 'v1' AND job_kind = 'copy' AND site_group = 'a' AND incident = '" + incidentA + "'"
		if d.Dialect == sqlsegment.PostgreSQL {
			query = strings.Replace(query, "since", "since AT TIME ZONE 'UTC'", 1)
		}
		require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&since))
		require.Equal(t, "2024-03-18 10:44:00", since[:19])
	})
}

// Guards that fail all at once count the members of their incident each time.
func BenchmarkChangeIncident(b *testing.B) {
	for _, e := range enginetest.Engines() {
		b.Run(e.Name, func(b *testing.B) {
			h := e.New(b).History(b)
			const members = 5000
			for first := 0; first < members; first += 1000 {
				var keys []segment.Key
				for n := range 1000 {
					keys = append(keys, segment.ID{SiteGroup: fmt.Sprint("group ", n%500), Name: fmt.Sprint(first + n)}.In(""))
				}
				require.NoError(b, h.Change(b.Context(), keys, func(s *segment.SegmentState) error {
					s.Alert.Incident, s.Alert.Open = incidentA, &segment.Alert{Segment: s.Segment, Users: 1000, Report: report(false), Text: strings.Repeat("text ", 40), Job: segment.Copy(s.Segment, idS), Build: "v1"}
					s.Alert.Marks = []segment.Mark{{Urgency: segment.Page, Kind: validate.Short, Level: segment.LevelProtected, JobKind: "copy", Build: "v1"}}
					return nil
				}))
			}
			b.ResetTimer()
			for b.Loop() {
				require.NoError(b, h.ChangeIncident(b.Context(), incidentA, func(i *segment.Incident) error {
					require.Equal(b, members, i.Members.Segments)
					i.Begun = start
					i.Most++
					return nil
				}))
			}
		})
	}
}
