package segment_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
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

	over := segment.Alert{Segment: seg("copy jobs"), Urgency: segment.Page, Text: "no segment is affected any more", About: &segment.Incident{}, Ring: 3}
	require.NoError(t, to.Tell(t.Context(), nil, []segment.Alert{over}))
	require.Contains(t, log.String(), "level=INFO", "that an incident is over is")
	require.Contains(t, log.String(), "no segment is affected any more")

	old := slog.Default()
	defer slog.SetDefault(old)
	log.Reset()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, segment.LogAlerter(nil).Tell(t.Context(), []segment.Alert{a}, nil))
	require.Contains(t, log.String(), "segment affected", "nil is the default logger")
}

// TestLogSaysWhatIsTheOnsets: a record has the text and the run of what was found last,
// and apart from them the worst since the alert began, and by which build that was. No
// name is there twice, of which readers of JSON keep one.
func TestLogSaysWhatIsTheOnsets(t *testing.T) {
	var log bytes.Buffer
	guard, err := segment.NewGuard(segment.GuardConfig{
		Ledger: segment.NewMemory(), Alerter: segment.LogAlerter(slog.New(slog.NewJSONHandler(&log, nil))),
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	nothing := func(context.Context) error { return nil }
	night := func(run segment.Run, stored int64) {
		log.Reset()
		run.Job, run.Expected = segment.Copy(seg("cars"), seg("cars-source")), validate.Count(20_000)
		run.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(stored), nil }
		_, err := guard.Commit(t.Context(), run)
		require.Error(t, err)
	}
	night(segment.Run{ID: "first", Build: "1", Staging: segment.Staging{Commit: nothing, Discard: nothing}}, 0)
	night(segment.Run{ID: "second", Build: "2", Live: true}, 9_000)
	var record struct {
		Level, Text, Run string
		Worst            struct{ Severity, Kind, Level string }
		Onset            struct{ Build string }
	}
	require.NoError(t, json.Unmarshal(log.Bytes(), &record), "one record: %s", log.String()) //nolint:musttag // by its fields' names
	require.Contains(t, record.Text, "stored 9,000 of 20,000 users")
	require.Equal(t, "second", record.Run)
	require.Equal(t, "ERROR", record.Level)
	require.Equal(t, "empty", record.Worst.Kind)
	require.Equal(t, "page", record.Worst.Severity)
	require.Equal(t, "lost 50%", record.Worst.Level)
	require.Equal(t, "1", record.Onset.Build)
	require.Equal(t, 1, strings.Count(log.String(), `"kind":`))
}

// TestIncidentText: first whether customers are hit, then the rest, of which only
// what is known is said.
func TestIncidentText(t *testing.T) {
	i := segment.Incident{Cause: segment.Cause{JobKind: segment.JobKindCopy, Build: "7"}, Begun: time.Date(2024, 3, 18, 10, 44, 0, 0, time.UTC)}
	end := "; copy jobs of build 7, since 2024-03-18T10:44:00Z"
	command := "; next: roll back or mend build 7, then plan the reruns of everything affected (rerun.New)"
	require.Equal(t, "no segment is affected any more"+end, i.String())
	i.Members = segment.Members{Segments: 2, SiteGroups: 1}
	require.Equal(t, "customers not hit: 2 segments affected, all protected: the live ones keep their users (1 site group)"+end+command, i.String())
	i.Members = segment.Members{
		Segments: 4422, Pages: 4400, Live: 1435, SiteGroups: 40, Users: 5_000_000,
		Kinds: map[validate.Kind]int{validate.Capped: 4400, validate.Empty: 22},
	}
	i.Likely, i.Upstream, i.Runbook = "read exactly 10,000 users", seg("seed"), "https://runbook"
	i.Good = &validate.Size{Users: 1000, At: time.Date(2024, 3, 17, 2, 0, 0, 0, time.UTC)}
	require.Equal(t, "customers hit: 1,435 live segments affected, 2,987 protected (40 site groups); 22 empty; 4,400 capped"+end+", 5,000,000 users at stake; likely cause: read exactly 10,000 users; "+
		"made from site-a/seed, which is affected itself; the largest was right with 1,000 users at 2024-03-17T02:00:00Z"+command+"; runbook: https://runbook", i.String())
}
