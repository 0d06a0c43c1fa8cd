package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// A checkOutput says whether a ledger, and a file of rules, are as they should be.
type checkOutput struct {
	OK           bool             `json:"ok"`
	Schema       string           `json:"schema,omitempty"`
	Segments     int64            `json:"segments"`
	Entries      int64            `json:"entries"`
	Damaged      []segment.Damage `json:"damaged"`
	SweepText    string           `json:"sweep_text,omitempty"`
	SweepOverdue bool             `json:"sweep_overdue"`
	Pending      int64            `json:"pending"`
	Rules        string           `json:"rules,omitempty"`
}

func checkCommand(a *app) *cobra.Command {
	var rules string
	var log bool
	cmd := &cobra.Command{
		GroupID: keep,
		Use:     "check",
		Short:   "Say whether the ledger is as it should be, or a file of rules",
		Long: `Check says whether the ledger's schema is of this version, its user has all rights, each
segment can be read, and a monitor looked at all segments within two hours. With --log it
reads the whole log, too. With --rules it reads a file of rules, as segment.ReadRules
does; without a DSN, that alone.

It exits with status 0 where all is as it should be, and else with 2.`,
		Example: `  segmentguard check
  segmentguard check --log
  segmentguard check --rules rules.json`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&rules, "rules", "", "read this file of rules, too; -: standard input")
	cmd.Flags().BoolVar(&log, "log", false, "read the whole log, too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := a.limited(cmd.Context())
		defer cancel()
		out := checkOutput{OK: true, Damaged: []segment.Damage{}}
		if rules != "" {
			out.Rules = a.checkRules(rules)
			out.OK = out.Rules == fine
		}
		if rules == "" || cmp.Or(a.dsn, a.env("SEGMENTGUARD_DSN")) != "" {
			if err := a.connect(ctx, false); err != nil {
				return err
			}
			if err := a.checkLedger(ctx, &out, log); err != nil {
				return err
			}
		}
		if !out.OK {
			a.status = unsure
		}
		if a.json {
			return a.out.json(out)
		}
		a.printCheck(&out, rules, log)
		return nil
	}
	return cmd
}

// fine is what is said of what is as it should be.
const fine = "fine"

func (a *app) checkRules(name string) string {
	file, err := a.open(name)
	if err == nil {
		_, err = segment.ReadRules(file)
		err = joined(err, file.Close())
	}
	if err != nil {
		return err.Error()
	}
	return fine
}

func (a *app) checkLedger(ctx context.Context, out *checkOutput, log bool) error {
	out.Schema = fine
	if err := a.ledger.Check(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		out.Schema, out.OK = hinted(err).Error(), false
		return nil // nothing else can be read
	}
	if err := a.checkSegments(ctx, out); err != nil {
		return err
	}
	if log {
		if err := a.checkLog(ctx, out); err != nil {
			return err
		}
	}
	sweeps, err := fleet.LastSweeps(ctx, a.ledger, a.now().UTC())
	out.SweepText, out.SweepOverdue = sweeps.Text, sweeps.Late
	out.OK = out.OK && !sweeps.Late && len(out.Damaged) == 0
	return err
}

func (a *app) checkSegments(ctx context.Context, out *checkOutput) error {
	var read atomic.Int64
	defer a.progress("Reading segments", read.Load)()
	for s, err := range a.ledger.Segments(ctx, segment.SegmentFilter{}) {
		if err != nil {
			return fmt.Errorf("reading the segments: %w", err)
		}
		out.Segments = read.Add(1)
		if s.Damaged != nil {
			out.Damaged = append(out.Damaged, *s.Damaged)
		}
		if s.Alert.Pending() && s.Alert.Muted == nil {
			out.Pending++
		}
	}
	return nil
}

// checkLog reads the log a day at a time: it may be long.
func (a *app) checkLog(ctx context.Context, out *checkOutput) error {
	var read atomic.Int64
	defer a.progress("Reading the log", read.Load)()
	for e, err := range a.ledger.Log(ctx, segment.LogFilter{}) {
		if err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		out.Entries = read.Add(1)
		if e.Damaged != nil {
			out.Damaged = append(out.Damaged, *e.Damaged)
		}
	}
	return nil
}

func (a *app) printCheck(out *checkOutput, rules string, log bool) {
	if rules != "" {
		a.out.printf("Rules of %s: %s\n", text.Visible(rules), a.toned(out.Rules, toneOf(out.Rules == fine)))
	}
	if out.Schema == "" {
		return
	}
	a.out.printf("Schema and rights: %s\n", a.toned(out.Schema, toneOf(out.Schema == fine)))
	if out.Schema != fine {
		return
	}
	read := text.Count(out.Segments, "segment")
	if log {
		read += ", " + text.Count(out.Entries, "entry of the log")
		if out.Entries != 1 {
			read = strings.Replace(read, "entry of the logs", "entries of the log", 1)
		}
	}
	a.out.printf("Read: %s; %s\n", read, a.toned(fmt.Sprintf("%d cannot be read", len(out.Damaged)), toneOf(len(out.Damaged) == 0)))
	for i := range out.Damaged {
		a.out.printf("  %s\n    %s\n", text.Visible(out.Damaged[i].Error()), repairOf(&out.Damaged[i]))
	}
	a.out.printf("%s\n", a.toned(out.SweepText, toneOf(!out.SweepOverdue)))
	a.out.printf("Alerts that people are yet to be told of: %s\n", text.Thousands(out.Pending))
}

func toneOf(ok bool) fleet.Tone {
	if ok {
		return fleet.Fine
	}
	return fleet.Bad
}

// repairOf returns the command that drops what cannot be read.
func repairOf(d *segment.Damage) string {
	if d.Table == "segmentguard_log" {
		return "segmentguard repair --why WHY --entry " + text.Shell(d.Row)
	}
	id, err := segment.ParseID(d.Row)
	if err != nil || id.IsZero() {
		line := "segmentguard repair --why WHY --row " + text.Shell(d.Row)
		if d.Store != "" {
			line += " --store " + text.Shell(d.Store)
		}
		return line
	}
	return commandAbout("repair --why WHY", id.In(d.Store))
}
