package validatetest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
	"github.com/segmentguard/segmentguard/validate/validatetest"
)

// *testing.T and testify's own TestingT will do.
var (
	_ validatetest.TestingT = (*testing.T)(nil)
	_ validatetest.TestingT = recorder(nil)
	_ require.TestingT      = validatetest.TestingT(nil)
)

// A recorder is a T whose test is not ended by FailNow, so that what an
// assertion does after it can be seen.
type recorder func(event string)

func (recorder) Helper()                             {}
func (r recorder) Errorf(format string, args ...any) { r(fmt.Sprintf(format, args...)) }
func (r recorder) FailNow()                          { r("FailNow") }

// record returns what an assertion did to its test: nothing, or one message and
// then the end.
func record(assert func(validatetest.TestingT)) (events []string) {
	assert(recorder(func(event string) { events = append(events, event) }))
	return events
}

func output(stored int64) validate.Output {
	return validate.Output{
		Name:     "site-b/cars",
		Expected: validate.Count(60_000),
		Read:     validate.Count(stored),
		Stored:   validate.Count(stored),
	}
}

func TestRequireComplete(t *testing.T) {
	var report validate.Report
	require.Empty(t, record(func(t validatetest.TestingT) {
		report = validatetest.RequireComplete(t, validate.Policy{}, output(60_000))
	}))
	require.True(t, report.Passed(), "the report is the check's")
	require.Equal(t, int64(60_000), report.Stored.Users())
}

func TestRequireCompleteFails(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		policy       validate.Policy
		output       validate.Output
		says         string
	}{
		{
			name: "short", reason: "the error's line and the whole report are printed", output: output(10_000),
			says: `the output is not complete: site-b/cars: stored 10,000 of 60,000 users (83.3% short, 0 allowed), lost while reading: capped at 10,000, a known limit (Elasticsearch index.max_result_window, …)
site-b/cars: failed
  expected   60,000 users
  read       10,000 users
  stored     10,000 users
`,
		},
		{
			name: "not measured", reason: "what could not be checked is not complete", output: validate.Output{Name: "site-b/cars", Stored: validate.Count(1)},
			says: "site-b/cars: could not be verified: Output.Expected is not measured",
		},
		{
			name: "empty", reason: "the zero Policy wants a user",
			output: validate.Output{Expected: validate.Count(0), Stored: validate.Count(0)}, says: "nothing is stored",
		},
		{
			name: "bad policy", reason: "what nobody can judge by does not pass", policy: validate.Policy{OffHistory: "whatever"},
			output: output(60_000), says: "Policy.OffHistory is whatever",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var report validate.Report
			events := record(func(t validatetest.TestingT) { report = validatetest.RequireComplete(t, c.policy, c.output) })
			require.Len(t, events, 2, c.reason)
			require.Contains(t, events[0], c.says, c.reason)
			require.Equal(t, "FailNow", events[1], c.reason)
			require.False(t, report.Passed())
		})
	}
}

// failure is the error of a check that finds Capped and Short while reading.
func failure(t *testing.T) error {
	_, err := validate.Check(t.Context(), validate.Policy{}, output(10_000))
	require.Error(t, err)
	return err
}

// outage is the error of a check that could not be finished.
func outage(t *testing.T) error {
	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Name: "site-b/boats", Expected: validate.Count(5)})
	require.Error(t, err)
	return fmt.Errorf("copy boats: %w", err)
}

func TestRequireKind(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		err          error
		kinds        []validate.Kind
	}{
		{"one of several", "others may have been found besides", failure(t), []validate.Kind{validate.Capped}},
		{"all", "in any order", failure(t), []validate.Kind{validate.Short, validate.Capped}},
		{"wrapped", "a job adds its own words", fmt.Errorf("copy cars: %w", failure(t)), []validate.Kind{validate.Capped}},
		{"joined", "and its own troubles", errors.Join(errors.New("rolling back"), failure(t)), []validate.Kind{validate.Short}},
		{"the second of two", "as a plan's error wraps those of its steps", errors.Join(outage(t), failure(t)), []validate.Kind{validate.Capped}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Empty(t, record(func(t validatetest.TestingT) { validatetest.RequireKind(t, c.err, c.kinds...) }), c.reason)
		})
	}
}

func TestRequireKindFails(t *testing.T) {
	warned := &validate.Error{Report: validate.Report{Findings: []validate.Finding{
		{Kind: validate.Capped, Severity: validate.Warn, Detail: "capped"},
		{Kind: validate.Short, Severity: validate.Fail, Detail: "short"},
	}}}
	twice := &validate.Error{Report: validate.Report{Findings: []validate.Finding{
		{Kind: validate.Short, Step: "read", Detail: "short"},
		{Kind: validate.Short, Step: "store", Detail: "short"},
	}}}
	for _, c := range []struct {
		name, reason string
		err          error
		kinds        []validate.Kind
		says         []string
	}{
		{
			name: "no error", reason: "a job that passed did not fail", kinds: []validate.Kind{validate.Capped, validate.Short},
			says: []string{"no error, want one that is capped, short"},
		},
		{
			name: "another error", reason: "an outage is no verdict", err: errors.New("connection refused"), kinds: []validate.Kind{validate.Empty},
			says: []string{"want a *validate.Error that is empty, got a *errors.errorString: connection refused"},
		},
		{
			name: "a bare kind", reason: "a kind without a report is nobody's verdict", err: validate.Capped, kinds: []validate.Kind{validate.Capped},
			says: []string{"want a *validate.Error that is capped, got a validate.Kind: capped"},
		},
		{
			name: "another kind", reason: "names what was wanted and found, and prints the report", err: failure(t), kinds: []validate.Kind{validate.Empty},
			says: []string{"want an error that is empty, found capped, short: site-b/cars: stored 10,000", "\nsite-b/cars: failed\n", "  capped     at read:"},
		},
		{
			name: "found twice", reason: "a kind is named once", err: twice, kinds: []validate.Kind{validate.Gap},
			says: []string{"want an error that is gap, found short: "},
		},
		{
			name: "one of two", reason: "each is required", err: failure(t), kinds: []validate.Kind{validate.Capped, validate.Gap},
			says: []string{"want an error that is capped, gap, found capped, short"},
		},
		{
			name: "one each", reason: "of several, one must have found all", err: errors.Join(outage(t), failure(t)), kinds: []validate.Kind{validate.Unverified, validate.Capped},
			says: []string{"want an error that is unverified, capped, found unverified", "\nsite-b/boats: "},
		},
		{
			name: "only warned of", reason: "a warning lets the output pass", err: warned, kinds: []validate.Kind{validate.Capped},
			says: []string{"want an error that is capped, found short"},
		},
		{
			name: "nothing found", reason: "a check that was not finished found nothing", err: &validate.Error{}, kinds: []validate.Kind{validate.Unverified},
			says: []string{"want an error that is unverified, found none"},
		},
		{
			name: "no kind", reason: "an empty table must not pass", err: failure(t),
			says: []string{"name at least one"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			events := record(func(t validatetest.TestingT) { validatetest.RequireKind(t, c.err, c.kinds...) })
			require.Len(t, events, 2, c.reason)
			for _, says := range c.says {
				require.Contains(t, events[0], says, c.reason)
			}
			require.Equal(t, "FailNow", events[1], c.reason)
		})
	}
}
