package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
)

func resumeCommand(a *app) *cobra.Command {
	var d decision
	var kind string
	cmd := &cobra.Command{
		GroupID: decide,
		Use:     "resume BUILD --job-kind KIND",
		Short:   "Have guards admit the runs of a build again that they refuse",
		Long: `Resume has guards admit the runs of a build again that they refuse since it damaged too
many segments. They count anew from then on. Builds says which they refuse.`,
		Example: `  segmentguard resume --why 'the faults were the store' --job-kind copy 2024.11.3`,
		Args:    cobra.ExactArgs(1),
	}
	d.add(a, cmd.Flags())
	cmd.Flags().StringVar(&kind, "job-kind", "", "of jobs of this kind, such as copy")
	cmd.RunE = a.connected(func(ctx context.Context, args []string) error {
		refused, err := a.refusedBuilds(ctx)
		if err != nil {
			return err
		}
		if _, is := refused[buildKey{segment.JobKind(kind), args[0]}]; !is {
			return fmt.Errorf("guards do not refuse build %q of jobs of kind %q; segmentguard builds says which", args[0], kind)
		}
		return a.decide(ctx, &d, func(ctx context.Context, l segment.Ledger, made segment.Decision) ([]segment.Affected, error) {
			return nil, segment.Resume(ctx, l, segment.JobKind(kind), args[0], made)
		})
	})
	return cmd
}
