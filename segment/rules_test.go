package segment_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// ruleOf returns the rule that a file has for a job.
func ruleOf(t *testing.T, file string, job segment.Job) segment.Rule {
	t.Helper()
	rules, err := segment.ReadRules(strings.NewReader(file))
	require.NoError(t, err)
	rule, err := rules(t.Context(), job)
	require.NoError(t, err)
	return rule
}

// fullRule says every field there is.
const fullRule = `{
	"name": "n", "store": "crm", "mode": "observe",
	"policy": {
		"tolerance": {"short": {"users": 1, "share": 0.01}, "surplus": {"users": 2, "share": 0.02}},
		"reading": {"short": {"users": 3, "share": 0.03}, "surplus": {"users": 4, "share": 0.04}},
		"mapping": {"min": 0.5, "max": 2},
		"allow_empty": true, "distinct": true,
		"caps": [{"users": 500, "origin": "our API"}, {"users": 700, "origin": "our other API"}],
		"cap_systems": ["Elasticsearch", "PostgreSQL"],
		"off_history": "warn", "relearn": 7, "allow_possible": true, "max_source_lag": "36h"
	},
	"lag": {"min": "1s", "max": "1m30s", "every": "5s"},
	"runbook": "https://wiki/r", "link": "https://wiki/l", "page_from": 12345678901, "max_age": "50h",
	"drift": {"short": {"users": 5, "share": 0.05}, "surplus": {"users": 6, "share": 0.06}}
}`

// TestRulesSayEverything: what a Rule has can be said, also what it has since this
// test was written.
func TestRulesSayEverything(t *testing.T) {
	rule := ruleOf(t, "["+fullRule+"]", segment.Job{})
	requireSet(t, "Rule", reflect.ValueOf(rule))
	require.Equal(t, validate.Policy{
		Tolerance: validate.Tolerance{Short: validate.Margin{Users: 1, Share: 0.01}, Surplus: validate.Margin{Users: 2, Share: 0.02}},
		Reading:   validate.Tolerance{Short: validate.Margin{Users: 3, Share: 0.03}, Surplus: validate.Margin{Users: 4, Share: 0.04}},
		Mapping:   validate.Ratio{Min: 0.5, Max: 2}, AllowEmpty: true, Distinct: true,
		Caps:       []validate.Cap{{Users: 500, Origin: "our API"}, {Users: 700, Origin: "our other API"}},
		CapSystems: []string{"Elasticsearch", "PostgreSQL"}, OffHistory: validate.OffHistoryWarns,
		Relearn: 7, AllowPossible: true, MaxSourceLag: 36 * time.Hour,
	}, rule.Policy)
	require.Equal(t, segment.Lag{Min: time.Second, Max: 90 * time.Second, Every: 5 * time.Second}, rule.Lag)
	require.EqualValues(t, 12345678901, rule.PageFrom)
	require.Equal(t, segment.Observe, rule.Mode)
	require.Equal(t, validate.Tolerance{Short: validate.Margin{Users: 5, Share: 0.05}, Surplus: validate.Margin{Users: 6, Share: 0.06}}, rule.Drift)
}

// requireSet requires that no field is zero, down to the last one.
func requireSet(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch v.Kind() { //nolint:exhaustive // all others are leaves
	case reflect.Struct:
		for field, value := range v.Fields() {
			requireSet(t, name+"."+field.Name, value)
		}
	case reflect.Slice:
		require.NotZero(t, v.Len(), name)
		for i := range v.Len() {
			requireSet(t, fmt.Sprintf("%s[%d]", name, i), v.Index(i))
		}
	default:
		require.False(t, v.IsZero(), "%s is not said in fullRule: add it there", name)
	}
}

func TestMostSpecificRule(t *testing.T) {
	const file = `[
		{"name": "all"},
		{"name": "kind", "for": {"job_kind": "copy"}},
		{"name": "group", "for": {"site_group": "site-b"}},
		{"name": "group and kind", "for": {"site_group": "site-b", "job_kind": "copy"}},
		{"name": "segment", "for": {"segment": "site-b/cars"}},
		{"name": "segment and kind", "for": {"segment": "site-b/cars", "job_kind": "copy"}},
		{"name": "slashes", "for": {"segment": "a%2Fb/c/d"}}
	]`
	for _, c := range []struct {
		kind        segment.JobKind
		group, name string
		want        string
	}{
		{"copy", "site-b", "cars", "segment and kind"},
		{"lookalike", "site-b", "cars", "segment"},
		{"", "site-b", "cars", "segment"},
		{"copy", "site-b", "boats", "group and kind"},
		{"lookalike", "site-b", "boats", "group"},
		{"copy", "site-a", "cars", "kind"},
		{"lookalike", "site-a", "cars", "all"},
		{"", "site-a", "cars", "all"},
		{"", "", "cars", "all"},
		{"", "a/b", "c/d", "slashes"},
	} {
		job := segment.Job{Kind: c.kind, To: segment.ID{SiteGroup: c.group, Name: c.name}}
		require.Equal(t, c.want, ruleOf(t, file, job).Name, job)
		require.Equal(t, c.want, ruleOf(t, reversed(file), job).Name, "in whatever order they come")
	}
	require.Equal(t, segment.Rule{}, ruleOf(t, `[{"name": "kind", "for": {"job_kind": "copy"}}]`, segment.Job{Kind: "lookalike"}))
	require.Equal(t, segment.Rule{}, ruleOf(t, "[]", segment.Job{}))
}

// reversed puts the lines of a file's rules in the opposite order.
func reversed(file string) string {
	lines := strings.Split(strings.Trim(strings.TrimSpace(file), "[]"), "\n")
	var out []string
	for _, line := range lines {
		if line = strings.Trim(line, "\t,"); line != "" {
			out = append([]string{line}, out...)
		}
	}
	return "[" + strings.Join(out, ",\n") + "]"
}

func TestRulesRefused(t *testing.T) {
	for _, c := range []struct{ reason, file, want string }{
		{"a file that was cut", "[\n{}", "line 2: unexpected EOF"},
		{"a file that is empty", "", "line 1: unexpected EOF"},
		{"no array", "{}", "line 1: the file is an object, want an array of rules"},
		{"null", "null", "line 1: the file is null, want an array of rules"},
		{"an element that is no rule", "[\n7]", "line 2: a rule is 7, want an object"},
		{"two arrays", "[]\n[]", "line 2: the file goes on after the array"},
		{"no JSON", "[\n{\"name\": nope}]", "line 2: invalid character"},
		{"not UTF-8", "[\n{\"name\": \"\xff\"}]", "line 2: not UTF-8"},
		{"a name that is not known", "[\n\n{\"polcy\": {}}]", `line 3: "polcy" is not known, want one of for, name, store, mode, policy, lag,`},
		{"one inside a policy", "[{\n\"policy\": {\n\"toleranz\": {}}}]", `line 3: policy."toleranz" is not known, want one of tolerance, reading, mapping,`},
		{"a name in another case", `[{"Name": "all"}]`, `line 1: "Name" is not known`},
		{"a name of no field", `[{"Rule": {}}]`, `"Rule" is not known`},
		{"a name twice", "[{\"mode\": \"\",\n\"mode\": \"observe\"}]", "line 2: mode is there twice, want it once"},
		{"null for a struct", `[{"policy": null}]`, "policy is null, want an object"},
		{"null for a text", `[{"name": null}]`, "name is null, want a text"},
		{"a number for a text", `[{"name": 7}]`, "name is 7, want a text"},
		{"a text for a number", `[{"page_from": "7"}]`, `page_from is "7", want a whole number`},
		{"a fraction of a user", `[{"page_from": 0.5}]`, "page_from is 0.5, want a whole number"},
		{"more users than there are", `[{"page_from": 9223372036854775808}]`, "page_from is 9223372036854775808, want a whole number"},
		{"a share as a text", `[{"policy": {"reading": {"short": {"share": "5%"}}}}]`, `policy.reading.short.share is "5%", want a number, such as 0.05`},
		{"a number beyond all", `[{"policy": {"mapping": {"min": 1, "max": 1e999}}}]`, "policy.mapping.max is 1e999, want a number"},
		{"an array for an object", `[{"lag": []}]`, "lag is an array, want an object"},
		{"an object for an array", `[{"policy": {"caps": {}}}]`, "policy.caps is an object, want an array"},
		{"a text for yes", `[{"policy": {"distinct": "true"}}]`, `policy.distinct is "true", want true or false`},
		{"a duration without a unit", `[{"lag": {"max": 90}}]`, `lag.max is 90, want a duration as a text, such as "90s"`},
		{"a duration in days", `[{"policy": {"max_source_lag": "1d"}}]`, `policy.max_source_lag is "1d", want a duration as a text`},
		{"a segment without a site group", `[{"for": {"segment": "cars"}}]`, `for.segment is "cars", want a text like "site-a/cars"`},
		{"a segment that is no text", `[{"for": {"segment": {}}}]`, `for.segment is an object, want a text like "site-a/cars"`},
		{"a site group beside a segment", "[{\"for\": {\"segment\": \"site-a/cars\",\n\"site_group\": \"site-b\"}}]", "line 2: for.site_group is site-b, want no site group"},
		{"a mode that is none", "[{},\n{\"for\": {\"job_kind\": \"copy\"},\n\"mode\": \"observed\"}]", `line 3: mode is observed, want "" or "observe"`},
		{"a negative share", "[{\"policy\": {\"tolerance\": {\n\"surplus\": {\"share\": -0.1}}}}]", "line 2: policy.tolerance.surplus.share is -0.1, want 0 to 1"},
		{"a ratio the wrong way", "[{\n\"policy\": {\n\"mapping\": {\"min\": 1, \"max\": 0.5}}}]", "line 3: policy.mapping is 1 to 0.5, want 0 <= Min <= Max"},
		{"a cap without its origin", "[{\"policy\": {\"caps\": [\n{\"users\": 1, \"origin\": \"a\"},\n{\"users\": 10000}]}}]", "line 3: policy.caps[1] is "},
		{"a system that nobody knows", "[{\"policy\": {\"cap_systems\": [\n\"Elastic\",\n\"MySQL\"]}}]", "line 2: policy.cap_systems[0] is Elastic"},
		{"an off_history that is none", `[{"policy": {"off_history": "unvouched"}}]`, "policy.off_history is unvouched"},
		{"relearning too soon", `[{"policy": {"relearn": 3}}]`, "policy.relearn is 3, want 7 to 28"},
		{"a lag without every", "[{\n\"lag\": {\"max\": \"1m\"}}]", "line 2: lag.every is 0s, want above 0"},
		{"a drift above all", "[{\"drift\":\n{\"short\": {\"share\": 2}}}]", "line 2: drift.short.share is 2, want 0 to 1"},
		{"two rules for all", "[{},\n{}]", "line 2: for the same jobs as the rule of line 1"},
		{"two for a segment", "[{\"for\": {\"segment\": \"a/b\"}},\n{\"name\": \"\",\n\"for\": {\"segment\": \"a/b\"}}]", "line 3: for the same jobs as the rule of line 1"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			rules, err := segment.ReadRules(strings.NewReader(c.file))
			require.ErrorContains(t, err, c.want)
			require.Nil(t, rules)
			if strings.Contains(c.want, ", want ") {
				require.ErrorAs(t, err, new(*validate.InputError))
			}
		})
	}
	_, err := segment.ReadRules(iotest.ErrReader(context.Canceled))
	require.ErrorIs(t, err, context.Canceled)
}

// FuzzReadRules: no file panics, and none that is read has a rule that a guard refuses.
func FuzzReadRules(f *testing.F) {
	f.Add([]byte("[" + fullRule + "]"))
	f.Add([]byte(`[{"for": {"segment": "a/b", "job_kind": "copy"}, "lag": {"max": "1m", "every": "1s"}}]`))
	f.Add([]byte("[{\"\xff\": 1}]"))
	f.Fuzz(func(t *testing.T, file []byte) {
		rules, err := segment.ReadRules(bytes.NewReader(file))
		if err != nil {
			require.Contains(t, err.Error(), "line ")
			return
		}
		rule, err := rules(t.Context(), segment.Copy(segment.ID{SiteGroup: "a", Name: "b"}, segment.ID{SiteGroup: "a", Name: "c"}))
		require.NoError(t, err)
		guard, err := segment.NewGuard(segment.GuardConfig{Rules: func(context.Context, segment.Job) (segment.Rule, error) { return rule, nil }})
		require.NoError(t, err)
		_, err = guard.Admit(t.Context(), segment.Run{
			ID: "r", Job: segment.Job{To: segment.ID{SiteGroup: "a", Name: "b"}}, Expected: validate.Count(1),
			Stored: func(context.Context) (validate.Summary, error) { return validate.Count(1), nil },
		})
		require.NotErrorAs(t, err, new(*validate.InputError))
	})
}
