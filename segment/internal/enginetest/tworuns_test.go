package enginetest_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// levels returns the levels of isolation at which jobs write on an engine.
func levels(d sqlsegment.Dialect) map[string]sql.IsolationLevel {
	switch d { //nolint:exhaustive // PostgreSQL is left
	case sqlsegment.SQLite:
		return map[string]sql.IsolationLevel{"": sql.LevelDefault}
	case sqlsegment.MySQL:
		return map[string]sql.IsolationLevel{"read committed": sql.LevelReadCommitted, "repeatable read": sql.LevelRepeatableRead}
	}
	return map[string]sql.IsolationLevel{"read committed": sql.LevelReadCommitted, "repeatable read": sql.LevelRepeatableRead, "serializable": sql.LevelSerializable}
}

// allOrders asks for the orders with any number of changes from one run to the other.
const allOrders = "SEGMENTGUARD_ORDERS"

// orders returns orders in which the steps of two runs, a and b, are taken; a begins
// first. Without allOrders: those that change up to three times, as a to one of its
// steps, b to one of its own, a again.
func orders() (all []string) {
	most := 3
	if os.Getenv(allOrders) != "" {
		most = len(steps) * 2
	}
	var add func(order string, a, b, changes int)
	add = func(order string, a, b, changes int) {
		if a == 0 && b == 0 {
			all = append(all, order)
		}
		for who, left := range []int{a, b} {
			name, changed := "ab"[who:who+1], changes
			if !strings.HasSuffix(order, name) {
				changed++
			}
			if left > 0 && changed <= most {
				add(order+name, a-1+who, b-who, changed)
			}
		}
	}
	add("a", len(steps)-1, len(steps), 0)
	return all
}

// TestTwoRuns: two runs of one segment meet on real engines, staged, in the job's own
// transaction at each level of isolation, and one of each, their steps in many orders.
// The table of live users has no key, so that nothing but the guard keeps the users of
// both apart, and each second time it is empty at first, so that none of its rows is
// in the way of the second run. What both would bring is right: at least one goes
// live, nobody is told, and what is live is of one run: of those that returned nil, the
// one that began last. An hour of it tries all orders:
//
//	SEGMENTGUARD_ORDERS=all go test -timeout 3h -run TestTwoRuns$ ./segment/internal/enginetest
func TestTwoRuns(t *testing.T) {
	var races sync.WaitGroup // most of their time they wait
	defer races.Wait()
	for _, e := range enginetest.Engines() {
		for name, level := range levels(e.Dialect) {
			for _, ways := range [][2]string{{"staged", "staged"}, {"inside", "inside"}, {"staged", "inside"}, {"inside", "staged"}} {
				if ways == [2]string{"staged", "staged"} && level > sql.LevelReadCommitted { // the guard's own transactions are as they are
					continue
				}
				races.Go(func() {
					t.Run(strings.Join([]string{e.Name, name, ways[0], ways[1]}, " "), func(t *testing.T) {
						p := newMarked(t, newPlatform(t, e.New(t)))
						for i, order := range orders() {
							require.NoError(t, twoRuns(t.Context(), p, ways, level, order, 2*i), "order %s", order)
							execute(t, p.db, "DELETE FROM live")
							require.NoError(t, twoRuns(t.Context(), p, ways, level, order, 2*i+1), "order %s, into an empty store", order)
						}
					})
				})
			}
		}
	}
}

// twoRuns takes the steps of two runs in an order. A step that a run cannot take
// before the other one goes on is left out; in the end both go on as they can.
func twoRuns(ctx context.Context, p *platform, ways [2]string, level sql.IsolationLevel, order string, n int) error {
	var alerts bytes.Buffer
	tells := into(&alerts)
	var racers [2]*racer
	for i, way := range ways {
		r, err := newRacer(p, fmt.Sprintf("%d%c", n, 'a'+i), way, level, tells)
		if err != nil {
			return err
		}
		racers[i] = r
		r.start(ctx)
		r.arrive(ctx, r, func(context.Context) int { return 0 })
	}
	blocked := 0
	waiting := func(ctx context.Context) int { return p.waiting(ctx) - blocked }
	for _, who := range order {
		me, other := racers[who-'a'], racers['b'-who]
		if blocked = 0; !other.standing && !other.ended {
			blocked = p.waiting(ctx)
		}
		me.step(ctx, other, waiting)
	}
	racers[0].release()
	racers[1].release()
	for _, r := range racers {
		r.finish()
	}
	return judgeTwo(ctx, p, racers, alerts.String())
}

func judgeTwo(ctx context.Context, p *platform, racers [2]*racer, alerts string) error {
	told := fmt.Sprintf("a: %v, b: %v", racers[0].err, racers[1].err)
	last, number := "", int64(0)
	for _, r := range racers {
		switch {
		case r.err == nil && r.number > number: // b, but where the machine was slow when a began
			last, number = r.id, r.number
		case r.err == nil:
		case !errors.Is(r.err, segment.ErrOvertaken) && !errors.Is(r.err, segment.ErrSuperseded):
			return fmt.Errorf("neither overtaken nor superseded: %s", told)
		}
	}
	marks, users, err := marks(ctx, p.db)
	live, errLive := p.ledgerLive(ctx)
	switch {
	case err != nil || errLive != nil:
		return errors.Join(err, errLive)
	case last == "":
		return fmt.Errorf("none of two healthy runs went live: %s", told)
	case !slices.Equal(marks, []string{last}) || users != 50:
		return fmt.Errorf("%d users of %s are live, want 50 of %s: %s", users, marks, last, told)
	case live != users:
		return fmt.Errorf("the ledger says that %d are live, the store has %d: %s", live, users, told)
	case alerts != "":
		return fmt.Errorf("people are told, though all is well: %s: %s", told, alerts)
	}
	return nil
}
