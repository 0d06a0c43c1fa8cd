package main

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// days of sizes are known of each segment; the next day is tonight.
const days = 30

// A fleet is segments in order, each with its sizes and what writes it. Every
// third segment is a lookalike, the next one its copy, the last one another copy.
type fleet struct {
	now      time.Time
	segments []member
	jobs     []segment.Job
}

type member struct {
	id    segment.ID
	job   segment.Job
	sizes []int64 // one a day, tonight's last
}

// newFleet gives each segment a stretch of a real list's sizes.
func newFleet(dir string, segments int) (*fleet, error) {
	series, err := load(filepath.Join(dir, "volumes.csv.gz"))
	if err != nil {
		return nil, err
	}
	f := &fleet{now: time.Now().UTC()}
	for i := range segments {
		all := series[i%len(series)]
		from := i * 7 % (len(all) - days)
		m := member{
			id:    segment.ID{SiteGroup: fmt.Sprintf("site-%02d", i*20/segments), Name: fmt.Sprintf("segment-%05d", i)},
			sizes: all[from : from+days+1],
		}
		switch i % 3 {
		case 0:
			m.job = segment.Lookalike(m.id, segment.ID{SiteGroup: m.id.SiteGroup, Name: "visitors"})
		case 1:
			source := f.segments[i-1]
			m.job, m.sizes = segment.Copy(m.id, source.id), source.sizes
		default:
			m.job = segment.Copy(m.id, segment.ID{SiteGroup: "partners", Name: m.id.Name})
		}
		f.segments = append(f.segments, m)
		f.jobs = append(f.jobs, m.job)
	}
	return f, nil
}

// load reads the sizes of each series, day by day.
func load(name string) (series [][]int64, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: run from the root of the repository, or say where it is with -data", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(unzipped).ReadAll()
	if err != nil {
		return nil, err
	}
	last := ""
	for _, row := range rows[1:] { // series, source, day, users
		if row[0] != last {
			last, series = row[0], append(series, nil)
		}
		users, err := strconv.ParseInt(row[3], 10, 64)
		if err != nil {
			return nil, err
		}
		series[len(series)-1] = append(series[len(series)-1], users)
	}
	return slices.DeleteFunc(series, func(s []int64) bool { return len(s) <= days }), nil
}

// fill imports what is known from before the monitor.
func (f *fleet) fill(ctx context.Context, ledger *sqlsegment.Ledger) error {
	imported := make([]segment.SizeImport, len(f.segments))
	for i, m := range f.segments {
		imported[i].Segment = m.id
		for day, users := range m.sizes[:days] {
			imported[i].Sizes = append(imported[i].Sizes, validate.Size{Users: users, At: f.now.AddDate(0, 0, day-days)})
		}
	}
	return segment.Import(ctx, ledger, imported)
}

// broken returns what a deployment left: one lookalike in thirty is empty, and so is
// its copy; other segments stop at 10,000 users, a few lost half of them, and one
// is not there.
func broken(i int, users int64) (int64, bool) {
	switch {
	case i%90 == 0 || i%90 == 1:
		return 0, true
	case i%71 == 2 && users > 20_000:
		return 10_000, true
	case i%997 == 5:
		return users / 2, true
	}
	return users, i != 1234
}

func repaired(_ int, users int64) (int64, bool) { return users, true }

// tonight yields what the store shows of all segments, in order.
func (f *fleet) tonight(size func(i int, users int64) (int64, bool)) iter.Seq2[segment.CurrentSize, error] {
	return func(yield func(segment.CurrentSize, error) bool) {
		for i, m := range f.segments {
			users, there := size(i, m.sizes[days])
			if there && !yield(segment.CurrentSize{Segment: m.id, Stored: validate.Count(users), At: f.now}, nil) {
				return
			}
		}
	}
}
