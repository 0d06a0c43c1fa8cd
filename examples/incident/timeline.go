package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
)

var errLost = errors.New("guarded segments lost users")

// compare prints both replays side by side.
func compare(out io.Writer, without, with *replay) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Two bugs are deployed after night %d: lookalike modeling uploads nothing,\nSegmentCopy reads 10,000 users and no more. No job notices by itself.\n\n", lastHealthyNight)
	table := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "\tWITHOUT SEGMENTGUARD\t\t\tWITH SEGMENTGUARD\t\t")
	fmt.Fprintln(table, "\tjobs\tlive users\talerts\tjobs\tlive users\talerts")
	for i := range without.nights {
		fmt.Fprintf(table, "night %d, hour %+d\t%v\t%v\n", i+1, hourOf(i+1), without.nights[i], with.nights[i])
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\nHour %d: the first customers report empty segments; without the guard, nobody knew.\nHour %d: with it, one alert for each affected segment and each incident, all segments still whole:\n\n", customersReport, with.noticed)
	for _, text := range with.said {
		fmt.Fprintln(&b, " ", text)
	}
	without.printWaves(&b)
	with.printPlan(&b)
	fmt.Fprintln(table, "\n\tsomebody notices\teverything is right again")
	fmt.Fprintf(table, "without segmentguard\thour %d, by customers\thour %d, after %d reruns\n", without.noticed, without.recovered, without.reruns())
	fmt.Fprintf(table, "with segmentguard\thour %d, by %d alerts\thour %d, after %d reruns\n", with.noticed, len(with.said), with.recovered, with.reruns())
	if err := table.Flush(); err != nil {
		return err
	}
	b.WriteByte('\n')
	for _, r := range []*replay{without, with} {
		fmt.Fprintln(&b, r)
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return err
	}
	if with.lost > 0 {
		return errLost
	}
	return nil
}

// printWaves shows which segments each wave of reruns left short.
func (r *replay) printWaves(b *strings.Builder) {
	fmt.Fprint(b, "\nFrom here on the nightly jobs are held, and reruns alone repair what is wrong.\n")
	fmt.Fprint(b, "\nWITHOUT SEGMENTGUARD nobody knows which segments are short. Jobs are rerun kind by kind:\n\n")
	for _, w := range r.waves {
		fmt.Fprintf(b, "  hour %3d: %-50s %2d rerun, %2d segments still short\n", w.hour, w.why, len(w.jobs), w.short)
	}
	fmt.Fprintf(b, "\n  users missing after hour %43d", hourOf(lastNight))
	for _, w := range r.waves {
		fmt.Fprintf(b, "%8d", w.hour)
	}
	b.WriteByte('\n')
	for _, s := range r.short {
		fmt.Fprintf(b, "  %-60s", s.job.ID)
		for _, users := range s.missing {
			fmt.Fprintf(b, "%8s", humanize.Comma(int64(users)))
		}
		b.WriteByte('\n')
	}
	fmt.Fprint(b, "\n  A lookalike rerun from a copy that is still short is short again, and so is every copy of it.\n")
}

// printPlan shows the recovery in one command.
func (r *replay) printPlan(b *strings.Builder) {
	fmt.Fprintf(b, "\nWITH SEGMENTGUARD all is known, and waits for the fixes. Hour %d, both are deployed:\n\n", bothFixedAt)
	for line := range strings.Lines(r.plan.String()) {
		if line != "\n" {
			line = "  " + line
		}
		b.WriteString(line)
	}
	fmt.Fprintf(b, "\n  Every rerun is guarded. Outcome: %v\n", r.outcome)
}

func (r *replay) reruns() (n int) {
	for _, w := range r.waves {
		n += len(w.jobs)
	}
	return n + len(r.outcome.Done)
}

func (n night) String() string {
	jobs, live := fmt.Sprintf("%d succeeded", n.succeeded), humanize.Comma(int64(n.live))
	if n.failed > 0 {
		jobs += fmt.Sprintf(", %d failed", n.failed)
	}
	if n.short > 0 {
		live += fmt.Sprintf(" (%d segments short)", n.short)
	}
	return fmt.Sprintf("%s\t%s\t%d", jobs, live, n.alerts)
}

func (r *replay) String() string {
	which := "without"
	if r.guarded {
		which = "with"
	}
	return fmt.Sprintf("%s segmentguard: %d live segments lost users, %d jobs failed", which, r.lost, r.failed)
}
