package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment/dashboard"
)

func serveCommand(a *app) *cobra.Command {
	port := 8080
	cmd := &cobra.Command{
		GroupID: ask,
		Use:     "serve",
		Short:   "Serve the dashboard on 127.0.0.1 until interrupted",
		Long: `Serve serves the dashboard to browsers of this machine alone, until it is interrupted. It
changes nothing: its pages show the commands to copy. To have it for a team, mount
dashboard.Handler in a server that knows who asks.`,
		Example: `  segmentguard serve
  segmentguard serve --port 0   # any that is free`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().IntVar(&port, "port", port, "the port on 127.0.0.1; 0: any that is free")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := a.connect(cmd.Context(), false); err != nil {
			return err
		}
		if err := hinted(a.ledger.Check(cmd.Context())); err != nil {
			return err
		}
		return a.serve(cmd.Context(), port)
	}
	return cmd
}

func (a *app) serve(ctx context.Context, port int) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	pages := dashboard.Handler(a.ledger, dashboard.Config{Now: a.now})
	server := &http.Server{Handler: local(pages), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })() // Serve says that it was closed
	a.out.printf("The dashboard is at http://%s/ until you interrupt.\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// local answers what was asked of this machine by a name of its own. A page of somewhere
// else, whose name was made to mean this machine, must not read the ledger.
func local(pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if host != "127.0.0.1" && host != "localhost" {
			http.Error(w, "ask for 127.0.0.1", http.StatusMisdirectedRequest)
			return
		}
		pages.ServeHTTP(w, r)
	})
}
