package segment

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

var tonight = time.Date(2024, 3, 18, 22, 0, 0, 0, time.UTC)

// ago is a size counted some hours before tonight.
func ago(hours int, users, read int64) validate.Size {
	return validate.Size{Users: users, Read: read, At: tonight.Add(-time.Duration(hours) * time.Hour)}
}

// TestEarlier: the size to compare with is the last one that is not of today;
// within a day, the one before the last, as the last may be what is compared.
func TestEarlier(t *testing.T) {
	for _, c := range []struct {
		reason string
		sizes  []validate.Size
		want   int64
		ok     bool
	}{
		{"nothing", nil, 0, false},
		{"zero is no size", []validate.Size{ago(48, 0, 0)}, 0, false},
		{"yesterday's", []validate.Size{ago(48, 1, 0), ago(24, 2, 0), ago(2, 3, 0)}, 2, true},
		{"zero is passed over", []validate.Size{ago(48, 1, 0), ago(24, 0, 0), ago(2, 0, 0)}, 1, true},
		{"nineteen hours are a day", []validate.Size{ago(20, 1, 0), ago(19, 2, 0), ago(2, 3, 0)}, 2, true},
		{"eighteen are not", []validate.Size{ago(20, 1, 0), ago(18, 2, 0), ago(2, 3, 0)}, 1, true},
		{"only one of today", []validate.Size{ago(2, 3, 0)}, 3, true},
		{"two of today", []validate.Size{ago(3, 2, 0), ago(2, 3, 0)}, 2, true},
		{"three of today", []validate.Size{ago(4, 1, 0), ago(3, 2, 0), ago(2, 3, 0)}, 2, true},
	} {
		got, ok := earlier(c.sizes, tonight, func(s *validate.Size) int64 { return s.Users })
		require.Equal(t, c.want, got, c.reason)
		require.Equal(t, c.ok, ok, c.reason)
	}
}

// TestFalls: what counts for the signature of a limit is a fall that was
// measured, of what is stored and of what was read.
func TestFalls(t *testing.T) {
	counted := validate.Count
	for _, c := range []struct {
		reason       string
		stored       validate.Summary
		last         Record
		sizes        []validate.Size
		fell, reads  bool
		kept         bool
		wasReadAsWas int64
	}{
		{reason: "no size before", stored: counted(1000)},
		{reason: "no fall", stored: counted(1000), sizes: []validate.Size{ago(24, 1249, 0)}},
		{reason: "a fall by a fifth", stored: counted(1000), sizes: []validate.Size{ago(24, 1250, 0)}, fell: true},
		{reason: "an estimate is on no limit", stored: validate.Estimate(1000, 0.01), sizes: []validate.Size{ago(24, 5000, 0)}},
		{
			reason: "the reads were not measured", stored: counted(5000), sizes: []validate.Size{ago(24, 5000, 9000)},
			last: Record{State: RunCommitted, Users: 5000, At: tonight},
		},
		{
			reason: "the reads fell", stored: counted(5000), sizes: []validate.Size{ago(24, 5000, 9000)},
			last: Record{State: RunCommitted, Users: 5000, Read: 6000, At: tonight}, reads: true,
		},
		{
			reason: "the reads did not fall", stored: counted(5000), sizes: []validate.Size{ago(24, 5000, 9000)},
			last: Record{State: RunCommitted, Users: 5000, Read: 8000, At: tonight},
		},
		{
			reason: "no read before", stored: counted(5000), sizes: []validate.Size{ago(24, 5000, 0)},
			last: Record{State: RunCommitted, Users: 5000, Read: 6000, At: tonight},
		},
		{
			reason: "what was rejected is not live", stored: counted(5000), sizes: []validate.Size{ago(24, 5000, 9000)},
			last: Record{State: RunRejected, Users: 5000, Read: 6000, At: tonight},
		},
		{
			reason: "the last run's own reads are none before it", stored: counted(5000),
			sizes: []validate.Size{ago(11, 5000, 9000), ago(10, 5000, 1000), ago(0, 5000, 1000)},
			last:  Record{State: RunCommitted, Users: 5000, Read: 1000, At: tonight}, reads: true, kept: true,
		},
		{
			reason: "a rejected run of the same size is not kept", stored: counted(1000), sizes: []validate.Size{ago(24, 5000, 0)},
			last: Record{State: RunCommitted, Users: 1000, At: tonight}, fell: true,
		},
	} {
		e := examination{
			pair:  &pair{state: SegmentState{Last: c.last}},
			since: tonight, sizes: c.sizes,
			out: validate.Output{Stored: c.stored, Sizes: c.sizes},
		}
		var found tally
		e.falls(&found)
		require.Equal(t, c.fell, len(found.stored) == 1, c.reason)
		require.Equal(t, c.reads, len(found.read) == 1, c.reason)
		for _, f := range append(found.stored, found.read...) {
			require.Equal(t, c.kept, f.kept, c.reason)
		}
	}
}
