package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
)

func falseAlarmCommand(a *app) *cobra.Command {
	var which selection
	var d decision
	cmd := &cobra.Command{
		GroupID: decide,
		Use:     "false-alarm SEGMENT...",
		Short:   "Say that nothing was wrong",
		Long: `False-alarm ends alerts of which somebody found that nothing was wrong, and says so in
the log, where the rules' authors look. No size becomes right by it: see accept. What was
discarded is printed: it is to be run again.`,
		Example: `  segmentguard false-alarm --why 'the counter was behind' site-b/cars
  segmentguard false-alarm --why 'the monitor listed the wrong store' --group site-b`,
	}
	which.add(cmd.Flags())
	d.add(a, cmd.Flags())
	cmd.RunE = a.connected(func(ctx context.Context, args []string) error {
		keys, err := which.keys(ctx, a, args, segment.SegmentFilter{Affected: true})
		if err != nil {
			return err
		}
		return a.decide(ctx, &d, func(ctx context.Context, l segment.Ledger, made segment.Decision) ([]segment.Affected, error) {
			return falseAlarms(ctx, l, keys, made)
		})
	})
	return cmd
}

// falseAlarms ends the alerts of segments, and returns those whose output was discarded.
func falseAlarms(ctx context.Context, l segment.Ledger, keys []segment.Key, d segment.Decision) (rerun []segment.Affected, err error) {
	for _, key := range keys {
		state, failed := l.State(ctx, key)
		if failed == nil {
			failed = segment.FalseAlarm(ctx, l, key, d)
		}
		switch open := state.Alert.Open; {
		case failed != nil && ctx.Err() != nil:
			return rerun, failed
		case failed != nil:
			err = joined(err, failed)
		case open.Protected() && open.RunID != "":
			rerun = append(rerun, segment.Affected{Segment: key.Segment, Users: open.Users})
		}
	}
	slices.SortFunc(rerun, func(a, b segment.Affected) int { return a.Segment.Compare(b.Segment) })
	return slices.CompactFunc(rerun, func(a, b segment.Affected) bool { return a.Segment == b.Segment }), err
}

// joined keeps errors on one line.
func joined(errs ...error) (all error) {
	for _, err := range errs {
		switch {
		case err == nil:
		case all == nil:
			all = err
		default:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}
