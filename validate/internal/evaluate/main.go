// Evaluate walks real daily sizes forward and prints how often a size's check
// against its history raises a false alarm, and which share of faults it finds:
// first with a history of good sizes, by its length, beside the usual methods; then as
// a guard has it, which keeps rejected sizes out, with different people behind it; then
// for segments that leak, freeze, stop, or stay broken.
//
//	go run ./validate/internal/evaluate
//
// Series of half of the sources were not looked at where a margin was chosen.
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
	half := flag.String("half", "test", `of the sources: "choose", by which margins may be chosen, "test", or "all"`)
	flag.Parse()
	if err := run(os.Stdout, *dir, *kind, *half); err != nil {
		fmt.Fprintln(os.Stderr, "evaluate:", err)
		os.Exit(1)
	}
}

var lengths = []int{1, 2, 3, 5, 7, 14, 30}

func run(out io.Writer, dir, kind, half string) error {
	all, err := load(dir)
	if err != nil {
		return err
	}
	all = of(all, kind, half)
	if len(all) == 0 {
		return fmt.Errorf("%s has no series of kind %q and half %q", dir, kind, half)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d series of kind %q, half %q.\n", len(all), kind, half)
	open(&b, all)
	closed(&b, all)
	slow(&b, all)
	standFast(&b, all)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	if _, err := io.WriteString(table, b.String()); err != nil {
		return err
	}
	return table.Flush()
}

// open prints how methods do with histories of good sizes.
func open(b *strings.Builder, all []series) {
	b.WriteString("\nWith a history of good sizes: false alarms per 100 decisions, and faults found in percent.\n")
	for _, m := range methods {
		fmt.Fprintf(b, "\n%s\nhistory\tdecisions\tfalse alarms\ton all days\t", m.name)
		for _, f := range faults {
			b.WriteString(f.name + "\t")
		}
		for _, n := range lengths {
			r := walk(all, n, m)
			fmt.Fprintf(b, "\n%d\t%d\t%.3f\t%.3f\t", n, r.all.decisions, r.quiet.percent(), r.all.percent())
			for _, found := range r.found {
				fmt.Fprintf(b, "%.2f\t", found.percent())
			}
		}
		b.WriteByte('\n')
	}
}
