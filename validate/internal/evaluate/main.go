// Evaluate walks real daily sizes forward and prints how often a size's check
// against its history raises a false alarm, and which share of faults it finds,
// by the length of the history, beside the usual methods:
//
//	go run ./validate/internal/evaluate
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

func main() {
	dir := flag.String("data", "testdata/volumes", "the folder with volumes.csv.gz, volumes-series.csv and volumes-events.csv")
	kind := flag.String("kind", "set", `of series: "set" or "flow"`)
	flag.Parse()
	if err := run(os.Stdout, *dir, *kind); err != nil {
		fmt.Fprintln(os.Stderr, "evaluate:", err)
		os.Exit(1)
	}
}

var lengths = []int{1, 2, 3, 5, 7, 14, 30}

func run(out io.Writer, dir, kind string) error {
	all, err := load(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "False alarms per 100 decisions, and faults found in percent; series of kind %q.\n", kind)
	for _, m := range methods {
		fmt.Fprintf(out, "\n%s\n", m.name)
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(table, "history\tdecisions\tfalse alarms\ton all days\t")
		for _, f := range faults {
			fmt.Fprintf(table, "%s\t", f.name)
		}
		fmt.Fprintln(table)
		for _, n := range lengths {
			r := walk(all, kind, n, m)
			fmt.Fprintf(table, "%d\t%d\t%.3f\t%.3f\t", n, r.all.decisions, r.quiet.percent(), r.all.percent())
			for _, found := range r.found {
				fmt.Fprintf(table, "%.2f\t", found.percent())
			}
			fmt.Fprintln(table)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return nil
}
