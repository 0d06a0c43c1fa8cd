package enginetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/alertmanager"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest/servertest"
)

const alertmanagerName = "alertmanager"

// Waits are the times of a route that tests make short.
type Waits struct{ Group, Interval time.Duration }

// Short waits suit some hundred groups of alerts: Alertmanager looks at each once
// in an interval.
var Short = Waits{Group: 2 * time.Second, Interval: time.Second}

// An Alertmanager runs with the configuration that its package documents, but
// for waits of seconds, and sends its notifications to this process.
type Alertmanager struct {
	URL    string
	waits  Waits
	server *servertest.Server

	mu       sync.Mutex
	notified []Notification
}

// A Notification is one that Alertmanager sent, about a group of alerts.
type Notification struct {
	Receiver string `json:"-"` // "pages" or "tickets"
	Status   string // "firing", or "resolved" where all alerts are
	Alerts   []OpenAlert
}

// String returns the notification in a few words, as "pages firing site-a/cars",
// or "pages firing copy jobs of build 7: 10" for an incident that rang for ten.
func (n Notification) String() string {
	return n.Receiver + " " + n.Status + " " + n.Alerts[0].String()
}

// An OpenAlert is one as Alertmanager shows it.
type OpenAlert struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
	Status              AlertStatus
}

// String returns the segment, or the cause of an incident and for how many it rang.
func (x *OpenAlert) String() string {
	if ring := x.Labels["ring"]; ring != "" {
		return x.Annotations["cause"] + ": " + ring
	}
	return x.Labels["segment"]
}

// AlertStatus is "firing" or "resolved" in a notification, and more elsewhere.
type AlertStatus struct {
	State       string
	InhibitedBy []string
}

// UnmarshalJSON reads both forms.
func (s *AlertStatus) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &s.State)
	}
	type plain AlertStatus
	return json.Unmarshal(data, (*plain)(s))
}

// StartAlertmanager starts one that is gone when the test ends.
func StartAlertmanager(t testing.TB, waits Waits) *Alertmanager {
	t.Helper()
	only(t, alertmanagerName)
	binary, err := servertest.Find("prometheus-alertmanager", "prometheus-alertmanager")
	servertest.Require(t, err)
	port, err := servertest.Port()
	require.NoError(t, err)
	address := servertest.Address(port)
	a := &Alertmanager{URL: "http://" + address, waits: waits}
	a.server, err = servertest.New("alertmanager", "")
	require.NoError(t, err)
	config := filepath.Join(a.server.Folder, "alertmanager.yml")
	require.NoError(t, os.WriteFile(config, []byte(a.config(t, a.receive(t))), 0o600))
	ready := func(ctx context.Context) error { _, err := a.ask(ctx, http.MethodGet, "/-/ready", nil); return err }
	require.NoError(t, a.server.Start(ready, binary,
		"--config.file="+config, "--storage.path="+filepath.Join(a.server.Folder, "data"),
		"--web.listen-address="+address, "--cluster.listen-address=", "--log.level=warn"))
	t.Cleanup(func() { require.NoError(t, a.server.Close()) })
	return a
}

// config returns the documented one, made quick.
func (a *Alertmanager) config(t testing.TB, receiver string) string {
	t.Helper()
	documented, err := os.ReadFile("../../../alertmanager/alertmanager.yml")
	require.NoError(t, err)
	config := string(documented)
	for _, change := range [][2]string{
		{"group_wait: 1m", "group_wait: " + a.waits.Group.String()},
		{"group_interval: 5m", "group_interval: " + a.waits.Interval.String()},
		{"url: http://127.0.0.1:9095/pages", "url: " + receiver + "/pages"},
		{"url: http://127.0.0.1:9095/tickets", "url: " + receiver + "/tickets"},
	} {
		require.Equal(t, 1, strings.Count(config, change[0]), change[0])
		config = strings.Replace(config, change[0], change[1], 1)
	}
	return config
}

// receive starts what takes the notifications, and returns its address.
func (a *Alertmanager) receive(t testing.TB) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := Notification{Receiver: strings.TrimPrefix(r.URL.Path, "/")}
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.notified = append(a.notified, n)
	}))
	require.NoError(t, s.Listener.Close())
	var err error
	s.Listener, err = servertest.Listen()
	require.NoError(t, err)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// Stop ends it as a service manager does: it writes down what it notified of. It
// answers before it minds signals, so that one just started may be ended by this
// one: it has notified of nothing yet.
func (a *Alertmanager) Stop(t testing.TB) {
	t.Helper()
	require.NoError(t, a.server.Signal(syscall.SIGTERM))
	if !a.server.EndedBy(syscall.SIGTERM) {
		require.NoError(t, a.server.Wait())
	}
}

// Restart starts it again after Stop.
func (a *Alertmanager) Restart(t testing.TB) {
	t.Helper()
	require.NoError(t, a.server.Restart())
}

// Alerter posts to it.
func (a *Alertmanager) Alerter(t testing.TB, labels map[string]string) *alertmanager.Alerter {
	t.Helper()
	alerter, err := alertmanager.New(alertmanager.Config{URL: a.URL, Labels: labels, GroupWait: a.waits.Group})
	require.NoError(t, err)
	return alerter
}

// Open returns the alerts that it has, those with a label if one is given.
func (a *Alertmanager) Open(ctx context.Context, filters ...string) (open []OpenAlert, err error) {
	return open, a.get(ctx, "/api/v2/alerts?"+url.Values{"filter": filters}.Encode(), &open)
}

// End ends alerts, as a person does who thinks that they are no longer wanted.
func (a *Alertmanager) End(ctx context.Context, alerts ...OpenAlert) error {
	for i := range alerts {
		alerts[i].EndsAt = time.Now()
	}
	return a.Post(ctx, alerts...)
}

// Groups returns how many groups of alerts it keeps. It looks for empty ones twice a
// minute, and takes in no alerts while it drops them.
func (a *Alertmanager) Groups(ctx context.Context) (groups float64, err error) {
	body, err := a.ask(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return 0, err
	}
	const gauge = "\nalertmanager_dispatcher_aggregation_groups "
	_, after, _ := strings.Cut(string(body), gauge)
	value, _, _ := strings.Cut(after, "\n")
	return strconv.ParseFloat(value, 64)
}

// Notified returns what it sent so far.
func (a *Alertmanager) Notified() []Notification {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.notified)
}

// Post posts alerts as they are.
func (a *Alertmanager) Post(ctx context.Context, alerts ...OpenAlert) error {
	posts := make([]map[string]any, len(alerts))
	for i, x := range alerts {
		posts[i] = map[string]any{"labels": x.Labels, "annotations": x.Annotations, "startsAt": x.StartsAt, "endsAt": x.EndsAt}
	}
	body, err := json.Marshal(posts)
	if err != nil {
		return err
	}
	_, err = a.ask(ctx, http.MethodPost, "/api/v2/alerts", body)
	return err
}

// A Gate stands before an Alertmanager and counts what is posted.
type Gate struct {
	URL  string
	Held chan struct{} // is closed when a post is held back

	mu    sync.Mutex
	posts map[string]int // how often each alert was posted, by its labels
}

// Gate returns one that holds back the post, for ever, that hold selects by the
// alerts in it.
func (a *Alertmanager) Gate(t testing.TB, hold func([]OpenAlert) bool) *Gate {
	t.Helper()
	g := &Gate{Held: make(chan struct{}), posts: map[string]int{}}
	target, err := url.Parse(a.URL)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	held := sync.OnceFunc(func() { close(g.Held) })
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if r.Method == http.MethodPost {
			if alerts := g.count(body); hold(alerts) {
				held()
				<-r.Context().Done()
				return
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	g.URL = s.URL
	return g
}

func (g *Gate) count(body []byte) (alerts []OpenAlert) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if json.Unmarshal(body, &alerts) == nil {
		for i := range alerts {
			g.posts[fmt.Sprint(alerts[i].Labels)]++
		}
	}
	return alerts
}

// Posts returns how often each alert was posted.
func (g *Gate) Posts() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.posts)
}

func (a *Alertmanager) get(ctx context.Context, path string, answer any) error {
	body, err := a.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, answer)
}

func (a *Alertmanager) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, response.Status, answer)
	}
	return answer, err
}
