package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
)

func suspectCommand(a *app) *cobra.Command {
	var which selection
	var d decision
	var chosen segment.Selection
	cmd := &cobra.Command{
		GroupID: decide,
		Use:     "suspect SEGMENT...",
		Short:   "Take sizes out of the history, though they passed",
		Long: `Suspect takes sizes out of the history that were wrong, though they passed: that of a
run, or all of a span of time. Later ones are not judged by them any more. The segments
that had one are printed: they are to be run again.`,
		Example: `  segmentguard suspect --why 'the source was being moved' --run 2024-03-08 site-b/boats
  segmentguard suspect --why 'the bug of build 7' --from 2024-03-01 --until 2024-03-08 --group site-b`,
	}
	flags := cmd.Flags()
	which.add(flags)
	d.add(a, flags)
	flags.StringVar(&chosen.RunID, "run", "", "the size of this run")
	momentFlag(a, flags, &chosen.From, "from", "the sizes from this time on")
	momentFlag(a, flags, &chosen.Until, "until", "the sizes up to before this time; none: up to now")
	cmd.RunE = a.connected(func(ctx context.Context, args []string) error {
		selected, err := which.choose(ctx, a, args, segment.SegmentFilter{})
		if err != nil {
			return err
		}
		selected.RunID, selected.From, selected.Until = chosen.RunID, chosen.From, chosen.Until
		if !chosen.From.IsZero() && chosen.Until.IsZero() {
			selected.Until = a.now().UTC()
		}
		return a.decide(ctx, &d, func(ctx context.Context, l segment.Ledger, made segment.Decision) ([]segment.Affected, error) {
			return segment.Suspect(ctx, l, selected, made)
		})
	})
	return cmd
}
