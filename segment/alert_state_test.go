package segment

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// TestSeverity: a page for anything that is proven, wherever it stands among
// what only warns or only history suspects.
func TestSeverity(t *testing.T) {
	warns := validate.Finding{Kind: validate.Capped, Severity: validate.Warn}
	dropped, risen := validate.Finding{Kind: validate.Dropped, Severity: validate.Fail}, validate.Finding{Kind: validate.Risen, Severity: validate.Fail}
	unverified, short := validate.Finding{Kind: validate.Unverified, Severity: validate.Fail}, validate.Finding{Kind: validate.Short, Severity: validate.Fail}
	for _, c := range []struct {
		findings []validate.Finding
		want     Urgency
	}{
		{nil, Ticket},
		{[]validate.Finding{warns}, Ticket},
		{[]validate.Finding{warns, dropped, risen, unverified}, Ticket},
		{[]validate.Finding{warns, short}, Page},
		{[]validate.Finding{dropped, warns, short}, Page},
		{[]validate.Finding{{Kind: validate.Short}}, Page},
	} {
		require.Equal(t, c.want, urgencyOf(&validate.Report{Findings: c.findings}), "%v", c.findings)
	}
}

// An accept for a while ends what is off the history, and nothing else.
func TestExcused(t *testing.T) {
	for _, kind := range validate.Kinds() {
		s := AlertState{}
		s.observe(observation{event: aFault, alert: Alert{Urgency: Ticket, Kind: kind}})
		s.observe(observation{event: anExcuse, why: "a migration"})
		ends := kind == validate.Dropped || kind == validate.Risen || kind == validate.Leaking
		require.Equal(t, ends, s.Open == nil, kind)
	}
}

// A job that passes every day with the same warning has one alert, which began on the
// first day.
func TestSameWarningDaily(t *testing.T) {
	for _, kind := range []validate.Kind{validate.Frozen, validate.Leaking, validate.Capped, validate.Dropped} {
		s, first := AlertState{}, time.Date(2024, 3, 18, 2, 0, 0, 0, time.UTC)
		report := validate.Report{Findings: []validate.Finding{{Kind: kind, Severity: validate.Warn}}}
		var said []Action
		for days := range int64(10) {
			at := first.AddDate(0, 0, int(days))
			said = append(said, s.observe(observation{event: aPass, at: at, number: days + 1, report: &report})...)
			said = append(said, s.observe(observation{event: aFault, at: at, alert: Alert{
				Urgency: Ticket, Kind: kind, RunID: "daily", State: RunCommitted, Number: days + 1, Since: at, At: at, Report: report,
			}})...)
		}
		require.Equal(t, []Action{ActionOpened}, said, kind)
		require.Equal(t, first, s.Open.Since)
	}
}
