package dashboard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/dashboard"
	"github.com/segmentguard/segmentguard/segment/internal/fleettest"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

var config = dashboard.Config{Now: func() time.Time { return fleettest.Now }}

// filled is a ledger and its fleet, which no page changes.
var filled = sync.OnceValues(func() (segment.Ledger, *fleettest.Fleet) {
	l := segment.NewMemory()
	f, err := fleettest.Fill(context.Background(), l)
	if err != nil {
		panic(err)
	}
	return l, f
})

func fleet(t *testing.T) (segment.Ledger, *fleettest.Fleet) {
	t.Helper()
	return filled()
}

func ask(t *testing.T, h http.Handler, method, target string) (int, string, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, nil))
	body, err := io.ReadAll(w.Body)
	require.NoError(t, err)
	return w.Code, string(body), w.Header()
}

func get(t *testing.T, h http.Handler, target string) string {
	t.Helper()
	status, body, _ := ask(t, h, http.MethodGet, target)
	require.Equal(t, http.StatusOK, status, "%s: %s", target, body)
	return body
}

// links are the addresses that a page leads to.
func links(t *testing.T, body string) (found []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?:href|action)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		found = append(found, html.UnescapeString(m[1]))
	}
	return found
}

// TestEveryLink follows all links from the fleet on: below a prefix, with and without
// http.StripPrefix, each leads to a page, and none out of the prefix.
func TestEveryLink(t *testing.T) {
	l, _ := fleet(t)
	h := dashboard.Handler(l, config)
	first := "http://host/ops/segments/"
	for _, mux := range []http.Handler{h, http.StripPrefix("/ops/segments", h)} {
		seen, todo := map[string]bool{first: true}, []string{first}
		for len(todo) > 0 {
			page := todo[0]
			todo = todo[1:]
			at, err := url.Parse(page)
			require.NoError(t, err)
			for _, link := range links(t, get(t, mux, page)) {
				to, err := at.Parse(link)
				require.NoError(t, err)
				if to.Host != "host" || link[0] == '#' {
					continue
				}
				require.True(t, strings.HasPrefix(to.String(), first), "%s leads to %s", page, link)
				if !seen[to.String()] {
					seen[to.String()] = true
					todo = append(todo, to.String())
				}
			}
		}
		require.Greater(t, len(seen), 50, "pages of segments")
	}
}

// TestLead: the fleet's first sentence says what somebody on call must know.
func TestLead(t *testing.T) {
	l, _ := fleet(t)
	body := get(t, dashboard.Handler(l, config), "/")
	live, protected := 0, 0
	for s, err := range l.Segments(t.Context(), segment.SegmentFilter{Affected: true}) {
		require.NoError(t, err)
		if s.Alert.Open.Level == segment.LevelProtected {
			protected++
		} else {
			live++
		}
	}
	require.Contains(t, body, fmt.Sprintf("<strong>%d live segments hold too few users, %d are protected.</strong> The last complete sweep was 13 minutes ago", live, protected))
}

// TestNothingReadsAsWell: where less is known, the page says so, and is not green.
func TestNothingReadsAsWell(t *testing.T) {
	at := func(store string, before time.Duration, complete bool) segment.SweepNumbers {
		return segment.SweepNumbers{Store: store, At: fleettest.Now.Add(-before), Complete: complete, Segments: 10, Healthy: 10}
	}
	for _, c := range []struct {
		name   string
		sweeps []segment.SweepNumbers
		says   string
		fine   bool
	}{
		{"never swept", nil, "No complete sweep is known: what is not listed may be anything but fine.", false},
		{"swept", []segment.SweepNumbers{at("", time.Minute, true)}, "The last complete sweep was 1 minute ago: 10 segments, 10 healthy.", true},
		{"long ago", []segment.SweepNumbers{at("", 3*time.Hour, true)}, "That is overdue", false},
		{"not to its end", []segment.SweepNumbers{at("", time.Minute, false), at("", time.Hour, true)}, "The last one did not come to its end.", false},
		{"never to its end", []segment.SweepNumbers{at("", time.Minute, false)}, "No complete sweep is known", false},
		{"two stores", []segment.SweepNumbers{at("a", time.Minute, true), at("b", time.Hour, true)}, "The last complete sweep was 1 hour ago: 20 segments, 20 healthy.", true},
		{"one of two stores", []segment.SweepNumbers{at("a", time.Minute, true), at("b", time.Hour, false)}, "No complete sweep is known", false},
		{"one of two stores long ago", []segment.SweepNumbers{at("a", time.Minute, true), at("b", 3*time.Hour, true)}, "That is overdue", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := segment.NewMemory()
			for _, w := range c.sweeps {
				require.NoError(t, l.KeepSweep(t.Context(), w))
			}
			body := get(t, dashboard.Handler(l, config), "/")
			require.Contains(t, body, "No segment is known to be affected.")
			require.Contains(t, body, c.says)
			require.Equal(t, c.fine, strings.Contains(body, `class="lead fine"`), "green")
		})
	}
}

// A brokenLedger fails after some segments, entries or incidents.
type brokenLedger struct {
	segment.Ledger

	segments, entries, incidents int // after so many; -1: never
	tools, sweeps                bool
	err                          error
}

func cut[T any](seq iter.Seq2[T, error], after int, failed error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for item, err := range seq {
			if after == 0 {
				break
			}
			after--
			if !yield(item, err) {
				return
			}
		}
		if after == 0 {
			var none T
			yield(none, failed)
		}
	}
}

func (b *brokenLedger) Segments(ctx context.Context, f segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	return cut(b.Ledger.Segments(ctx, f), b.segments, b.err)
}

func (b *brokenLedger) CountAlerts(ctx context.Context) ([]segment.AlertCount, error) {
	if b.tools {
		return nil, b.err
	}
	return b.Ledger.CountAlerts(ctx)
}

func (b *brokenLedger) Sweeps(ctx context.Context, n int) ([]segment.SweepNumbers, error) {
	if b.sweeps {
		return nil, b.err
	}
	return b.Ledger.Sweeps(ctx, n)
}

func (b *brokenLedger) Log(ctx context.Context, f segment.LogFilter) iter.Seq2[segment.LogEntry, error] {
	return cut(b.Ledger.Log(ctx, f), b.entries, b.err)
}

func (b *brokenLedger) Incidents(ctx context.Context, f segment.IncidentFilter) iter.Seq2[segment.Incident, error] {
	return cut(b.Ledger.Incidents(ctx, f), b.incidents, b.err)
}

// TestBrokenLedger: an error in the middle of a listing is a page that says so, with
// nothing of what was read before it.
func TestBrokenLedger(t *testing.T) {
	l, f := fleet(t)
	boom := errors.New("connection <b>reset</b>")
	incident := "/incident?id=" + url.QueryEscape(f.Sweep.Incidents[0].ID)
	one := "/segment?id=" + url.QueryEscape("site-b/cars")
	for _, c := range []struct {
		target string
		broken brokenLedger
		status int
	}{
		{"/", brokenLedger{segments: 3, entries: -1, incidents: -1, err: boom}, 500},
		{"/", brokenLedger{segments: 0, entries: -1, incidents: -1, err: boom}, 500},
		{"/", brokenLedger{segments: -1, entries: -1, incidents: 1, err: boom}, 500},
		{"/", brokenLedger{segments: -1, entries: -1, incidents: -1, tools: true, err: boom}, 500},
		{"/", brokenLedger{segments: -1, entries: -1, incidents: -1, sweeps: true, err: boom}, 500},
		{"/", brokenLedger{segments: 3, entries: -1, incidents: -1, err: fmt.Errorf("pool: %w", segment.ErrBusy)}, 503},
		{"/", brokenLedger{segments: 3, entries: -1, incidents: -1, err: fmt.Errorf("schema: %w", segment.ErrNotReady)}, 503},
		{"/", brokenLedger{segments: 3, entries: -1, incidents: -1, err: context.DeadlineExceeded}, 503},
		{incident, brokenLedger{segments: 2, entries: -1, incidents: -1, err: boom}, 500},
		{incident, brokenLedger{segments: -1, entries: -1, incidents: 0, err: boom}, 500},
		{one, brokenLedger{segments: 0, entries: -1, incidents: -1, err: boom}, 500},
		{one, brokenLedger{segments: -1, entries: 5, incidents: -1, err: boom}, 500},
		{"/log", brokenLedger{segments: -1, entries: 50, incidents: -1, err: boom}, 500},
	} {
		c.broken.Ledger = l
		status, body, headers := ask(t, dashboard.Handler(&c.broken, config), http.MethodGet, c.target)
		require.Equal(t, c.status, status, "%s: %s", c.target, body)
		require.Contains(t, body, "The ledger could not be read")
		require.Contains(t, body, html.EscapeString(c.broken.err.Error()))
		require.Contains(t, body, "segments may be anything but fine")
		require.NotContains(t, body, "<td")
		require.NotContains(t, body, "lead fine")
		require.Equal(t, c.status == 503, headers.Get("Retry-After") != "")
		if errors.Is(c.broken.err, boom) && c.target == "/" {
			var file bytes.Buffer
			require.ErrorIs(t, dashboard.Write(t.Context(), &file, &c.broken, config), boom)
			require.Empty(t, file.Bytes(), "a report is whole or not there")
		}
	}
}

// TestHangingLedger: a page has a bound, and ends with whoever asked for it.
func TestHangingLedger(t *testing.T) {
	hang := hangingLedger{segment.NewMemory()}
	status, body, _ := ask(t, dashboard.Handler(hang, dashboard.Config{Timeout: time.Millisecond}), http.MethodGet, "/")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "the ledger took longer than 1ms")
	ctx, leave := context.WithCancel(t.Context())
	leave()
	w := httptest.NewRecorder()
	dashboard.Handler(hang, dashboard.Config{}).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
}

type hangingLedger struct{ segment.Ledger }

func (hangingLedger) CountAlerts(ctx context.Context) ([]segment.AlertCount, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestReadOnly: nothing but GET and HEAD is answered, and both say the same.
func TestReadOnly(t *testing.T) {
	l, _ := fleet(t)
	h := dashboard.Handler(l, config)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"} {
		status, _, headers := ask(t, h, method, "/")
		require.Equal(t, http.StatusMethodNotAllowed, status, method)
		require.Equal(t, "GET, HEAD", headers.Get("Allow"))
	}
	_, body, got := ask(t, h, http.MethodGet, "/log")
	status, nothing, head := ask(t, h, http.MethodHead, "/log")
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, nothing)
	require.Equal(t, got, head)
	require.Equal(t, fmt.Sprint(len(body)), head.Get("Content-Length"))
}

// TestPlan: the page of a plan has its numbers and a page of its steps, each with what
// became of it; another plan is a link.
func TestPlan(t *testing.T) {
	l := segment.NewMemory()
	h := dashboard.Handler(l, config)
	require.Contains(t, get(t, h, "/plan"), "No plan of reruns is known.")
	const steps = 250
	id := func(n int) segment.ID { return segment.ID{SiteGroup: "g", Name: fmt.Sprint("s", n)} }
	var jobs []segment.Job
	var affected []segment.Affected
	for n := range steps {
		jobs = append(jobs, segment.Copy(id(n+1), id(n)))
		affected = append(affected, segment.Affected{Segment: id(n + 1), Users: int64(n)})
	}
	affected = append(affected, segment.Affected{Segment: segment.ID{SiteGroup: "g", Name: "<hand>"}, Users: 7})
	p, err := rerun.New(jobs, affected)
	require.NoError(t, err)
	at := config.Now().Add(-time.Hour)
	for name, by := range map[string]string{"<night>": "ann & bob", "before": "cy"} {
		require.NoError(t, rerun.Keep(t.Context(), l, name, p, segment.Decision{By: by, Why: "it's \"wrong\"", At: at}))
		at = at.Add(-time.Hour)
		if name == "before" {
			continue
		}
		first, err := rerun.StartStep(t.Context(), l, name, 1, segment.StepProgress{})
		require.NoError(t, err)
		_, err = rerun.EndStep(t.Context(), l, first, at)
		require.NoError(t, err)
		second, err := rerun.StartStep(t.Context(), l, name, 2, segment.StepProgress{Attempt: 3})
		require.NoError(t, err)
		require.NoError(t, rerun.FailStep(t.Context(), l, second, at, errors.New("stored 5 of 10"), true))
	}
	body := get(t, h, "/plan?name=%3Cnight%3E")
	for _, want := range []string{
		"1 of 250 steps done, 1 failed, 248 cancelled, as they wait for one that failed, no job writes 1 affected segment.", "ann &amp; bob", "it&#39;s &#34;wrong&#34;", "&lt;night&gt;",
		"attempt 3: stored 5 of 10", "waits for step 2, which failed", "g/&lt;hand&gt;", "Steps in their order: 1 to ",
	} {
		require.Contains(t, body, want)
	}
	require.NotContains(t, body, "<night>")
	rows := strings.Count(body, `<th scope="row">`)
	for from := rows; from < steps; from += rows {
		body = get(t, h, fmt.Sprintf("/plan?name=%%3Cnight%%3E&from=%d", from))
		require.Contains(t, body, fmt.Sprintf("Steps in their order: %d to %d of 250", from+1, min(from+rows, steps)))
	}
	require.Contains(t, get(t, h, "/plan?name=before"), "0 of 250 steps done")
	require.Contains(t, get(t, h, "/plan?from=300"), "of 250", "beyond its end there is nothing")
}

func TestBadAddresses(t *testing.T) {
	l, _ := fleet(t)
	h := dashboard.Handler(l, config)
	for target, want := range map[string]int{
		"/nothing": 404, "/segment": 400, "/segment?id=no-slash": 400, "/segment?id=a%2Fb": 404, "/segment?id=%ff%2F": 400,
		"/incident": 400, "/incident?id=x": 404, "/plan?name=x": 404, "/plan?from=-1": 400, "/plan?from=x": 400,
		"/?kind=x": 400, "/?after=x": 400, "/?after=a%7Cb%7Cc%7Cd": 400,
		"/log?limit=0": 400, "/log?limit=2001": 400, "/log?action=x": 400, "/log?since=x": 400, "/log?segment=x": 400, "/?a=%zz": 400,
	} {
		status, body, headers := ask(t, h, http.MethodGet, target)
		require.Equal(t, want, status, target)
		require.Contains(t, body, "<h1>", target)
		require.NotEmpty(t, headers.Get("Content-Security-Policy"))
	}
}

// TestHeaders: no page may run a script, be framed, or be kept.
func TestHeaders(t *testing.T) {
	l, _ := fleet(t)
	_, body, headers := ask(t, dashboard.Handler(l, config), http.MethodGet, "/")
	policy := headers.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.Contains(t, policy, "frame-ancestors 'none'")
	require.NotContains(t, policy, "script")
	require.NotContains(t, policy, "unsafe")
	require.Equal(t, "nosniff", headers.Get("X-Content-Type-Options"))
	require.Equal(t, "no-store", headers.Get("Cache-Control"))
	require.NotContains(t, body, " style=", "the policy does not allow it")
	require.NotContains(t, body, "<script")
}

// TestHostileNames: names are shown as what they are, on every page and in the report.
func TestHostileNames(t *testing.T) {
	l, _ := fleet(t)
	h := dashboard.Handler(l, config)
	var report bytes.Buffer
	require.NoError(t, dashboard.Write(t.Context(), &report, l, config))
	bodies := []string{get(t, h, "/"), get(t, h, "/?group=site-x"), get(t, h, "/log?group=site-x&limit=2000"), report.String()}
	for _, id := range fleettest.Hostile {
		body := get(t, h, "/segment?id="+url.QueryEscape(id.String()))
		require.Regexp(t, "<h1>[^<>]+</h1>", body)
		bodies = append(bodies, body)
	}
	for _, body := range bodies {
		for _, bad := range []string{"<script", "<b>bold", "\x1b", "\u202e", "\u2066", `="javascript:`, "onmouseover='"} {
			require.NotContains(t, body, bad)
		}
	}
	all := strings.Join(bodies, "")
	for _, good := range []string{`right\u202eot tfel\u2066`, `red\x1b[0m\nsecond line`, "&lt;script&gt;alert", "javascript:alert(1)</bdi>"} {
		require.Contains(t, all, good)
	}
	for _, line := range regexp.MustCompile(`<input readonly value="([^"]*)"`).FindAllStringSubmatch(report.String(), -1) {
		require.NotContains(t, html.UnescapeString(line[1]), "\n")
	}
}

// TestPaging: page by page come all affected segments, each once, the gravest first,
// also those that a filter takes.
func TestPaging(t *testing.T) {
	l, _ := fleet(t)
	h := dashboard.Handler(l, config)
	row := regexp.MustCompile(`<th scope="row"><a href="segment\?id=([^"]*)"`)
	next := regexp.MustCompile(`<a href="([^"]*)" rel="next">`)
	for _, query := range []string{"", "?job=copy", "?kind=capped", "?build=" + fleettest.Broken, "?group=site-d"} {
		var listed []string
		for page := "/" + query; page != ""; {
			body := get(t, h, page)
			for _, m := range row.FindAllStringSubmatch(body, -1) {
				id, err := url.QueryUnescape(html.UnescapeString(m[1]))
				require.NoError(t, err)
				listed = append(listed, id)
			}
			page = ""
			if m := next.FindStringSubmatch(body); m != nil {
				page = "/" + strings.TrimPrefix(html.UnescapeString(m[1]), "./")
			}
		}
		want := map[string]segment.Alert{}
		for s, err := range l.Segments(t.Context(), segment.SegmentFilter{Affected: true}) {
			require.NoError(t, err)
			a := s.Alert.Open
			switch {
			case query == "?job=copy" && a.Job.Kind != segment.JobKindCopy, query == "?kind=capped" && a.Kind != "capped",
				strings.HasPrefix(query, "?build") && a.Build != fleettest.Broken, query == "?group=site-d" && s.Segment.SiteGroup != "site-d":
			default:
				want[s.Segment.String()] = *a
			}
		}
		require.Len(t, listed, len(want), query)
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(listed))), len(want), "each once")
		require.True(t, slices.IsSortedFunc(listed, func(a, b string) int {
			x, y := want[a], want[b]
			if x.Level != y.Level {
				return y.Level.Compare(x.Level)
			}
			return x.Kind.Compare(y.Kind)
		}), "the gravest first")
	}
}

// TestDamage: what cannot be read is shown as such.
func TestDamage(t *testing.T) {
	l, _ := fleet(t)
	body := get(t, dashboard.Handler(&damagedLedger{l}, config), "/?group=site-b")
	require.Contains(t, body, `<span class="badge bad">cannot be read</span>`)
	require.Contains(t, body, "damaged: table segmentguard_segments, row &#34;site-b/broken&#34;, column alert: no JSON")
	body = get(t, dashboard.Handler(&damagedLedger{l}, config), "/segment?id=site-b%2Fbroken")
	require.Contains(t, body, "segmentguard repair --why WHY site-b/broken")
}

// A damagedLedger cannot read the alert of each segment that it is asked for.
type damagedLedger struct{ segment.Ledger }

func (d *damagedLedger) Segments(context.Context, segment.SegmentFilter) iter.Seq2[segment.SegmentState, error] {
	return func(yield func(segment.SegmentState, error) bool) {
		yield(segment.SegmentState{
			Segment: segment.ID{SiteGroup: "site-b", Name: "broken"},
			Damaged: &segment.Damage{Table: "segmentguard_segments", Row: "site-b/broken", Columns: []string{"alert"}, What: "no JSON"},
		}, nil)
	}
}

// TestReport: every link of the file leads to a part of it, and it needs nothing else.
func TestReport(t *testing.T) {
	l, _ := fleet(t)
	var report bytes.Buffer
	require.NoError(t, dashboard.Write(t.Context(), &report, l, config))
	body := report.String()
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		ids[m[1]]++
	}
	for id, n := range ids {
		require.Equal(t, 1, n, "id %s", id)
	}
	parts := 0
	for _, link := range links(t, body) {
		if strings.HasPrefix(link, "http") {
			continue
		}
		require.True(t, strings.HasPrefix(link, "#"), link)
		require.Contains(t, ids, strings.TrimPrefix(link, "#"), "%s leads nowhere", link)
		parts++
	}
	require.Greater(t, parts, 40)
	require.Equal(t, 1, strings.Count(body, "<h1>"))
	require.NotContains(t, body, "<form")
	require.Contains(t, body, `http-equiv="Content-Security-Policy"`)
	t.Log(len(body), "bytes")
}
