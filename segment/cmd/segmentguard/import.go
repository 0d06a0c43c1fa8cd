package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

func importCommand(a *app) *cobra.Command {
	var d decision
	var store string
	cmd := &cobra.Command{
		GroupID: decide,
		Use:     "import FILE",
		Short:   "Add sizes that no guard recorded, so that the first run is judged by a history",
		Long: `Import adds sizes that no guard recorded: from before there was one, or seen in a store.
What is there already, of the same time, is left as it is. The file is CSV with a head,
in any order: segment, at (a time such as 2024-03-18T03:00:00Z) and users, and where you
have them store, read (what the job took in) and counter (what counted). -: standard input.`,
		Example: `  segmentguard import --why 'from the warehouse' sizes.csv
  psql -c "COPY (SELECT segment, at, users FROM sizes) TO STDOUT CSV HEADER" | segmentguard import --why backfill -`,
		Args: cobra.ExactArgs(1),
	}
	d.add(a, cmd.Flags())
	cmd.Flags().StringVar(&store, "store", "", "in this store, where the file has no such column")
	cmd.RunE = a.connected(func(ctx context.Context, args []string) (err error) {
		imports, err := a.readSizes(args[0], store)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return a.decide(ctx, &d, func(ctx context.Context, l segment.Ledger, _ segment.Decision) ([]segment.Affected, error) {
			return nil, segment.Import(ctx, l, imports)
		})
	})
	return cmd
}

// sizeColumns are what a file of sizes may have.
var sizeColumns = []string{"segment", "at", "users", "store", "read", "counter"}

func (a *app) readSizes(name, store string) (imports []segment.SizeImport, err error) {
	file, err := a.open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = joined(err, file.Close()) }()
	r := csv.NewReader(file)
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty, want a head and sizes")
	}
	if err != nil {
		return nil, err
	}
	place := map[string]int{}
	for i, column := range head {
		if _, twice := place[column]; twice || !slices.Contains(sizeColumns, column) {
			return nil, fmt.Errorf("line 1: column %q is not known, or there twice; there are %s", column, wordsOf(sizeColumns))
		}
		place[column] = i
	}
	for _, needed := range sizeColumns[:3] {
		if _, is := place[needed]; !is {
			return nil, fmt.Errorf("line 1: there is no column %s", needed)
		}
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return imports, nil
		}
		if err == nil {
			var one segment.SizeImport
			one, err = sizeOf(place, row, store)
			imports = append(imports, one)
		}
		if err != nil {
			line, _ := r.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// sizeOf reads a row.
func sizeOf(place map[string]int, row []string, store string) (one segment.SizeImport, err error) {
	field := func(column string) string {
		if i, is := place[column]; is {
			return row[i]
		}
		return ""
	}
	var size validate.Size
	if one.Segment, err = parseID(field("segment")); err != nil {
		return one, err
	}
	if size.At, err = time.Parse(time.RFC3339, field("at")); err != nil {
		return one, fmt.Errorf("at is %q, want a time such as 2024-03-18T03:00:00Z", field("at"))
	}
	if size.Users, err = strconv.ParseInt(field("users"), 10, 64); err != nil {
		return one, fmt.Errorf("users is %q, want a whole number", field("users"))
	}
	if read := field("read"); read != "" {
		if size.Read, err = strconv.ParseInt(read, 10, 64); err != nil {
			return one, fmt.Errorf("read is %q, want a whole number", read)
		}
	}
	size.Counter, one.Store = field("counter"), store
	if s := field("store"); s != "" {
		one.Store = s
	}
	one.Sizes = []validate.Size{size}
	return one, one.Validate()
}
