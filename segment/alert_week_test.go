package segment

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// TestWeek lives a week with segments whose sizes are those of real lists: daily runs
// behind a guard, a sweep each hour, a person who accepts on the next morning what was
// rejected for its size alone, and now and then a fault that is proven, a source that
// halves, a job that fails three times a day. What is rejected does not go live, so that
// what is judged depends on what was judged. Each affected
// segment is told by its name or as a member, once, and nothing stands longer than it
// may. SEGMENTGUARD_WEEK says how many segments there are: with 2,000 a month passes
// before the week that is counted, so that the log knows what is usual.
func TestWeek(t *testing.T) {
	segments, before, rare := 150, 2, 60
	if text := os.Getenv("SEGMENTGUARD_WEEK"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		segments, before, rare = n, 28, 500
	}
	w := newWeek(t, segments, before+7)
	w.rare, w.dip = rare, history+before+1
	w.days(before)
	w.post.sent, w.from = nil, w.now.Add(1)
	w.days(7)
	w.toldOnce()
	w.report()
	require.Contains(t, w.overs(), "its size was right on two days", "how long that takes is held by some")
}

// A week is segments with their real sizes, and those who look after them.
type week struct {
	*room

	post    *post
	g       *Guard
	m       *Monitor
	members []ID
	sizes   map[ID][]int64       // one a day, from 30 days before it begins
	today   int                  // of the sizes
	dip     int                  // the day on which three sources halve that are all right again the day after
	rare    int                  // of one segment in so many something happens on a day
	bad     map[ID]time.Time     // when it was last found that something is wrong with it
	lost    map[ID]int64         // what its next run repairs
	from    time.Time            // the week that is counted
	last    map[string]time.Time // when an incident last had a member
	longest map[string]time.Duration
}

const history = 30

func newWeek(t *testing.T, segments, days int) *week {
	w := &week{
		room: newRoom(t), sizes: map[ID][]int64{}, bad: map[ID]time.Time{}, lost: map[ID]int64{},
		last: map[string]time.Time{}, longest: map[string]time.Duration{},
	}
	w.now = time.Date(2024, 3, 4, 0, 30, 0, 0, time.UTC)
	w.post = &post{now: func() time.Time { return w.now }, open: map[labels]Alert{}, told: map[labels]bool{}}
	var err error
	w.g, err = NewGuard(GuardConfig{Ledger: w.ledger, Alerter: w.post, Now: w.post.now})
	require.NoError(t, err)
	w.m, err = NewMonitor(MonitorConfig{Ledger: w.ledger, Alerter: w.post, Now: w.post.now})
	require.NoError(t, err)
	series := slices.DeleteFunc(volumes(t), func(s []int64) bool { return len(s) < history+days })
	for i := range segments {
		id := ID{SiteGroup: fmt.Sprintf("site-%02d", i%20), Name: fmt.Sprintf("segment %04d", i)}
		all := series[i%len(series)]
		from := (i*37 + i/len(series)*11) % (len(all) - history - days + 1)
		w.sizes[id] = slices.Clone(all[from : from+history+days])
		w.members = append(w.members, id)
		imported := SizeImport{Segment: id}
		for day, users := range w.sizes[id][:history] {
			imported.Sizes = append(imported.Sizes, validate.Size{Users: users, At: w.now.AddDate(0, 0, day-history)})
		}
		require.NoError(t, Import(t.Context(), w.ledger, []SizeImport{imported}))
		w.store[id] = w.sizes[id][history-1]
	}
	w.today = history
	return w
}

// volumes returns the sizes of real lists, day by day.
func volumes(t *testing.T) (all [][]int64) {
	file, err := os.Open("../testdata/volumes/volumes.csv.gz")
	require.NoError(t, err)
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	require.NoError(t, err)
	rows, err := csv.NewReader(unzipped).ReadAll()
	require.NoError(t, err)
	last := ""
	for _, row := range rows[1:] { // series, source, day, users
		if row[0] != last {
			last, all = row[0], append(all, nil)
		}
		users, err := strconv.ParseInt(row[3], 10, 64)
		require.NoError(t, err)
		all[len(all)-1] = append(all[len(all)-1], users)
	}
	return all
}

// guarded reports whether a guard stands before a segment: all but one in ten.
func guarded(i int) bool { return i%10 != 7 }

// days lets days pass, hour by hour.
func (w *week) days(n int) {
	for range n {
		for hour := range 24 {
			for i, id := range w.members {
				if i%24 == hour {
					w.daily(i, id)
				}
			}
			switch hour {
			case 9:
				w.person()
			case 15: // some users are brought back by hand
				maps.DeleteFunc(w.lost, func(id ID, _ int64) bool { return id.Compare(w.members[len(w.members)/2]) < 0 })
			}
			w.hour()
		}
		w.today++
	}
}

// daily runs the job of a segment, whose output is short now and then, or loses users
// some hours afterwards.
func (w *week) daily(i int, id ID) {
	users := w.sizes[id][w.today]
	if w.seldom(i, 2) {
		for day := w.today; day < len(w.sizes[id]); day++ {
			w.sizes[id][day] /= 2
		}
		users = w.sizes[id][w.today]
	}
	if w.today == w.dip && i%20 == 4 && i < 60 { // for this day alone
		users /= 2
	}
	if !guarded(i) {
		w.store[id] = users
		return
	}
	delete(w.lost, id)
	failures := 0
	if w.seldom(i, 0) {
		failures = 1 + w.today%2*2
	}
	for range failures {
		w.run(i, id, users, users-users/5)
		w.run(i, id, users, users)
	}
	w.run(i, id, users, users)
	if w.seldom(i, 1) {
		w.lost[id] = w.store[id] / 10
	}
}

// seldom reports whether one of three things is due for a segment today.
func (w *week) seldom(i, which int) bool {
	return (i*7919+w.today*104729+which*1299709)/7%(w.rare*(1+which)) == 3
}

// run has a guard judge a job. Of every other segment the source's own count is known.
func (w *week) run(i int, id ID, users, stored int64) {
	w.now = w.now.Add(time.Millisecond)
	run := Run{
		ID: fmt.Sprint("run of ", w.now), Build: "7", Job: Copy(id, ID{SiteGroup: "source", Name: id.Name}), Expected: validate.Unknown(),
		Read: validate.Count(users), Stored: func(context.Context) (validate.Summary, error) { return validate.Count(stored), nil },
		Staging: Staging{Commit: func(context.Context) error { w.store[id] = stored; return nil }},
	}
	if i%2 == 0 {
		run.Expected = validate.Count(users)
	}
	require.NoError(w.t, w.g.Begin(w.t.Context(), &run))
	report, err := w.g.Commit(w.t.Context(), run)
	if verdict, ok := errors.AsType[*validate.Error](err); ok {
		require.Equal(w.t, verdict.Error(), err.Error(), "nothing else went wrong")
	} else {
		require.NoError(w.t, err)
	}
	if len(report.Findings) > 0 {
		w.bad[id] = w.now
	}
}

// person accepts what was rejected for its size alone, half a day ago or earlier.
func (w *week) person() {
	for s, err := range w.ledger.Segments(w.t.Context(), SegmentFilter{Affected: true}) {
		require.NoError(w.t, err)
		a := s.Alert.Open
		if a == nil || !offHistory(a.Kind) || a.State != RunRejected || w.now.Sub(a.Since) < day/2 {
			continue
		}
		_, err := Accept(w.t.Context(), w.ledger, Selection{Keys: []Key{s.Key()}}, Decision{By: "ann", Why: "so is its source", At: w.now})
		require.NoError(w.t, err)
		w.store[s.Segment] = s.Last.Users // and has it brought in
	}
}

// hour sweeps, and looks at how long what is open stands.
func (w *week) hour() {
	w.now = w.now.Add(time.Hour).Truncate(time.Hour).Add(30 * time.Minute)
	sweep, err := w.m.Sweep(w.t.Context(), func(yield func(CurrentSize, error) bool) {
		for _, id := range slices.SortedFunc(slices.Values(w.members), ID.Compare) {
			if !yield(CurrentSize{Segment: id, Stored: validate.Count(w.store[id] - w.lost[id])}, nil) {
				return
			}
		}
	})
	require.NoError(w.t, err)
	require.True(w.t, sweep.Complete)
	for _, found := range sweep.Affected {
		w.bad[found.Segment] = w.now
	}
	for s, err := range w.ledger.Segments(w.t.Context(), SegmentFilter{Affected: true}) {
		require.NoError(w.t, err)
		if s.Alert.Open != nil {
			w.stands(&s)
		}
	}
	for i, err := range w.ledger.Incidents(w.t.Context(), IncidentFilter{Open: true}) {
		require.NoError(w.t, err)
		if i.Members.Segments > 0 || w.last[i.ID].IsZero() {
			w.last[i.ID] = w.now
		}
		w.most("an incident", w.now.Sub(w.last[i.ID]), day+time.Hour)
	}
}

// stands holds that an alert does not stand longer than it may after something was
// last found to be wrong with its segment.
func (w *week) stands(s *SegmentState) {
	stood, kind, allowed := w.now.Sub(w.bad[s.Segment]), "what is proven", 2*time.Hour
	switch {
	case s.Alert.Flapping:
		kind, allowed = "flapping", day+time.Hour
	case offHistory(s.Alert.Open.Kind):
		kind, allowed = "a size", 2*day+2*time.Hour
	case !s.Alert.Open.bySweep(): // its next run is that of tomorrow
		kind, allowed = "what a guard found", day+2*time.Hour
	}
	w.most(kind, stood, allowed)
	require.LessOrEqual(w.t, stood, allowed, "%s: %s stands", s.Segment, s.Alert.Open.Text)
}

func (w *week) most(kind string, stood, allowed time.Duration) {
	require.LessOrEqual(w.t, stood, allowed, kind)
	w.longest[kind] = max(w.longest[kind], stood)
}

// toldOnce holds that for each onset of the week people were told, by the segment's
// name or by an incident that it is a member of, and as often as it grew worse.
func (w *week) toldOnce() {
	named, rang := map[ID]int{}, map[string]bool{}
	for _, n := range w.post.sent {
		if n.over {
			continue
		}
		if n.ring > 0 {
			rang[n.incident] = true
		} else {
			named[n.segment]++
		}
	}
	marks, onsets, members := map[ID]int{}, 0, 0
	for e, err := range w.ledger.Log(w.t.Context(), LogFilter{Since: w.from}) {
		require.NoError(w.t, err)
		if e.Segment.IsZero() || e.Action != ActionTold && e.Action != ActionOpened {
			continue
		}
		if e.Action == ActionOpened {
			onsets++
			continue
		}
		if e.Mark.Incident != "" {
			members++
			require.True(w.t, rang[e.Mark.Incident] || e.At.Sub(w.from) < day, "%s is told by an incident that rang", e.Segment)
			continue
		}
		marks[e.Segment]++
	}
	require.Equal(w.t, marks, named, "by name, as often as the ledger says that it was told")
	opened := w.logOf(ActionOpened)
	told := w.logOf(ActionTold)
	for id, n := range opened {
		require.GreaterOrEqual(w.t, told[id], n, "%s was told", id)
	}
	w.t.Logf("%d onsets, %d of them told by an incident", onsets, members)
}

func (w *week) logOf(action Action) map[ID]int {
	found := map[ID]int{}
	for e, err := range w.ledger.Log(w.t.Context(), LogFilter{Since: w.from, Action: action}) {
		require.NoError(w.t, err)
		if !e.Segment.IsZero() {
			found[e.Segment]++
		}
	}
	return found
}

// overs returns what the log says of what is over.
func (w *week) overs() (texts []string) {
	for e, err := range w.ledger.Log(w.t.Context(), LogFilter{Since: w.from, Action: ActionOver}) {
		require.NoError(w.t, err)
		texts = append(texts, e.Text)
	}
	return texts
}

// report says how many notifications there were.
func (w *week) report() {
	count := map[string]int{}
	for _, n := range w.post.sent {
		what := string(n.urgency)
		if n.ring > 0 {
			what = "incident, " + what
		}
		if n.over {
			what += ", over"
		}
		count[what]++
	}
	for _, what := range slices.Sorted(maps.Keys(count)) {
		w.t.Logf("%4d notifications: %s", count[what], what)
	}
	for _, kind := range slices.Sorted(maps.Keys(w.longest)) {
		w.t.Logf("%s stood for %s at most after it was found last", kind, w.longest[kind])
	}
}

// A post is an alerter that notifies as Alertmanager does with the route that is
// shipped: of a group of alerts when one is new that no incident holds back, and when
// all of the group are over.
type post struct {
	now  func() time.Time
	open map[labels]Alert
	told map[labels]bool // of those that are open
	sent []notification
}

// A notification is of a group of alerts.
type notification struct {
	segment  ID
	incident string
	ring     int
	urgency  Urgency
	over     bool
}

func groupOf(l *labels) notification {
	return notification{segment: l.key.Segment, incident: l.incident, ring: l.ring}
}

func (p *post) Tell(_ context.Context, firing, resolved []Alert) error {
	for i := range firing {
		a := firing[i]
		if a.Told.IsZero() {
			a.Told = p.now()
		}
		p.open[a.labels()] = a
	}
	groups := map[notification]Urgency{}
	for i := range resolved {
		l := resolved[i].labels()
		if delete(p.open, l); p.told[l] {
			groups[groupOf(&l)] = l.urgency
		}
		delete(p.told, l)
	}
	p.notify()
	for group, urgency := range groups {
		p.ended(group, urgency)
	}
	return nil
}

// notify sends what is new and not held back, a group once.
func (p *post) notify() {
	groups := map[notification]Urgency{}
	for l := range p.open {
		if p.told[l] || l.ring == 0 && l.incident != "" && p.holdsBack(l.incident) {
			continue
		}
		p.told[l] = true
		if group := groupOf(&l); groups[group] != Page {
			groups[group] = l.urgency
		}
	}
	for group, urgency := range groups {
		group.urgency = urgency
		p.sent = append(p.sent, group)
	}
}

func (p *post) holdsBack(incident string) bool {
	for l := range p.open {
		if l.ring > 0 && l.incident == incident {
			return true
		}
	}
	return false
}

// ended sends that a group is over, if no alert of it is open.
func (p *post) ended(group notification, urgency Urgency) {
	for l := range p.open {
		if groupOf(&l) == group {
			return
		}
	}
	group.urgency, group.over = urgency, true
	p.sent = append(p.sent, group)
}

func (p *post) Open(context.Context, string) iter.Seq2[Alert, error] {
	return func(yield func(Alert, error) bool) {
		for _, a := range p.open {
			if !yield(a, nil) {
				return
			}
		}
	}
}
