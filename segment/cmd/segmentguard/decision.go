package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/cmd/segmentguard/internal/table"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/validate"
)

// A decision is who decides something, and how.
type decision struct {
	by, why      string
	dryRun, some bool
}

func (d *decision) add(a *app, flags *pflag.FlagSet) {
	flags.StringVar(&d.by, "by", a.user(), "who decides")
	flags.StringVar(&d.why, "why", "", "the reason, for whoever reads it later")
	flags.BoolVar(&d.dryRun, "dry-run", false, "print what would change, and change nothing")
	flags.BoolVar(&d.some, "keep-going", false, "decide about the others where it cannot be decided about some")
}

// user returns who is at the keyboard, if anybody says so.
func (a *app) user() string { return cmp.Or(a.env("USER"), a.env("LOGNAME"), a.env("USERNAME")) }

func (d *decision) made(now time.Time) (segment.Decision, error) {
	switch {
	case d.by == "":
		return segment.Decision{}, errors.New("who decides? say so by --by")
	case d.why == "" && !d.dryRun:
		return segment.Decision{}, errors.New("why? say so by --why, for whoever reads it later")
	}
	return segment.Decision{By: d.by, Why: cmp.Or(d.why, "not said"), At: now}, nil
}

// A decider takes a decision in a ledger, and returns what is to be made again.
type decider func(context.Context, segment.Ledger, segment.Decision) ([]segment.Affected, error)

// A changeOutput is what a decision changes, and whether it was taken.
type changeOutput struct {
	DryRun  bool               `json:"dry_run"`
	Done    bool               `json:"done"`
	By      string             `json:"by"`
	Why     string             `json:"why"`
	At      time.Time          `json:"at"`
	Changes []change           `json:"changes"`
	Rerun   []segment.Affected `json:"rerun"`
	Error   string             `json:"error,omitempty"`
}

// decide shows what a decision changes, takes it, and says what is to be run again.
// Where it cannot be taken about all of the segments, it is not taken at all, unless
// somebody said so.
func (a *app) decide(ctx context.Context, d *decision, take decider) error {
	made, err := d.made(a.now().UTC())
	if err != nil {
		return err
	}
	out := changeOutput{DryRun: d.dryRun, By: made.By, Why: made.Why, At: made.At, Rerun: []segment.Affected{}}
	p := newPreview(a.ledger)
	stop := a.progress("Looking at what would change", p.looked.Load)
	rerun, refused := take(ctx, p, made)
	stop()
	out.Changes = p.found()
	a.showChanges(&out)
	switch {
	case refused != nil && (!d.some || len(out.Changes) == 0):
		err = fmt.Errorf("nothing was changed: %w", refused)
	case len(out.Changes) == 0:
		err = errors.New("nothing was changed: there is nothing to change")
	case d.dryRun:
		err, out.Rerun = refused, append(out.Rerun, rerun...)
	default:
		rerun, err = take(ctx, a.ledger, made)
		out.Rerun, out.Done = append(out.Rerun, rerun...), err == nil || refused != nil && err.Error() == refused.Error()
		if !out.Done {
			err = fmt.Errorf("not all was done: %w; each segment was changed as a whole or not at all: give the same command again, with --keep-going", err)
		}
	}
	return a.showDone(&out, err)
}

// mostRows is how many rows people are shown where nobody asked for a number.
const mostRows = 50

func (a *app) showChanges(out *changeOutput) {
	if a.json || len(out.Changes) == 0 {
		return
	}
	segments := 0
	for i := range out.Changes {
		if out.Changes[i].Segment.Name != "" {
			segments++
		}
	}
	word := "This changes "
	if out.DryRun {
		word = "This would change "
	}
	if segments == 0 {
		a.out.printf("%sno segment, but:\n", word)
	} else {
		a.out.printf("%s%s:\n", word, text.Count(segments, "segment"))
	}
	t := table.Table{Head: []string{"SEGMENT", "STORE", "CHANGE"}}
	for _, c := range out.Changes[:min(len(out.Changes), mostRows)] {
		t.Add(c.about(), c.Store, c.text())
	}
	a.out.table(&t)
	if more := len(out.Changes) - mostRows; more > 0 {
		a.out.printf("… and %s more.\n", text.Thousands(int64(more)))
	}
}

func (a *app) showDone(out *changeOutput, err error) error {
	if a.json {
		if err != nil {
			out.Error = a.redacted(err.Error())
		}
		return cmp.Or(err, a.out.json(out))
	}
	switch {
	case out.DryRun && len(out.Changes) > 0:
		a.out.printf("Nothing was changed: it is a dry run.\n")
	case out.Done:
		a.out.printf("Done.\n")
	}
	a.showRerun(out)
	return err
}

// showRerun says what is to be run again.
func (a *app) showRerun(out *changeOutput) {
	switch {
	case len(out.Rerun) == 0 && out.Done:
		a.out.printf("Nothing is to be run again.\n")
	case len(out.Rerun) > 0:
		a.out.printf("To be run again:\n")
	}
	t := table.Table{Head: []string{"SEGMENT", "USERS"}}
	for _, r := range out.Rerun[:min(len(out.Rerun), mostRows)] {
		t.Add(r.Segment.String(), validate.Count(r.Users).String())
	}
	if len(t.Rows) > 0 {
		a.out.table(&t)
	}
	if more := len(out.Rerun) - mostRows; more > 0 {
		a.out.printf("… and %s more; --json has all.\n", text.Thousands(int64(more)))
	}
}
