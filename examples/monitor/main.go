// Command monitor watches some thousand segments with real daily sizes: it fills
// a ledger in an embedded SQLite with thirty days of them, breaks some on the
// next day, and sweeps three times: over the broken fleet, over the same again,
// and over the repaired one. Alerts go to a real Alertmanager with
// -alertmanager http://localhost:9093, and are counted otherwise. With
// -metrics localhost:9464 its metrics stay there at /metrics, for a Prometheus that
// has prometheus-rules.yml, beside this file, among its rules. With -report FILE it
// writes the dashboard of the broken fleet as one HTML file, and with
// -serve localhost:8080 the dashboard stays there after the run.
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
	"os/signal"
	"path/filepath"
	"slices"

	"go.opentelemetry.io/otel/sdk/metric"
	_ "modernc.org/sqlite"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/alertmanager"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// settings are those of the command line.
type settings struct {
	data, alertmanager, metrics, report, serve string
	segments                                   int
}

func main() {
	var s settings
	flag.StringVar(&s.data, "data", "testdata/volumes", "the folder with volumes.csv.gz")
	flag.StringVar(&s.alertmanager, "alertmanager", "", "the address of an Alertmanager; none: alerts are counted")
	flag.StringVar(&s.metrics, "metrics", "", "the address to serve metrics at until interrupted; none: they are not served")
	flag.StringVar(&s.report, "report", "", "a file for the dashboard of the broken fleet; none: it is not written")
	flag.StringVar(&s.serve, "serve", "", "the address to serve the dashboard at until interrupted; none: it is not served")
	flag.IntVar(&s.segments, "segments", 3000, "how many segments there are")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, s)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "monitor:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, s settings) (err error) {
	w, err := newWatch(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	for _, night := range []struct {
		title, report string
		sizes         iter.Seq2[segment.CurrentSize, error]
	}{
		{"The night of a deployment", "", w.fleet.tonight(broken)},
		{"The same again, an hour later", s.report, w.fleet.tonight(broken)},
		{"After the repair", "", w.fleet.tonight(repaired)},
	} {
		if err := w.sweep(ctx, out, night.title, night.sizes); err != nil {
			return err
		}
		if err := w.write(ctx, night.report); err != nil {
			return err
		}
	}
	if s.metrics != "" {
		fmt.Fprintf(out, "\nMetrics are at http://%s/metrics until you interrupt.\n", s.metrics)
	}
	if s.serve != "" {
		return w.serve(ctx, s.serve, out)
	}
	if s.metrics != "" {
		<-ctx.Done()
	}
	return nil
}

// A watch is a fleet and the monitor over it.
type watch struct {
	fleet   *fleet
	ledger  *sqlsegment.Ledger
	meters  *metric.MeterProvider
	monitor *segment.Monitor
	told    *counter
	closers []func() error
}

func newWatch(ctx context.Context, s settings) (_ *watch, err error) {
	w := &watch{told: &counter{address: s.alertmanager}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.fleet, err = newFleet(s.data, s.segments); err != nil {
		return nil, err
	}
	ledger, drop, err := openLedger(ctx)
	if err != nil {
		return nil, err
	}
	w.ledger, w.closers = ledger, append(w.closers, drop)
	if err := w.fleet.fill(ctx, ledger); err != nil {
		return nil, err
	}
	meters, stop, err := serveMetrics(ctx, s.metrics)
	if err != nil {
		return nil, err
	}
	w.meters, w.closers = meters, append(w.closers, stop)
	alerter := segment.Alerter(w.told)
	if s.alertmanager != "" {
		if alerter, err = alertmanager.New(alertmanager.Config{URL: s.alertmanager}); err != nil {
			return nil, err
		}
	}
	w.monitor, err = segment.NewMonitor(segment.MonitorConfig{
		Ledger: ledger, Jobs: w.fleet.jobs, Alerter: alerter, Rules: rules, MeterProvider: meters,
	})
	return w, err
}

func (w *watch) close() (err error) {
	for _, closer := range slices.Backward(w.closers) {
		err = errors.Join(err, closer())
	}
	return err
}

// sweep sweeps once, and prints what was found and told.
func (w *watch) sweep(ctx context.Context, out io.Writer, title string, sizes iter.Seq2[segment.CurrentSize, error]) error {
	sweep, err := w.monitor.Sweep(ctx, sizes)
	if err != nil {
		return err
	}
	if err := render(out, title, &sweep, w.told); err != nil {
		return err
	}
	*w.told = counter{address: w.told.address}
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
