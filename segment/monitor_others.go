package segment

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// Two monitors of two stores that name neither take what the other one lists for
// missing. That a listing lacks segments does not show it: any listing changes, and
// replicas of one monitor see it before a change and after. So each complete sweep that
// lacks segments writes down some of them, and which it lists of those that others
// lacked. If two monitors sweep in turn, and in each of their last sweeps one lacks a
// segment that the other one lists, and the other way round, they list different stores.

// A lack is what a complete sweep writes down of a listing that lacks segments.
type lack struct {
	Monitor string   `json:"monitor"`         // its name, which no other one has
	Sweep   int64    `json:"sweep"`           // counted by the monitor
	Lacks   []string `json:"lacks"`           // some segments: those of its sweep before, as long as it lacks them
	Lists   []string `json:"lists,omitempty"` // of those that others lacked
}

const (
	mostLacked = 5  // segments are named in a lack
	lastLacks  = 30 // are read of all monitors
)

// An unlisted segment is known to the ledger and not listed.
type unlisted struct {
	segment ID
	missing bool // which it should be
}

// compareListings returns an error where another monitor of the same store lists what this
// one lacks, sweep after sweep, and lacks what this one lists.
func (w *sweeper) compareListings(ctx context.Context, sweep int64) error {
	m := w.monitor
	var before []lack
	for e, err := range m.config.Ledger.Log(ctx, LogFilter{Store: &m.config.Store, Action: ActionLacked, Limit: lastLacks}) {
		if err != nil {
			return wrap("reading what listings lacked", err)
		}
		var l lack
		if json.Unmarshal([]byte(e.Text), &l) == nil { // what is damaged tells nothing
			before = append(before, l)
		}
	}
	now := w.lackOf(before, sweep)
	text, err := json.Marshal(now)
	if err == nil {
		err = writeLog(ctx, m.config.Ledger, LogEntry{Store: m.config.Store, At: w.sweep.At, Action: ActionLacked, Text: string(text)})
	}
	if err != nil {
		return wrap("writing down what the listing lacks", err)
	}
	if here, there := now.contradicted(before); here != "" {
		return fmt.Errorf("%w (this one lists %s and never %s, and another one the other way round)", errTwoMonitors, here, there)
	}
	return nil
}

// lackOf returns what this sweep lacks.
func (w *sweeper) lackOf(before []lack, sweep int64) lack {
	now := lack{Monitor: w.monitor.name, Sweep: sweep}
	lacks := map[string]bool{} // all, whether missing or not
	var missing []string
	slices.SortFunc(w.unlisted, func(a, b unlisted) int { return a.segment.Compare(b.segment) })
	for _, u := range w.unlisted {
		name := u.segment.String()
		if lacks[name] = true; u.missing {
			missing = append(missing, name)
		}
	}
	for _, l := range slices.Backward(before) {
		for _, name := range l.Lacks {
			switch {
			case l.Monitor != now.Monitor && !lacks[name] && !slices.Contains(now.Lists, name):
				now.Lists = append(now.Lists, name)
			case l.Monitor == now.Monitor && l.Sweep == now.Sweep-1 && lacks[name]:
				now.Lacks = append(now.Lacks, name)
			}
		}
	}
	for _, name := range missing {
		if len(now.Lacks) < mostLacked && !slices.Contains(now.Lacks, name) {
			now.Lacks = append(now.Lacks, name)
		}
	}
	return now
}

// contradicted returns a segment that this monitor listed in its last three sweeps, and
// one that it lacked, where another monitor swept between them and did the opposite.
func (l *lack) contradicted(before []lack) (here, there string) {
	var own []int // where its last two are
	for i := range before {
		if b := &before[i]; b.Monitor == l.Monitor && (b.Sweep == l.Sweep-2 || b.Sweep == l.Sweep-1) {
			own = append(own, i)
		}
	}
	if len(own) < 2 {
		return "", ""
	}
	mine := []lack{before[own[0]], before[own[1]], *l}
	first, second := before[own[0]:own[1]], before[own[1]:]
	for _, other := range first {
		theirs := slices.Concat(of(first, other.Monitor), of(second, other.Monitor))
		if other.Monitor == l.Monitor || len(of(second, other.Monitor)) == 0 || !successive(theirs) {
			continue
		}
		here = always(theirs, mine[1:])
		there = always(mine, theirs)
		if here != "" && there != "" {
			return here, there
		}
	}
	return "", ""
}

// of returns what one monitor lacked.
func of(all []lack, monitor string) []lack {
	return slices.DeleteFunc(slices.Clone(all), func(l lack) bool { return l.Monitor != monitor })
}

// successive reports whether no sweep between them lacked nothing.
func successive(all []lack) bool {
	for i := range all {
		if all[i].Sweep != all[0].Sweep+int64(i) {
			return false
		}
	}
	return true
}

// always returns a segment that all of some sweeps lacked and all of some others listed.
func always(lacked, listed []lack) string {
	for _, name := range lacked[0].Lacks {
		lacks := func(l lack) bool { return slices.Contains(l.Lacks, name) }
		lists := func(l lack) bool { return slices.Contains(l.Lists, name) }
		if !slices.ContainsFunc(lacked, func(l lack) bool { return !lacks(l) }) && !slices.ContainsFunc(listed, func(l lack) bool { return !lists(l) }) {
			return name
		}
	}
	return ""
}
