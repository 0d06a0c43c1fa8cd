// Package iddiff compares two sides of user ids that may be larger than memory, and
// tells which ids differ.
package iddiff

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"golang.org/x/sync/errgroup"

	"github.com/segmentguard/segmentguard/validate"
)

// A Side is where ids come from: All yields them in pages whose bytes the next page
// overwrites, and ends with its first error.
type Side struct {
	Name string
	All  func(context.Context) iter.Seq2[[][]byte, error]
	Once bool // it can be read only once
}

// A Result is what two sides have in common.
type Result struct {
	Report     validate.Report
	Difference *validate.Difference
}

// mostTold is the most differing ids that a digest can tell one by one.
const mostTold = 4_864_000

// Compare reads both sides at the same time, each at least once. Where more ids differ
// than a digest tells by itself, it reads them again, if they can be. page is how many
// ids the source was read at a time, 0: 1,000. The error is of reading.
func Compare(ctx context.Context, expected, stored *Side, page int64, read func(ids int64)) (Result, error) {
	resolve := int64(0)
	for {
		a, b, err := digests(ctx, expected, stored, page, resolve, read)
		if err != nil {
			return Result{}, err
		}
		// Two sides of no ids are the same, and no reason to complain.
		report, _ := validate.Check(ctx, validate.Policy{AllowEmpty: true}, validate.Output{
			Name: stored.Name, Expected: a, Stored: b, JobKind: "diff",
		})
		difference, err := validate.Diff(a, b)
		if err != nil {
			return Result{}, fmt.Errorf("comparing: %w", err)
		}
		more := enough(difference)
		if difference.Exact() || expected.Once || stored.Once || resolve > 0 || more > mostTold {
			return Result{report, difference}, nil
		}
		resolve = more
	}
}

// enough returns how many differing ids a second look is to tell at least.
func enough(d *validate.Difference) int64 {
	_, missing := d.Missing()
	_, foreign := d.Foreign()
	return missing + foreign
}

func digests(ctx context.Context, expected, stored *Side, page, resolve int64, read func(int64)) (a, b validate.Summary, err error) {
	group, ctx := errgroup.WithContext(ctx)
	digest := func(s *Side, into *validate.Summary) {
		group.Go(func() error {
			var d validate.Digest
			if page > 0 {
				d.MarkEvery(page)
			}
			if resolve > 0 {
				d.Resolve(resolve)
			}
			for ids, err := range s.All(ctx) {
				if err != nil {
					return fmt.Errorf("%s: after %d ids: %w", s.Name, d.Users(), err)
				}
				d.AddAll(ids)
				read(int64(len(ids)))
			}
			*into = d.Summary()
			return nil
		})
	}
	digest(expected, &a)
	digest(stored, &b)
	err = group.Wait()
	return a, b, err
}

// Write reads both sides once more and writes the ids that differ, one a line: after
// "-" those that are missing from stored, after "+" those that should not be there,
// each as many times as it is. It returns how many lines it wrote of either.
func Write(ctx context.Context, w io.Writer, expected, stored *Side, d *validate.Difference) (missing, foreign int64, err error) {
	out := bufio.NewWriterSize(w, 1<<16)
	missing, err = write(ctx, out, expected, d, '-', 1)
	if err == nil {
		foreign, err = write(ctx, out, stored, d, '+', -1)
	}
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = agree(d, missing, foreign)
	}
	return missing, foreign, err
}

// write writes the ids of a side that differ in its direction. An id that differs is
// kept in memory, so that one that comes often is written as often as it differs.
func write(ctx context.Context, out *bufio.Writer, s *Side, d *validate.Difference, mark byte, sign int64) (written int64, err error) {
	left := map[string]int64{} // how many lines an id has yet to get
	for ids, err := range s.All(ctx) {
		if err != nil {
			return written, fmt.Errorf("%s: reading it again: %w", s.Name, err)
		}
		for _, id := range ids {
			times, _ := d.Of(string(id))
			if times *= sign; times <= 0 {
				continue
			}
			n, seen := left[string(id)]
			if !seen {
				n = times
			}
			if n > 0 {
				if err := line(out, mark, id); err != nil {
					return written, err
				}
				written++
				n--
			}
			left[string(id)] = n
		}
	}
	return written, nil
}

func line(out *bufio.Writer, mark byte, id []byte) error {
	for _, b := range id {
		if b == '\n' || b == '\r' {
			return errors.New("an id holds a line break, and cannot be written as a line")
		}
	}
	_ = out.WriteByte(mark)
	_, _ = out.Write(id)
	return out.WriteByte('\n')
}

// agree holds what was written against what is known: a side that changes between two
// looks would make a file that repairs nothing.
func agree(d *validate.Difference, missing, foreign int64) error {
	_, were := d.Missing()
	_, wereForeign := d.Foreign()
	if !d.Exact() || missing == were && foreign == wereForeign {
		return nil
	}
	return fmt.Errorf("a side changed while it was read: %d ids were missing and %d foreign, of which %d and %d were found again", were, wereForeign, missing, foreign)
}
