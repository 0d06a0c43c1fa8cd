package main

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A series is the daily sizes of one list.
type series struct {
	kind   string // "set": a list rebuilt daily; "flow": a daily total
	half   string // "choose": margins may be chosen by it; "test": none was
	median float64
	sizes  []validate.Size
	event  []bool // by size: hindsight marks the day
}

// halfOf says to which half of the data a source belongs. A hash decides, once and for
// all: who chooses a margin looks at the sources of one half only, and who says how good
// it is at those of the other.
func halfOf(source string) string {
	if sha256.Sum256([]byte(source))[0]%2 == 0 {
		return "choose"
	}
	return "test"
}

// of returns the series of a kind, and of a half or of both ("all").
func of(all []series, kind, half string) (some []series) {
	for _, s := range all {
		if s.kind == kind && (half == "all" || s.half == half) {
			some = append(some, s)
		}
	}
	return some
}

// load reads the three files of a folder, as testdata/volumes has them.
func load(dir string) ([]series, error) {
	kinds, err := table(filepath.Join(dir, "volumes-series.csv"), "series_id", "kind", "median", "source")
	if err != nil {
		return nil, err
	}
	marks, err := table(filepath.Join(dir, "volumes-events.csv"), "series_id", "day")
	if err != nil {
		return nil, err
	}
	points, err := table(filepath.Join(dir, "volumes.csv.gz"), "series_id", "day", "users")
	if err != nil {
		return nil, err
	}
	events := map[string]bool{}
	for _, mark := range marks {
		events[mark[0]+" "+mark[1]] = true
	}
	place := map[string]int{}
	all := make([]series, len(kinds))
	for i, row := range kinds {
		place[row[0]] = i
		all[i].kind, all[i].half = row[1], halfOf(row[3])
		if all[i].median, err = strconv.ParseFloat(row[2], 64); err != nil {
			return nil, fmt.Errorf("median of %s: %w", row[0], err)
		}
	}
	for _, row := range points {
		i, known := place[row[0]]
		day, errDay := strconv.Atoi(row[1])
		users, errUsers := strconv.ParseInt(row[2], 10, 64)
		if err := errors.Join(errDay, errUsers); err != nil || !known {
			return nil, fmt.Errorf("volumes.csv.gz: row %v: not a size of a known series: %w", row, err)
		}
		all[i].sizes = append(all[i].sizes, validate.Size{Users: users, At: time.Date(2024, 1, 1+day, 0, 0, 0, 0, time.UTC)})
		all[i].event = append(all[i].event, events[row[0]+" "+row[1]])
	}
	return all, nil
}

// table reads some columns of a CSV file.
func table(name string, columns ...string) (rows [][]string, err error) {
	file, err := os.Open(name) //nolint:gosec // the folder is what the program is asked to read
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	var from io.Reader = file
	if filepath.Ext(name) == ".gz" {
		if from, err = gzip.NewReader(file); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	all, err := csv.NewReader(from).ReadAll()
	if err != nil || len(all) == 0 {
		return nil, fmt.Errorf("%s: no rows: %w", name, err)
	}
	place := map[string]int{}
	for i, column := range all[0] {
		place[column] = i
	}
	for _, full := range all[1:] {
		row := make([]string, len(columns))
		for i, column := range columns {
			at, ok := place[column]
			if !ok {
				return nil, fmt.Errorf("%s: no column %q", name, column)
			}
			row[i] = full[at]
		}
		rows = append(rows, row)
	}
	return rows, nil
}
