package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
)

func forgetCommand(a *app) *cobra.Command {
	var which selection
	var d decision
	cmd := &cobra.Command{
		GroupID: decide,
		Use:     "forget SEGMENT...",
		Short:   "Drop what is known of segments that were deleted on purpose",
		Long: `Forget drops what is known of segments that were deleted on purpose, or of all of a site
group that left, and ends their alerts. Their log stays. A segment that a store lists
still is watched anew.`,
		Example: `  segmentguard forget --why 'the campaign is over' site-b/easter
  segmentguard forget --why 'the customer left' --group site-b`,
	}
	which.add(cmd.Flags())
	d.add(a, cmd.Flags())
	cmd.RunE = a.connected(func(ctx context.Context, args []string) error {
		selected, err := which.choose(ctx, a, args, segment.SegmentFilter{})
		if err != nil {
			return err
		}
		return a.decide(ctx, &d, func(ctx context.Context, l segment.Ledger, made segment.Decision) ([]segment.Affected, error) {
			return nil, forget(ctx, l, selected, made)
		})
	})
	return cmd
}

// forget refuses what nothing is known of: a misspelled name must not read as done.
func forget(ctx context.Context, l segment.Ledger, which segment.Selection, d segment.Decision) error {
	known := which
	known.Keys = nil
	var unknown error
	for _, key := range which.Keys {
		state, err := l.State(ctx, key)
		switch {
		case err != nil:
			return err
		case state.IsZero():
			unknown = joined(unknown, nothingKnown(key))
		default:
			known.Keys = append(known.Keys, key)
		}
	}
	if len(known.Keys) == 0 && known.SiteGroup == "" {
		return unknown
	}
	return joined(unknown, segment.Forget(ctx, l, known, d))
}
