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

	"github.com/segmentguard/segmentguard/segment/dashboard"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// A show is where the dashboard is shown; the zero show is nowhere.
type show struct{ report, address string }

// write writes the report as everything is now.
func (s show) write(ctx context.Context, p *platform) error {
	if s.report == "" {
		return nil
	}
	file, err := os.Create(s.report)
	if err != nil {
		return err
	}
	err = dashboard.Write(ctx, file, p.ledger, dashboard.Config{Now: p.now})
	return errors.Join(err, file.Close())
}

// serve serves the dashboard of the guarded platform until ctx ends.
func (s show) serve(ctx context.Context, dir string, with *replay, said io.Writer) (err error) {
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
	c := dashboard.Config{Now: func() time.Time { return with.now }}
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
