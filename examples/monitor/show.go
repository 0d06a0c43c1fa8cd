package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/segmentguard/segmentguard/segment/dashboard"
)

// write writes the dashboard to a file, if one is named.
func (w *watch) write(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(dashboard.Write(ctx, file, w.ledger, dashboard.Config{}), file.Close())
}

// serve serves the dashboard at an address until ctx ends.
func (w *watch) serve(ctx context.Context, address string, said io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: dashboard.Handler(w.ledger, dashboard.Config{}), ReadHeaderTimeout: time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })() // Serve says that it was closed
	fmt.Fprintf(said, "\nThe dashboard is at http://%s/ until you interrupt.\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
