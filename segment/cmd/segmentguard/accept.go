package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// An acceptance is which sizes are right.
type acceptance struct {
	selection
	decision

	excuse validate.Excuse
	run    string
}

func acceptCommand(a *app) *cobra.Command {
	var c acceptance
	cmd := &cobra.Command{
		GroupID: decide,
		Use:     "accept SEGMENT...",
		Short:   "Say that sizes are right: those there are, or a range of them for a while",
		Long: `Accept says that the sizes that open alerts are about are right, for good: later ones are
judged by them too, and the alerts end. With --run it is the size of that run.

With a range and --until it says, before or after the fact, that sizes are right which
are off the history and within it, until then: as when a customer leaves. The history
goes on without them, or begins anew with the first of them, with --for-good. A range
excuses nothing else: not users that are missing by the count of the source.

What was discarded meanwhile is printed: it is to be run again.`,
		Example: `  segmentguard accept --why 'three vendors were merged' site-b/cars
  segmentguard accept --why 'checked with the customer' --group site-b
  segmentguard accept --why 'a vendor leaves' --low-share 0.4 --high-share 0.6 --until +3d --for-good site-b/cars
  segmentguard accept --why 'closed over Easter' --empty --from 2024-03-29 --until 2024-04-02 --file closed.txt
  segmentguard accept --why 'as announced' --low 900000 --high 1100000 --until +1d --dry-run site-b/cars`,
	}
	c.add(a, cmd)
	cmd.RunE = a.connected(func(ctx context.Context, args []string) error { return a.accept(ctx, &c, args) })
	return cmd
}

func (c *acceptance) add(a *app, cmd *cobra.Command) {
	flags, e := cmd.Flags(), &c.excuse
	c.selection.add(flags)
	c.decision.add(a, flags)
	flags.StringVar(&c.run, "run", "", "the size of this run; none: those that the open alerts are about")
	flags.Int64Var(&e.Low, "low", 0, "at least so many users are right for a while")
	flags.Int64Var(&e.High, "high", 0, "and at most so many")
	flags.Float64Var(&e.LowShare, "low-share", 0, "at least this share of the last size is right for a while, such as 0.4")
	flags.Float64Var(&e.HighShare, "high-share", 0, "and at most this share")
	flags.BoolVar(&e.Empty, "empty", false, "no users at all are right for a while, too")
	momentFlag(a, flags, &e.From, "from", "from this time on; none: from now on")
	momentFlag(a, flags, &e.Until, "until", "up to before this time, such as 2024-03-21 or +3d; 31 days at most")
	flags.BoolVar(&e.ForGood, "for-good", false, "the first size in the range is a new level")
}

func (a *app) accept(ctx context.Context, c *acceptance, args []string) error {
	e := c.excuse
	planned := e != validate.Excuse{}
	which, err := c.choose(ctx, a, args, segment.SegmentFilter{Affected: !planned})
	if err != nil {
		return err
	}
	which.RunID = c.run
	switch {
	case !planned:
		return a.decide(ctx, &c.decision, func(ctx context.Context, l segment.Ledger, made segment.Decision) ([]segment.Affected, error) {
			return segment.Accept(ctx, l, which, made)
		})
	case e.Until.IsZero():
		return errors.New("until when is the range right? say so by --until")
	case e.From.IsZero():
		e.From = a.now().UTC()
	}
	return a.decide(ctx, &c.decision, func(ctx context.Context, l segment.Ledger, made segment.Decision) ([]segment.Affected, error) {
		return segment.AcceptWithin(ctx, l, which, e, made)
	})
}
