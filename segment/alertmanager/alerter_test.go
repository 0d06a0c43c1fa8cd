package alertmanager_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/alertmanager"
	"github.com/segmentguard/segmentguard/validate"
)

// What Alertmanager makes of it is tested with a real one, in
// segment/internal/enginetest.

var (
	cars  = segment.ID{SiteGroup: "site-a", Name: "cars"}
	since = time.Date(2000, 1, 1, 8, 0, 0, 0, time.FixedZone("", 3600)) // a bubble begins seven hours before
)

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		reason string
		config alertmanager.Config
		want   string // empty: good
	}{
		{"the address alone", alertmanager.Config{URL: "http://alertmanager:9093"}, ""},
		{"a route prefix, a user, all the rest", alertmanager.Config{
			URL: "https://me:secret@[::1]/alerts/", Client: &http.Client{}, KeepFor: time.Hour, Labels: map[string]string{"env": "prod", "_2": "ü"},
		}, ""},
		{"forgotten", alertmanager.Config{}, "Config.URL is empty, want an address such as http://alertmanager:9093"},
		{"no scheme", alertmanager.Config{URL: "alertmanager:9093"}, "Config.URL is alertmanager:9093, want an address such as http://alertmanager:9093"},
		{"another scheme", alertmanager.Config{URL: "ftp://alertmanager"}, "Config.URL is ftp://alertmanager, want an address such as http://alertmanager:9093"},
		{"no host", alertmanager.Config{URL: "http://:9093"}, "Config.URL is http://:9093, want an address such as http://alertmanager:9093"},
		{"a query is lost", alertmanager.Config{URL: "http://a?b=c"}, "Config.URL is http://a?b=c, want an address such as http://alertmanager:9093, without a query or fragment"},
		{"a fragment is lost", alertmanager.Config{URL: "http://a#b"}, "Config.URL is http://a#b, want an address such as http://alertmanager:9093, without a query or fragment"},
		{"a password is not shown", alertmanager.Config{URL: "ftp://me:sec@ret@host"}, "Config.URL is …@host, want an address such as http://alertmanager:9093"},
		{"nor where it breaks the address", alertmanager.Config{URL: "http://me:se%cret@host:x"}, "Config.URL is …@host:x, want an address such as http://alertmanager:9093"},
		{"KeepFor is a time to come", alertmanager.Config{URL: "http://a", KeepFor: -1}, "Config.KeepFor is -1ns, want above 0, or 0 for 7 days"},
		{"a digit first", alertmanager.Config{URL: "http://a", Labels: map[string]string{"2nd": "x"}}, "Config.Labels is 2nd, want names of letters, digits and _, not beginning with a digit or with __"},
		{"no name", alertmanager.Config{URL: "http://a", Labels: map[string]string{"": "x"}}, "Config.Labels is empty, want names of letters, digits and _, not beginning with a digit or with __"},
		{"reserved", alertmanager.Config{URL: "http://a", Labels: map[string]string{"__env": "x"}}, "Config.Labels is __env, want names of letters, digits and _, not beginning with a digit or with __"},
		{"not ASCII", alertmanager.Config{URL: "http://a", Labels: map[string]string{"ümwelt": "x"}}, "Config.Labels is ümwelt, want names of letters, digits and _, not beginning with a digit or with __"},
		{"one of ours", alertmanager.Config{URL: "http://a", Labels: map[string]string{"segment": "x"}}, "Config.Labels[segment] is x, want another name: alerts have this label already"},
		{"an empty label is none", alertmanager.Config{URL: "http://a", Labels: map[string]string{"env": ""}}, "Config.Labels[env] is empty, want UTF-8 text; leave out what is empty"},
		{"not UTF-8", alertmanager.Config{URL: "http://a", Labels: map[string]string{"env": "\xff"}}, "Config.Labels[env] is \xff, want UTF-8 text; leave out what is empty"},
		{"the same of several each time", alertmanager.Config{URL: "http://a", Labels: map[string]string{"b-": "x", "a-": "x", "c-": "x"}}, "Config.Labels is a-, want names of letters, digits and _, not beginning with a digit or with __"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			_, err := alertmanager.New(c.config)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.want)
			_, ok := errors.AsType[*validate.InputError](err)
			require.True(t, ok)
		})
	}
}

// The package's documentation shows the file that is tested.
func TestDocumentedRoute(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	route, err := os.ReadFile("alertmanager.yml")
	require.NoError(t, err)
	want := "//\t" + strings.ReplaceAll(strings.TrimSuffix(string(route), "\n"), "\n", "\n//\t")
	require.Contains(t, string(doc), want)
}

// A request is what a server got.
type request struct {
	method, path string
	filters      []string
	user         string
	alerts       []posted
}

//nolint:tagliatelle // Alertmanager's names
type posted struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    string            `json:"startsAt"`
	EndsAt      string            `json:"endsAt"`
	UpdatedAt   *string           `json:"updatedAt"`
}

// A server answers over pipes, so that its clock can be a bubble's.
type server struct {
	answer func(n int, w http.ResponseWriter, r *http.Request) // to the nth request, from 0

	mu       sync.Mutex
	requests []request
	conns    chan net.Conn
	closed   chan struct{}
}

// inBubble runs a test with an Alerter of a server. KeepFor is an hour.
func inBubble(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request), test func(*testing.T, *alertmanager.Alerter, *server)) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: answer, conns: make(chan net.Conn), closed: make(chan struct{})}
		h := http.Server{Handler: s}
		var serving sync.WaitGroup
		serving.Go(func() { _ = h.Serve(s) })
		transport := &http.Transport{DialContext: s.dial}
		defer serving.Wait()
		defer h.Close()
		defer transport.CloseIdleConnections()
		a, err := alertmanager.New(alertmanager.Config{
			URL: "http://me:secret@host/prefix", Client: &http.Client{Transport: transport}, KeepFor: time.Hour, Labels: map[string]string{"env": `"prod"`},
		})
		require.NoError(t, err)
		test(t, a, s)
	})
}

func (s *server) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case s.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *server) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *server) Close() error   { close(s.closed); return nil }
func (s *server) Addr() net.Addr { return &net.UnixAddr{} }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	got := request{method: r.Method, path: r.URL.Path, filters: r.URL.Query()["filter"]}
	if user, password, ok := r.BasicAuth(); ok {
		got.user = user + ":" + password
	}
	body, _ := io.ReadAll(r.Body)
	if len(body) > 0 {
		if err := json.Unmarshal(body, &got.alerts); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	s.mu.Lock()
	n := len(s.requests)
	s.requests = append(s.requests, got)
	s.mu.Unlock()
	s.answer(n, w, r)
}

// got are the requests so far.
func (s *server) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// empty is an Alertmanager without alerts, that takes all.
func empty(_ int, w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, "[]")
	}
}

func capped(id segment.ID) segment.Alert {
	return segment.Alert{
		Segment: id, Urgency: segment.Page, Kind: validate.Capped, Text: "stored 10,000 users of 12,310",
		Job: segment.Job{ID: "job", Kind: segment.JobKindCopy}, RunID: "run", Attempt: 2, Build: "build-7", Rule: "copies",
		Runbook: "https://example.org/runbook", Since: since, At: since,
		Report: validate.Report{
			Name: id.String(), Expected: validate.Count(12_310), Stored: validate.Count(10_000),
			Findings: []validate.Finding{{Kind: validate.Capped, Severity: validate.Fail, Detail: "capped at 10,000"}},
		},
		Upstream: segment.ID{SiteGroup: "site/b", Name: "cars"},
	}
}

func manyCapped() segment.Alert {
	return segment.Alert{
		Segment: segment.ID{SiteGroup: "incident", Name: "copy capped build-7"}, Urgency: segment.Page, Kind: validate.Capped,
		Text: "5000 segments", Job: segment.Job{Kind: segment.JobKindCopy}, Build: "build-7", Since: since, At: since,
		Incident: &segment.Incident{Segments: 5000, SiteGroups: 12, Users: 61_550_000, Cause: "a limit", Next: "rerun"},
	}
}

func TestAlert(t *testing.T) {
	labels := map[string]string{
		"alertname": "SegmentAffected", "site_group": "site-a", "segment": "site-a/cars", "severity": "page",
		"job_kind": "copy", "kind": "capped", "build": "build-7", "env": `"prod"`,
	}
	bySweep := capped(segment.ID{Name: "cars"})
	bySweep.Job, bySweep.RunID, bySweep.Build, bySweep.Rule, bySweep.Report, bySweep.Upstream = segment.Job{}, "", "", "", validate.Report{}, segment.ID{}
	bySweep.Runbook, bySweep.Protected, bySweep.Text, bySweep.Since = "https:owner", true, "caf\xe9", time.Time{}
	for _, c := range []struct {
		reason string
		alert  segment.Alert
		want   posted
	}{
		{
			"what a guard found", capped(cars),
			posted{
				Labels: labels,
				Annotations: map[string]string{
					"summary": "stored 10,000 users of 12,310", "job": "job", "run": "run", "attempt": "2", "rule": "copies",
					"runbook_url": "https://example.org/runbook", "protected": "false", "upstream": "site%2Fb/cars",
					"expected": "12,310 users", "stored": "10,000 users", "description": capped(cars).Report.String(),
				},
				StartsAt: "2000-01-01T07:00:00Z",
			},
		},
		{
			"what is not known is left out, and what is not UTF-8 readable", bySweep,
			posted{
				Labels:      map[string]string{"alertname": "SegmentAffected", "segment": "/cars", "severity": "page", "kind": "capped", "env": `"prod"`},
				Annotations: map[string]string{"summary": "caf\uFFFD", "runbook": "https:owner", "protected": "true"},
			},
		},
		{
			"an incident has the labels by which it holds back its segments", manyCapped(),
			posted{
				Labels: map[string]string{
					"alertname": "SegmentIncident", "site_group": "incident", "segment": "incident/copy capped build-7", "severity": "page",
					"job_kind": "copy", "kind": "capped", "build": "build-7", "env": `"prod"`,
				},
				Annotations: map[string]string{
					"summary": "5000 segments", "segments": "5000", "site_groups": "12", "users": "61550000", "cause": "a limit", "next": "rerun",
				},
				StartsAt: "2000-01-01T07:00:00Z",
			},
		},
	} {
		t.Run(c.reason, func(t *testing.T) {
			inBubble(t, empty, func(t *testing.T, a *alertmanager.Alerter, s *server) {
				time.Sleep(12 * time.Hour)
				require.NoError(t, a.Tell(t.Context(), []segment.Alert{c.alert}, nil))
				c.want.EndsAt = "2000-01-01T13:00:00Z"
				require.Equal(t, []request{{method: "POST", path: "/prefix/api/v2/alerts", user: "me:secret", alerts: []posted{c.want}}}, s.got())

				require.NoError(t, a.Tell(t.Context(), nil, []segment.Alert{c.alert}))
				c.want.EndsAt = "2000-01-01T11:59:00Z" // also for an Alertmanager whose clock is behind
				require.Equal(t, []posted{c.want}, s.got()[1].alerts, "resolved as it was fired")
			})
		})
	}
}

// An alert cannot end before it began: Alertmanager refuses that.
func TestResolvedAtOnce(t *testing.T) {
	inBubble(t, empty, func(t *testing.T, a *alertmanager.Alerter, s *server) {
		x := capped(cars)
		x.Since = time.Now()
		require.NoError(t, a.Tell(t.Context(), nil, []segment.Alert{x}))
		require.Equal(t, s.got()[0].alerts[0].StartsAt, s.got()[0].alerts[0].EndsAt)
	})
}

// Incidents come first and go last, in requests of their own.
func TestTellOrder(t *testing.T) {
	inBubble(t, empty, func(t *testing.T, a *alertmanager.Alerter, s *server) {
		time.Sleep(12 * time.Hour)
		var firing []segment.Alert
		for i := range 1100 {
			firing = append(firing, capped(segment.ID{SiteGroup: "site-a", Name: strconv.Itoa(i)}))
		}
		over := manyCapped()
		over.Segment.Name, over.Build = "copy capped build-6", "build-6"
		require.NoError(t, a.Tell(t.Context(), append(firing, manyCapped()), []segment.Alert{over, capped(cars)}))
		var sent []string
		for _, r := range s.got() {
			first := r.alerts[0]
			state := "firing"
			if first.EndsAt < "2000-01-01T12" {
				state = "resolved"
			}
			sent = append(sent, strconv.Itoa(len(r.alerts))+" "+state+" "+first.Labels["segment"])
		}
		require.Equal(t, []string{
			"1 firing incident/copy capped build-7", "1 resolved site-a/cars",
			"500 firing site-a/0", "500 firing site-a/500", "100 firing site-a/1000",
			"1 resolved incident/copy capped build-6",
		}, sent)
	})
}

// listed is an alert as Alertmanager lists it.
func listed(labels ...string) string {
	set := map[string]string{"segment": "site-a/cars", "env": `"prod"`}
	for i := 0; i < len(labels); i += 2 {
		set[labels[i]] = labels[i+1]
	}
	text, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return `{"labels":` + string(text) + `,"annotations":{"summary":"was"},"startsAt":"1999-12-31T23:00:00.000Z","endsAt":"2000-01-07T00:00:00.000Z",` +
		`"updatedAt":"2000-01-01T00:00:00.000Z","generatorURL":"","fingerprint":"f","receivers":[{"name":"pages"}],"status":{"state":"active"}}`
}

// having is an Alertmanager with alerts.
func having(alerts ...string) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, "["+strings.Join(alerts, ",")+"]")
		}
	}
}

// A guard without a ledger does not know what was fired before it.
func TestResolveWithoutKind(t *testing.T) {
	id := segment.ID{SiteGroup: "a/b", Name: "\"c\\d\"\ne"}
	for _, c := range []struct {
		reason string
		open   []string
		want   []string // the kinds of what is ended
	}{
		{"nothing is open, and nothing posted", nil, nil},
		{"all that is open", []string{listed("kind", "capped"), listed("kind", "short")}, []string{"capped", "short"}},
		{"not what another Alerter fired, with labels of its own", []string{listed("kind", "capped", "team", "x"), listed("kind", "short")}, []string{"short"}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			inBubble(t, having(c.open...), func(t *testing.T, a *alertmanager.Alerter, s *server) {
				require.NoError(t, a.Tell(t.Context(), nil, []segment.Alert{{Segment: id}}))
				got := s.got()
				require.Equal(t, request{
					method: "GET", path: "/prefix/api/v2/alerts", user: "me:secret",
					filters: []string{`segment="a%2Fb/\"c\\d\"\ne"`, `alertname=~"SegmentAffected|SegmentIncident"`, `env="\"prod\""`},
				}, got[0])
				var ended []string
				for _, r := range got[1:] {
					for _, x := range r.alerts {
						ended = append(ended, x.Labels["kind"])
						require.Equal(t, "1999-12-31T23:00:00Z", x.StartsAt)
						require.Equal(t, "1999-12-31T23:59:00Z", x.EndsAt)
						require.Equal(t, map[string]string{"summary": "was"}, x.Annotations)
						require.Nil(t, x.UpdatedAt)
					}
				}
				require.Equal(t, c.want, ended)
			})
		})
	}
}

// Only an alert without a kind is asked about: what is told with it, is told as it
// is known.
func TestResolveOneWithoutKind(t *testing.T) {
	inBubble(t, having(listed("kind", "short")), func(t *testing.T, a *alertmanager.Alerter, s *server) {
		bikes := segment.ID{SiteGroup: "site-a", Name: "bikes"}
		require.NoError(t, a.Tell(t.Context(), []segment.Alert{capped(cars)}, []segment.Alert{{Segment: cars}, capped(bikes)}))
		got := s.got()
		require.Equal(t, []string{"GET", "POST", "POST"}, []string{got[0].method, got[1].method, got[2].method}, "the resolved in one request, before what fires")
		over := got[1].alerts
		require.Equal(t, []string{"short", "capped"}, []string{over[0].Labels["kind"], over[1].Labels["kind"]})
		require.Equal(t, []string{"site-a/cars", "site-a/bikes"}, []string{over[0].Labels["segment"], over[1].Labels["segment"]})
		require.Equal(t, "site-a/cars", got[2].alerts[0].Labels["segment"])
	})
}

// That Alertmanager does not say what is open of one segment does not keep back
// what is told of others.
func TestResolveWithoutKindFails(t *testing.T) {
	inBubble(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusNotFound)
		}
	}, func(t *testing.T, a *alertmanager.Alerter, s *server) {
		require.ErrorContains(t, a.Tell(t.Context(), []segment.Alert{manyCapped()}, []segment.Alert{{Segment: cars}}), "answered 404 Not Found")
		got := s.got()
		require.Len(t, got, 2)
		require.Equal(t, "incident/copy capped build-7", got[1].alerts[0].Labels["segment"])
	})
}

func TestOpen(t *testing.T) {
	ours := []string{"alertname", "SegmentAffected", "site_group", "site-a", "severity", "page", "job_kind", "copy", "kind", "capped", "build", "build-7"}
	since := time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC)
	want := segment.Alert{
		Segment: cars, Urgency: segment.Page, Kind: validate.Capped, Job: segment.Job{Kind: segment.JobKindCopy}, Build: "build-7", Since: since,
	}
	anIncident := want
	anIncident.Segment, anIncident.Incident = segment.ID{SiteGroup: "incident", Name: "copy capped build-7"}, &segment.Incident{}
	bare := segment.Alert{Segment: segment.ID{SiteGroup: "a/b", Name: ""}, Since: since}
	for _, c := range []struct {
		reason    string
		siteGroup string
		open      []string
		want      []segment.Alert
		err       string
	}{
		{reason: "nothing is open"},
		{reason: "an alert is what its labels tell", open: []string{listed(ours...)}, want: []segment.Alert{want}},
		{
			reason: "an incident is known by its name", open: []string{listed(append(ours, "alertname", "SegmentIncident", "segment", "incident/copy capped build-7")...)},
			want: []segment.Alert{anIncident},
		},
		{
			reason: "of a site group, in the order of the answer", siteGroup: "site-a",
			open: []string{listed(ours...), listed("segment", "a%2Fb/")}, want: []segment.Alert{want, bare},
		},
		{reason: "not what another Alerter fired, with labels of its own", open: []string{listed(append(ours, "team", "x")...), listed(ours...)}, want: []segment.Alert{want}},
		{
			reason: "what cannot be read ends the list, so that nobody takes the rest for over", open: []string{listed(ours...), listed("segment", "cars"), listed(ours...)},
			want: []segment.Alert{want}, err: `alertmanager: open alert: `,
		},
	} {
		t.Run(c.reason, func(t *testing.T) {
			inBubble(t, having(c.open...), func(t *testing.T, a *alertmanager.Alerter, s *server) {
				found, err := collect(a.Open(t.Context(), c.siteGroup))
				if c.err == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, c.err)
					require.NotContains(t, err.Error(), "goes on")
				}
				require.Equal(t, c.want, found)
				filters := []string{`alertname=~"SegmentAffected|SegmentIncident"`, `env="\"prod\""`}
				if c.siteGroup != "" {
					filters = slices.Insert(filters, 0, `site_group="site-a"`)
				}
				require.Len(t, s.got(), 1)
				require.ElementsMatch(t, filters, s.got()[0].filters)
			})
		})
	}
}

// collect returns the alerts of a sequence and its error, which must end it.
func collect(alerts iter.Seq2[segment.Alert, error]) (found []segment.Alert, err error) {
	for a, failure := range alerts {
		switch {
		case err != nil:
			return found, fmt.Errorf("goes on after its error: %w", err)
		case failure != nil:
			err = failure
		default:
			found = append(found, a)
		}
	}
	return found, err
}

// A caller may leave before the end, and go through the sequence again.
func TestOpenStops(t *testing.T) {
	inBubble(t, having(listed("kind", "short"), listed("kind", "capped")), func(t *testing.T, a *alertmanager.Alerter, s *server) {
		open := a.Open(t.Context(), "")
		for range 2 {
			for x, err := range open {
				require.NoError(t, err)
				require.Equal(t, validate.Short, x.Kind)
				break
			}
		}
		require.Len(t, s.got(), 2, "it is asked anew each time")
	})
}

// The labels are those that the config had.
func TestLabelsAreCopied(t *testing.T) {
	labels := map[string]string{"env": "prod"}
	s := &server{answer: empty}
	served := httptest.NewServer(s)
	defer served.Close()
	a, err := alertmanager.New(alertmanager.Config{URL: served.URL, Labels: labels})
	require.NoError(t, err)
	labels["env"] = "test"
	require.NoError(t, a.Tell(t.Context(), []segment.Alert{capped(cars)}, nil))
	require.Equal(t, "prod", s.got()[0].alerts[0].Labels["env"])
}

func TestSegmentIsNoUTF8(t *testing.T) {
	inBubble(t, empty, func(t *testing.T, a *alertmanager.Alerter, s *server) {
		bad := segment.ID{SiteGroup: "site-a", Name: "caf\xe9"}
		const want = `alertmanager: segment: id "site-a/caf\xe9": want UTF-8`
		require.EqualError(t, a.Tell(t.Context(), []segment.Alert{capped(bad)}, nil), want)
		require.EqualError(t, a.Tell(t.Context(), nil, []segment.Alert{capped(bad)}), want)
		require.EqualError(t, a.Tell(t.Context(), nil, []segment.Alert{{Segment: bad}}), want)
		require.Empty(t, s.got())
		require.EqualError(t, a.Tell(t.Context(), []segment.Alert{capped(bad), capped(cars)}, nil), want)
		require.Len(t, s.got(), 1, "the other one is told")
		require.Len(t, s.got()[0].alerts, 1)
	})
}
