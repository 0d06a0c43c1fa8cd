package segment_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestLogAlerter: a page is an error in the log, a ticket a warning.
func TestLogAlerter(t *testing.T) {
	var log bytes.Buffer
	to := segment.LogAlerter(slog.New(slog.NewTextHandler(&log, nil)))
	a := segment.Alert{Segment: seg("cars"), Urgency: segment.Page, Kind: validate.Empty, Text: "nothing is stored"}
	require.NoError(t, to.Tell(t.Context(), []segment.Alert{a}, nil))
	require.Contains(t, log.String(), "level=ERROR")
	require.Contains(t, log.String(), "segment=site-a/cars")
	log.Reset()
	a.Urgency = segment.Ticket
	require.NoError(t, to.Tell(t.Context(), []segment.Alert{a}, nil))
	require.Contains(t, log.String(), "level=WARN")
	log.Reset()
	require.NoError(t, to.Tell(t.Context(), nil, []segment.Alert{a}))
	require.Contains(t, log.String(), "level=INFO")
	require.Contains(t, log.String(), "segment not affected")
	log.Reset()
	require.NoError(t, to.Tell(t.Context(), nil, []segment.Alert{{Segment: seg("cars")}}))
	require.Empty(t, log.String(), "that a run passed is no news")

	old := slog.Default()
	defer slog.SetDefault(old)
	log.Reset()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, segment.LogAlerter(nil).Tell(t.Context(), []segment.Alert{a}, nil))
	require.Contains(t, log.String(), "segment affected", "nil is the default logger")
}

// TestIncidentText: only what is known of the jobs is said of them.
func TestIncidentText(t *testing.T) {
	i := segment.Incident{
		Kind: validate.Capped, Segments: 5000, SiteGroups: 1, Users: 7, Cause: "a limit", Next: "look",
		Since: time.Date(2024, 3, 18, 10, 44, 0, 0, time.UTC),
	}
	end := ") since 2024-03-18T10:44:00Z, 7 users at stake; likely cause: a limit; next: look"
	require.Equal(t, "5,000 segments of 1 site group affected alike (capped"+end, i.String())
	i.Segments, i.SiteGroups, i.JobKind = 1, 2, segment.JobKindCopy
	require.Equal(t, "1 segment of 2 site groups affected (capped, copy jobs"+end, i.String())
	i.Build = "7"
	require.Equal(t, "1 segment of 2 site groups affected (capped, copy jobs, build 7"+end, i.String())
}

// TestIncidentSumsUp: the earliest beginning, the users of all, the cause of the
// largest, and the runbook where all have the same.
func TestIncidentSumsUp(t *testing.T) {
	f := newFleet(t)
	begun := f.now.Add(-time.Hour).Truncate(time.Second)
	open := func(name string, users int64, since time.Time, runbook string) {
		require.NoError(t, f.ledger.Change(t.Context(), []segment.ID{seg(name)}, func(s *segment.SegmentState) error {
			s.Alert.Open = &segment.Alert{
				Segment: seg(name), Urgency: segment.Page, Kind: validate.Empty, RunID: "tonight", Text: "cause of " + name,
				Job: segment.Job{Kind: segment.JobKindCopy}, Build: "7", Since: since, Runbook: runbook,
				Report: validate.Report{Expected: validate.Count(users)},
			}
			return nil
		}))
	}
	for i, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
		since, users := begun.Add(time.Duration(i%7-3)*time.Minute), int64(1000)
		if name == "h" {
			users = 5000
		}
		open(name, users, since, "https://runbook")
	}
	s := f.sweep()
	require.Len(t, s.Incidents, 1)
	i := s.Incidents[0]
	require.Equal(t, 12, i.Segments)
	require.EqualValues(t, 16000, i.Users)
	require.Equal(t, begun.Add(-3*time.Minute), i.Since)
	require.Equal(t, "cause of h", i.Cause)
	require.Equal(t, "https://runbook", i.Next)

	open("a", 1000, begun, "https://another")
	i = f.sweep().Incidents[0]
	require.Contains(t, i.Next, "rerun.New", "no one runbook")
}
