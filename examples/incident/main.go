// Command incident replays March 2024 on an embedded database: a deployment
// brings two bugs, lookalike modeling uploads empty segments, SegmentCopy reads
// 10,000 users and no more. It plays the days as they were, and with every job
// guarded and a sweep after each night, and prints both side by side: first the
// nights, then the recovery, by reruns kind by kind or by one plan.
//
// It exits with status 1 if a guarded segment lost users.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sync/errgroup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, full(), os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "incident:", err)
		os.Exit(1)
	}
}

// run makes a place for the databases and plays there.
func run(ctx context.Context, w world, out, progress io.Writer) error {
	dir, err := os.MkdirTemp("", "incident")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return playBoth(ctx, dir, w, out, progress)
}

// playBoth plays both replays on databases of their own and prints the comparison.
func playBoth(ctx context.Context, dir string, w world, out, progress io.Writer) error {
	people := w.population()
	var without, with *replay
	var replays errgroup.Group
	replays.Go(func() (err error) {
		without, err = play(ctx, dir, w, people, false, progress)
		return err
	})
	replays.Go(func() (err error) {
		with, err = play(ctx, dir, w, people, true, progress)
		return err
	})
	if err := replays.Wait(); err != nil {
		return err
	}
	return compare(out, without, with)
}
