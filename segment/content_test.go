package segment_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A copy that asks its source for its own count, digests what it reads and reads
// back what it staged: the failure says where users were lost, and which.
func TestGuardSaysWhereUsersWereLost(t *testing.T) {
	source := make([]string, 30_000)
	for i := range source {
		source[i] = fmt.Sprintf("user %d", i)
	}
	for _, test := range []struct {
		name         string
		read, stored []string
		says         string
	}{
		{"nowhere", source, source, ""},
		{"reading", source[:10_000], source[:10_000], "site-b/cars: stored 10,000 of 30,000 users (66.7% short, 0 allowed), lost while reading: capped at 10,000, a known limit (Elasticsearch index.max_result_window, …)"},
		{"storing", source, source[:10_000], "site-b/cars: stored 10,000 of 30,000 users (66.7% short, 0 allowed), lost while storing: exactly the first 10,000 of 30,000 users; capped at 10,000, a known limit (Elasticsearch index.max_result_window, …)"},
		{"storing a page", source, slices.Concat(source[:4000], source[5000:]), "site-b/cars: stored 29,000 of 30,000 users (3.3% short, 0 allowed), lost while storing: users 4,001–5,000 of the source are missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			history := segment.NewMemory()
			guard, err := segment.NewGuard(segment.GuardConfig{Ledger: history, Alerter: quiet})
			require.NoError(t, err)
			var read validate.Digest
			read.AddStrings(test.read)
			live := false
			report, err := guard.Commit(t.Context(), segment.Run{
				ID: "r", Job: segment.Copy(to, from),
				Expected: validate.Count(int64(len(source))),
				Read:     read.Summary(),
				Stored: func(context.Context) (validate.Summary, error) {
					var stored validate.Digest
					stored.AddStrings(test.stored)
					return stored.Summary(), nil
				},
				Staging: segment.Staging{Commit: func(context.Context) error { live = true; return nil }},
			})
			require.Equal(t, test.says == "", live)
			if test.says == "" {
				require.NoError(t, err)
				require.Equal(t, report.Read.Fingerprint(), report.Stored.Fingerprint())
				return
			}
			require.EqualError(t, err, test.says)
			require.False(t, segment.Retryable(err))
		})
	}
}
