package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

// A planOutput is a plan of reruns.
type planOutput struct {
	Name      string     `json:"name,omitempty"`
	Kept      bool       `json:"kept"`
	Steps     int        `json:"steps"`
	NoWriter  int        `json:"no_writer"`
	Conflicts int        `json:"conflicts"`
	Plan      rerun.Plan `json:"plan"`
}

// A planning is what plan was asked.
type planning struct {
	decision

	name  string
	which selection
	log   segment.LogFilter
}

func planCommand(a *app) *cobra.Command {
	var p planning
	cmd := &cobra.Command{
		GroupID: decide,
		Use:     "plan [SEGMENT ...]",
		Short:   "Order the jobs that must run again",
		Long: `Plan orders the jobs that must run again: every job that writes an affected segment, and
every job downstream of one, each after those that write what it reads. Affected are the
segments with an open alert; or those that are named; or, by --build, --job-kind and
--since, those of all such runs in the log, also of runs that looked well.

It knows the jobs by what the monitor wrote down of them. With --keep it writes the plan
into the ledger under a name, for run and progress.`,
		Example: `  segmentguard plan
  segmentguard plan --build 2024.11.3 --since 2024-03-18
  segmentguard plan --keep march-18 --why 'build 2024.11.3 is rolled back'`,
	}
	flags := cmd.Flags()
	flags.StringVar(&p.by, "by", a.user(), "who decides")
	flags.StringVar(&p.why, "why", "", "the reason, for whoever reads it later")
	flags.BoolVar(&p.dryRun, "dry-run", false, "print the plan, and keep nothing")
	flags.StringVar(&p.name, "keep", "", "write the plan into the ledger under this name")
	p.which.flags, p.which.anyStore = flags, true // a plan is by segment
	flags.StringVar(&p.which.group, "group", "", "the segments of this site group that the ledger knows")
	flags.StringVar(&p.which.file, "file", "", "the segments in this file, one a line; -: standard input")
	flags.StringVar(&p.log.Build, "build", "", "the segments of runs of this build")
	flags.StringVar((*string)(&p.log.JobKind), "job-kind", "", "the segments of runs of jobs of this kind, such as copy")
	momentFlag(a, flags, &p.log.Since, "since", "the segments of runs from this time on")
	momentFlag(a, flags, &p.log.Until, "until", "the segments of runs up to before this time")
	cmd.RunE = a.connected(func(ctx context.Context, args []string) error { return a.plan(ctx, &p, args) })
	return cmd
}

func (a *app) plan(ctx context.Context, p *planning, args []string) error {
	affectedNow, err := a.affected(ctx, p, args)
	if err != nil {
		return err
	}
	jobs, err := a.jobs(ctx)
	if err != nil {
		return err
	}
	plan, err := rerun.New(jobs, affectedNow)
	if err != nil {
		return err
	}
	keep := p.name != "" && !p.dryRun
	if keep {
		made, err := p.made(a.now().UTC())
		if err == nil {
			err = rerun.Keep(ctx, a.ledger, p.name, plan, made)
		}
		if err != nil {
			return err
		}
	}
	out := planOutput{Name: p.name, Kept: keep, Steps: len(plan.Steps), NoWriter: len(plan.NoWriter), Conflicts: len(plan.Conflicts), Plan: plan}
	if a.json {
		return a.out.json(out)
	}
	a.printLines(plan.String())
	if out.Kept {
		a.out.printf("Kept as %s.\nNext: segmentguard run %s\n", text.Visible(p.name), text.Shell(p.name))
	}
	return nil
}

// affected returns the segments that are to be made again.
func (a *app) affected(ctx context.Context, p *planning, args []string) (found []segment.Affected, err error) {
	named := len(args) > 0 || p.which.group != "" || p.which.file != ""
	logged := p.log != segment.LogFilter{}
	switch {
	case named && logged:
		return nil, errors.New("which segments? either name them, or say by --build, --job-kind, --since and --until of which runs")
	case logged:
		p.log.Action = segment.ActionRecorded
		found, err = segment.AffectedByLog(ctx, a.ledger, p.log)
	case named:
		keys, err := p.which.keys(ctx, a, args, segment.SegmentFilter{})
		for _, key := range keys {
			found = append(found, segment.Affected{Segment: key.Segment})
		}
		return found, err
	default:
		found, err = segment.AffectedByAlerts(ctx, a.ledger)
	}
	if err == nil && len(found) == 0 {
		err = errors.New("nothing is to be run again: no segment is affected")
	}
	return found, err
}

// jobs returns those that the monitor wrote down.
func (a *app) jobs(ctx context.Context) (jobs []segment.Job, err error) {
	for j, err := range a.ledger.Jobs(ctx, segment.JobFilter{}) {
		if err != nil {
			return nil, fmt.Errorf("reading the jobs: %w", err)
		}
		jobs = append(jobs, j)
	}
	if len(jobs) == 0 {
		return nil, errors.New("the ledger knows no jobs: a monitor writes them down that has MonitorConfig.Jobs")
	}
	return jobs, nil
}

// printLines prints a text of several lines, of which nothing turns or hides another.
func (a *app) printLines(s string) {
	for line := range strings.Lines(s) {
		a.out.printf("%s\n", text.Visible(strings.TrimSuffix(line, "\n")))
	}
}
