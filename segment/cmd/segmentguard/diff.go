package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment/cmd/segmentguard/internal/iddiff"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// A diffOutput says how two sides differ.
type diffOutput struct {
	Verdict   validate.Verdict `json:"verdict"`
	SameUsers bool             `json:"same_users"`
	Expected  int64            `json:"expected"`
	Stored    int64            `json:"stored"`
	Exact     bool             `json:"exact"`
	Missing   between          `json:"missing"`
	Foreign   between          `json:"foreign"`
	IDs       string           `json:"ids,omitempty"`
	Text      string           `json:"text"`
	Report    validate.Report  `json:"report"`
}

// A between is a number that is known within bounds.
type between struct {
	Least int64 `json:"least"`
	Most  int64 `json:"most"`
}

func (b between) String() string {
	if b.Least == b.Most {
		return text.Thousands(b.Most)
	}
	return text.Thousands(b.Least) + " to " + text.Thousands(b.Most)
}

// A diffing is what diff was asked.
type diffing struct {
	expectedDSN, storedDSN, ids string
	page                        int64
}

func diffCommand(a *app) *cobra.Command {
	var d diffing
	cmd := &cobra.Command{
		GroupID: ask,
		Use:     "diff EXPECTED STORED",
		Short:   "Say which users two files or queries do not have in common",
		Long: `Diff compares two sides user by user: whether STORED holds just the users of EXPECTED,
how many are missing and how many should not be there, and what the likely cause is.
With --ids it writes which.

A side is a file of one id a line, which may be compressed by gzip; "-" for standard
input; or a query, which begins with SELECT or WITH and yields one column, the ids. A
query runs where --expected-dsn or --stored-dsn says, else where the ledger is.

Each side is read once, and only sums of its ids are kept: some megabytes, however many
there are. It is read once more where more than some 19,000 ids differ, of which up to
4,864,000 can be told one by one, with up to 192 MiB a side; and once more by --ids. A
side must not change meanwhile: where ids are to be written and it did, there is no file.

It exits with status 0 where both hold the same users, 1 where they do not, and 2 where
it could not tell.`,
		Example: `  segmentguard diff exported.csv.gz stored.txt
  segmentguard diff --ids differing.txt exported.csv.gz 'SELECT user_id FROM cars'
  sed -n 's/^-//p' differing.txt     # what to upload
  sed -n 's/^+//p' differing.txt     # what to remove`,
		Args: cobra.ExactArgs(2),
	}
	flags := cmd.Flags()
	flags.StringVar(&d.expectedDSN, "expected-dsn", "", "the database of the query EXPECTED; none: the ledger's")
	flags.StringVar(&d.storedDSN, "stored-dsn", "", "the database of the query STORED; none: the ledger's")
	flags.StringVar(&d.ids, "ids", "", `write the ids that differ to this file, one a line: after "-" those that are missing, after "+" those that should not be there, each as often as it is`)
	flags.Int64Var(&d.page, "page", 1000, "how many users the job reads at a time: a lost page is then told for certain")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, cancel := cmd.Context(), func() {}
		if cmd.Flags().Changed("timeout") { // as many ids take long
			ctx, cancel = a.limited(ctx)
		}
		defer cancel()
		return a.diff(ctx, d, args[0], args[1])
	}
	return cmd
}

func (a *app) diff(ctx context.Context, d diffing, expected, stored string) error {
	a.others = []string{d.expectedDSN, d.storedDSN}
	if d.page < 1 {
		return fmt.Errorf("--page is %d, want 1 or more", d.page)
	}
	if expected == "-" && stored == "-" {
		return errors.New("both sides are standard input, want one at most")
	}
	left, closeLeft, err := a.side(expected, cmp.Or(d.expectedDSN, a.dsn, a.env("SEGMENTGUARD_DSN")))
	if err != nil {
		return fmt.Errorf("EXPECTED: %w", err)
	}
	defer closeLeft()
	right, closeRight, err := a.side(stored, cmp.Or(d.storedDSN, a.dsn, a.env("SEGMENTGUARD_DSN")))
	if err != nil {
		return fmt.Errorf("STORED: %w", err)
	}
	defer closeRight()
	out, err := a.compare(ctx, d, left, right)
	if err != nil {
		return err
	}
	switch out.Verdict {
	case validate.VerdictFailed:
		a.status = affected
	case validate.VerdictUnverified:
		a.status = unsure
	case validate.VerdictPassed:
	}
	if a.json {
		return a.out.json(out)
	}
	a.printDiff(out)
	return nil
}

// queries begin so.
var queries = regexp.MustCompile(`(?i)^\s*(/\*|--|\(|(select|with|values|table)\b)`)

// side returns a side, and what closes it.
func (a *app) side(of, dsn string) (*iddiff.Side, func(), error) {
	if _, err := os.Stat(of); err == nil || !queries.MatchString(of) {
		return iddiff.File(of, a.in), func() {}, nil
	}
	if dsn == "" {
		return nil, nil, errors.New("in which database is this query to run? say it by --expected-dsn or --stored-dsn: " + dsnForms)
	}
	open, dialect := kindOf(dsn)
	db, err := open(dsn, false)
	if err != nil {
		return nil, nil, err
	}
	return iddiff.Query(text.Short(text.Visible(of)), db, sqlsegment.Users{Dialect: dialect, Query: of}), func() { closed(db) }, nil
}

// closed closes what was only read.
func closed(db *sql.DB) { _ = db.Close() }

func (a *app) compare(ctx context.Context, d diffing, expected, stored *iddiff.Side) (*diffOutput, error) {
	if d.ids != "" && (expected.Once || stored.Once) {
		return nil, errors.New("--ids reads each side again, and standard input or a pipe can be read once: put it into a file")
	}
	var read atomic.Int64
	stop := a.progress("Reading ids", read.Load)
	defer stop()
	r, err := iddiff.Compare(ctx, expected, stored, d.page, func(ids int64) { read.Add(ids) })
	if err != nil {
		return nil, err
	}
	out := &diffOutput{
		Verdict: r.Report.Verdict(), SameUsers: r.Report.SameUsers, Report: r.Report, Text: r.Report.String(),
		Expected: r.Report.Expected.Users(), Stored: r.Report.Stored.Users(), Exact: r.Difference.Exact(),
	}
	out.Missing.Least, out.Missing.Most = r.Difference.Missing()
	out.Foreign.Least, out.Foreign.Most = r.Difference.Foreign()
	if d.ids == "" {
		return out, nil
	}
	if !out.Exact {
		return nil, fmt.Errorf("no ids were written: so many differ that they cannot be told one by one (%s are missing, %s should not be there)", out.Missing, out.Foreign)
	}
	out.IDs = d.ids
	return out, replaceBy(d.ids, 0o600, func(w io.Writer) error {
		_, _, err := iddiff.Write(ctx, w, expected, stored, r.Difference)
		return err
	})
}

func (a *app) printDiff(d *diffOutput) {
	a.out.printf("%s\n", a.toned(d.first(), map[bool]fleet.Tone{true: fleet.Fine, false: fleet.Bad}[d.SameUsers]))
	a.printLines(d.Text)
	if d.IDs != "" {
		a.out.printf("Wrote which to %s.\n", filepath.Clean(d.IDs))
	}
}

// first returns how the sides differ in a sentence.
func (d *diffOutput) first() string {
	if d.Expected == 0 && d.Stored == 0 {
		return "Neither side holds a user."
	}
	if d.SameUsers {
		return fmt.Sprintf("Both hold the same %s users.", text.Thousands(d.Stored))
	}
	are := "are"
	if d.Missing.Most == 1 {
		are = "is"
	}
	return fmt.Sprintf("Of %s users expected, %s %s missing; %s of the %s stored should not be there.",
		text.Thousands(d.Expected), d.Missing, are, d.Foreign, text.Thousands(d.Stored))
}
