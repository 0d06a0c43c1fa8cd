package main

import (
	"github.com/spf13/cobra"
)

// A migrateOutput says that the ledger is ready.
type migrateOutput struct {
	Ready bool `json:"ready"`
}

func migrateCommand(a *app) *cobra.Command {
	return &cobra.Command{
		GroupID: keep,
		Use:     "migrate",
		Short:   "Make the ledger's tables, or bring those of an earlier version to this one",
		Long: `Migrate makes the ledger's tables, and brings those of earlier versions to this one with
all that they hold. Programs with an earlier version of the library fail from then on:
stop them first. It can run again. An SQLite file that is not there is made.`,
		Example: `  segmentguard migrate
  segmentguard migrate --dsn segments.db`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.connect(cmd.Context(), true); err != nil {
				return err
			}
			if err := a.ledger.Migrate(cmd.Context()); err != nil { // however long it takes
				return err
			}
			if err := a.ledger.Check(cmd.Context()); err != nil {
				return err
			}
			if a.json {
				return a.out.json(migrateOutput{true})
			}
			a.out.printf("The ledger is ready.\n")
			return nil
		},
	}
}
