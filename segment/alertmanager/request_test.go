package alertmanager_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/alertmanager"
)

// A reply is a status and a text, or a connection that breaks.
type reply struct {
	status int // 0: the connection breaks
	text   string
}

func replies(all ...reply) func(int, http.ResponseWriter, *http.Request) {
	return func(n int, w http.ResponseWriter, _ *http.Request) {
		r := all[min(n, len(all)-1)]
		if r.status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Location", "http://elsewhere/")
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, r.text)
	}
}

// longest returns the bound of the waits between so many tries: a second before
// the second one, and twice as long before each further one.
func longest(tries int) time.Duration {
	return (time.Second<<(tries-1) - time.Second) + 1
}

func TestTries(t *testing.T) {
	const post = "alertmanager: POST http://host/prefix/api/v2/alerts: "
	for _, c := range []struct {
		reason  string
		replies []reply
		want    string // empty: no error
		tries   int
	}{
		{"at once", []reply{{200, ""}}, "", 1},
		{"out of order for a moment", []reply{{503, "starting"}, {500, ""}, {200, ""}}, "", 3},
		{"the connection breaks for a moment", []reply{{0, ""}, {200, ""}}, "", 2},
		{"out of order", []reply{{503, "  try\n later "}}, post + "answered 503 Service Unavailable: try later", 4},
		{"broken", []reply{{0, ""}}, post + `Post "http://host/prefix/api/v2/alerts": EOF`, 4},
		{"refused", []reply{{400, `"start time must be before end time"`}}, post + `answered 400 Bad Request: "start time must be before end time"`, 1},
		{"not let in", []reply{{401, ""}}, post + "answered 401 Unauthorized", 1},
		{"refused in the end", []reply{{502, ""}, {404, "not found"}}, post + "answered 404 Not Found: not found", 2},
		{"too many requests are no outage", []reply{{429, ""}}, post + "answered 429 Too Many Requests", 1},
		{"somebody else, who takes anything", []reply{{204, ""}}, post + "answered 204 No Content", 1},
		{"redirected to a page that is fine", []reply{{302, ""}, {200, "log in"}}, post + "answered 302 Found", 1},
		{"moved", []reply{{308, "moved"}}, post + "answered 308 Permanent Redirect: moved", 1},
		{"a long answer", []reply{{400, strings.Repeat("x", 511) + "é" + strings.Repeat("y", 20<<20)}}, post + "answered 400 Bad Request: " + strings.Repeat("x", 511) + "\uFFFD…", 1},
	} {
		t.Run(c.reason, func(t *testing.T) {
			inBubble(t, replies(c.replies...), func(t *testing.T, a *alertmanager.Alerter, s *server) {
				start := time.Now()
				err := a.Tell(t.Context(), []segment.Alert{capped(cars)}, nil)
				require.Less(t, time.Since(start), longest(c.tries))
				require.Len(t, s.got(), c.tries)
				if c.want == "" {
					require.NoError(t, err)
					return
				}
				require.EqualError(t, err, c.want)
			})
		})
	}
}

func TestAnswers(t *testing.T) {
	const get = "alertmanager: GET http://host/prefix/api/v2/alerts: "
	for _, c := range []struct {
		reason  string
		replies []reply
		want    string
	}{
		{"asking is tried again, too", []reply{{500, ""}, {200, "[]"}}, ""},
		{"no alerts", []reply{{200, "<html>"}}, get + "not the alerts that were asked for: invalid character '<' looking for beginning of value"},
		{"nothing", []reply{{200, ""}}, get + "not the alerts that were asked for: unexpected EOF"},
		{"more than can be", []reply{{200, "[" + strings.Repeat(" ", 16<<20) + "]"}}, get + "an alert of the answer is longer than 1048576 bytes"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			inBubble(t, replies(c.replies...), func(t *testing.T, a *alertmanager.Alerter, _ *server) {
				_, listing := collect(a.Open(t.Context(), ""))
				resolving := a.Tell(t.Context(), nil, []segment.Alert{{Segment: cars}})
				for _, err := range []error{listing, resolving} {
					if c.want == "" {
						require.NoError(t, err)
					} else {
						require.EqualError(t, err, c.want)
					}
				}
			})
		})
	}
}

// A batch in which alerts are refused does not keep back the next one; an
// Alertmanager that is out of reach is not asked for each.
func TestBatchFails(t *testing.T) {
	var many []segment.Alert
	for i := range 1200 {
		many = append(many, capped(segment.ID{Name: strconv.Itoa(i)}))
	}
	for _, c := range []struct {
		replies []reply
		want    []string
		tries   int
	}{
		{[]reply{{400, "bad"}, {400, "bad"}, {200, ""}}, []string{"400 Bad Request: bad\n", "400 Bad Request: bad"}, 3},
		{[]reply{{400, "bad"}, {503, "down"}}, []string{"400 Bad Request: bad\n", "503 Service Unavailable: down"}, 1 + 4},
		{[]reply{{401, ""}}, []string{"401 Unauthorized"}, 1},
	} {
		inBubble(t, replies(c.replies...), func(t *testing.T, a *alertmanager.Alerter, s *server) {
			err := a.Tell(t.Context(), many, []segment.Alert{capped(cars)})
			require.Equal(t, len(c.want), strings.Count(err.Error(), "answered"))
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.Len(t, s.got(), c.tries, "and nothing is said to be over")
		})
	}
}

// silent is a server that never answers.
func silent(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestNoAnswer(t *testing.T) {
	inBubble(t, silent, func(t *testing.T, a *alertmanager.Alerter, s *server) {
		start := time.Now()
		err := a.Tell(t.Context(), []segment.Alert{capped(cars)}, nil)
		require.ErrorContains(t, err, "no answer within 10s")
		require.NotContains(t, err.Error(), "secret")
		require.Less(t, time.Since(start), 4*10*time.Second+longest(4))
		require.Len(t, s.got(), 4)
	})
}

func TestContext(t *testing.T) {
	over := errors.New("the job was told to stop")
	for _, c := range []struct {
		reason string
		after  time.Duration
		answer func(int, http.ResponseWriter, *http.Request)
		tries  int
	}{
		{"before", 0, empty, 0},
		{"while it waits for an answer", time.Second, silent, 1},
		{"between two tries", time.Nanosecond, replies(reply{503, "down"}), 1},
	} {
		t.Run(c.reason, func(t *testing.T) {
			for name, call := range map[string]func(context.Context, *alertmanager.Alerter) error{
				"Open": func(ctx context.Context, a *alertmanager.Alerter) error {
					_, err := collect(a.Open(ctx, "site-a"))
					return err
				},
				"Tell without a kind": func(ctx context.Context, a *alertmanager.Alerter) error {
					return a.Tell(ctx, nil, []segment.Alert{{Segment: cars}})
				},
				"Tell": func(ctx context.Context, a *alertmanager.Alerter) error {
					return a.Tell(ctx, []segment.Alert{capped(cars)}, []segment.Alert{manyCapped()})
				},
			} {
				inBubble(t, c.answer, func(t *testing.T, a *alertmanager.Alerter, s *server) {
					ctx, cancel := context.WithCancelCause(t.Context())
					if c.after == 0 {
						cancel(over)
					} else {
						time.AfterFunc(c.after, func() { cancel(over) })
					}
					start := time.Now()
					err := call(ctx, a)
					require.ErrorIs(t, err, over, name)
					require.Equal(t, 1, strings.Count(err.Error(), over.Error()), name)
					require.Equal(t, c.after, time.Since(start), name)
					require.Len(t, s.got(), c.tries, name)
				})
			}
		})
	}
}

// Nobody is there: the address is shown, the user and password are not.
func TestOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
		a, err := alertmanager.New(alertmanager.Config{
			URL: "http://me:secret@127.0.0.1:1", Client: &http.Client{Transport: &http.Transport{DialContext: refused}},
		})
		require.NoError(t, err)
		_, err = collect(a.Open(t.Context(), ""))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.ErrorContains(t, err, "alertmanager: GET http://127.0.0.1:1/api/v2/alerts: ")
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), "me:")
	})
}
