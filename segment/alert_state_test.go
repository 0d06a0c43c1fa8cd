package segment

import (
	"testing"

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
