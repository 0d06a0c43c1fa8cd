package simulationtest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/plantedtest"
)

// Bugs, as they would stand in the code: each is one piece of the protocol left
// out, and must be found within so many worlds.
var planted = []struct {
	name, file, code, bug string
	within                int
}{
	{"the commit row is not locked", "guard_lease.go", "case r.rule.Mode == Observe, r.lease != nil,", "case true, r.rule.Mode == Observe, r.lease != nil,", 200},
	{"what is stored is counted before the lock", "guard_commit.go", "	if err == nil && !r.admitting {", "	if stored := r.run.Stored; err == nil && stored != nil && !r.admitting {\n		sum, failed := stored(ctx)\n		r.run.Stored = func(context.Context) (validate.Summary, error) { return sum, failed }\n	}\n	if err == nil && !r.admitting {", 200},
	{"a lease is not renewed", "guard_lease.go", "c.Until = c.Now.Add(leaseFor)", "_ = leaseFor", 1000},
	{"a lease that was taken over counts", "ledger_commit.go", "	if err := c.check(r); err != nil {", "	if r.Hold.Token != 0 {\n		r.Hold = Hold{Token: c.Token, Generation: c.Generation}\n	}\n	if err := c.check(r); err != nil {", 4000},
	{"any run that went live meanwhile supersedes", "guard_lease.go", "r.start.Number < c.mayBeLive():", "r.start.Generation != c.Generation:", 200},
	{"an older run goes over a later one that may be live", "ledger_commit.go", "return max(c.Number, c.Passed)", "return c.Number", 4000},
	{"an older run's failure opens an alert", "alert_notifier.go", "if kept = s.hasAlert(); a.Protected() && s.older(a.Number) {", "if kept = s.hasAlert(); false {", 4000},
	{"a pass closes the alert of a later run", "alert_state.go", ", s.Unsettled, o.number != 0 && s.Open.Number > o.number:", ", s.Unsettled:", 4000},
	{"a pass closes an unknown", "alert_state.go", "case s.Open == nil, s.Unsettled, ", "case s.Open == nil, ", 4000},
	{"what overtakes is not noticed", "guard_reject.go", "r.admitting || !r.moved && !r.lease.mayBeGone(ctx)", "true", 200},
	{"the generation stands still", "ledger_commit.go", "c.Generation++", "", 200},
	{"a commit without an answer did not work", "guard_reject.go", "landed = landed || e.Record", "landed = false && e.Record", 2000},
	{"an output of which nothing is known is discarded", "guard_reject.go", "recorded := r.recordAfter(ctx, RunUnknown)", "r.discard(ctx, func() {}); recorded := r.recordAfter(ctx, RunUnknown)", 2000},
	{"a record is skipped after a hang", "guard_reject.go", "	default:\n		tellNow(ctx)\n		r.release(ctx)\n	}\n	r.discard(ctx, func() { tellNow(ctx) })", "	}\n	r.discard(ctx, func() {\n		if r.leftover == nil {\n			tellNow(ctx)\n		}\n	})", 1000},
	{"a wait without a bound", "guard_lease.go", "ctx, cancel := timeout(ctx, r.guard.config.Timeout)\n		defer", "ctx, cancel := context.WithCancel(ctx)\n		defer", 2000},
	{"nobody ends what a later run made over", "monitor_judge.go", "return a.Number < l.number", "return false", 6000},
	{"what is told is written down before", "alert_deliver.go", "			due[s.Key()] = was.clone()\n", "			due[s.Key()] = was.clone()\n			s.told(new(due[s.Key()]), now)\n", 4000},
	{"what the alerter may have heard is forgotten", "alert_state.go", "		if !slices.Contains(s.Trying, m) {\n			s.Trying", "		if false {\n			s.Trying", 4000},
	{"a claim is not renewed", "alert_deliver.go", "if n.patience > 0 || len(due) == 0 {", "if true {", 4000},
	{"a member without its incident", "alert_deliver.go", "if s.Alert.Incident != \"\" && s.Alert.Pending() {", "if false {", 4000},
	{"members are told though their incident was not", "alert_deliver.go", "err != nil { // without it, its members would ring", "false {", 4000},
	{"what was told is not written down", "alert_deliver.go", "		case told:\n", "		case false:\n", 200},
	{"a deep fall is relearned", "../validate/level.go", "float64(size.Users) < deepest*good", "good < 0", 4000},
	{"what is just below a limit is relearned", "../validate/level.go", "caps.under(size.Users) || caps.under(size.Read)", "caps.under(0)", 4000},
	{"a member of an incident is relearned", "guard_apart.go", "r.state.Alert.Incident != \"\" || ", "", 4000},
	{"what was made from an affected one is relearned", "guard_apart.go", " || s.Alert.Open != nil ||", " ||", 4000},
	{"of what is relearned nobody is told", "../validate/level.go", "f.Severity, f.Explains = Warn, vouched", "f.Severity, f.Explains = Warn, true", 4000},
	{"the level before does not pass", "../validate/level.go", "band.Low <= s.lower && s.upper <= band.High {\n			return", "band.Low < 0 {\n			return", 4000},
	{"what was submitted is settled without a look", "guard_settle.go", "stored, err := look(ctx, side)", "stored, err := s.Expected, error(nil)", 1000},
	{"a number from before is a sign", "guard_settle.go", "	return float64(s.Before.Users) < float64(lower)-noise ||", "	return true || float64(s.Before.Users) < float64(lower)-noise ||", 4000},
	{"a run waits for its store for ever", "guard_settle.go", "due := !at.Before(s.Until)", "due := false", 1000},
	{"a mark is lowered", "alert_state.go", "	s.Marks = append(s.Marks, is)\n", "	s.Marks = []Mark{is}\n", 4000},
}

// TestPlantedBugs builds the simulator over code with a bug in it, which must be
// found. It takes minutes: see plantedtest.Variable.
func TestPlantedBugs(t *testing.T) {
	for _, bug := range planted {
		t.Run(bug.name, func(t *testing.T) {
			out := plantedtest.Find(t, "../..", plantedtest.Bug{Name: bug.name, File: bug.file, Code: bug.code, Bug: bug.bug},
				[]string{"SEGMENTGUARD_WORLDS=" + strconv.Itoa(bug.within), "SEGMENTGUARD_SEED=1", "SEGMENTGUARD_SHRINK=0"}, "-run=^TestWorlds$", "-v")
			require.Contains(t, out, "seed ", "%s", out)
			for line := range strings.Lines(out) {
				if strings.Contains(line, "seed ") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}
