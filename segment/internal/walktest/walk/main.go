// Command walk makes one call into the library and writes which code it entered,
// as coverage counters, to the folder that is its second argument. The first is
// the call: commit, reject or sweep.
package main

import (
	"context"
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

// walk prepares a segment with a month of sizes, and counts what one call enters.
func walk(ctx context.Context, call, folder string) error {
	id := segment.ID{SiteGroup: "site-b", Name: "cars"}
	ledger := segment.NewMemory()
	alerter := segment.LogAlerter(slog.New(slog.DiscardHandler))
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger, Alerter: alerter})
	if err != nil {
		return err
	}
	monitor, err := segment.NewMonitor(segment.MonitorConfig{Ledger: ledger, Alerter: alerter})
	if err != nil {
		return err
	}
	for day := range 30 {
		if err := ledger.Record(ctx, segment.Record{
			Segment: id, RunID: fmt.Sprint("day ", day), State: segment.RunCommitted, Users: 1000,
			At: time.Now().AddDate(0, 0, day-30),
		}); err != nil {
			return err
		}
	}
	run := segment.Run{
		ID: "tonight", Job: segment.Copy(id, segment.ID{SiteGroup: "site-a", Name: "cars"}),
		Expected: validate.Count(1000), Read: validate.Count(1000),
		Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(1000), nil },
		Staging: segment.Staging{Commit: func(context.Context) error { return nil }, Discard: func(context.Context) error { return nil }},
	}
	if call == "reject" {
		run.Stored = func(context.Context) (validate.Summary, error) { return validate.Count(900), nil }
	}
	if err := coverage.ClearCounters(); err != nil {
		return err
	}
	switch call {
	case "commit":
		_, err = guard.Commit(ctx, run)
	case "reject":
		if _, err = guard.Commit(ctx, run); err != nil {
			err = nil
		}
	case "sweep":
		var s segment.Sweep
		s, err = monitor.Sweep(ctx, sizes(segment.CurrentSize{Segment: id, Stored: validate.Count(1000)}))
		if s.Healthy != 1 {
			return fmt.Errorf("the segment is not healthy: %v, %w", s, err)
		}
	default:
		return fmt.Errorf("no such call: %s", call)
	}
	if err != nil {
		return err
	}
	if err := coverage.WriteMetaDir(folder); err != nil {
		return err
	}
	return coverage.WriteCountersDir(folder)
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
