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

// TestAlertOpens: a fault that stands keeps its beginning and its build, of what
// the alerter knows first of all; another fault begins anew.
func TestAlertOpens(t *testing.T) {
	alert := func(kind validate.Kind, hour int, build string) *Alert {
		return &Alert{Kind: kind, Urgency: Page, RunID: "a", Build: build, Since: tonight.Add(time.Duration(hour) * time.Hour)}
	}
	for _, c := range []struct {
		reason     string
		told, open *Alert
		build      string
	}{
		{"nothing before", nil, nil, "new"},
		{"known to nobody yet", nil, alert(validate.Short, -2, "open"), "open"},
		{"told, and open no more", alert(validate.Short, -3, "told"), nil, "told"},
		{"what was told comes first", alert(validate.Short, -3, "told"), alert(validate.Short, -2, "open"), "told"},
		{"another fault was told", alert(validate.Empty, -3, "told"), alert(validate.Short, -2, "open"), "open"},
		{"another fault altogether", alert(validate.Empty, -3, "told"), alert(validate.Empty, -2, "open"), "new"},
	} {
		s := AlertState{Told: c.told, Open: c.open}
		s.open(*alert(validate.Short, 0, "new"))
		require.Equal(t, c.build, s.Open.Build, c.reason)
		require.Equal(t, validate.Short, s.Open.Kind, c.reason)
	}
}

// TestGraver: a page is graver than a ticket; of the same severity, the kind
// tells.
func TestGraver(t *testing.T) {
	empty, short, ticket := Alert{Urgency: Page, Kind: validate.Empty}, Alert{Urgency: Page, Kind: validate.Short}, Alert{Urgency: Ticket, Kind: validate.Empty}
	require.True(t, empty.graver(&short))
	require.False(t, short.graver(&empty))
	require.False(t, short.graver(&short), "the same is not graver")
	require.True(t, short.graver(&ticket))
	require.False(t, ticket.graver(&short))
}

// TestIncidentHasACause: of segments of the same size the first one's, also where
// none is known to hold users.
func TestIncidentHasACause(t *testing.T) {
	groups := incidentGroups{}
	groups.add(&Alert{Text: "one"})
	groups.add(&Alert{Text: "two"})
	require.Equal(t, "one", groups[sameness{}].incident.Cause)
}
