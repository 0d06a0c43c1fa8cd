package segment_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

func TestSweepText(t *testing.T) {
	since := time.Date(2024, 3, 19, 10, 44, 0, 0, time.UTC)
	incident := segment.Incident{
		JobKind: segment.JobKindCopy, Kind: validate.Capped, Urgency: segment.Page, Segments: 5, SiteGroups: 2, Users: 50_000, Since: since,
		Cause: "a limit", Next: "look",
	}
	for _, c := range []struct {
		name, reason string
		sweep        segment.Sweep
		want         string
	}{
		{
			"nothing was swept", "no sweep must not read as a healthy one", segment.Sweep{},
			"Incomplete: what is not listed may be anything but fine.\n0 segments: 0 healthy, 0 affected.\n",
		},
		{
			"healthy", "thousands are readable", segment.Sweep{Complete: true, Segments: 1200, Healthy: 1200},
			"1,200 segments: 1,200 healthy, 0 affected.\n",
		},
		{
			"all there is", "a line for each incident and case", segment.Sweep{
				Complete: true, Segments: 10, Healthy: 6, Unwatched: 3, Missing: 1,
				Affected:  []segment.Affected{{Segment: seg("a")}, {Segment: seg("b")}},
				Incidents: []segment.Incident{incident},
				Findings: []segment.SegmentFinding{
					{Segment: seg("a"), Urgency: segment.Page, Text: "g/a: stored 5 of 9 users"},
					{Segment: seg("b"), Urgency: segment.Ticket, Text: "g/b: two\nlines", Upstream: seg("a")},
				},
			},
			"10 segments: 6 healthy, 2 affected (of which 1 missing), 3 with nothing to judge them by.\n" +
				"page: " + incident.String() + "\n" +
				"page: g/a: stored 5 of 9 users\n" +
				"ticket: " + strconv.Quote("g/b: two\nlines") + "; it is made from " + seg("a").String() + ", which is affected itself\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, c.sweep.String(), c.reason) })
	}
}
