package sqlsegment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
)

// askFor bounds the questions of who is in the way.
const askFor = 2 * time.Second

// waited adds to an error of what waited too long what it waited for: a connection
// of the pool, or whoever holds the commit row of a segment, of keyColumns; nil: no segment's.
func (l *Ledger) waited(ctx context.Context, key []any, err error) error {
	if err != nil && l.dialect.unfit(err) {
		return notReady{err}
	}
	if err == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) && !l.dialect.busy(err) {
		return err
	}
	var reasons []string
	if used, limit, all := exhausted(l.pool); all {
		reasons = append(reasons, fmt.Sprintf("%d of %d connections are in use; give the ledger a pool of its own", used, limit))
	} else if key != nil {
		ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), askFor)
		defer cancel()
		if holder := l.dialect.holder(ask, l.pool, key); holder != "" {
			reasons = append(reasons, holder)
		}
	}
	if l.dialect.oneWriter() && len(reasons) == 0 {
		reasons = append(reasons, "another transaction writes into the file; if it is the job's own, record in it (Ledger.Staging), or give the ledger a file of its own")
	}
	if len(reasons) == 0 {
		return err
	}
	return fmt.Errorf("%w: %w: %s", segment.ErrBusy, err, strings.Join(reasons, "; "))
}

// A notReady error is segment.ErrNotReady, too.
type notReady struct{ error }

func (e notReady) Is(target error) bool { return target == segment.ErrNotReady }

func (e notReady) Unwrap() error { return e.error }

// ask returns the one answer to a question, "" if there is none or it may not be
// asked.
func ask(ctx context.Context, s Conn, query string, args ...any) (answer string) {
	_ = each(ctx, s, query, args, func(scan scanner) error { return scan(&answer) })
	return answer
}
