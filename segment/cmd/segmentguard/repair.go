package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
)

// A repair is what to repair.
type repair struct {
	selection
	decision

	entry, row string
}

func repairCommand(a *app) *cobra.Command {
	var r repair
	cmd := &cobra.Command{
		GroupID: decide,
		Use:     "repair SEGMENT...",
		Short:   "Drop what cannot be read of segments, and keep the rest",
		Long: `Repair drops what cannot be read of segments, and keeps the rest: they are judged by what
is left. With --entry it drops an entry of the log that cannot be read, with --row a
segment whose very name cannot be read; check lists both.`,
		Example: `  segmentguard repair --why 'the disk was full' site-b/cars
  segmentguard repair --why 'the disk was full' --entry 4711`,
	}
	flags := cmd.Flags()
	r.selection.add(flags)
	r.decision.add(a, flags)
	flags.StringVar(&r.entry, "entry", "", "the entry of the log with this number")
	flags.StringVar(&r.row, "row", "", "the segment's row that is called so, which is no name")
	cmd.RunE = a.connected(func(ctx context.Context, args []string) error {
		if r.entry != "" || r.row != "" {
			if r.ways(args) > 0 || r.entry != "" && r.row != "" {
				return errors.New("what is to be repaired? name segments, or one of --entry and --row")
			}
			return a.dropRow(ctx, &r)
		}
		keys, err := a.damagedOf(ctx, &r.selection, args)
		if err != nil {
			return err
		}
		return a.decide(ctx, &r.decision, func(ctx context.Context, l segment.Ledger, made segment.Decision) (none []segment.Affected, err error) {
			for _, key := range keys {
				err = joined(err, segment.Repair(ctx, l, key, made))
			}
			return none, err
		})
	})
	return cmd
}

// damagedOf returns the segments that were named, or those of a site group that are
// damaged.
func (a *app) damagedOf(ctx context.Context, which *selection, args []string) (keys []segment.Key, err error) {
	if which.group == "" || which.ways(args) != 1 {
		return which.keys(ctx, a, args, segment.SegmentFilter{})
	}
	for s, err := range a.ledger.Segments(ctx, segment.SegmentFilter{SiteGroup: which.group, Store: which.stores()}) {
		if err != nil {
			return nil, err
		}
		if s.Damaged != nil && !s.Segment.IsZero() {
			keys = append(keys, s.Key())
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("nothing of site group " + which.group + " is damaged")
	}
	return keys, nil
}

// dropRow drops a row as a whole: nobody knows whose it is.
func (a *app) dropRow(ctx context.Context, r *repair) error {
	damage := segment.Damage{Table: "segmentguard_segments", Row: r.row, Store: r.store}
	if r.entry != "" {
		damage = segment.Damage{Table: "segmentguard_log", Row: r.entry}
	}
	return a.decide(ctx, &r.decision, func(ctx context.Context, l segment.Ledger, made segment.Decision) ([]segment.Affected, error) {
		if p, dry := l.(*preview); dry {
			what := "row " + damage.Row + " of " + damage.Table + " is dropped, if it cannot be read"
			p.changes[segment.Key{Store: damage.Store}] = change{Store: damage.Store, What: []string{what}}
			return nil, nil
		}
		return nil, a.ledger.Drop(ctx, damage, made)
	})
}
