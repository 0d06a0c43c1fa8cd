package enginetest_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// The segments of the fixtures.
var (
	fixtureCars  = segment.ID{SiteGroup: "site/a", Name: "cars"}
	fixtureBoats = segment.ID{SiteGroup: "site-b", Name: `boats 'n "more"\`}
	fixtureBikes = segment.ID{SiteGroup: "site-c", Name: "bikes"}
)

func day(n int) time.Time { return time.Date(2024, 3, 18+n, 10, 44, 0, 123_456_000, time.UTC) }

// fixture fills a database as the program of an earlier schema left it. It reports
// whether that program knew the database.
func fixture(t *testing.T, d enginetest.Database, version int) bool {
	t.Helper()
	path := filepath.Join("..", "..", "sqlsegment", "testdata", fmt.Sprint("schema", version), string(d.Dialect)+".sql")
	text, err := os.ReadFile(path)
	if version == 1 && d.Dialect == sqlsegment.MySQL {
		require.ErrorIs(t, err, os.ErrNotExist, "the first schema was one of PostgreSQL and SQLite alone")
		return false
	}
	require.NoError(t, err)
	runFixture(t, d, string(text))
	return true
}

func runFixture(t *testing.T, d enginetest.Database, text string) {
	t.Helper()
	db := d.Open(t)
	for statement := range strings.SplitSeq(text, ";\n") {
		if strings.TrimSpace(statement) != "" {
			execute(t, db, statement)
		}
	}
}

// logLines returns the whole log, an entry a line.
func logLines(t *testing.T, l segment.Ledger) (lines []string) {
	t.Helper()
	for e, err := range l.Log(t.Context(), segment.LogFilter{}) {
		require.NoError(t, err)
		line := fmt.Sprintf("%s %s %s", e.Segment.Name, e.RunID, e.Action)
		if r := e.Record; r == nil {
			line += fmt.Sprintf(" by %s: %q", e.By, e.Why)
		} else {
			line += fmt.Sprintf(" %d %s %d of %d %q %q", r.Attempt, r.State, r.Users, r.Read, r.Build, r.Counter)
			require.NotNil(t, r.Report)
		}
		if !e.At.IsZero() {
			line += e.At.Format(" Jan 2 15:04:05.000000")
		}
		lines = append(lines, line)
	}
	return lines
}

func states(t *testing.T, l segment.Ledger) map[segment.ID]segment.SegmentState {
	t.Helper()
	found := map[segment.ID]segment.SegmentState{}
	for s, err := range l.Segments(t.Context(), segment.SegmentFilter{}) {
		require.NoError(t, err)
		found[s.Segment] = s
	}
	return found
}

func TestMigrateFirstSchema(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		if !fixture(t, d, 1) {
			t.Skip("its program did not know this database")
		}
		requireFirstSchema(t, d.History(t))
	})
}

// requireFirstSchema wants what the fixture of the first schema tells.
func requireFirstSchema(t *testing.T, h *sqlsegment.Ledger) {
	t.Helper()
	require.Equal(t, []string{
		`cars monday recorded 1 passed 1000 of 1001 "v1" "" Mar 18 10:44:00.123456`,
		`cars monday recorded 1 committed 1000 of 1001 "v1" "" Mar 18 10:44:00.123456`,
		`boats 'n "more"\ monday recorded 1 observed 50 of 51 "v1" "" Mar 18 10:44:00.123456`,
		`cars tuesday recorded 1 rejected 400 of 401 "v2" "" Mar 19 10:44:00.123456`,
		`cars tuesday recorded 2 committed 1010 of 1011 "v1" "" Mar 19 10:44:00.123456`,
		`boats 'n "more"\ tuesday recorded 1 observed 20 of 21 "v2" "" Mar 19 10:44:00.123456`,
		`boats 'n "more"\ wednesday recorded 1 passed 51 of 52 "v1" "" Mar 20 10:44:00.123456`,
		`boats 'n "more"\ wednesday recorded 1 unknown 51 of 52 "v1" "" Mar 20 10:44:00.123456`,
		`cars untimed recorded 1 rejected 0 of 0 "" ""`,
	}, logLines(t, h))
	found := states(t, h)
	cars, boats := found[fixtureCars], found[fixtureBoats]
	require.Equal(t, []validate.Size{{Users: 1000, Read: 1001, At: day(0)}, {Users: 1010, Read: 1011, At: day(1)}}, cars.Sizes)
	require.Equal(t, "untimed", cars.Last.RunID, "what was recorded last")
	require.Equal(t, &validate.Size{Users: 1010, Read: 1011, At: day(1)}, cars.Live, "what was rejected left it as it was")
	require.Equal(t, []validate.Size{{Users: 50, Read: 51, At: day(0)}}, boats.Sizes, "what was observed and failed is no measure")
	require.Nil(t, boats.Live, "whether the last commit worked, nobody knows")
	require.Empty(t, affected(t, h))

	// It goes on from there.
	old := with(rec("tuesday", 1, segment.RunCommitted, 1), func(r *segment.Record) { r.Segment = fixtureCars })
	require.ErrorIs(t, h.Record(t.Context(), old), segment.ErrSuperseded, "attempt 2 is known")
	next := with(rec("thursday", 1, segment.RunCommitted, 3000), func(r *segment.Record) { r.Segment, r.At = fixtureCars, day(3) })
	require.NoError(t, h.Record(t.Context(), next))
	require.Equal(t, []int64{1000, 1010, 3000}, users(t, h, fixtureCars, 60))
	_, err := segment.Accept(t.Context(), h, segment.Selection{Keys: []segment.Key{fixtureCars.In("")}, RunID: "tuesday"}, segment.Decision{By: "ann", Why: "right", At: day(4)})
	require.NoError(t, err)
	require.Equal(t, []int64{1000, 1010, 3000}, users(t, h, fixtureCars, 60))
	require.Equal(t, validate.LevelNew, states(t, h)[fixtureCars].Sizes[1].Level)
}

// The program of the second schema, started on the first, made its tables beside
// what was there, and took what was imported.
func TestMigrateFirstSchemaWithTablesOfTheSecond(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		if !fixture(t, d, 1) {
			t.Skip("its program did not know this database")
		}
		text, err := os.ReadFile(filepath.Join("..", "..", "sqlsegment", "testdata", "schema2", string(d.Dialect)+".sql"))
		require.NoError(t, err)
		var beside []string
		for statement := range strings.SplitSeq(string(text), ";\n") {
			if made := strings.Contains(statement, "CREATE TABLE") && !strings.Contains(statement, "segmentguard_attempts"); made ||
				strings.Contains(statement, "INSERT") && strings.Contains(statement, "bikes") && strings.Contains(statement, "packed") {
				beside = append(beside, statement)
			}
		}
		require.Len(t, beside, 4)
		runFixture(t, d, strings.Join(beside, ";\n"))
		h := d.History(t)
		require.Equal(t, []int64{7, 8}, users(t, h, fixtureBikes, 60), "what the second program kept")
		requireFirstSchema(t, h)
	})
}

func TestMigrateSecondSchema(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		require.True(t, fixture(t, d, 2))
		requireSecondSchema(t, d.History(t))
	})
}

// requireSecondSchema wants what the fixture of the second schema tells.
func requireSecondSchema(t *testing.T, h *sqlsegment.Ledger) {
	t.Helper()
	require.Equal(t, []string{
		`cars monday recorded 1 passed 1000 of 1001 "v1" "index" Mar 18 10:44:00.123456`,
		`cars monday recorded 1 committed 1000 of 1001 "v1" "index" Mar 18 10:44:00.123456`,
		`boats 'n "more"\ monday recorded 1 committed 50 of 51 "v1" "index" Mar 18 10:44:00.123456`,
		`cars tuesday recorded 1 rejected 400 of 401 "v2" "index" Mar 19 10:44:00.123456`,
		`boats 'n "more"\ tuesday recorded 1 rejected 20 of 21 "v2" "index" Mar 19 10:44:00.123456`,
		`cars tuesday accepted by ann: "a merger\n" Mar 20 10:44:00.123456`,
		`cars wednesday recorded 1 committed 410 of 411 "v2" "index" Mar 21 10:44:00.123456`,
		`boats 'n "more"\ monday suspected by bob: "a limit" Mar 22 10:44:00.123456`,
	}, logLines(t, h), "decisions stand where they were taken")
	found := states(t, h)
	require.ElementsMatch(t, []segment.ID{fixtureBikes, fixtureBoats, fixtureCars}, slices.Collect(maps.Keys(found)), "an incident is no segment any more")
	cars, boats, bikes := found[fixtureCars], found[fixtureBoats], found[fixtureBikes]
	require.Equal(t, []validate.Size{{Users: 400, Read: 401, Counter: "index", At: day(1)}, {Users: 410, Read: 411, Counter: "index", At: day(3)}}, cars.Sizes)
	require.Equal(t, &segment.Decision{By: "ann", Why: "a merger\n", At: day(2)}, cars.Accepted)
	require.Equal(t, []any{"wednesday", segment.RunCommitted, int64(410)}, []any{cars.Last.RunID, cars.Last.State, cars.Live.Users})
	require.Empty(t, boats.Sizes, "the only size was suspected")
	require.Equal(t, []validate.Size{{Users: 7, At: day(0), Unguarded: true}, {Users: 8, At: day(1), Unguarded: true}}, bikes.Sizes)

	short := segment.Mark{Urgency: segment.Page, Kind: validate.Short, Level: segment.LevelLost50, JobKind: segment.JobKindCopy, Build: "v2"}
	require.Nil(t, cars.Alert.Open, "it was accepted")
	require.Empty(t, cars.Alert.Marks)
	require.Equal(t, []segment.Told{{Mark: short, At: day(1)}}, cars.Alert.Told, "of which the alerter is still to be told")
	require.True(t, cars.Alert.Pending())
	require.Equal(t, "tuesday", boats.Alert.Open.RunID)
	require.Equal(t, segment.Copy(fixtureBoats, fixtureBikes), boats.Alert.Open.Job)
	require.ErrorIs(t, &validate.Error{Report: boats.Alert.Open.Report}, validate.Short, "the report is kept whole")
	require.Equal(t, []segment.Mark{short}, boats.Alert.Marks)
	require.Equal(t, []segment.Told{{Mark: short, At: day(1)}}, boats.Alert.Told, "people were told of it, and are not again")
	require.False(t, boats.Alert.Pending())
	require.ElementsMatch(t, []segment.ID{fixtureBoats, fixtureCars}, affected(t, h))
}

func TestMigrateFifthSchema(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		require.True(t, fixture(t, d, 5))
		requireFifthSchema(t, d.History(t))
	})
}

// requireFifthSchema wants what the fixture of the fifth schema tells.
func requireFifthSchema(t *testing.T, h *sqlsegment.Ledger) {
	t.Helper()
	require.Equal(t, []string{
		`cars monday recorded 1 started 0 of 1 "v1" "index" Mar 18 10:44:00.123456`,
		`cars monday recorded 1 passed 1000 of 1001 "v1" "index" Mar 18 10:44:00.123456`,
		`cars monday recorded 1 committed 1000 of 1001 "v1" "index" Mar 18 10:44:00.123456`,
		`boats 'n "more"\ monday recorded 1 committed 50 of 51 "v1" "index" Mar 18 10:44:00.123456`,
		`boats 'n "more"\ tuesday recorded 1 rejected 20 of 21 "v2" "index" Mar 19 10:44:00.123456`,
	}, logLines(t, h))
	planes, trains, ships := segment.ID{SiteGroup: "site/a", Name: "planes"}, segment.ID{SiteGroup: "site/a", Name: "trains"}, segment.ID{SiteGroup: "incident", Name: "a site group of that name"}
	found := states(t, h)
	require.ElementsMatch(t, []segment.ID{fixtureBikes, fixtureBoats, fixtureCars, planes, trains, ships}, slices.Collect(maps.Keys(found)), "incidents are no segments any more")
	require.Len(t, affected(t, h), 6)
	mark := func(u segment.Urgency, k validate.Kind, l segment.Level, build string) segment.Mark {
		return segment.Mark{Urgency: u, Kind: k, Level: l, JobKind: segment.JobKindCopy, Build: build}
	}
	for _, c := range []struct {
		id      segment.ID
		since   time.Time // zero: nothing is open
		marks   []segment.Mark
		told    []segment.Mark
		pending bool
		reason  string
	}{
		{
			fixtureBoats, day(1), []segment.Mark{mark("page", validate.Short, segment.LevelProtected, "v2")},
			[]segment.Mark{mark("page", validate.Short, segment.LevelProtected, "v2")}, false, "what stands was told, and is not again",
		},
		{fixtureCars, time.Time{}, nil, []segment.Mark{mark("page", validate.Short, segment.LevelLost50, "v2")}, true, "what is over is to be told"},
		{fixtureBikes, day(2), []segment.Mark{mark("ticket", validate.Dropped, segment.LevelLive, "")}, nil, true, "what was being told is told again"},
		{
			planes, day(2), []segment.Mark{mark("ticket", validate.Dropped, segment.LevelProtected, "v1"), mark("page", validate.Short, segment.LevelLost1, "v1")},
			[]segment.Mark{mark("ticket", validate.Dropped, segment.LevelProtected, "v1")}, true, "what is worse than what was told rings beside it",
		},
		{
			trains, day(1), []segment.Mark{mark("page", validate.Short, segment.LevelLost100, "v1")},
			[]segment.Mark{mark("page", validate.Short, segment.LevelLost100, "v1")}, false, "what is milder than what was told does not ring",
		},
		{ships, day(1), []segment.Mark{mark("page", validate.Short, segment.LevelLive, "v1")}, nil, true, "a site group may be called so"},
	} {
		a := found[c.id].Alert
		var told []segment.Mark
		for _, m := range a.Told {
			told = append(told, m.Mark)
		}
		require.Equal(t, []any{c.marks, told, c.pending}, []any{a.Marks, told, a.Pending()}, c.reason)
		require.Equal(t, c.told, told, c.reason)
		require.Equal(t, c.since.IsZero(), a.Open == nil, c.reason)
		if a.Open != nil {
			require.True(t, c.since.Equal(a.Open.Since), c.reason)
			require.Equal(t, c.id.String()+" is "+string(a.Open.Kind), a.Open.Text, "an alert is kept whole")
			require.Equal(t, []time.Time{found[c.id].Alert.Opened[0]}, a.Opened)
		}
	}
	require.Equal(t, int64(1000), found[planes].Alert.Open.Users)
	require.Equal(t, []bool{true, false}, []bool{found[planes].Alert.Swept, found[trains].Alert.Swept})
	require.Equal(t, found[fixtureBikes].Alert.Marks, found[fixtureBikes].Alert.Trying, "what was being told may have been heard")
	start, err := h.Next(t.Context(), fixtureCars.In(""))
	require.NoError(t, err)
	require.Equal(t, segment.Start{Number: 4, Generation: 1}, start, "it goes on from there")
}

func TestMigrateSixthSchema(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		require.True(t, fixture(t, d, 6))
		h := d.History(t)
		requireSixthSchema(t, h)
		var segment, store, text string
		require.NoError(t, d.Open(t).QueryRowContext(t.Context(), "SELECT segment, store, text FROM segmentguard_open_alerts WHERE severity = 'page'").Scan(&segment, &store, &text))
		require.Equal(t, []string{fixtureBoats.String(), "", "boats are short"}, []string{segment, store, text})
	})
}

// requireSixthSchema wants what the fixture of the sixth schema tells.
func requireSixthSchema(t *testing.T, h *sqlsegment.Ledger) {
	t.Helper()
	require.Equal(t, []string{
		`cars monday recorded 1 committed 1000 of 1001 "v1" "index" Mar 18 10:44:00.123456`,
		`boats 'n "more"\ monday recorded 1 committed 50 of 51 "v1" "index" Mar 18 10:44:00.123456`,
		`boats 'n "more"\ tuesday recorded 1 rejected 20 of 21 "v2" "index" Mar 19 10:44:00.123456`,
		`boats 'n "more"\ tuesday opened by : "" Mar 19 10:44:00.123456`,
		`bikes  muted by ann: "moving" Mar 21 10:44:00.123456`,
	}, logLines(t, h))
	found := states(t, h)
	require.Equal(t, []int64{1000}, users(t, h, fixtureCars, 60))
	require.Equal(t, int64(1000), found[fixtureCars].Live.Users)
	boats := found[fixtureBoats].Alert
	require.Equal(t, "boats are short", boats.Open.Text)
	require.Equal(t, boats.Marks[0], boats.Told[0].Mark)
	require.ElementsMatch(t, []segment.ID{fixtureBikes, fixtureBoats}, affected(t, h))
	var incidents []segment.Incident
	for i, err := range h.Incidents(t.Context(), segment.IncidentFilter{Open: true, Store: new("")}) {
		require.NoError(t, err)
		incidents = append(incidents, i)
	}
	require.Len(t, incidents, 1)
	require.Equal(t, []int{1, 1}, []int{incidents[0].Members.Segments, len(incidents[0].Told)})
	mutes, err := h.Mutes(t.Context())
	require.NoError(t, err)
	require.Equal(t, fixtureBikes, mutes[0].Segment)
	name, err := h.Identity(t.Context())
	require.NoError(t, err)
	require.Equal(t, "LEDGEROFVERSION6", name, "it is the same ledger")
	start, err := h.Next(t.Context(), fixtureCars.In(""))
	require.NoError(t, err)
	require.Equal(t, segment.Start{Number: 4, Generation: 1}, start, "it goes on from there")
	start, err = h.Next(t.Context(), fixtureCars.In("crm"))
	require.NoError(t, err)
	require.Zero(t, start.Generation, "of another store nothing is known")
}

func TestMigrateNinthSchema(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		require.True(t, fixture(t, d, 9))
		h := d.History(t)
		requireNinthSchema(t, h)
		require.Equal(t, []string{
			` site%2Fa/cars 1010 1011 2024-03-19 1010 tuesday committed 2024-03-19`,
			` site-b/boats 'n "more"\ 50 51 2024-03-18 50 tuesday rejected 2024-03-19`,
			` site-c/bikes 8 0 2024-03-19 - - - -`,
			`crm site%2Fa/cars 900 901 2024-03-18 900 monday committed 2024-03-18`,
		}, sizeLines(t, d), "what was packed stands in columns")
	})
}

// requireNinthSchema wants what the fixture of the ninth schema tells.
func requireNinthSchema(t *testing.T, h *sqlsegment.Ledger) {
	t.Helper()
	require.Equal(t, []string{
		`cars monday recorded 1 committed 1000 of 1001 "v1" "index" Mar 18 10:44:00.123456`,
		`cars tuesday recorded 1 committed 1010 of 1011 "v1" "index" Mar 19 10:44:00.123456`,
		`cars monday recorded 1 committed 900 of 901 "v1" "index" Mar 18 10:44:00.123456`,
		`boats 'n "more"\ monday recorded 1 committed 50 of 51 "v1" "index" Mar 18 10:44:00.123456`,
		`boats 'n "more"\ tuesday recorded 1 rejected 20 of 21 "v1" "index" Mar 19 10:44:00.123456`,
	}, logLines(t, h))
	require.Equal(t, []int64{1000, 1010}, users(t, h, fixtureCars, 60))
	require.Equal(t, []segment.ID{fixtureBoats}, affected(t, h))
	sweeps, err := h.Sweeps(t.Context(), 2)
	require.NoError(t, err)
	require.Len(t, sweeps, 1)
	for j, err := range h.Jobs(t.Context(), segment.JobFilter{}) {
		require.NoError(t, err)
		require.Equal(t, segment.Copy(fixtureBoats, fixtureBikes), j)
	}
	name, err := h.Identity(t.Context())
	require.NoError(t, err)
	require.Equal(t, "LEDGEROFVERSION9", name, "it is the same ledger")
	for range h.Plans(t.Context(), segment.PlanFilter{}) {
		t.Fatal("there was no plan")
	}
}

// sizeLines returns the view of sizes, a segment a line, with "-" for what is not known.
func sizeLines(t *testing.T, d enginetest.Database) (lines []string) {
	t.Helper()
	date := func(column string) string {
		return "coalesce(" + d.SQL("to_char("+column+" AT TIME ZONE 'UTC', 'YYYY-MM-DD')", "substr("+column+", 1, 10)") + ", '-')"
	}
	number := func(column string) string {
		return "coalesce(" + d.SQL("CAST("+column+" AS text)", "CAST("+column+" AS char(20))") + ", '-')"
	}
	rows, err := d.Open(t).QueryContext(t.Context(), "SELECT store, segment, "+number("users")+", "+number("read_users")+", "+date("at")+", "+number("live_users")+
		", coalesce(run, '-'), coalesce(state, '-'), "+date("recorded")+" FROM segmentguard_sizes ORDER BY store, segment")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		line := make([]string, 9)
		scan := make([]any, len(line))
		for i := range line {
			scan[i] = &line[i]
		}
		require.NoError(t, rows.Scan(scan...))
		lines = append(lines, strings.Join(line, " "))
	}
	require.NoError(t, rows.Err())
	return lines
}

// The view of sizes follows what is recorded and imported.
func TestViewOfSizes(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h := d.History(t)
		require.Empty(t, sizeLines(t, d))
		require.NoError(t, h.Record(t.Context(), rec("r1", 1, segment.RunCommitted, 5)))
		require.Equal(t, []string{" g/s 5 6 2024-03-23 5 r1 committed 2024-03-23"}, sizeLines(t, d))
		require.NoError(t, h.Record(t.Context(), rec("r2", 1, segment.RunUnknown, 6)))
		require.Equal(t, []string{" g/s 5 6 2024-03-23 - r2 unknown 2024-03-24"}, sizeLines(t, d), "of a run that may be live or not the size is not known")
		execute(t, d.Open(t), "UPDATE segmentguard_segments SET alert = "+d.SQL("'7'", "'{'"))
		require.NoError(t, h.Record(t.Context(), rec("r3", 1, segment.RunCommitted, 7)))
		require.Equal(t, []string{" g/s 7 8 2024-03-25 7 r3 committed 2024-03-25"}, sizeLines(t, d), "also beside an alert that is damaged")
		require.NoError(t, segment.Forget(t.Context(), h, segment.Selection{Keys: []segment.Key{idS.In("")}}, segment.Decision{By: "ann", Why: "gone", At: start}))
	})
}

// However a database came to its schema, it has the same one.
func TestSchemasAreTheSame(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		d.History(t)
		want := definitions(t, d)
		require.Contains(t, strings.Join(want, "\n"), "segmentguard_log")
		for _, version := range []int{1, 2, 5, 6, 9} {
			t.Run(fmt.Sprint(version), func(t *testing.T) {
				e := enginetestEngine(t, d)
				if !fixture(t, e, version) {
					t.Skip("its program did not know this database")
				}
				e.History(t)
				require.Equal(t, want, definitions(t, e))
			})
		}
	})
}

// enginetestEngine returns a new database of the same engine.
func enginetestEngine(t *testing.T, like enginetest.Database) enginetest.Database {
	t.Helper()
	for _, e := range enginetest.Engines() {
		if e.Dialect == like.Dialect {
			return e.New(t)
		}
	}
	t.Fatal("no such engine")
	return like
}

// definitions returns each column of our tables, and each index.
func definitions(t *testing.T, d enginetest.Database) (found []string) {
	t.Helper()
	query := map[sqlsegment.Dialect]string{
		sqlsegment.PostgreSQL: `SELECT concat_ws(' ', table_name, column_name, data_type, collation_name, is_nullable, column_default, is_identity)
				FROM information_schema.columns WHERE table_name LIKE 'segmentguard%'
			UNION ALL SELECT regexp_replace(indexdef, 'pkey\d*', 'pkey') FROM pg_indexes WHERE tablename LIKE 'segmentguard%' ORDER BY 1`,
		sqlsegment.MySQL: `SELECT concat_ws(' ', table_name, column_name, column_type, is_nullable, column_default, extra)
				FROM information_schema.columns WHERE table_schema = database()
			UNION ALL SELECT concat_ws(' ', table_name, index_name, seq_in_index, column_name, sub_part)
				FROM information_schema.statistics WHERE table_schema = database() ORDER BY 1`,
		sqlsegment.SQLite: `SELECT m.name || ' ' || c.name || ' ' || c.type || ' ' || c."notnull" || ' ' || coalesce(c.dflt_value, '') || ' ' || c.pk
				FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'
			UNION ALL SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1`,
	}[d.Dialect]
	rows, err := d.Open(t).QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		found = append(found, line)
	}
	require.NoError(t, rows.Err())
	return found
}

// Ten processes find an earlier schema, or nothing, at the same time.
func TestMigrateEarlierInTenProcesses(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		for version, want := range map[int]func(*testing.T, *sqlsegment.Ledger){
			0: func(t *testing.T, h *sqlsegment.Ledger) { require.Empty(t, states(t, h)) },
			1: requireFirstSchema, 2: requireSecondSchema, 5: requireFifthSchema, 6: requireSixthSchema, 9: requireNinthSchema,
		} {
			t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
				e := enginetestEngine(t, d)
				if version > 0 && !fixture(t, e, version) {
					t.Skip("its program did not know this database")
				}
				for _, p := range startAll(t, e, 10, "migrate") {
					p.End(t)
				}
				h, err := sqlsegment.NewLedger(e.Open(t), e.Dialect)
				require.NoError(t, err)
				want(t, h)
				require.Equal(t, int64(9), number(t, e.Open(t), "SELECT count(*) FROM segmentguard_schema"), "each step was taken once")
				require.Equal(t, int64(1), number(t, e.Open(t), "SELECT count(*) FROM segmentguard_ledger"), "and the ledger has one name")
			})
		}
	})
}

// A ledger on a schema that is not its own says so, and what to do. It says so
// once it is right no more.
func TestLedgerOfAnotherVersion(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		fixture(t, d, 2)
		for _, err := range uses(t, d) {
			require.ErrorContains(t, err, "the schema has version 2, and this program needs version 11: call Ledger.Migrate first")
		}
		h := d.History(t)
		require.NoError(t, h.Check(t.Context()))
		before := logLines(t, h)
		execute(t, d.Open(t), "INSERT INTO segmentguard_schema (version, at) VALUES (12, "+d.SQL("now()", "0")+")")
		const newer = "the schema has version 12, and this program knows versions up to 11: a newer version of this library migrated it, and is needed to use it"
		for _, err := range uses(t, d) {
			require.ErrorContains(t, err, newer)
		}
		fresh, err := sqlsegment.NewLedger(d.Open(t), d.Dialect)
		require.NoError(t, err)
		require.ErrorContains(t, fresh.Migrate(t.Context()), newer)
		require.Equal(t, before, logLines(t, h), "nothing was changed")
	})
}

// uses returns what each method of a new ledger returns.
func uses(t *testing.T, d enginetest.Database) map[string]error {
	t.Helper()
	use := func(do func(*sqlsegment.Ledger, *sql.DB) error) error {
		db := d.Open(t)
		h, err := sqlsegment.NewLedger(db, d.Dialect)
		require.NoError(t, err)
		return do(h, db)
	}
	inTx := func(do func(segment.TxLedger) error) func(*sqlsegment.Ledger, *sql.DB) error {
		return func(h *sqlsegment.Ledger, db *sql.DB) error {
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			err = do(h.Tx(tx))
			require.NoError(t, tx.Rollback())
			return err
		}
	}
	sizes := func(r segment.Recorder) error {
		_, err := r.State(t.Context(), idS.In(""))
		return err
	}
	record := func(r segment.Recorder) error {
		return r.Record(t.Context(), rec("r", 1, segment.RunCommitted, 1))
	}
	return map[string]error{
		"State":        use(func(h *sqlsegment.Ledger, _ *sql.DB) error { return sizes(h) }),
		"Record":       use(func(h *sqlsegment.Ledger, _ *sql.DB) error { return record(h) }),
		"State in Tx":  use(inTx(func(r segment.TxLedger) error { return sizes(r) })),
		"Record in Tx": use(inTx(func(r segment.TxLedger) error { return record(r) })),
		"Change": use(func(h *sqlsegment.Ledger, _ *sql.DB) error {
			return changeAlert(t, h, []segment.Key{idS.In("")}, func(*segment.SegmentState) {})
		}),
		"Segments": use(func(h *sqlsegment.Ledger, _ *sql.DB) (last error) {
			for _, err := range h.Segments(t.Context(), segment.SegmentFilter{}) {
				last = err
			}
			return last
		}),
		"Incidents": use(func(h *sqlsegment.Ledger, _ *sql.DB) (last error) {
			for _, err := range h.Incidents(t.Context(), segment.IncidentFilter{}) {
				last = err
			}
			return last
		}),
		"ChangeIncident": use(func(h *sqlsegment.Ledger, _ *sql.DB) error {
			return h.ChangeIncident(t.Context(), "i", func(*segment.Incident) error { return nil })
		}),
		"CountAlerts": use(func(h *sqlsegment.Ledger, _ *sql.DB) error {
			_, err := h.CountAlerts(t.Context())
			return err
		}),
		"Sweeps": use(func(h *sqlsegment.Ledger, _ *sql.DB) error {
			_, err := h.Sweeps(t.Context(), 1)
			return err
		}),
		"KeepSweep": use(func(h *sqlsegment.Ledger, _ *sql.DB) error {
			return h.KeepSweep(t.Context(), segment.SweepNumbers{At: start})
		}),
		"Jobs": use(func(h *sqlsegment.Ledger, _ *sql.DB) (last error) {
			for _, err := range h.Jobs(t.Context(), segment.JobFilter{}) {
				last = err
			}
			return last
		}),
		"Plans": use(func(h *sqlsegment.Ledger, _ *sql.DB) (last error) {
			for _, err := range h.Plans(t.Context(), segment.PlanFilter{}) {
				last = err
			}
			return last
		}),
		"KeepPlan": use(func(h *sqlsegment.Ledger, _ *sql.DB) error {
			return h.KeepPlan(t.Context(), segment.PlanRecord{ID: "p"}, slices.Values([]segment.PlanStep(nil)))
		}),
		"Steps": use(func(h *sqlsegment.Ledger, _ *sql.DB) (last error) {
			for _, err := range h.Steps(t.Context(), segment.StepFilter{Plan: "p"}) {
				last = err
			}
			return last
		}),
		"CountSteps": use(func(h *sqlsegment.Ledger, _ *sql.DB) error {
			_, err := h.CountSteps(t.Context(), "p")
			return err
		}),
		"ChangeSteps in Tx": use(inTx(func(r segment.TxLedger) error {
			return r.ChangeSteps(t.Context(), "p", []int{1}, func(*segment.PlanStep) error { return nil })
		})),
		"KeepJobs": use(func(h *sqlsegment.Ledger, _ *sql.DB) error { return h.KeepJobs(t.Context(), nil) }),
		"Mutes": use(func(h *sqlsegment.Ledger, _ *sql.DB) error {
			_, err := h.Mutes(t.Context())
			return err
		}),
		"ChangeMutes": use(func(h *sqlsegment.Ledger, _ *sql.DB) error {
			return h.ChangeMutes(t.Context(), func(m []segment.Mute) ([]segment.Mute, error) { return m, nil })
		}),
		"Identity": use(func(h *sqlsegment.Ledger, _ *sql.DB) error {
			_, err := h.Identity(t.Context())
			return err
		}),
		"Log": use(func(h *sqlsegment.Ledger, _ *sql.DB) (last error) {
			for _, err := range h.Log(t.Context(), segment.LogFilter{}) {
				last = err
			}
			return last
		}),
		"Prune": use(func(h *sqlsegment.Ledger, _ *sql.DB) error {
			_, err := h.Prune(t.Context(), start)
			return err
		}),
		"Check": use(func(h *sqlsegment.Ledger, _ *sql.DB) error { return h.Check(t.Context()) }),
	}
}

func TestCheckNamesAMissingColumn(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		require.NoError(t, h.Check(t.Context()))
		execute(t, db, "ALTER TABLE segmentguard_log DROP COLUMN counter")
		require.ErrorContains(t, h.Check(t.Context()), "table segmentguard_log: column counter is missing")
		execute(t, db, "DROP VIEW segmentguard_open_alerts")
		execute(t, db, "DROP VIEW segmentguard_sizes")
		execute(t, db, "DROP TABLE segmentguard_segments")
		require.ErrorContains(t, h.Check(t.Context()), "table segmentguard_segments: column store is missing")
	})
}

func TestCheckNamesAMissingRight(t *testing.T) {
	for _, e := range enginetest.Engines() {
		if e.Dialect == sqlsegment.SQLite {
			continue // which has no users
		}
		t.Run(e.Name, func(t *testing.T) {
			d := e.New(t)
			d.History(t)
			admin := d.Open(t)
			user := fmt.Sprintf("clerk%d", time.Now().UnixNano()%1_000_000_000)
			quoted := d.SQL(user, "'"+user+"'@'localhost'")
			execute(t, admin, "CREATE USER "+quoted)
			t.Cleanup(func() { dropUser(t, d, user, quoted) })
			grant := func(rights, table string) { execute(t, admin, "GRANT "+rights+" ON "+table+" TO "+quoted) }
			h, err := sqlsegment.NewLedger(as(d, user).Open(t), d.Dialect)
			require.NoError(t, err)
			grant("SELECT", "segmentguard_schema")
			grant("SELECT, INSERT, UPDATE, DELETE", "segmentguard_segments")
			grant("SELECT, INSERT", "segmentguard_log")
			grant("SELECT, INSERT, UPDATE", "segmentguard_commits")
			grant("SELECT, UPDATE", "segmentguard_numbers")
			grant("SELECT, INSERT, UPDATE", "segmentguard_incidents")
			grant("SELECT, UPDATE", "segmentguard_ledger")
			grant("SELECT, INSERT, DELETE", "segmentguard_mutes")
			grant("SELECT, INSERT, UPDATE", "segmentguard_sweeps")
			grant("SELECT, INSERT, DELETE", "segmentguard_jobs")
			grant("SELECT, INSERT, DELETE", "segmentguard_reads")
			grant("SELECT, INSERT, UPDATE, DELETE", "segmentguard_plans")
			grant("SELECT, INSERT, UPDATE, DELETE", "segmentguard_steps")
			err = h.Check(t.Context())
			require.ErrorContains(t, err, "table segmentguard_log: DELETE is not possible: ")
			grant("DELETE", "segmentguard_log")
			require.NoError(t, h.Check(t.Context()))
			require.NoError(t, h.Record(t.Context(), rec("r", 1, segment.RunCommitted, 1)), "and no other right is needed")
			_, err = h.Next(t.Context(), idS.In(""))
			require.NoError(t, err)
			require.NoError(t, h.Migrate(t.Context()), "also to see that all is done")
			require.NoError(t, changeAlert(t, h, []segment.Key{idS.In("")}, func(s *segment.SegmentState) { s.Alert.Open = &segment.Alert{Segment: idS} }))
			require.NoError(t, h.KeepSweep(t.Context(), segment.SweepNumbers{At: start}))
			for _, from := range []segment.ID{idS, {SiteGroup: "g", Name: "other"}} { // the second takes the place of the first
				require.NoError(t, h.KeepJobs(t.Context(), []segment.Job{{ID: "job", Kind: segment.JobKindCopy, To: idS, From: []segment.ID{from}}}))
			}
			require.NoError(t, segment.Forget(t.Context(), h, segment.Selection{Keys: []segment.Key{idS.In("")}}, segment.Decision{By: "ann", Why: "gone", At: start}))
			require.NoError(t, h.KeepPlan(t.Context(), segment.PlanRecord{ID: "p"}, slices.Values([]segment.PlanStep{{Number: 1, Job: segment.Copy(idS, idS), Progress: segment.StepProgress{State: segment.StepWaiting}}})))
			require.NoError(t, h.ChangeSteps(t.Context(), "p", []int{1}, func(s *segment.PlanStep) error { s.Progress.State = segment.StepDone; return nil }))
			_, err = h.Prune(t.Context(), start.AddDate(1, 0, 0))
			require.NoError(t, err)
			_, err = h.Identity(t.Context())
			require.NoError(t, err)
			require.NoError(t, h.ChangeIncident(t.Context(), "i", func(i *segment.Incident) error { i.Begun = start; return nil }))
			require.NoError(t, h.ChangeMutes(t.Context(), func([]segment.Mute) ([]segment.Mute, error) { return []segment.Mute{{Until: start}}, nil }))
			require.NoError(t, h.ChangeMutes(t.Context(), func([]segment.Mute) ([]segment.Mute, error) { return nil, nil }))
		})
	}
}

// as returns the database as another user than the administrator.
func as(d enginetest.Database, user string) enginetest.Database {
	d.DSN = strings.NewReplacer("user=postgres", "user="+user, "root@", user+"@").Replace(d.DSN)
	return d
}

func dropUser(t *testing.T, d enginetest.Database, user, quoted string) {
	t.Helper()
	db := d.Open(t)
	ctx := context.WithoutCancel(t.Context())
	if d.Dialect == sqlsegment.PostgreSQL {
		_, err := db.ExecContext(ctx, "DROP OWNED BY "+user)
		require.NoError(t, err)
	}
	_, err := db.ExecContext(ctx, "DROP USER "+quoted)
	require.NoError(t, err)
}

// What was moved is what was there: a run that was not understood moves nothing.
func TestMigrateRefusesWhatItCannotRead(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		fixture(t, d, 2)
		db := d.Open(t)
		execute(t, db, "UPDATE segmentguard_alerts SET state = '{\"open\": 7}' WHERE segment LIKE 'incident/%'")
		h, err := sqlsegment.NewLedger(db, d.Dialect)
		require.NoError(t, err)
		err = h.Migrate(t.Context())
		require.ErrorContains(t, err, "from version 2 to 3: moving the alerts: ")
		_, syntax := errors.AsType[*json.UnmarshalTypeError](err)
		require.True(t, syntax, "%v", err)
		require.Equal(t, int64(6), number(t, db, "SELECT count(*) FROM segmentguard_attempts"), "nothing is lost")
		execute(t, db, "DELETE FROM segmentguard_alerts WHERE segment LIKE 'incident/%'")
		require.NoError(t, h.Migrate(t.Context()))
		require.Len(t, logLines(t, h), 8)
	})
}
