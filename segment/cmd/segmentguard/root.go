package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// Exit statuses.
const (
	well     = 0
	affected = 1
	unsure   = 2 // it could not tell, or did nothing
)

// An app is one run of the command.
type app struct {
	in       io.Reader
	out, err *printer
	env      func(string) string
	now      func() time.Time

	dsn     string
	others  []string // DSNs beside it
	json    bool
	timeout time.Duration
	status  int // to exit with, where there is no error

	db     *sql.DB
	ledger *sqlsegment.Ledger
}

// run runs the command, and returns its exit status.
func run(ctx context.Context, args []string, a *app) int {
	root := a.command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if a.db != nil {
		err = cmp.Or(err, a.db.Close())
	}
	if err == nil {
		err = a.out.err
	}
	if err != nil {
		a.err.printf("segmentguard: %s\n", text.Visible(a.redacted(said(err))))
		return unsure
	}
	return a.status
}

// said returns an error as people read it.
func said(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return err.Error() + " (it took longer than --timeout)"
	case errors.Is(err, context.Canceled):
		return err.Error() + " (interrupted)"
	}
	return err.Error()
}

// command returns the command with all its commands.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "segmentguard",
		Short: "Show what a ledger of segment sizes knows, and take decisions about it",
		Long: `Segmentguard shows what a ledger of segment sizes knows, and takes the decisions
of people on call. It finds the ledger by --dsn or SEGMENTGUARD_DSN:

  postgres://user@host/database       PostgreSQL; a password stands behind user:
  mysql://user@host/database          MySQL, MariaDB
  /var/lib/segments.db, file:seg.db   SQLite

The variable is the better place for a password: others see the arguments.

It exits with status 0 where all is well or done, 1 where segments are affected, and
2 where it could not tell, or did nothing.`,
		Example: `  segmentguard status
  segmentguard show site-b/cars
  segmentguard accept --why 'three vendors were merged' site-b/cars`,
		Version:       version(),
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetVersionTemplate("segmentguard {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return fmt.Errorf("%w; see %s -h", err, cmd.CommandPath()) })
	root.CompletionOptions.HiddenDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVar(&a.dsn, "dsn", "", "the ledger's database; none: SEGMENTGUARD_DSN")
	flags.BoolVar(&a.json, "json", false, "print one JSON object, for programs")
	flags.DurationVar(&a.timeout, "timeout", time.Minute, "give up after so long; 0: never")
	root.AddGroup(&cobra.Group{ID: ask, Title: "Ask:"}, &cobra.Group{ID: decide, Title: "Decide:"}, &cobra.Group{ID: keep, Title: "Keep:"})
	for _, add := range []func(*app) *cobra.Command{
		statusCommand, showCommand, logCommand, buildsCommand, progressCommand, diffCommand, reportCommand, serveCommand,
		acceptCommand, suspectCommand, falseAlarmCommand, muteCommand, unmuteCommand, resumeCommand,
		planCommand, runCommand, renameCommand, forgetCommand, importCommand, repairCommand,
		checkCommand, migrateCommand,
	} {
		cmd := add(a)
		cmd.Args = pointing(cmd.Args)
		root.AddCommand(cmd)
	}
	return root
}

// pointing adds where to read on to what is wrong with arguments.
func pointing(args cobra.PositionalArgs) cobra.PositionalArgs {
	if args == nil {
		return cobra.ArbitraryArgs
	}
	return func(cmd *cobra.Command, given []string) error {
		if err := args(cmd, given); err != nil {
			return fmt.Errorf("%w; see %s -h", err, cmd.CommandPath())
		}
		return nil
	}
}

// Groups of commands in the help.
const (
	ask    = "ask"
	decide = "decide"
	keep   = "keep"
)

// connected returns what a command runs once it has a ledger.
func (a *app) connected(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, cancel := a.limited(cmd.Context())
		defer cancel()
		if err := a.connect(ctx, false); err != nil {
			return err
		}
		return hinted(do(ctx, args))
	}
}

func (a *app) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if a.timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, a.timeout)
}

// hinted adds what to do about an error.
func hinted(err error) error {
	if errors.Is(err, segment.ErrNotReady) {
		return fmt.Errorf("%w (segmentguard check says more, segmentguard migrate makes tables)", err)
	}
	return err
}

// version returns the version of the module that was installed.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
