package enginetest_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestStoreThatKeepsAUserOnce: of a source with repeats, a store that keeps each
// user once is asked for the users in question alone, on every engine and by every
// method, and the verdict is exact.
func TestStoreThatKeepsAUserOnce(t *testing.T) {
	ids := make([]string, 40_000)
	for i := range ids {
		ids[i] = fmt.Sprint("user-", i)
	}
	for _, engine := range []enginetest.Engine{enginetest.PostgreSQL, enginetest.SQLite, enginetest.MariaDB, enginetest.ClickHouse} {
		t.Run(engine.Name, func(t *testing.T) {
			d := engine.New(t)
			db := d.Open(t)
			create(t, d, db, "source", slices.Concat(ids, ids[:100]))
			create(t, d, db, "whole", ids)
			create(t, d, db, "short", ids[40:])
			for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable, sqlsegment.Stream} {
				source := summarize(t, d, db, m, "SELECT id FROM source")
				_, err := validate.Check(t.Context(), validate.Policy{Distinct: true}, validate.Output{
					Expected: source, Stored: summarize(t, d, db, m, "SELECT id FROM whole"),
				})
				require.NoError(t, err, "nothing is lost")
				_, err = validate.Check(t.Context(), validate.Policy{Distinct: true}, validate.Output{
					Expected: source, Stored: summarize(t, d, db, m, "SELECT id FROM short"),
				})
				require.ErrorIs(t, err, validate.Short)
				require.ErrorContains(t, err, "39,960 of 40,000")
			}
		})
	}
}
