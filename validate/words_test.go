package validate_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// TestCausesAreThoseOfFailures: an error is what made it fail, not what was only
// worth a warning.
func TestCausesAreThoseOfFailures(t *testing.T) {
	slow, down := errors.New("slow"), errors.New("down")
	err := &validate.Error{Report: validate.Report{Findings: []validate.Finding{
		{Kind: validate.Short, Severity: validate.Fail},
		{Kind: validate.Unverified, Severity: validate.Warn, Cause: slow},
		{Kind: validate.Unverified, Severity: validate.Fail, Cause: down},
	}}}
	require.Equal(t, []error{down}, err.Unwrap())
	require.NotErrorIs(t, err, slow)
}

// TestOverallShortfall: where users were lost while reading, what is stored of
// the expected is what counts, unless nobody knows that or it is no shortfall.
func TestOverallShortfall(t *testing.T) {
	short := validate.Policy{Tolerance: validate.Tolerance{Short: validate.Margin{Users: 50}, Surplus: validate.Margin{Users: 50}}}
	for _, c := range []struct {
		stored validate.Summary
		want   string
	}{
		{count(80), "stored 80 of 100 users"},
		{count(100), "read 90 of 100 users"},
		{count(120), "read 90 of 100 users"},
		{validate.Unknown(), "read 90 of 100 users"},
	} {
		_, err := validate.Check(t.Context(), short, validate.Output{Expected: count(100), Read: count(90), Stored: c.stored})
		require.ErrorContains(t, err, c.want)
	}
}

// TestInputErrorText: an empty string is said to be empty, any other value is
// shown.
func TestInputErrorText(t *testing.T) {
	for want, value := range map[string]any{"F is empty, want x": "", "F is abc, want x": "abc", "F is 0, want x": 0} {
		require.Equal(t, want, (&validate.InputError{Field: "F", Value: value, Want: "x"}).Error())
	}
}

// TestUpperMayBeUsers: a side that moved by nothing is one that was counted.
func TestUpperMayBeUsers(t *testing.T) {
	var s validate.Summary
	require.NoError(t, json.Unmarshal([]byte(`{"users":5,"users_upper":5}`), &s))
	require.Equal(t, validate.Count(5), s)
	require.ErrorContains(t, json.Unmarshal([]byte(`{"users":5,"users_upper":4}`), &s), "below")
}

// TestOneLimitIsNamedAlone: only of many limits at one number is there more to
// say.
func TestOneLimitIsNamedAlone(t *testing.T) {
	policy := validate.Policy{Caps: []validate.Cap{{Users: 1237, Origin: "the mail tool"}}}
	_, err := validate.Check(t.Context(), policy, validate.Output{Expected: count(5000), Stored: count(1237)})
	require.ErrorContains(t, err, "capped at 1,237, a known limit (the mail tool)")
}

// TestPassedReportLogsNoFindings: what is empty is left out.
func TestPassedReportLogsNoFindings(t *testing.T) {
	report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: count(5), Stored: count(5)})
	require.NoError(t, err)
	for _, attr := range report.LogValue().Group() {
		require.NotEqual(t, "findings", attr.Key)
	}
}
