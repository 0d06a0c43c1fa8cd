package alertmanagertest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/validate"
)

const stormProcesses = 8

// stormWaits leave a busy Alertmanager time to look at the groups of so many segments.
func stormWaits(segments int) enginetest.Waits {
	if segments > 1_000 {
		return enginetest.Waits{Group: 20 * time.Second, Interval: 10 * time.Second}
	}
	return enginetest.Waits{Group: 5 * time.Second, Interval: 2 * time.Second}
}

// stormChild has its share of the segments fail, or be repaired, each time that it
// is told to: "fail 0 5000", or "repair 0 2500".
func stormChild(c *enginetest.Child) error {
	db, ledger, err := c.Open()
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(8)
	segments, err := strconv.Atoi(c.Args[1])
	if err != nil {
		return err
	}
	f, err := newCommand(ledger, c.Args[0], stormWaits(segments))
	if err != nil {
		return err
	}
	process, err := strconv.Atoi(c.Args[2])
	for err == nil {
		var order string
		if order, err = c.Listen(); err == nil {
			err = errors.Join(f.storm(order, process), c.Say("done"))
		}
	}
	return err
}

func (c *command) storm(order string, process int) error {
	var what string
	var from, to int
	if _, err := fmt.Sscan(order, &what, &from, &to); err != nil {
		return err
	}
	if what == "repair" {
		c.build = "2"
	}
	var group errgroup.Group
	group.SetLimit(16)
	for i := from + process; i < to; i += stormProcesses {
		group.Go(func() error {
			if what == "repair" {
				return c.run(context.Background(), i, 20_000)
			}
			err := c.run(context.Background(), i, 10_000)
			if verdict, ok := errors.AsType[*validate.Error](err); !ok || verdict.Error() != err.Error() {
				return fmt.Errorf("%s: %w", commanded(i), err)
			}
			return nil
		})
	}
	return group.Wait()
}

// A thousand guards in eight processes find their segments capped within minutes, or as
// many as SEGMENTGUARD_STORM says. People hear of it a few times, and as often that it
// is over; nobody is told that a segment is well which is not.
func TestStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand runs, twice")
	}
	segments := 1_000
	if text := os.Getenv("SEGMENTGUARD_STORM"); text != "" {
		var err error
		segments, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	waits := stormWaits(segments)
	at := enginetest.StartAlertmanager(t, waits)
	d := enginetest.PostgreSQL.New(t)
	ledger := d.History(t)
	var all []*enginetest.Process
	for i := range stormProcesses {
		all = append(all, d.Start(t, "storm", at.URL, strconv.Itoa(segments), strconv.Itoa(i)))
	}
	together := func(order string) {
		t.Helper()
		start := time.Now()
		for _, p := range all {
			p.Say(t, order)
		}
		for _, p := range all {
			p.Expect(t, "done")
		}
		t.Logf("%s: %s", order, time.Since(start))
	}
	open := func(from int) { // the first ones are well
		t.Helper()
		alerts, err := at.Open(t.Context(), `alertname="SegmentAffected"`)
		require.NoError(t, err)
		left := map[string]int{}
		for _, x := range alerts {
			left[x.Labels["segment"]]++
		}
		for i := range segments {
			id := commanded(i)
			if n := left[id.String()]; (i >= from) != (n == 1) || n > 1 {
				for s, err := range ledger.Segments(t.Context(), segment.SegmentFilter{Segment: id}) {
					require.NoError(t, err)
					t.Errorf("%s has %d alerts; the ledger says %+v of run %+v", id, n, s.Alert, s.Last)
				}
			}
		}
		require.False(t, t.Failed())
	}
	f, err := newCommand(ledger, at.URL, waits)
	require.NoError(t, err)
	f.total = segments
	sweep := func(ahead time.Duration) { // tells what a guard did not have the time for
		t.Helper()
		f.ahead = ahead
		sweep, err := f.sweep(t.Context(), 0)
		require.NoError(t, err)
		require.True(t, sweep.Complete)
	}

	together(fmt.Sprint("fail 0 ", segments))
	sweep(5 * time.Minute)
	open(0)
	first := rung(t, at)
	told := len(first)
	require.Positive(t, told)
	require.LessOrEqual(t, told, 10, first)

	together(fmt.Sprint("repair 0 ", segments/2))
	sweep(10 * time.Minute)
	open(segments / 2)
	require.Len(t, rung(t, at), told, "the incident stands for the others")
	together(fmt.Sprint("repair ", segments/2, " ", segments))
	sweep(15 * time.Minute)
	open(segments)
	require.Len(t, rung(t, at), told, "and a day longer than the last of them")

	sweep(25 * time.Hour)
	texts := rung(t, at)
	require.Len(t, texts, 2*told)
	for i := range told {
		require.Contains(t, texts, strings.Replace(texts[i], "firing", "resolved", 1))
	}
	t.Logf("%d notifications that fire, as many that it is over: %s", told, strings.Join(texts, "; "))
}

// rung waits until whatever is to ring has rung, and returns what Alertmanager sent.
func rung(t *testing.T, at *enginetest.Alertmanager) (texts []string) {
	t.Helper()
	sentinel(t, at, fmt.Sprint("number ", len(at.Notified())))
	for _, n := range at.Notified() {
		if n.Alerts[0].Labels["site_group"] != "sentinel" {
			texts = append(texts, n.String())
		}
	}
	return texts
}
