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
	"strings"
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
	var b strings.Builder
	fmt.Fprintf(&b, "False alarms per 100 decisions, and faults found in percent; series of kind %q.\n", kind)
	for _, m := range methods {
		fmt.Fprintf(&b, "\n%s\nhistory\tdecisions\tfalse alarms\ton all days\t", m.name)
		for _, f := range faults {
			b.WriteString(f.name + "\t")
		}
		for _, n := range lengths {
			r := walk(all, kind, n, m)
			fmt.Fprintf(&b, "\n%d\t%d\t%.3f\t%.3f\t", n, r.all.decisions, r.quiet.percent(), r.all.percent())
			for _, found := range r.found {
				fmt.Fprintf(&b, "%.2f\t", found.percent())
			}
		}
		b.WriteByte('\n')
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	if _, err := io.WriteString(table, b.String()); err != nil {
		return err
	}
	return table.Flush()
}
