package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
)

func renameCommand(a *app) *cobra.Command {
	var which selection
	var d decision
	cmd := &cobra.Command{
		GroupID: decide,
		Use:     "rename FROM TO",
		Short:   "Give segments other names, as a store did: what is known of them goes along",
		Long: `Rename gives segments other names, as a store has given them: sizes, alerts, mutes and
decisions go along. The log of before stays under the old name. The file of --file has
both names on each line, with a tab between.`,
		Example: `  segmentguard rename --why 'they merged two catalogues' site-b/cars site-b/vehicles
  segmentguard rename --why 'new ids' --file names.tsv`,
		Args: cobra.MaximumNArgs(2),
	}
	which.addStore(cmd.Flags(), "in this store; none: the one that nobody named")
	cmd.Flags().StringVar(&which.file, "file", "", "the names in this file, FROM and TO on each line with a tab between; -: standard input")
	d.add(a, cmd.Flags())
	cmd.RunE = a.connected(func(ctx context.Context, args []string) error {
		names, err := a.renamings(&which, args)
		if err != nil {
			return err
		}
		return a.decide(ctx, &d, func(ctx context.Context, l segment.Ledger, made segment.Decision) ([]segment.Affected, error) {
			return nil, segment.Rename(ctx, l, names, made)
		})
	})
	return cmd
}

func (a *app) renamings(which *selection, args []string) (names []segment.Renaming, err error) {
	add := func(from, to string) error {
		was, errFrom := parseID(from)
		is, errTo := parseID(to)
		names = append(names, segment.Renaming{From: was.In(which.store), To: is.In(which.store)})
		return joined(errFrom, errTo)
	}
	switch {
	case which.file == "" && len(args) == 2:
		return names, add(args[0], args[1])
	case which.file == "" || len(args) > 0:
		return nil, errors.New("which names? FROM and TO, or --file")
	}
	err = a.lines(which.file, func(line string) error {
		from, to, found := strings.Cut(line, "\t")
		if !found {
			return errors.New("want FROM and TO with a tab between")
		}
		return add(from, to)
	})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%s names no segment", which.file)
	}
	return names, err
}
