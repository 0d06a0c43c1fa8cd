package segment_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
)

// A whole file, and what holds for some jobs. Nothing is taken over from another
// object: the rule for cars has no lag.
func ExampleReadRules() {
	const file = `[
	  {"name": "all", "runbook": "https://wiki/segments"},
	  {
	    "for": {"job_kind": "copy"},
	    "name": "copies",
	    "policy": {
	      "tolerance": {"short": {"share": 0.001, "users": 5}},
	      "max_source_lag": "24h"
	    },
	    "lag": {"min": "10s", "max": "5m", "every": "30s"},
	    "drift": {"short": {"share": 0.02}, "surplus": {"share": 0.02}}
	  },
	  {
	    "for": {"job_kind": "copy", "site_group": "site-b"},
	    "name": "copies to site-b, where users have other ids",
	    "policy": {"mapping": {"min": 0.7, "max": 0.95}}
	  },
	  {
	    "for": {"segment": "site-b/cars"},
	    "name": "cars",
	    "mode": "observe",
	    "page_from": 1000
	  }
	]`
	rules, err := segment.ReadRules(strings.NewReader(file))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, job := range []segment.Job{
		segment.Lookalike(segment.ID{SiteGroup: "site-b", Name: "boats-like"}, segment.ID{SiteGroup: "site-b", Name: "boats"}),
		segment.Copy(segment.ID{SiteGroup: "site-a", Name: "boats"}, segment.ID{SiteGroup: "site-b", Name: "boats"}),
		segment.Copy(segment.ID{SiteGroup: "site-b", Name: "boats"}, segment.ID{SiteGroup: "site-a", Name: "boats"}),
		segment.Copy(segment.ID{SiteGroup: "site-b", Name: "cars"}, segment.ID{SiteGroup: "site-a", Name: "cars"}),
	} {
		rule, err := rules(context.Background(), job)
		fmt.Println(job.ID, "→", rule.Name, rule.Lag.Max, err)
	}
	// Output:
	// lookalike site-b/boats to site-b/boats-like → all 0s <nil>
	// copy site-b/boats to site-a/boats → copies 5m0s <nil>
	// copy site-a/boats to site-b/boats → copies to site-b, where users have other ids 0s <nil>
	// copy site-a/cars to site-b/cars → cars 0s <nil>
}

// What a file must not say is named with its line.
func ExampleReadRules_refused() {
	_, err := segment.ReadRules(strings.NewReader(`[
	  {"name": "all",
	   "policy": {
	     "tolerance": {"short": {"share": 5}}
	   }}
	]`))
	fmt.Println(err)
	// Output:
	// segment: read rules: line 4: policy.tolerance.short.share is 5, want 0 to 1
}
