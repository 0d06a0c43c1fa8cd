package segment

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/segmentguard/segmentguard/validate"
)

// ReadRules reads a file of rules and returns the function that GuardConfig.Rules and
// MonitorConfig.Rules take. The file is a JSON array. Each of its objects is a rule and,
// under "for", the jobs that it is for:
//
//	[
//	  {"name": "all", "runbook": "https://wiki/segments"},
//	  {
//	    "for": {"job_kind": "copy"},
//	    "name": "copies",
//	    "policy": {
//	      "tolerance": {"short": {"share": 0.001, "users": 5}},
//	      "max_source_lag": "24h"
//	    },
//	    "lag": {"min": "10s", "max": "5m", "every": "30s"},
//	    "drift": {"short": {"share": 0.02}, "surplus": {"share": 0.02}}
//	  },
//	  {"for": {"job_kind": "copy", "site_group": "site-b"}, "policy": {"mapping": {"min": 0.7, "max": 0.95}}},
//	  {"for": {"segment": "site-b/cars"}, "mode": "observe", "page_from": 1000}
//	]
//
// The names are those of the fields of Rule and Policy, in the form "page_from". Durations
// are texts as time.ParseDuration reads them, shares and ratios are numbers.
//
// One rule holds for a job, as a whole: nothing is taken over from another, so that
// what an object does not say is strict. It is the most specific one that is for the
// job. A rule for a segment comes before one for a site group, that before one for a
// job kind alone, and that before one for all; of two for the same segment or site
// group, the one for the job's kind comes first. Where none is for it, the zero Rule
// holds.
//
// ReadRules refuses names that it does not know, values that a Rule must not have, and
// two rules for the same jobs. Its error says in which line, and is a
// *validate.InputError where a value is wrong.
func ReadRules(r io.Reader) (func(context.Context, Job) (Rule, error), error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("segment: read rules: %w", err)
	}
	rules, err := parseRules(data)
	if err != nil {
		return nil, fmt.Errorf("segment: read rules: %w", err)
	}
	return func(_ context.Context, job Job) (Rule, error) { return rules.of(&job), nil }, nil
}

// A ruleScope says which jobs a rule is for.
type ruleScope struct {
	JobKind   JobKind // empty: any
	SiteGroup string  // of what the job writes; empty: any
	Segment   ID      // that the job writes; zero: any
}

type scopedRule struct {
	For ruleScope
	Rule
}

type ruleSet map[ruleScope]Rule

// of returns the most specific rule that is for the job.
func (s ruleSet) of(job *Job) Rule {
	for _, scope := range [...]ruleScope{
		{Segment: job.To, JobKind: job.Kind}, {Segment: job.To},
		{SiteGroup: job.To.SiteGroup, JobKind: job.Kind}, {SiteGroup: job.To.SiteGroup},
		{JobKind: job.Kind}, {},
	} {
		if rule, ok := s[scope]; ok {
			return rule
		}
	}
	return Rule{}
}

func parseRules(data []byte) (ruleSet, error) {
	rules, lines := ruleSet{}, map[ruleScope]int{}
	f := newRuleFile(data)
	if at := bytes.IndexFunc(data, func(r rune) bool { return r == utf8.RuneError }); at >= 0 && !utf8.Valid(data) {
		return nil, fmt.Errorf("line %d: not UTF-8, which would be read as other characters", f.lineAt(int64(at)))
	}
	err := f.array(func() error {
		clear(f.places)
		var r scopedRule
		if err := f.value(reflectOf(&r), "", ""); err != nil {
			return err
		}
		line := cmp.Or(f.places["For"].line, f.places[""].line)
		if err := r.validate(); err != nil {
			return f.locate(err, line)
		}
		if before, twice := lines[r.For]; twice {
			return fmt.Errorf("line %d: for the same jobs as the rule of line %d", line, before)
		}
		rules[r.For], lines[r.For] = r.Rule, line
		return nil
	})
	if err == nil {
		err = f.end()
	}
	return rules, err
}

// validate returns a *validate.InputError that names what is wrong.
func (r *scopedRule) validate() error {
	if r.For.SiteGroup != "" && !r.For.Segment.IsZero() {
		return badInput("For.SiteGroup", r.For.SiteGroup, "no site group where the segment is named, which has one")
	}
	if err := r.check(); err != nil {
		return err
	}
	if err := r.Policy.Validate(); err != nil {
		return err
	}
	drift, ok := errors.AsType[*validate.InputError]((&validate.Policy{Tolerance: r.Drift}).Validate())
	if ok {
		return badInput(strings.Replace(drift.Field, "Policy.Tolerance", "Drift", 1), drift.Value, drift.Want)
	}
	return nil
}
