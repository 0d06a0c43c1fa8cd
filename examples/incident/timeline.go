package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

var errLost = errors.New("guarded segments lost users")

// compare prints both replays side by side.
func compare(out io.Writer, without, with *replay) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Two bugs are deployed after night %d: lookalike modeling uploads nothing,\nSegmentCopy reads 10,000 users and no more. No job notices by itself.\n\n", lastHealthyDay)
	table := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "\tWITHOUT SEGMENTGUARD\t\t\tWITH SEGMENTGUARD\t\t")
	fmt.Fprintln(table, "\tjobs\tlive segments short\talerts\tjobs\tlive segments short\talerts")
	for i := range without.days {
		fmt.Fprintf(table, "night %d, hour %+d\t%v\t%v\n", i+1, 24*(i+1-lastHealthyDay), without.days[i], with.days[i])
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\nHour 46: the first customers report empty segments; without the guard, nobody knew.\nHour 24: with it, one open alert for each affected segment, all of them still whole:\n\n")
	for _, text := range with.said {
		fmt.Fprintln(&b, " ", text)
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

func (d day) String() string {
	jobs := fmt.Sprintf("%d succeeded", d.succeeded)
	if d.failed > 0 {
		jobs += fmt.Sprintf(", %d failed", d.failed)
	}
	return fmt.Sprintf("%s\t%d\t%d", jobs, d.affected, d.alerts)
}

func (r *replay) String() string {
	which := "without"
	if r.guarded {
		which = "with"
	}
	return fmt.Sprintf("%s segmentguard: %d live segments lost users, %d jobs failed", which, r.lost, r.failed)
}
