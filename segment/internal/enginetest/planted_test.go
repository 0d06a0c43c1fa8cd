package enginetest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/plantedtest"
)

// TestPlantedBugs plants in guard and ledger what only an engine can show to be
// wrong. It takes minutes: see plantedtest.Variable.
func TestPlantedBugs(t *testing.T) {
	for _, bug := range []struct {
		plantedtest.Bug

		finds string // the test
	}{
		{plantedtest.Bug{
			Name: "the lock row is the ledger's row", File: "sqlsegment/commit.go",
			Code: "	if err := d.lockCommit(ctx, s, key, insert, fresh); err != nil {",
			Bug: `	if id, err := segment.ParseID(fmt.Sprint(key[1])); err == nil {
		if _, err := lockRows(ctx, s, d, []segment.Key{id.In(fmt.Sprint(key[0]))}); err != nil {
			return c, err
		}
	}
	if err := d.lockCommit(ctx, s, key, insert, fresh); err != nil {`,
		}, "TestVanishedClient"},
		{plantedtest.Bug{
			Name: "the row is written before it is compared", File: "sqlsegment/mysql.go",
			Code: "	for range 2 {\n		locked := false",
			Bug: `	if _, err := s.ExecContext(ctx, "INSERT "+insert+" ON DUPLICATE KEY UPDATE attempt = attempt + 1", fresh...); err != nil {
		return err
	}
	for range 2 {
		locked := false`,
		}, "TestTwoRuns"},
		{plantedtest.Bug{
			Name: "what is stored is counted before the lock", File: "guard_commit.go",
			Code: "	if err == nil && !r.admitting {",
			Bug: `	if err == nil && !r.admitting {
		sum, failed := r.run.Stored(ctx)
		r.run.Stored = func(context.Context) (validate.Summary, error) { return sum, failed }`,
		}, "TestTwoRuns"},
		{plantedtest.Bug{
			Name: "no lock in the job's transaction", File: "guard_lease.go",
			Code: "case r.rule.Mode == Observe, r.lease != nil, tx == nil && r.guard.config.Ledger == nil:",
			Bug:  "case r.rule.Mode == Observe, r.lease != nil, tx == nil && r.guard.config.Ledger == nil, tx != nil:",
		}, "TestTwoRuns"},
		{plantedtest.Bug{
			Name: "a run that begins waits for transactions", File: "sqlsegment/log.go",
			Code: "superseded(ctx, s, d, d.bind(newest), &r)",
			Bug:  "superseded(ctx, s, d, d.bind(d.latest(newest)), &r)",
		}, "TestVanishedClient"},
		{plantedtest.Bug{
			Name: "a record that is tried again lost its lease's token", File: "sqlsegment/ledger.go",
			Code: "return recording(&r, l.waited(ctx, nil, l.write(ctx, func(s Conn) error { return record(ctx, s, l.dialect, r) })))",
			Bug: `return recording(&r, l.waited(ctx, nil, l.write(ctx, func(s Conn) error {
		again := r
		r.Hold = segment.Hold{}
		return record(ctx, s, l.dialect, again)
	})))`,
		}, "TestRecordIsTriedAgain"},
		{plantedtest.Bug{
			Name: "a job fails by people who were not told", Tests: "./alertmanagertest", File: "guard.go",
			Code: "			r.log(ctx, toldLater, r.untold)\n		}\n	}()\n	err = r.decide(ctx)",
			Bug:  "			err = join(err, r.untold)\n		}\n	}()\n	err = r.decide(ctx)",
		}, "TestAlertmanagerAway"},
		{plantedtest.Bug{
			Name: "a sweep is complete though people were not told", Tests: "./alertmanagertest", File: "monitor_alert.go",
			Code: "w.sweep.Complete && told == nil", Bug: "w.sweep.Complete && (told == nil || true)",
		}, "TestAlertmanagerAway"},
		{plantedtest.Bug{
			Name: "what an alerter lost is not told again", Tests: "./alertmanagertest", File: "alert_reconcile.go",
			Code: "!t.At.After(h.begun) {\n				misses = true", Bug: "!t.At.After(h.begun) {\n				misses = false",
		}, "TestAlertmanagerAway"},
		{plantedtest.Bug{
			Name: "what the ledger does not hold is not said to be unconfirmed", Tests: "./alertmanagertest", File: "alert_notifier.go",
			Code: "told.Unconfirmed, told.Ledger = true, n.name", Bug: "told.Ledger = n.name",
		}, "TestLedgerAway"},
		{plantedtest.Bug{
			Name: "nobody is told while the ledger is away", Tests: "./alertmanagertest", File: "alert_notifier.go",
			Code: "return join(err, n.say(context.WithoutCancel(ctx), []Alert{told}, nil))", Bug: "return join(err, n.say(context.WithoutCancel(ctx), nil, nil))",
		}, "TestLedgerAway"},
		{plantedtest.Bug{
			Name: "what is unconfirmed stands for a month", Tests: "./alertmanagertest", File: "alertmanager/alert.go",
			Code: "unconfirmed = 2 * time.Hour", Bug: "unconfirmed = 720 * time.Hour",
		}, "TestLedgerAway"},
		{plantedtest.Bug{
			Name: "what was told while the ledger was away is not taken over", Tests: "./alertmanagertest", File: "alert_reconcile.go",
			Code: "if a.adoptable() {", Bug: "if false && a.adoptable() {",
		}, "TestUnconfirmedIsAdopted"},
		{plantedtest.Bug{
			Name: "what is taken over ends by itself", Tests: "./alertmanagertest", File: "alert_reconcile.go",
			Code: "a.Unconfirmed, a.At, a.Told = false, a.Since", Bug: "a.Unconfirmed, a.At, a.Told = true, a.Since",
		}, "TestUnconfirmedIsAdopted"},
		{plantedtest.Bug{
			Name: "what was repaired is taken over", Tests: "./alertmanagertest", File: "alert_reconcile.go",
			Code: "s.Last.State.live() && s.Last.At.After(a.Since)", Bug: "false",
		}, "TestUnconfirmedIsAdopted"},
		{plantedtest.Bug{
			Name: "a run begins without its ledger's name", Tests: "./alertmanagertest", File: "guard_begin.go",
			Code: "if _, err := r.guard.notifier.identity(ctx); err != nil {", Bug: "if err := ctx.Err(); err != nil {",
		}, "TestUnconfirmedIsAdopted"},
		{plantedtest.Bug{
			Name: "what was told is written down when all is told", Tests: "./alertmanagertest", File: "alert_notifier.go",
			Code: "const tellAtOnce = 1000", Bug: "const tellAtOnce = 1_000_000",
		}, "TestMonitorKilled"},
		{plantedtest.Bug{
			Name: "what somebody began to tell is taken for told", Tests: "./alertmanagertest", File: "alert_state.go",
			Code: "!s.told(m) && (s.Muted", Bug: "!s.told(m) && !slices.Contains(s.Trying, m) && (s.Muted",
		}, "TestMonitorKilled"},
		{plantedtest.Bug{
			Name: "members are told and their incident is not", Tests: "./alertmanagertest", File: "alert_deliver.go",
			Code: "return n.say(ctx, firing, resolved) })", Bug: "return n.say(ctx, firing[:0], resolved) })",
		}, "TestMonitorKilled"},
		{plantedtest.Bug{
			Name: "a member that rang is told under other labels", Tests: "./alertmanagertest", File: "alert_state.go",
			Code: "if s.rung(o.at, o.groupWait) {", Bug: "if s.rung(o.at, o.groupWait) && s.Open == nil {",
		}, "TestMembersThatRang"},
		{plantedtest.Bug{
			Name: "a claim never runs out", Tests: "./alertmanagertest", File: "alert_state.go",
			Code: "return now.Before(until) && until.Sub(now) <= claimFor", Bug: "return !until.IsZero() && until.Sub(now) <= claimFor",
		}, "TestWorkerKilled"},
		{plantedtest.Bug{
			Name: "alerts end after a week", Tests: "./alertmanagertest", File: "alertmanager/alert.go",
			Code: "standing = 30 * 24 * time.Hour", Bug: "standing = 7 * 24 * time.Hour",
		}, "TestMonitorWasDead"},
	} {
		t.Run(bug.Name, func(t *testing.T) {
			out := plantedtest.Find(t, "../..", bug.Bug, nil, "-run=^"+bug.finds+"$")
			require.Contains(t, out, "--- FAIL: "+bug.finds, "%s", out)
			for line := range strings.Lines(out) {
				if strings.Contains(line, "--- FAIL") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}
