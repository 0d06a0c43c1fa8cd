package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// installed returns the path of a program of Debian's package prometheus. It skips
// on a developer's machine what must not be skipped on a build's.
func installed(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil && os.Getenv("CI") == "" {
		t.Skip(program + " is not installed: apt-get install prometheus")
	}
	require.NoError(t, err, "apt-get install prometheus")
	return path
}

// TestRules: promtool finds the rules well formed, and what they say right.
func TestRules(t *testing.T) {
	promtool := installed(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", "prometheus-rules.yml"},
		{"test", "rules", "prometheus-rules.test.yml"},
	} {
		out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "SUCCESS")
	}
}

// TestPrometheus: a Prometheus that scrapes the example has the metrics of the
// library under the names that the rules ask for, and the rules tell of a broken
// fleet, of a bad build, and later that nobody sweeps.
func TestPrometheus(t *testing.T) {
	program := installed(t, "prometheus")
	address := freeAddress(t)
	w, err := newWatch(t.Context(), settings{data: data, metrics: address, segments: 300})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.close()) })
	p := startPrometheus(t, program, address)

	require.NoError(t, w.sweep(t.Context(), t.Output(), "broken", w.fleet.tonight(broken)))
	open := w.openPages(t)
	require.Positive(t, open)
	eventually(t, "the pages are seen", func() bool {
		return p.value(t, `sum(segmentguard_alert_count{segmentguard_alert_severity="page"})`, 0) == open
	})
	require.InDelta(t, 300, p.value(t, `sum(segmentguard_segment_count)`, 0), 0)
	require.Greater(t, p.value(t, `segmentguard_segment_count{segmentguard_segment_state="affected"}`, 0), 0.0)
	require.InDelta(t, time.Now().Unix(), p.value(t, `segmentguard_sweep_last_complete_timestamp_seconds`, 0), 600)
	require.Greater(t, p.value(t, `segmentguard_sweep_duration_seconds`, 0), 0.0)

	w.runJobs(t, "v1", 0)
	w.runJobs(t, "v2", 10)
	eventually(t, "the rules tell of it", func() bool {
		alerts := p.alerts(t)
		return alerts["SegmentguardBuildFailing v2"] == "firing" && alerts["SegmentguardPagesOpen "] == "pending" // for an hour
	})
	require.NotContains(t, p.alerts(t), "SegmentguardBuildFailing v1")
	require.NotContains(t, p.alerts(t), "SegmentguardSweepOverdue ")

	rules := p.rules(t)
	require.Len(t, rules, 6)
	require.InDelta(t, 1, p.value(t, "count("+rules["SegmentguardSweepOverdue"]+")", 3*time.Hour), 0)
	require.InDelta(t, 1, p.value(t, rules["SegmentguardMonitorMissing"], 25*time.Hour), 0)

	for range 3 { // what a sweep found may want another one that agrees
		require.NoError(t, w.sweep(t.Context(), t.Output(), "repaired", w.fleet.tonight(repaired)))
	}
	require.Zero(t, w.openPages(t))
	eventually(t, "no page is open", func() bool {
		_, pending := p.alerts(t)["SegmentguardPagesOpen "]
		return !pending && p.value(t, `sum(segmentguard_alert_count{segmentguard_alert_severity="page"})`, 0) == 0
	})
}

// TestMetricsStay: the command serves them until it is interrupted.
func TestMetricsStay(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	address, ended := freeAddress(t), make(chan error, 1)
	reader, writer := io.Pipe()
	go func() { ended <- run(ctx, writer, settings{data: data, metrics: address, segments: 300}) }()
	said := make([]byte, 1<<16)
	for text := ""; !strings.Contains(text, "Metrics are at http://"+address+"/metrics"); {
		n, err := reader.Read(said)
		require.NoError(t, err)
		text += string(said[:n])
	}
	metrics, err := get(t, "http://"+address+"/metrics")
	require.NoError(t, err)
	require.Contains(t, string(metrics), "\nsegmentguard_segment_count{")
	interrupt()
	require.NoError(t, <-ended)
}

// openPages is how many segments have a page open in the ledger.
func (w *watch) openPages(t *testing.T) (pages float64) {
	t.Helper()
	for s, err := range w.ledger.Segments(t.Context(), segment.SegmentFilter{Affected: true}) {
		require.NoError(t, err)
		if a := s.Alert.Open; a != nil && a.Urgency == segment.Page {
			pages++
		}
	}
	return pages
}

// runJobs has a guard check 25 runs of a build, of which some store too few users.
func (w *watch) runJobs(t *testing.T, build string, bad int) {
	t.Helper()
	guard, err := segment.NewGuard(segment.GuardConfig{MeterProvider: w.meters, Alerter: w.told})
	require.NoError(t, err)
	for i := range 25 {
		stored := int64(1000)
		if i < bad {
			stored = 900
		}
		_, err := guard.Commit(t.Context(), segment.Run{
			ID: fmt.Sprint("run ", i), Build: build, Job: w.fleet.jobs[1], Expected: validate.Count(1000),
			Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(stored), nil },
			Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
		})
		require.Equal(t, i < bad, err != nil)
	}
}

// A server is a Prometheus that runs, by its address.
type server string

// startPrometheus starts one that has the rules and scrapes an address. It ends with
// the test.
func startPrometheus(t *testing.T, program, target string) server {
	t.Helper()
	rules, err := filepath.Abs("prometheus-rules.yml")
	require.NoError(t, err)
	folder, address := t.TempDir(), freeAddress(t)
	config := filepath.Join(folder, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 200ms, evaluation_interval: 200ms}
rule_files: [%q]
scrape_configs: [{job_name: monitor, static_configs: [{targets: [%q]}]}]
`, rules, target), 0o600))
	// It stops when its standard input ends, also by the test's own death.
	command := exec.CommandContext(t.Context(), "sh", "-c", `"$@" & cat >/dev/null; kill -KILL $!; wait`, "sh", program,
		"--config.file="+config, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address, "--log.level=warn")
	command.Stderr = t.Output()
	command.Cancel = func() error { return nil } // its input ends in the cleanup
	input, err := command.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		require.NoError(t, input.Close())
		_ = command.Wait() // it was killed
	})
	p := server("http://" + address)
	eventually(t, "Prometheus answers", func() bool { _, err := get(t, string(p)+"/-/ready"); return err == nil })
	return p
}

// value asks for the one value of a query, some time from now; 0 where there is none.
func (p server) value(t *testing.T, query string, from time.Duration) float64 {
	t.Helper()
	at := strconv.FormatInt(time.Now().Add(from).Unix(), 10)
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	p.ask(t, "/api/v1/query?"+url.Values{"query": {query}, "time": {at}}.Encode(), &answer)
	if len(answer.Data.Result) == 0 {
		return 0
	}
	require.Len(t, answer.Data.Result, 1, query)
	text, ok := answer.Data.Result[0].Value[1].(string)
	require.True(t, ok)
	value, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return value
}

// alerts are the states of those that are pending or firing, by name and build.
func (p server) alerts(t *testing.T) map[string]string {
	t.Helper()
	var answer struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
	}
	p.ask(t, "/api/v1/alerts", &answer)
	alerts := map[string]string{}
	for _, a := range answer.Data.Alerts {
		alerts[a.Labels["alertname"]+" "+a.Labels["segmentguard_build"]] = a.State
	}
	return alerts
}

// rules are the queries of all rules, each of which must have been evaluated well.
func (p server) rules(t *testing.T) map[string]string {
	t.Helper()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Query, Health, LastError string }
			}
		}
	}
	p.ask(t, "/api/v1/rules", &answer)
	queries := map[string]string{}
	for _, group := range answer.Data.Groups {
		for _, rule := range group.Rules {
			require.Equal(t, "ok", rule.Health, "%s: %s", rule.Name, rule.LastError)
			queries[rule.Name] = rule.Query
		}
	}
	return queries
}

func (p server) ask(t *testing.T, path string, answer any) {
	t.Helper()
	body, err := get(t, string(p)+path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(body, answer))
}

func get(t *testing.T, address string) ([]byte, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", address, response.Status, body)
	}
	return body, err
}

// freeAddress is of a port below those that systems give to outgoing connections.
func freeAddress(t *testing.T) string {
	t.Helper()
	for i := range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 20_000+(os.Getpid()+i)%1000)
		if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address); err == nil {
			require.NoError(t, l.Close())
			return address
		}
	}
	require.Fail(t, "no port is free")
	return ""
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Minute, errors.New("never: "+what))
	defer cancel()
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			require.NoError(t, context.Cause(ctx))
		case <-ticks.C:
		}
	}
}
