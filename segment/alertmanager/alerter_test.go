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
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
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
			URL: "https://me:secret@[::1]/alerts/", Client: &http.Client{}, GroupWait: time.Hour, Labels: map[string]string{"env": "prod", "_2": "ü"},
		}, ""},
		{"forgotten", alertmanager.Config{}, "Config.URL is empty, want an address such as http://alertmanager:9093"},
		{"no scheme", alertmanager.Config{URL: "alertmanager:9093"}, "Config.URL is alertmanager:9093, want an address such as http://alertmanager:9093"},
		{"another scheme", alertmanager.Config{URL: "ftp://alertmanager"}, "Config.URL is ftp://alertmanager, want an address such as http://alertmanager:9093"},
		{"no host", alertmanager.Config{URL: "http://:9093"}, "Config.URL is http://:9093, want an address such as http://alertmanager:9093"},
		{"a query is lost", alertmanager.Config{URL: "http://a?b=c"}, "Config.URL is http://a?b=c, want an address such as http://alertmanager:9093, without a query or fragment"},
		{"a fragment is lost", alertmanager.Config{URL: "http://a#b"}, "Config.URL is http://a#b, want an address such as http://alertmanager:9093, without a query or fragment"},
		{"a password is not shown", alertmanager.Config{URL: "ftp://me:sec@ret@host"}, "Config.URL is …@host, want an address such as http://alertmanager:9093"},
		{"nor where it breaks the address", alertmanager.Config{URL: "http://me:se%cret@host:x"}, "Config.URL is …@host:x, want an address such as http://alertmanager:9093"},
		{"GroupWait is a time to come", alertmanager.Config{URL: "http://a", GroupWait: -1}, "Config.GroupWait is -1ns, want above 0, or 0 for 1 minute"},
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

// inBubble runs a test with an Alerter of a server.
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
			URL: "http://me:secret@host/prefix", Client: &http.Client{Transport: transport}, Labels: map[string]string{"env": `"prod"`},
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
		Segment: id, Urgency: segment.Page, Kind: validate.Capped, Level: segment.LevelLost10, Text: "stored 10,000 users of 12,310",
		Customers: "hit: the live segment lost 10% of its users or more", Next: "mend the cause",
		Job: segment.Job{ID: "job", Kind: segment.JobKindCopy}, RunID: "run", Attempt: 2, Build: "build-7", Rule: "copies",
		Runbook: "https://example.org/runbook", Link: "https://example.org/cars", Since: since, At: since, Users: 12_310,
		Good: &validate.Size{Users: 12_298, At: since.AddDate(0, 0, -1)}, Ledger: "ledger-1",
		Report: validate.Report{
			Name: id.String(), Expected: validate.Count(12_310), Stored: validate.Count(10_000),
			Findings: []validate.Finding{{Kind: validate.Capped, Severity: validate.Fail, Detail: "capped at 10,000"}},
		},
		Upstream: segment.ID{SiteGroup: "site/b", Name: "cars"},
	}
}

const manyID = "copy jobs of build build-7 since 2000-01-01T07:00:00Z"

func manyCapped() segment.Alert {
	return segment.Alert{
		Segment: segment.ID{SiteGroup: "site-a", Name: manyID}, Urgency: segment.Page, Kind: validate.Capped, Level: segment.LevelLost50,
		Incident: manyID, Ring: 1000, Text: "5,000 segments", Customers: "hit: 1,200 live segments", Next: "roll back", Job: segment.Job{Kind: segment.JobKindCopy}, Build: "build-7",
		Since: since, At: since, Users: 61_550_000, Ledger: "ledger-1",
		About: &segment.Incident{
			ID: manyID, Cause: segment.Cause{JobKind: segment.JobKindCopy, Build: "build-7"}, Begun: since, Likely: "a limit",
			Members: segment.Members{Segments: 5000, Live: 1200, SiteGroups: 12},
		},
	}
}

const (
	noon   = "2000-01-01T12:00:00Z"
	byself = "the ledger could not be reached: this alert ends by itself at 2000-01-01T14:00:00Z, mended or not, unless a sweep finds the fault"
)

func TestAlert(t *testing.T) {
	bySweep := segment.Alert{
		Segment: segment.ID{Name: "cars"}, Urgency: segment.Ticket, Kind: validate.Unverified, Level: segment.LevelProtected, Runbook: "https:owner",
		Text: "caf\xe9", Store: "redis", Unconfirmed: true, Told: since.Add(30 * time.Minute), Incident: "an incident",
	}
	for _, c := range []struct {
		reason string
		alert  segment.Alert
		want   posted
	}{
		{
			"what a guard found, told for the first time", capped(cars),
			posted{
				Labels: map[string]string{
					"alertname": "SegmentAffected", "site_group": "site-a", "segment": "site-a/cars", "severity": "page", "level": "lost 10%",
					"job_kind": "copy", "kind": "capped", "build": "build-7", "ledger": "ledger-1", "env": `"prod"`,
				},
				Annotations: map[string]string{
					"summary": "stored 10,000 users of 12,310", "customers": "hit: the live segment lost 10% of its users or more", "users": "12,310 users",
					"good": "12,298 users at 1999-12-31T07:00:00Z", "since": "2000-01-01T07:00:00Z", "link": "https://example.org/cars",
					"job": "job", "run": "run", "attempt": "2", "rule": "copies", "next": "mend the cause",
					"runbook_url": "https://example.org/runbook", "upstream": "site%2Fb/cars", "expected": "12,310 users", "stored": "10,000 users",
					"description": "Customers: hit: the live segment lost 10% of its users or more\nAt stake: 12,310 users\nMade from: site%2Fb/cars\n" +
						"Last good: 12,298 users at 1999-12-31T07:00:00Z\nSince: 2000-01-01T07:00:00Z\nSee: https://example.org/cars\n" +
						"Next: mend the cause\nRunbook: https://example.org/runbook\n" + capped(cars).Report.String(),
				},
				StartsAt: noon, EndsAt: "2000-01-31T12:00:00Z",
			},
		},
		{
			"what is not known is left out, and what is not UTF-8 readable; unconfirmed, it ends by itself", bySweep,
			posted{
				Labels: map[string]string{
					"alertname": "SegmentAffected", "segment": "/cars", "store": "redis", "severity": "ticket", "kind": "unverified",
					"level": "protected", "incident": "an incident", "env": `"prod"`,
				},
				Annotations: map[string]string{
					"summary": "caf\uFFFD", "runbook": "https:owner",
					"unconfirmed": byself,
					"description": "Unconfirmed: " + byself + "\nRunbook: https:owner",
				},
				StartsAt: "2000-01-01T07:30:00Z", EndsAt: "2000-01-01T14:00:00Z",
			},
		},
		{
			"an incident has the labels by which it holds back its members, and no number but its ring", manyCapped(),
			posted{
				Labels: map[string]string{
					"alertname": "SegmentIncident", "site_group": "site-a", "severity": "page", "level": "lost 50%", "ring": "1000",
					"job_kind": "copy", "build": "build-7", "incident": manyID, "ledger": "ledger-1", "env": `"prod"`,
				},
				Annotations: map[string]string{
					"summary": "5,000 segments", "customers": "hit: 1,200 live segments", "segments": "5,000", "site_groups": "12",
					"users": "61,550,000 users", "cause": "copy jobs of build build-7", "likely": "a limit", "since": "2000-01-01T07:00:00Z", "next": "roll back",
					"description": "Customers: hit: 1,200 live segments\nAt stake: 61,550,000 users\nCause: copy jobs of build build-7\n" +
						"Likely: a limit\nSince: 2000-01-01T07:00:00Z\nNext: roll back",
				},
				StartsAt: noon, EndsAt: "2000-01-31T12:00:00Z",
			},
		},
	} {
		t.Run(c.reason, func(t *testing.T) {
			inBubble(t, empty, func(t *testing.T, a *alertmanager.Alerter, s *server) {
				time.Sleep(12 * time.Hour)
				require.NoError(t, a.Tell(t.Context(), []segment.Alert{c.alert}, nil))
				require.Equal(t, []request{{method: "POST", path: "/prefix/api/v2/alerts", user: "me:secret", alerts: []posted{c.want}}}, s.got())
			})
		})
	}
}

// What is over is known by its mark alone, however long ago it was told.
func TestOverByItsMark(t *testing.T) {
	inBubble(t, empty, func(t *testing.T, a *alertmanager.Alerter, s *server) {
		time.Sleep(12 * time.Hour)
		full, many := capped(cars), manyCapped()
		require.NoError(t, a.Tell(t.Context(), []segment.Alert{full, many}, nil))
		mark := segment.Alert{
			Segment: cars, Urgency: full.Urgency, Kind: full.Kind, Level: full.Level, Job: segment.Job{Kind: full.Job.Kind}, Build: full.Build,
			Ledger: full.Ledger, Told: since,
		}
		ring := many
		ring.Kind, ring.About = "", &segment.Incident{} // its members are gone
		require.NoError(t, a.Tell(t.Context(), nil, []segment.Alert{mark, ring}))
		got := s.got()
		require.Equal(t, got[1].alerts[0].Labels, got[2].alerts[0].Labels)
		require.Equal(t, got[0].alerts[0].Labels, got[3].alerts[0].Labels)
		require.Equal(t, "2000-01-01T07:00:00Z", got[2].alerts[0].StartsAt)
		require.Equal(t, map[string]string{"summary": "site-a/cars is affected no longer"}, got[2].alerts[0].Annotations)
		for _, r := range got[2:] {
			require.Equal(t, "2000-01-01T11:59:00Z", r.alerts[0].EndsAt, "also for an Alertmanager whose clock is behind")
		}
	})
}

// An alert cannot end before it began: Alertmanager refuses that. Nor does it begin
// later than now, by whosever clock it was told.
func TestTimesOfOtherClocks(t *testing.T) {
	inBubble(t, empty, func(t *testing.T, a *alertmanager.Alerter, s *server) {
		time.Sleep(12 * time.Hour)
		x := capped(cars)
		x.Told = time.Now().Add(time.Hour)
		require.NoError(t, a.Tell(t.Context(), []segment.Alert{x}, []segment.Alert{x}))
		require.Equal(t, noon, s.got()[0].alerts[0].StartsAt)
		over := s.got()[1].alerts[0]
		require.Equal(t, []string{"2000-01-01T11:59:00Z", "2000-01-01T11:59:00Z"}, []string{over.StartsAt, over.EndsAt})
	})
}

// What Alertmanager does not take keeps back what comes after it: members of an
// incident, and what is over under the labels that it had before.
func TestRefusedStep(t *testing.T) {
	for refused, want := range map[string][]string{
		"SegmentIncident": {"SegmentIncident"},
		"SegmentAffected": {"SegmentIncident", "SegmentAffected"},
	} {
		inBubble(t, nil, func(t *testing.T, a *alertmanager.Alerter, s *server) {
			s.answer = func(n int, w http.ResponseWriter, _ *http.Request) {
				if s.got()[n].alerts[0].Labels["alertname"] == refused {
					w.WriteHeader(http.StatusBadRequest)
				}
			}
			member := capped(cars)
			member.Incident = manyID
			require.ErrorContains(t, a.Tell(t.Context(), []segment.Alert{member, manyCapped()}, []segment.Alert{capped(cars)}), "400 Bad Request")
			var sent []string
			for _, r := range s.got() {
				sent = append(sent, r.alerts[0].Labels["alertname"])
			}
			require.Equal(t, want, sent)
		})
	}
}

// Incidents come first and go last, in requests of their own, and what fires
// comes before what is over.
func TestTellOrder(t *testing.T) {
	inBubble(t, empty, func(t *testing.T, a *alertmanager.Alerter, s *server) {
		time.Sleep(12 * time.Hour)
		var firing []segment.Alert
		for i := range 1100 {
			firing = append(firing, capped(segment.ID{SiteGroup: "site-a", Name: strconv.Itoa(i)}))
		}
		over := manyCapped()
		over.Incident = "another one"
		require.NoError(t, a.Tell(t.Context(), append(firing, manyCapped()), []segment.Alert{over, capped(cars)}))
		var sent []string
		for _, r := range s.got() {
			first := r.alerts[0]
			state := "firing"
			if first.EndsAt < noon {
				state = "resolved"
			}
			sent = append(sent, strconv.Itoa(len(r.alerts))+" "+state+" "+first.Labels["segment"]+first.Labels["incident"])
		}
		require.Equal(t, []string{
			"1 firing " + manyID, "500 firing site-a/0", "500 firing site-a/500", "100 firing site-a/1000",
			"1 resolved site-a/cars", "1 resolved another one",
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
					filters: []string{`segment="a%2Fb/\"c\\d\"\ne"`, `ledger=""`, `alertname=~"SegmentAffected|SegmentIncident"`, `env="\"prod\""`},
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
		require.Equal(t, []string{"POST", "GET", "POST"}, []string{got[0].method, got[1].method, got[2].method}, "the resolved in one request, after what fires")
		over := got[2].alerts
		require.Equal(t, []string{"short", "capped"}, []string{over[0].Labels["kind"], over[1].Labels["kind"]})
		require.Equal(t, []string{"site-a/cars", "site-a/bikes"}, []string{over[0].Labels["segment"], over[1].Labels["segment"]})
		require.Equal(t, "site-a/cars", got[0].alerts[0].Labels["segment"])
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
		require.Equal(t, manyID, got[0].alerts[0].Labels["incident"])
	})
}

func TestOpen(t *testing.T) {
	ours := []string{
		"alertname", "SegmentAffected", "site_group", "site-a", "store", "redis", "severity", "page", "job_kind", "copy", "kind", "capped",
		"level", "lost 1%", "build", "build-7", "incident", "x", "ledger", "ledger-1",
	}
	told := time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC)
	want := segment.Alert{
		Segment: cars, Store: "redis", Urgency: segment.Page, Kind: validate.Capped, Level: segment.LevelLost1,
		Job: segment.Job{Kind: segment.JobKindCopy}, Build: "build-7", Incident: "x", Ledger: "ledger-1", Told: told, Since: told,
	}
	anIncident := []string{"alertname", "SegmentIncident", "site_group", "a/b", "segment", "", "severity", "ticket", "ring", "100", "incident", "x"}
	wantIncident := segment.Alert{
		Segment: segment.ID{SiteGroup: "a/b", Name: "x"}, Urgency: segment.Ticket, Incident: "x", Ring: 100, Told: told, Since: told,
		About: &segment.Incident{ID: "x"},
	}
	bare := segment.Alert{Segment: segment.ID{SiteGroup: "a/b", Name: ""}, Told: told, Since: told}
	for _, c := range []struct {
		reason    string
		siteGroup string
		open      []string
		want      []segment.Alert
		err       string
	}{
		{reason: "nothing is open"},
		{reason: "an alert is what its labels tell", open: []string{listed(ours...)}, want: []segment.Alert{want}},
		{reason: "an incident is known by its ID and its ring", open: []string{listed(anIncident...)}, want: []segment.Alert{wantIncident}},
		{
			reason: "of a site group, in the order of the answer", siteGroup: "site-a",
			open: []string{listed(ours...), listed("segment", "a%2Fb/")}, want: []segment.Alert{want, bare},
		},
		{reason: "not what another Alerter fired, with labels of its own", open: []string{listed(append(ours, "team", "x")...), listed(ours...)}, want: []segment.Alert{want}},
		{
			reason: "what cannot be read ends the list, so that nobody takes the rest for over", open: []string{listed(ours...), listed("segment", "cars"), listed(ours...)},
			want: []segment.Alert{want}, err: "alertmanager: GET http://host/prefix/api/v2/alerts: open alert: ",
		},
		{reason: "a ring that is none", open: []string{listed("alertname", "SegmentIncident", "ring", "x")}, err: "alertmanager: GET http://host/prefix/api/v2/alerts: open alert: "},
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
				for i := range c.want {
					c.want[i].Text = "was" // by which a ledger takes it over
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

// What was posted is what is listed.
func TestOpenYieldsWhatWasFired(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, a *alertmanager.Alerter, s *server) {
		var all []posted
		s.answer = func(n int, w http.ResponseWriter, r *http.Request) {
			all = append(all, s.got()[n].alerts...)
			if r.Method == http.MethodGet {
				assert.NoError(t, json.NewEncoder(w).Encode(all))
			}
		}
		fired := []segment.Alert{manyCapped(), capped(cars), capped(segment.ID{Name: "cars"})}
		fired[2].Unconfirmed, fired[2].Told = true, since
		require.NoError(t, a.Tell(t.Context(), fired, nil))
		found, err := collect(a.Open(t.Context(), ""))
		require.NoError(t, err)
		for i := range fired {
			x := &fired[i]
			want := segment.Alert{
				Segment: x.Segment, Store: x.Store, Urgency: x.Urgency, Kind: x.Kind, Level: x.Level, Job: segment.Job{Kind: x.Job.Kind}, Build: x.Build,
				Incident: x.Incident, Ring: x.Ring, Ledger: x.Ledger, Unconfirmed: x.Unconfirmed, Since: x.Since.UTC(), Told: time.Now().UTC(),
				Text: x.Text, RunID: x.RunID, Attempt: x.Attempt, Rule: x.Rule, Link: x.Link, Customers: x.Customers, Next: x.Next, // by which a ledger takes it over
			}
			want.Job.ID = x.Job.ID
			if x.About != nil {
				want.Kind, want.About = "", &segment.Incident{ID: x.About.ID}
			}
			require.Equal(t, want, found[i])
		}
	})
}

// Of twenty thousand alerts one is held at a time.
func TestOpenHoldsOneAlert(t *testing.T) {
	const alerts, size = 20_000, 2_000
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range alerts {
			_, _ = io.WriteString(w, "[,"[min(i, 1):min(i, 1)+1]+listed("alertname", "SegmentAffected", "segment", fmt.Sprintf("site-a/%d%0*d", i, size, 0)))
		}
		_, _ = io.WriteString(w, "]")
	}))
	defer s.Close()
	a, err := alertmanager.New(alertmanager.Config{URL: s.URL, Labels: map[string]string{"env": `"prod"`}})
	require.NoError(t, err)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	found, most := 0, uint64(0)
	for _, err := range a.Open(t.Context(), "") {
		require.NoError(t, err)
		if found++; found%1000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc-min(before.HeapAlloc, now.HeapAlloc))
		}
	}
	require.Equal(t, alerts, found)
	t.Logf("%d alerts of %d bytes: %d KiB held at most, with what the server makes", alerts, size, most>>10)
	require.Less(t, most, uint64(alerts*size/4))
}

// A list that breaks off ends with an error, and is not asked for again: what came
// was taken.
func TestOpenBreaksOff(t *testing.T) {
	for reason, c := range map[string]struct{ answer, want string }{
		"between two":      {"[" + listed(), "unexpected EOF"},
		"within one":       {"[" + listed() + "," + listed()[:20], "unexpected EOF"},
		"no list":          {"{}", "it begins with {"},
		"one without end":  {"[" + listed() + `,{"labels":{"segment":"` + strings.Repeat("x", 2<<20), "longer than 1048576 bytes"},
		"blanks, no end":   {"[" + listed() + strings.Repeat(" ", 2<<20), "longer than 1048576 bytes"},
		"of another shape": {"[" + listed() + `,{"labels":7}]`, "cannot unmarshal"},
	} {
		t.Run(reason, func(t *testing.T) {
			inBubble(t, replies(reply{200, c.answer}), func(t *testing.T, a *alertmanager.Alerter, s *server) {
				found, err := collect(a.Open(t.Context(), ""))
				require.ErrorContains(t, err, c.want)
				require.LessOrEqual(t, len(found), 1)
				require.Len(t, s.got(), 1)
			})
		})
	}
}

// Who lists may take its time, Alertmanager not.
func TestOpenIsSlow(t *testing.T) {
	inBubble(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "["+listed()+strings.Repeat(","+listed(), 100))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, func(t *testing.T, a *alertmanager.Alerter, _ *server) {
		start, found := time.Now(), 0
		for _, err := range a.Open(t.Context(), "") {
			if err != nil {
				require.ErrorContains(t, err, "no answer within 1m0s")
				break
			}
			found++
			time.Sleep(time.Minute)
		}
		require.GreaterOrEqual(t, found, 100)
		require.Equal(t, time.Duration(found+1)*time.Minute, time.Since(start))
	})
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

// What was told may get other labels only as long as there is time to tell them.
func TestGroupWait(t *testing.T) {
	for set, want := range map[time.Duration]time.Duration{0: 30 * time.Second, 4 * time.Second: 2 * time.Second} {
		a, err := alertmanager.New(alertmanager.Config{URL: "http://a", GroupWait: set})
		require.NoError(t, err)
		require.Equal(t, want, a.GroupWait())
	}
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
