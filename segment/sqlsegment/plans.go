package sqlsegment

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
)

// segmentguard_plans holds plans of reruns, segmentguard_steps one row a step: what the
// plan says of it as JSON, and how far it is in columns, which alone change.

// A planStore is a segment.PlanLedger of a ledger, or of its part in a job's
// transaction. Reading and writing each call do once they are ready.
type planStore struct {
	dialect     ledgerDialect
	read, write func(ctx context.Context, do func(Conn) error) error
	failed      func(ctx context.Context, doing string, err error) error
}

func (l *Ledger) planStore() *planStore {
	return &planStore{l.dialect, l.read, l.write, func(ctx context.Context, doing string, err error) error {
		return wrap(doing, l.waited(ctx, nil, err))
	}}
}

func (r *txRecorder) planStore() *planStore {
	do := func(ctx context.Context, do func(Conn) error) error {
		if err := r.ready(ctx); err != nil {
			return err
		}
		return do(r.tx)
	}
	return &planStore{r.ledger.dialect, do, do, func(_ context.Context, doing string, err error) error { return r.failed(doing, err) }}
}

// Plans implements segment.PlanLedger.
func (l *Ledger) Plans(ctx context.Context, f segment.PlanFilter) iter.Seq2[segment.PlanRecord, error] {
	return l.planStore().plans(ctx, f)
}

// KeepPlan implements segment.PlanLedger.
func (l *Ledger) KeepPlan(ctx context.Context, p segment.PlanRecord, steps iter.Seq[segment.PlanStep]) error {
	return l.planStore().keep(ctx, p, steps)
}

// Steps implements segment.PlanLedger.
func (l *Ledger) Steps(ctx context.Context, f segment.StepFilter) iter.Seq2[segment.PlanStep, error] {
	return l.planStore().steps(ctx, f)
}

// CountSteps implements segment.PlanLedger.
func (l *Ledger) CountSteps(ctx context.Context, plan string) (map[segment.StepState]int, error) {
	return l.planStore().count(ctx, plan)
}

// ChangeSteps implements segment.PlanLedger.
func (l *Ledger) ChangeSteps(ctx context.Context, plan string, numbers []int, change func(*segment.PlanStep) error) error {
	return l.planStore().change(ctx, plan, numbers, change)
}

// Plans implements segment.PlanLedger.
func (r *txRecorder) Plans(ctx context.Context, f segment.PlanFilter) iter.Seq2[segment.PlanRecord, error] {
	return r.planStore().plans(ctx, f)
}

// KeepPlan implements segment.PlanLedger.
func (r *txRecorder) KeepPlan(ctx context.Context, p segment.PlanRecord, steps iter.Seq[segment.PlanStep]) error {
	return r.planStore().keep(ctx, p, steps)
}

// Steps implements segment.PlanLedger.
func (r *txRecorder) Steps(ctx context.Context, f segment.StepFilter) iter.Seq2[segment.PlanStep, error] {
	return r.planStore().steps(ctx, f)
}

// CountSteps implements segment.PlanLedger.
func (r *txRecorder) CountSteps(ctx context.Context, plan string) (map[segment.StepState]int, error) {
	return r.planStore().count(ctx, plan)
}

// ChangeSteps implements segment.PlanLedger.
func (r *txRecorder) ChangeSteps(ctx context.Context, plan string, numbers []int, change func(*segment.PlanStep) error) error {
	return r.planStore().change(ctx, plan, numbers, change)
}

// planColumns are those of segmentguard_plans but token, which tells whoever writes a
// plan whether it was he.
const planColumns = "plan, at, by_whom, why, steps, rest"

func (p *planStore) plans(ctx context.Context, f segment.PlanFilter) iter.Seq2[segment.PlanRecord, error] {
	query, args := "SELECT "+planColumns+" FROM segmentguard_plans", []any(nil)
	if f.ID != "" {
		query, args = query+" WHERE plan = ?", append(args, f.ID)
	}
	query += " ORDER BY at DESC, plan"
	if f.Limit > 0 {
		query, args = query+" LIMIT ?", append(args, f.Limit)
	} else {
		query += p.dialect.unlimited()
	}
	return func(yield func(segment.PlanRecord, error) bool) {
		var found []segment.PlanRecord
		err := p.read(ctx, func(s Conn) error {
			found = nil
			return each(ctx, s, p.dialect.bind(query), args, func(scan scanner) error {
				var r segment.PlanRecord
				var at instant
				var rest []byte
				err := scan(&r.ID, &at, &r.Planned.By, &r.Planned.Why, &r.Steps, &rest)
				r.Planned.At, r.Rest = at.Time, rest
				found = append(found, r)
				return err
			})
		})
		if err != nil {
			yield(segment.PlanRecord{}, p.failed(ctx, "reading the plans", err))
			return
		}
		for _, r := range found {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (p *planStore) keep(ctx context.Context, r segment.PlanRecord, steps iter.Seq[segment.PlanStep]) error {
	err := cmp.Or(storableStore(p.dialect, "PlanRecord.ID", r.ID), p.dialect.storable("PlanRecord.Planned.By", r.Planned.By),
		p.dialect.storable("PlanRecord.Planned.Why", r.Planned.Why))
	if err == nil {
		token := rand.Text()
		err = p.write(ctx, func(s Conn) error {
			if err := p.insertPlan(ctx, s, &r, token); err != nil {
				return err
			}
			return p.insertSteps(ctx, s, r.ID, steps)
		})
	}
	return p.failed(ctx, fmt.Sprintf("keeping plan %q", r.ID), err)
}

// insertPlan leaves a plan that is there as it is.
func (p *planStore) insertPlan(ctx context.Context, s Conn, r *segment.PlanRecord, token string) error {
	var rest any
	if r.Rest != nil {
		rest = string(r.Rest)
	}
	insert := "INSERT INTO segmentguard_plans (" + planColumns + ", token) VALUES (" + list("?", 7) + ")" + p.dialect.overwrite("plan", []string{"plan"})
	_, err := s.Exec(ctx, p.dialect.bind(insert), r.ID, p.dialect.time(r.Planned.At), r.Planned.By, r.Planned.Why, r.Steps, rest, token)
	var kept []byte
	if err == nil {
		err = one(ctx, s, p.dialect.bind(p.dialect.latest("SELECT token FROM segmentguard_plans WHERE plan = ?")), []any{r.ID}, &kept)
	}
	if err == nil && string(kept) != token {
		return segment.ErrPlanKnown
	}
	return err
}

func (p *planStore) insertSteps(ctx context.Context, s Conn, plan string, steps iter.Seq[segment.PlanStep]) error {
	var rows []stepRow
	flush := func() error {
		err := p.saveSteps(ctx, s, rows, "")
		rows = rows[:0]
		return err
	}
	for step := range steps {
		step.Plan = plan
		row, err := newStepRow(step)
		if err == nil {
			rows = append(rows, row)
		}
		if err == nil && len(rows) == chunk {
			err = flush()
		}
		if err != nil {
			return err
		}
	}
	return flush()
}

// progressColumns are the columns of segmentguard_steps that change.
var progressColumns = []string{"state", "waits", "run", "attempt", "worker", "started", "ended", "error", "blocker"}

// stepColumns are all columns of segmentguard_steps.
var stepColumns = append([]string{"plan", "number", "segment", "kind", "definition"}, progressColumns...)

// A stepRow is a step as it is kept.
type stepRow struct {
	segment.PlanStep

	definition []byte
}

// A stepDefinition is what a plan says of a step.
type stepDefinition struct {
	Job      segment.Job `json:"job"`
	After    []int       `json:"after,omitempty"`
	Next     []int       `json:"next,omitempty"`
	Affected bool        `json:"affected,omitempty"`
	Users    int64       `json:"users,omitempty"`
}

func newStepRow(s segment.PlanStep) (r stepRow, err error) {
	r.PlanStep = s
	r.definition, err = json.Marshal(stepDefinition{s.Job, s.After, s.Next, s.Affected, s.Users})
	return r, err
}

func scanStep(scan scanner) (r stepRow, err error) {
	var started, ended sql.Null[instant]
	var to, kind []byte // which the definition has, too
	p := &r.Progress
	if err := scan(&r.Plan, &r.Number, &to, &kind, &r.definition, &p.State, &p.Waits, &p.RunID, &p.Attempt, &p.Worker, &started, &ended, &p.Err, &p.Blocker); err != nil {
		return r, err
	}
	p.Started, p.Ended = started.V.Time, ended.V.Time
	var d stepDefinition
	if err := json.Unmarshal(r.definition, &d); err != nil {
		return r, &segment.Damage{Table: "segmentguard_steps", Row: fmt.Sprintf("%s %d", r.Plan, r.Number), Columns: []string{"definition"}, What: err.Error()}
	}
	r.Job, r.After, r.Next, r.Affected, r.Users = d.Job, d.After, d.Next, d.Affected, d.Users
	return r, nil
}

// values returns stepColumns.
func (r *stepRow) values(d ledgerDialect) ([]any, error) {
	to, err := text(d, r.Job.To)
	p := &r.Progress
	err = cmp.Or(err, checkStepState(p.State), d.storable("PlanStep.Job.Kind", string(r.Job.Kind)), d.storable("PlanStep.Job.ID", r.Job.ID),
		d.storable("StepProgress.RunID", p.RunID), d.storable("StepProgress.Worker", p.Worker), d.storable("StepProgress.Err", p.Err))
	return []any{
		r.Plan, r.Number, to, string(r.Job.Kind), string(r.definition),
		string(p.State), p.Waits, p.RunID, p.Attempt, p.Worker, unlessZero(d, p.Started), unlessZero(d, p.Ended), p.Err, p.Blocker,
	}, err
}

// unlessZero returns NULL for no time.
func unlessZero(d ledgerDialect, t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return d.time(t)
}

// checkStepState refuses an unknown state: no filter would find it.
func checkStepState(s segment.StepState) error {
	switch s {
	case segment.StepWaiting, segment.StepRunning, segment.StepDone, segment.StepFailed, segment.StepUnverified, segment.StepCancelled:
		return nil
	}
	return badInput("StepProgress.State", string(s), `"waiting", "running", "done", "failed", "unverified" or "cancelled"`)
}

// saveSteps writes rows; conflict says what becomes of those that are there.
func (p *planStore) saveSteps(ctx context.Context, s Conn, rows []stepRow, conflict string) error {
	if len(rows) == 0 {
		return nil
	}
	args := make([]any, 0, len(rows)*len(stepColumns))
	for i := range rows {
		values, err := rows[i].values(p.dialect)
		if err != nil {
			return err
		}
		args = append(args, values...)
	}
	insert := "INSERT INTO segmentguard_steps (" + strings.Join(stepColumns, ", ") + ") VALUES " + list("("+list("?", len(stepColumns))+")", len(rows))
	_, err := s.Exec(ctx, p.dialect.bind(insert+conflict), args...)
	return err
}

func (p *planStore) steps(ctx context.Context, f segment.StepFilter) iter.Seq2[segment.PlanStep, error] {
	q := selection{columns: strings.Join(stepColumns, ", "), table: "segmentguard_steps", order: "number", limit: f.Limit}
	q.after = func(from any) (string, []any) { return "plan = ? AND number > ?", []any{f.Plan, from} }
	if f.State != "" {
		q.where("state = ?", string(f.State))
	}
	if f.Ready {
		q.where("waits = 0")
	}
	if f.Numbers != nil {
		q.among("number", f.Numbers)
	}
	read := func(ctx context.Context, from any, n int) (page []stepRow, err error) {
		query, args := q.page(from, n)
		err = p.read(ctx, func(s Conn) error {
			page, err = p.scanSteps(ctx, s, query, args)
			return err
		})
		return page, p.failed(ctx, fmt.Sprintf("reading the steps of plan %q", f.Plan), err)
	}
	rows := flat(inTurn(ctx, any(f.After), f.Limit, read, func(r *stepRow) any { return r.Number }))
	return func(yield func(segment.PlanStep, error) bool) {
		for r, err := range rows {
			if !yield(r.PlanStep, err) {
				return
			}
		}
	}
}

func (p *planStore) scanSteps(ctx context.Context, s Conn, query string, args []any) (rows []stepRow, err error) {
	err = each(ctx, s, p.dialect.bind(query), args, func(scan scanner) error {
		r, err := scanStep(scan)
		rows = append(rows, r)
		return err
	})
	return rows, err
}

// among selects rows by numbers, of which there may be none.
func (q *selection) among(column string, numbers []int) {
	args := make([]any, len(numbers))
	for i, n := range numbers {
		args[i] = n
	}
	if len(args) == 0 {
		q.where("1 = 0")
		return
	}
	q.where(column+" IN ("+list("?", len(args))+")", args...)
}

func (p *planStore) count(ctx context.Context, plan string) (counts map[segment.StepState]int, err error) {
	query := "SELECT state, count(*) FROM segmentguard_steps WHERE plan = ? GROUP BY state" + p.dialect.unlimited()
	err = p.read(ctx, func(s Conn) error {
		counts = make(map[segment.StepState]int)
		return each(ctx, s, p.dialect.bind(query), []any{plan}, func(scan scanner) error {
			var state segment.StepState
			var n int
			err := scan(&state, &n)
			counts[state] = n
			return err
		})
	})
	return counts, p.failed(ctx, fmt.Sprintf("counting the steps of plan %q", plan), err)
}

func (p *planStore) change(ctx context.Context, plan string, numbers []int, change func(*segment.PlanStep) error) error {
	numbers = slices.Compact(slices.Sorted(slices.Values(numbers)))
	if len(numbers) == 0 {
		return nil
	}
	var refused error // by the caller, who gets it as it is
	err := p.write(ctx, func(s Conn) error {
		refused = nil
		for some := range slices.Chunk(numbers, chunk) {
			rows, err := p.lockSteps(ctx, s, plan, some)
			if err != nil {
				return err
			}
			for i := range rows {
				step := rows[i].PlanStep
				if refused = change(&step); refused != nil {
					return refused
				}
				rows[i].Progress = step.Progress
			}
			if err := p.saveSteps(ctx, s, rows, p.dialect.overwrite("plan, number", progressColumns)); err != nil {
				return err
			}
		}
		return nil
	})
	if refused != nil {
		return refused
	}
	return p.failed(ctx, fmt.Sprintf("changing steps of plan %q", plan), err)
}

// lockSteps returns steps of a plan, all of which must be there. Whoever changes one of
// them waits until the transaction ends.
func (p *planStore) lockSteps(ctx context.Context, s Conn, plan string, numbers []int) ([]stepRow, error) {
	q := selection{columns: strings.Join(stepColumns, ", "), table: "segmentguard_steps", order: "number"}
	q.after = func(any) (string, []any) { return "plan = ?", []any{plan} }
	q.among("number", numbers)
	query, args := q.page(nil, len(numbers))
	rows, err := p.scanSteps(ctx, s, p.dialect.forUpdate(query), args)
	if err != nil {
		return nil, err
	}
	for i, n := range numbers {
		if i == len(rows) || rows[i].Number != n {
			return nil, badInput("ChangeSteps: numbers", n, fmt.Sprintf("a step of plan %q", plan))
		}
	}
	return rows, nil
}

// overPlans selects the plans of before a time whose steps were all done before it.
const overPlans = `SELECT plan FROM segmentguard_plans WHERE at < ? AND NOT EXISTS (
	SELECT 1 FROM segmentguard_steps WHERE segmentguard_steps.plan = segmentguard_plans.plan AND (state <> 'done' OR ended >= ?))`

// prunePlans deletes plans that are over, each as a whole.
func (l *Ledger) prunePlans(ctx context.Context, before time.Time) error {
	var over []string
	err := l.read(ctx, func(s Conn) error {
		over = nil
		at := l.dialect.time(before)
		return each(ctx, s, l.dialect.bind(overPlans+l.dialect.unlimited()), []any{at, at}, func(scan scanner) error {
			var plan string
			err := scan(&plan)
			over = append(over, plan)
			return err
		})
	})
	for _, plan := range over {
		if err == nil {
			err = l.write(ctx, func(s Conn) error {
				_, err := s.Exec(ctx, l.dialect.bind("DELETE FROM segmentguard_steps WHERE plan = ?"), plan)
				if err == nil {
					_, err = s.Exec(ctx, l.dialect.bind("DELETE FROM segmentguard_plans WHERE plan = ?"), plan)
				}
				return err
			})
		}
	}
	return wrap("pruning the plans", l.waited(ctx, nil, err))
}
