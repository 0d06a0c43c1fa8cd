// Command walk makes one call into the library and writes which code it entered,
// as coverage counters, to the folder that is its second argument. The first is
// the call: commit, reject or sweep.
package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"runtime/coverage"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: walk commit|reject|sweep FOLDER")
		os.Exit(2)
	}
	if err := walk(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var (
	cars    = segment.ID{SiteGroup: "site-b", Name: "cars"}
	alerter = segment.LogAlerter(slog.New(slog.DiscardHandler))
)

// walk counts what one call enters on a segment with a month of sizes.
func walk(ctx context.Context, call, folder string) error {
	ledger, err := newLedger(ctx)
	if err != nil {
		return err
	}
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger, Alerter: alerter})
	if err != nil {
		return err
	}
	monitor, err := segment.NewMonitor(segment.MonitorConfig{Ledger: ledger, Alerter: alerter})
	if err != nil {
		return err
	}
	if err := coverage.ClearCounters(); err != nil {
		return err
	}
	switch call {
	case "commit":
		if _, err := guard.Commit(ctx, newRun(1000)); err != nil {
			return err
		}
	case "reject":
		if _, err := guard.Commit(ctx, newRun(900)); err == nil {
			return errors.New("the run passed")
		}
	case "sweep":
		s, err := monitor.Sweep(ctx, sizes(segment.CurrentSize{Segment: cars, Stored: validate.Count(1000)}))
		if err != nil || s.Healthy != 1 {
			return fmt.Errorf("the segment is not healthy: %v, %w", s, err)
		}
	default:
		return fmt.Errorf("no such call: %s", call)
	}
	if err := coverage.WriteMetaDir(folder); err != nil {
		return err
	}
	return coverage.WriteCountersDir(folder)
}

func newLedger(ctx context.Context) (*segment.Memory, error) {
	ledger := segment.NewMemory()
	for day := range 30 {
		if err := ledger.Record(ctx, segment.Record{
			Segment: cars, RunID: fmt.Sprint("day ", day), State: segment.RunCommitted, Users: 1000,
			At: time.Now().AddDate(0, 0, day-30),
		}); err != nil {
			return nil, err
		}
	}
	return ledger, nil
}

// newRun returns a run that was to store 1,000 users, and stored so many.
func newRun(stored int64) segment.Run {
	nothing := func(context.Context) error { return nil }
	return segment.Run{
		ID: "tonight", Job: segment.Copy(cars, segment.ID{SiteGroup: "site-a", Name: "cars"}),
		Expected: validate.Count(1000), Read: validate.Count(1000),
		Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(stored), nil },
		Staging: segment.Staging{Commit: nothing, Discard: nothing},
	}
}

func sizes(all ...segment.CurrentSize) iter.Seq2[segment.CurrentSize, error] {
	return func(yield func(segment.CurrentSize, error) bool) {
		for _, s := range all {
			if !yield(s, nil) {
				return
			}
		}
	}
}
