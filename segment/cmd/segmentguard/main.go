// Command segmentguard is for people on call: it shows what a ledger of segment sizes
// knows, and takes their decisions. It knows no listing and runs no jobs: the team's
// monitor and workers do.
//
//	export SEGMENTGUARD_DSN=postgres://guard@db.internal/segments
//	segmentguard status
//	segmentguard show site-b/cars
//	segmentguard accept --why 'three vendors were merged' site-b/cars
//
// It exits with status 0 where all is well or done, 1 where segments are affected, and
// 2 where it could not tell, or did nothing. The README is the runbook.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	// What reads our output may be gone, as head is. A decision is taken all the same.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], &app{in: os.Stdin, out: newPrinter(os.Stdout, os.Getenv), err: newPrinter(os.Stderr, os.Getenv), env: os.Getenv, now: time.Now})
	stop()
	os.Exit(code)
}
