// Command incident replays March 2024 on an embedded database: a deployment
// brings two bugs, lookalike modeling uploads empty segments, SegmentCopy reads
// 10,000 users and no more. It plays the days as they were, and with every job
// guarded and a sweep after each night, and prints both side by side: first the
// nights, then the recovery, by reruns kind by kind or by one plan.
//
// With -report FILE it writes what an engineer on call sees after the last night,
// before anything is repaired, as one HTML file. With -serve localhost:8080 the
// dashboard of the guarded platform stays there after the run, until interrupted.
//
// It exits with status 1 if a guarded segment lost users.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sync/errgroup"
)

func main() {
	var s show
	flag.StringVar(&s.report, "report", "", "a file for the dashboard as it is after the last night; none: it is not written")
	flag.StringVar(&s.address, "serve", "", "the address to serve the dashboard at after the run, until interrupted; none: it is not served")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, full(), s, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "incident:", err)
		os.Exit(1)
	}
}

// run makes a place for the databases and plays there.
func run(ctx context.Context, w world, s show, out, progress io.Writer) error {
	dir, err := os.MkdirTemp("", "incident")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return playBoth(ctx, dir, w, s, out, progress)
}

// playBoth plays both replays on databases of their own and prints the comparison.
func playBoth(ctx context.Context, dir string, w world, s show, out, progress io.Writer) error {
	people := w.population()
	var without, with *replay
	var replays errgroup.Group
	replays.Go(func() (err error) {
		without, err = play(ctx, dir, w, people, false, s, progress)
		return err
	})
	replays.Go(func() (err error) {
		with, err = play(ctx, dir, w, people, true, s, progress)
		return err
	})
	if err := replays.Wait(); err != nil {
		return err
	}
	if err := compare(out, without, with); err != nil {
		return err
	}
	return s.serve(ctx, dir, with, progress)
}
