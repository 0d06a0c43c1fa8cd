package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/dashboard"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// A show is where the dashboard is shown; the zero show is nowhere.
type show struct{ report, address string }

// config says what the dashboard shows beside the ledger.
func config(w *world, now time.Time, swept segment.Sweep) dashboard.Config {
	return dashboard.Config{
		Now:    func() time.Time { return now },
		Jobs:   w.jobs(),
		Sweeps: func(context.Context) (last, complete *segment.Sweep, err error) { return &swept, &swept, nil },
	}
}

// write writes the report as everything is now.
func (s show) write(ctx context.Context, p *platform, w world) error {
	if s.report == "" {
		return nil
	}
	file, err := os.Create(s.report)
	if err != nil {
		return err
	}
	err = dashboard.Write(ctx, file, p.ledger, config(&w, p.now(), p.swept))
	return errors.Join(err, file.Close())
}

// serve serves the dashboard of the guarded platform until ctx ends.
func (s show) serve(ctx context.Context, dir string, w world, with *replay, said io.Writer) (err error) {
	if s.address == "" {
		return nil
	}
	db, err := connect(filepath.Join(dir, "guarded-true.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ledger, err := sqlsegment.NewLedger(db, sqlsegment.SQLite)
	if err != nil {
		return err
	}
	c := config(&w, with.now, with.swept)
	c.Plans = func(context.Context) ([]dashboard.Plan, error) {
		return []dashboard.Plan{{Name: "recovery", Made: with.now, Plan: with.plan, Outcome: with.outcome}}, nil
	}
	return serve(ctx, s.address, dashboard.Handler(ledger, c), said)
}

// serve serves pages at an address until ctx ends.
func serve(ctx context.Context, address string, pages http.Handler, said io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: pages, ReadHeaderTimeout: time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })() // Serve says that it was closed
	fmt.Fprintf(said, "\nThe dashboard is at http://%s/ until you interrupt.\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
