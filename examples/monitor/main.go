// Command monitor watches some thousand segments with real daily sizes: it fills
// a ledger in an embedded SQLite with thirty days of them, breaks some on the
// next day, and sweeps three times: over the broken fleet, over the same again,
// and over the repaired one. Alerts go to a real Alertmanager with
// -alertmanager http://localhost:9093, and are counted otherwise.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/alertmanager"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

func main() {
	data := flag.String("data", "testdata/volumes", "the folder with volumes.csv.gz")
	address := flag.String("alertmanager", "", "the address of an Alertmanager; none: alerts are counted")
	segments := flag.Int("segments", 3000, "how many segments there are")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *data, *address, *segments); err != nil {
		fmt.Fprintln(os.Stderr, "monitor:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, data, address string, segments int) (err error) {
	f, err := newFleet(data, segments)
	if err != nil {
		return err
	}
	ledger, drop, err := openLedger(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	if err := f.fill(ctx, ledger); err != nil {
		return err
	}
	told := &counter{address: address}
	alerter := segment.Alerter(told)
	if address != "" {
		if alerter, err = alertmanager.New(alertmanager.Config{URL: address}); err != nil {
			return err
		}
	}
	monitor, err := segment.NewMonitor(segment.MonitorConfig{Ledger: ledger, Jobs: f.jobs, Alerter: alerter, Rules: rules})
	if err != nil {
		return err
	}
	for _, night := range []struct {
		title string
		sizes iter.Seq2[segment.CurrentSize, error]
	}{
		{"The night of a deployment", f.tonight(broken)},
		{"The same again, an hour later", f.tonight(broken)},
		{"After the repair", f.tonight(repaired)},
	} {
		sweep, err := monitor.Sweep(ctx, night.sizes)
		if err != nil {
			return err
		}
		if err := render(out, night.title, &sweep, told); err != nil {
			return err
		}
		*told = counter{address: address}
	}
	return nil
}

func rules(context.Context, segment.Job) (segment.Rule, error) {
	return segment.Rule{Runbook: "https://runbooks.example/segments"}, nil
}

// openLedger makes a ledger in a temporary folder, which drop deletes.
func openLedger(ctx context.Context) (ledger *sqlsegment.Ledger, drop func() error, err error) {
	dir, err := os.MkdirTemp("", "monitor")
	if err != nil {
		return nil, nil, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "ledger.db")+"?_pragma=journal_mode(WAL)")
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	drop = func() error { return errors.Join(db.Close(), os.RemoveAll(dir)) }
	ledger, err = sqlsegment.NewLedger(db, sqlsegment.SQLite)
	if err == nil {
		err = ledger.Migrate(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, drop())
	}
	return ledger, drop, nil
}
