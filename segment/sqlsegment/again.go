package sqlsegment

import (
	"context"
	"errors"
	"strings"
)

// tries is how often a transaction of our own is begun: somebody else's may
// stand in its way in such an order that one of the two has to give way.
const tries = 5

// again does something again as long as the database says that only a lock, or
// the order of transactions, was against it. Nothing of it was kept then.
func again(ctx context.Context, do func() error) (err error) {
	for range tries {
		if err = do(); !conflict(err) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// conflict knows the errors without the drivers that make them: PostgreSQL's
// tell their SQLSTATE, MySQL's begin with their number. A text that only looks
// like one of those costs a few tries: whatever went wrong, it was rolled back.
func conflict(err error) bool {
	if err == nil {
		return false
	}
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState() == "40001" || state.SQLState() == "40P01"
	}
	text := err.Error()
	return strings.Contains(text, "Error 1213") || // deadlock
		strings.Contains(text, "Error 1205") // waited too long for a lock
}
