package validatetest

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/validate"
)

// A TestingT is what an assertion needs of a *testing.T.
type TestingT interface {
	Helper()
	Errorf(format string, args ...any)
	FailNow()
}

// RequireComplete fails the test unless out passes by p, and returns the report:
// its SameUsers says whether that was proven of each user, or of their number.
func RequireComplete(t TestingT, p validate.Policy, out validate.Output) validate.Report {
	t.Helper()
	report, err := validate.Check(context.Background(), p, out)
	if err != nil {
		fail(t, "the output is not complete: %v\n%v", err, report)
	}
	return report
}

// RequireKind fails the test unless err is or wraps a *validate.Error that found
// each of kinds, or several of which one did. It may have found others besides: a
// Capped is Short, too. A warning is no failure and counts for none.
//
// Without kinds there is nothing to require, and the test fails.
func RequireKind(t TestingT, err error, kinds ...validate.Kind) {
	t.Helper()
	verdicts := verdicts(err)
	switch {
	case len(kinds) == 0:
		fail(t, "no kind of failure to require: name at least one")
	case err == nil:
		fail(t, "no error, want one that is %s", names(kinds))
	case len(verdicts) == 0:
		fail(t, "want a *validate.Error that is %s, got a %T: %v", names(kinds), err, err)
	case !slices.ContainsFunc(verdicts, func(v *validate.Error) bool { return hasAll(v, kinds) }):
		fail(t, "want an error that is %s, found %s: %v\n%v", names(kinds), names(found(verdicts[0])), err, verdicts[0].Report)
	}
}

// verdicts returns all that err is or wraps, as the error of a plan does that wraps
// those of its steps.
func verdicts(err error) (all []*validate.Error) {
	if v, ok := err.(*validate.Error); ok { //nolint:errorlint // what it wraps comes next
		all = append(all, v)
	}
	switch e := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() error }:
		all = append(all, verdicts(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, wrapped := range e.Unwrap() {
			all = append(all, verdicts(wrapped)...)
		}
	}
	return all
}

func hasAll(v *validate.Error, kinds []validate.Kind) bool {
	return !slices.ContainsFunc(kinds, func(k validate.Kind) bool { return !errors.Is(v, k) })
}

// found returns the kinds of what failed, gravest first, each once.
func found(err *validate.Error) (kinds []validate.Kind) {
	for _, f := range err.Report.Findings {
		if errors.Is(err, f.Kind) && !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	return kinds
}

func names(kinds []validate.Kind) string {
	if len(kinds) == 0 {
		return "none"
	}
	texts := make([]string, len(kinds))
	for i, k := range kinds {
		texts[i] = string(k)
	}
	return strings.Join(texts, ", ")
}

func fail(t TestingT, format string, args ...any) {
	t.Helper()
	t.Errorf(format, args...)
	t.FailNow()
}
