package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment/dashboard"
)

// A reportOutput says where a report is.
type reportOutput struct {
	File  string `json:"file"`
	Bytes int    `json:"bytes"`
}

func reportCommand(a *app) *cobra.Command {
	return &cobra.Command{
		GroupID: ask,
		Use:     "report FILE",
		Short:   "Write what the dashboard shows as one HTML file",
		Long: `Report writes what the dashboard shows as one HTML file, to be sent or kept: the fleet,
the open incidents, the gravest segments with their sizes, and the log. -: standard
output. A file that is there is replaced, once the new one is whole.`,
		Example: `  segmentguard report incident.html`,
		Args:    cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, args []string) error {
			var b bytes.Buffer
			if err := dashboard.Write(ctx, &b, a.ledger, dashboard.Config{Now: a.now}); err != nil {
				return err
			}
			if args[0] == "-" {
				_, err := a.out.Write(b.Bytes())
				return err
			}
			if err := replace(args[0], b.Bytes()); err != nil {
				return err
			}
			if a.json {
				return a.out.json(reportOutput{args[0], b.Len()})
			}
			a.out.printf("Wrote %s, %d kB.\n", args[0], (b.Len()+999)/1000)
			return nil
		}),
	}
}

// replace writes a file, or leaves the one that is there.
func replace(name string, content []byte) error {
	return replaceBy(name, 0o644, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// replaceBy writes a file by write, or leaves the one that is there.
func replaceBy(name string, mode os.FileMode, write func(io.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(name), ".segmentguard-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing %s: %w", name, joined(err, os.Remove(file.Name())))
		}
	}()
	if err = joined(write(file), file.Chmod(mode), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}
