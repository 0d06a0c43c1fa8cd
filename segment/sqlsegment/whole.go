package sqlsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// noLimit is how MySQL says that there is none.
const noLimit = " LIMIT 18446744073709551615"

// unlimited overrules MySQL's sql_select_limit, which would end a query early
// without a word.
func (d Dialect) unlimited() string {
	if d == MySQL {
		return noLimit
	}
	return ""
}

// settings overrule what would make ClickHouse answer for a part of the users
// without a word.
func (d Dialect) settings() string {
	if d != ClickHouse {
		return ""
	}
	return "\nSETTINGS skip_unavailable_shards = 0, distributed_group_by_no_merge = 0, read_overflow_mode = 'throw', timeout_overflow_mode = 'throw'," +
		" distinct_overflow_mode = 'throw', set_overflow_mode = 'throw', group_by_overflow_mode = 'throw'," +
		" join_overflow_mode = 'throw', sort_overflow_mode = 'throw', transfer_overflow_mode = 'throw'"
}

// partial are settings of the same kind that a query's own do not overrule, as
// they hold for its result, or that older versions do not know.
const partial = `SELECT name, value FROM system.settings
WHERE (name = 'result_overflow_mode' OR name LIKE '%overflow_mode_leaf') AND value != 'throw'
	OR name IN ('limit', 'offset') AND value != '0'
ORDER BY name LIMIT 1`

// whole refuses to measure where the answer might be for a part of the users.
func (d Dialect) whole(ctx context.Context, q Queryer) error {
	if d != ClickHouse {
		return nil
	}
	var name, value string
	err := q.QueryRowContext(ctx, partial).Scan(&name, &value)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("asking for settings: %w", err)
	}
	return badInput("the session's "+name, value, "its default, as it may end a query early without a word")
}
