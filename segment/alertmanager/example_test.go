package alertmanager_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/alertmanager"
	"github.com/segmentguard/segmentguard/validate"
)

// A guard's alert as it arrives at an Alertmanager.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(show))
	defer server.Close()

	alerter, err := alertmanager.New(alertmanager.Config{URL: server.URL, Labels: map[string]string{"env": "prod"}})
	if err != nil {
		panic(err)
	}
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: segment.NewMemory(), Alerter: alerter})
	if err != nil {
		panic(err)
	}
	_, err = guard.Commit(context.Background(), segment.Run{
		ID:       "2024-03-14",
		Build:    "build-7",
		Job:      segment.Copy(segment.ID{SiteGroup: "site-b", Name: "cars"}, segment.ID{SiteGroup: "site-a", Name: "cars"}),
		Expected: validate.Count(12_310),
		Stored:   func(context.Context) (validate.Summary, error) { return validate.Count(0), nil },
		Staging:  segment.Staging{Commit: func(context.Context) error { return nil }},
	})
	fmt.Println(err)

	// Output:
	// alertname="SegmentAffected"
	// build="build-7"
	// env="prod"
	// job_kind="copy"
	// kind="empty"
	// level="protected"
	// segment="site-b/cars"
	// severity="page"
	// site_group="site-b"
	// site-b/cars: stored 0 of 12,310 users (100% short, 0 allowed)
}

func show(_ http.ResponseWriter, r *http.Request) {
	var alerts []struct {
		Labels map[string]string `json:"labels"`
	}
	if err := json.NewDecoder(r.Body).Decode(&alerts); err != nil {
		panic(err)
	}
	for _, alert := range alerts {
		var lines []string
		delete(alert.Labels, "ledger") // the identity of this ledger: another one each time
		for name, value := range alert.Labels {
			lines = append(lines, fmt.Sprintf("%s=%q", name, value))
		}
		slices.Sort(lines)
		for _, line := range lines {
			fmt.Println(line)
		}
	}
}
