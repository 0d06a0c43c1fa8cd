package simulationtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Bugs, as they would stand in the code: each is one piece of the protocol left
// out, and must be found within so many worlds.
var planted = []struct {
	name, file, code, bug string
	within                int
}{
	{"the commit row is not locked", "guard_lease.go", "case r.rule.Mode == Observe, r.lease != nil,", "case true, r.rule.Mode == Observe, r.lease != nil,", 200},
	{"a lease is not renewed", "guard_lease.go", "c.Until = c.Now.Add(leaseFor)", "_ = leaseFor", 1000},
	{"any run that went live meanwhile supersedes", "guard_lease.go", "r.start.Number < c.mayBeLive():", "r.start.Generation != c.Generation:", 200},
	{"an older run goes over a later one that may be live", "ledger_commit.go", "return max(c.Number, c.Passed)", "return c.Number", 4000},
	{"an older run's failure opens an alert", "alert_notifier.go", "if !a.Protected || !s.older(a.Number) {", "{", 4000},
	{"a pass closes the alert of a later run", "alert_state.go", "(number == 0 || s.Open.Number <= number) && ", "", 4000},
	{"a pass closes an unknown", "alert_state.go", "s.Open.State != RunUnknown && ", "", 4000},
	{"what overtakes is not noticed", "guard_reject.go", "r.unprotected() || r.admitting || !r.moved && !r.lease.mayBeGone(ctx)", "true", 200},
	{"the generation stands still", "ledger_commit.go", "c.Generation++", "", 200},
	{"a commit without an answer did not work", "guard_reject.go", "landed = landed || e.Record", "landed = false && e.Record", 2000},
	{"an output of which nothing is known is discarded", "guard_reject.go", "recorded := r.recordAfter(ctx, RunUnknown)", "r.discard(ctx, func() {}); recorded := r.recordAfter(ctx, RunUnknown)", 2000},
	{"a wait without a bound", "guard_lease.go", "ctx, cancel := timeout(ctx, r.guard.config.Timeout)", "ctx, cancel := context.WithCancel(ctx)", 2000},
	{"nobody ends what a later run made over", "monitor_judge.go", "return a.bySweep() || known && (a.State == RunUnknown || later)", "return a.bySweep() || known && a.State == RunUnknown && !later", 6000},
}

// TestPlantedBugs builds the simulator over code with a bug in it, which must be
// found. It takes minutes: set SEGMENTGUARD_PLANTED=1, or to a part of a bug's name.
func TestPlantedBugs(t *testing.T) {
	want := os.Getenv("SEGMENTGUARD_PLANTED")
	if want == "" {
		t.Skip("SEGMENTGUARD_PLANTED is not set")
	}
	folder, err := filepath.Abs("../..")
	require.NoError(t, err)
	for _, bug := range planted {
		t.Run(bug.name, func(t *testing.T) {
			if want != "1" && !strings.Contains(bug.name, want) {
				t.Skip("not asked for")
			}
			original := filepath.Join(folder, bug.file)
			code, err := os.ReadFile(original)
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(string(code), bug.code), "the code changed, and the bug must change with it")
			broken := filepath.Join(t.TempDir(), bug.file)
			require.NoError(t, os.WriteFile(broken, []byte(strings.Replace(string(code), bug.code, bug.bug, 1)), 0o600))
			overlay := filepath.Join(t.TempDir(), "overlay.json")
			replaced, err := json.Marshal(map[string]map[string]string{"Replace": {original: broken}})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(overlay, replaced, 0o600))
			c := exec.CommandContext(t.Context(), "go", "test", "-overlay="+overlay, "-run=^TestWorlds$", "-v", ".")
			c.Env = append(os.Environ(), "SEGMENTGUARD_WORLDS="+strconv.Itoa(bug.within), "SEGMENTGUARD_SEED=1", "SEGMENTGUARD_SHRINK=0", "SEGMENTGUARD_PLANTED=")
			out, err := c.CombinedOutput()
			require.Error(t, err, "no world of %d breaks a promise", bug.within)
			require.Contains(t, string(out), "seed ", "%s", out)
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "seed ") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}
