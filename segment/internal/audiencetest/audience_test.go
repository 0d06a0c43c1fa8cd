package audiencetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/audiencetest"
	"github.com/segmentguard/segmentguard/validate"
)

var (
	cars   = segment.ID{SiteGroup: "ads", Name: "cars"}
	source = segment.ID{SiteGroup: "site-a", Name: "cars"}
)

// A team uploads segments to an audience API and settles them later. Its clock is its
// own and the API's.
type team struct {
	t       *testing.T
	now     time.Time
	api     *audiencetest.Server
	url     string
	ledger  *segment.Memory
	policy  validate.Policy
	alerts  []segment.Alert
	careful bool // looks at what an answer of 200 says
}

func newTeam(t *testing.T) *team {
	m := &team{t: t, now: time.Date(2024, 3, 18, 2, 0, 0, 0, time.UTC), ledger: segment.NewMemory()}
	m.api = &audiencetest.Server{Now: func() time.Time { return m.now }, Takes: 5 * time.Hour}
	server := httptest.NewServer(m.api)
	t.Cleanup(server.Close)
	m.url = server.URL
	return m
}

func (m *team) Tell(_ context.Context, firing, _ []segment.Alert) error {
	m.alerts = append(m.alerts, firing...)
	return nil
}

// guard returns a new guard, as each process has one.
func (m *team) guard() *segment.Guard {
	g, err := segment.NewGuard(segment.GuardConfig{
		Ledger: m.ledger, Alerter: m, Now: func() time.Time { return m.now }, Timeout: 500 * time.Millisecond,
		Rules: func(context.Context, segment.Job) (segment.Rule, error) { return segment.Rule{Policy: m.policy}, nil },
	})
	require.NoError(m.t, err)
	return g
}

func users(from, to int) (some []string) {
	for i := range to - from {
		some = append(some, fmt.Sprintf("user-%06d", from+i))
	}
	return some
}

// call calls the API, and decodes its answer.
func (m *team) call(ctx context.Context, method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, m.url+"/audiences/"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the API answers %s", answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// send uploads in batches.
func (m *team) send(ctx context.Context, replace bool, add, remove []string) error {
	for first := true; first || len(add)+len(remove) > 0; first = false {
		n, k := min(len(add), 600), min(len(remove), 400)
		var said struct{ Received, Invalid int }
		err := m.call(ctx, http.MethodPost, cars.Name+"/users", map[string]any{"replace": replace && first, "add": add[:n], "remove": remove[:k]}, &said)
		if err != nil {
			return err
		}
		if m.careful && said.Invalid > 0 {
			return fmt.Errorf("the API refused %d of %d users", said.Invalid, n)
		}
		add, remove = add[n:], remove[k:]
	}
	return nil
}

// upload is the job: it replaces the audience.
func (m *team) upload(id string, all []string) error {
	g := m.guard()
	run := segment.Run{ID: id, Build: "v1", Job: segment.Copy(cars, source), Live: true}
	_, err := g.Do(m.t.Context(), run, func(ctx context.Context, run *segment.Run) error {
		run.Expected, run.Read = validate.Count(int64(len(all))), validate.Count(int64(len(all)))
		if err := m.send(ctx, true, all, nil); err != nil {
			return err
		}
		return g.Submit(ctx, *run, m.now.Add(8*time.Hour))
	})
	return err
}

// change is the job that adds and removes.
func (m *team) change(id string, add, remove []string) error {
	g := m.guard()
	run := segment.Run{ID: id, Build: "v1", Job: segment.Copy(cars, source), Live: true, Delta: &segment.Delta{}}
	_, err := g.Do(m.t.Context(), run, func(ctx context.Context, run *segment.Run) error {
		run.Expected, run.Delta.Removed = validate.Count(int64(len(add))), validate.Count(int64(len(remove)))
		if err := m.send(ctx, false, add, remove); err != nil {
			return err
		}
		return g.Submit(ctx, *run, m.now.Add(8*time.Hour))
	})
	return err
}

type size struct {
	Low, High    int64
	CompleteUpTo time.Time `json:"complete_up_to"`
}

func (s size) summary() validate.Summary {
	side := validate.Bounded(s.Low, s.High)
	if s.Low == s.High {
		side = validate.Count(s.Low)
	}
	if !s.CompleteUpTo.IsZero() {
		side = side.AsOf(s.CompleteUpTo)
	}
	return side
}

// settle asks the API for the size of each audience.
func (m *team) settle() (segment.Settlement, error) {
	return m.guard().Settle(m.t.Context(), func(ctx context.Context, s segment.Submitted) (validate.Summary, error) {
		var answer size
		err := m.call(ctx, http.MethodGet, s.Segment.Name, nil, &answer)
		return answer.summary(), err
	})
}

// settleChange asks it for those who were added and removed, too.
func (m *team) settleChange(added, removed []string) (segment.Settlement, error) {
	return m.guard().Settle(m.t.Context(), func(ctx context.Context, s segment.Submitted) (validate.Summary, error) {
		var answer size
		asked := added
		switch s.Side {
		case segment.SideWhole:
			err := m.call(ctx, http.MethodGet, s.Segment.Name, nil, &answer)
			return answer.summary(), err
		case segment.SideRemaining:
			asked = removed
		case segment.SideStored:
		}
		err := m.call(ctx, http.MethodPost, s.Segment.Name+"/match", map[string]any{"users": asked}, &answer)
		return answer.summary(), err
	})
}

func (m *team) state() segment.SegmentState {
	s, err := m.ledger.State(m.t.Context(), cars.In(""))
	require.NoError(m.t, err)
	return s
}

func (m *team) passes(why string) {
	m.t.Helper()
	settled, err := m.settle()
	require.NoError(m.t, err, why)
	require.Equal(m.t, segment.Settlement{Passed: 1}, settled, why)
}

func (m *team) waits(why string) {
	m.t.Helper()
	settled, err := m.settle()
	require.NoError(m.t, err, why)
	require.Equal(m.t, segment.Settlement{Waiting: 1}, settled, why)
	require.Empty(m.t, m.alerts, why)
}

func (m *team) tells(kind validate.Kind) {
	m.t.Helper()
	settled, err := m.settle()
	require.ErrorIs(m.t, err, kind)
	require.Equal(m.t, segment.Settlement{Failed: 1}, settled)
	require.Len(m.t, m.alerts, 1)
	require.Equal(m.t, segment.Page, m.alerts[0].Urgency)
	require.Equal(m.t, kind, m.alerts[0].Kind)
}

func TestProcessesForHours(t *testing.T) {
	m := newTeam(t)
	require.NoError(t, m.upload("monday", users(0, 5300)))
	for range 4 {
		m.waits("it is at it")
		m.now = m.now.Add(time.Hour)
	}
	m.now = m.now.Add(time.Hour)
	m.passes("an hour after the last batch, three before its time")
	require.Equal(t, int64(5300), m.state().Live.Users)

	m.now = m.now.Add(19 * time.Hour)
	require.NoError(t, m.upload("tuesday", users(100, 5400)))
	m.now = m.now.Add(time.Hour)
	m.waits("5,300 are there, who are monday's")
	m.now = m.now.Add(7 * time.Hour)
	m.passes("at its time")
}

func TestDatedAnswers(t *testing.T) {
	m := newTeam(t)
	m.api.Dated = true
	require.NoError(t, m.upload("monday", users(0, 5300)))
	m.now = m.now.Add(5 * time.Hour)
	m.passes("complete")
	require.NoError(t, m.upload("tuesday", users(100, 5400)))
	m.now = m.now.Add(time.Hour)
	m.waits("complete up to monday")
	m.now = m.now.Add(4 * time.Hour)
	m.passes("the same number, and complete")
	m.api.Do(func(s *audiencetest.Server) { s.Loses = func(user string) bool { return strings.HasSuffix(user, "7") } })
	require.NoError(t, m.upload("wednesday", users(0, 5300)))
	m.now = m.now.Add(5 * time.Hour)
	m.tells(validate.Short)
}

// TestPartialErrors: an answer of 200 that refuses some.
func TestPartialErrors(t *testing.T) {
	m := newTeam(t)
	m.api.Invalid = func(user string) bool { return strings.HasSuffix(user, "00") }
	require.NoError(t, m.upload("monday", users(0, 5300)), "the job does not look")
	m.now = m.now.Add(8*time.Hour - time.Second)
	m.waits("the rest may come")
	m.now = m.now.Add(time.Second)
	m.tells(validate.Short)
	require.Contains(t, m.alerts[0].Text, "stored 5,247 of 5,300 users")

	m = newTeam(t)
	m.careful = true
	m.api.Invalid = func(user string) bool { return strings.HasSuffix(user, "00") }
	require.ErrorContains(t, m.upload("monday", users(0, 5300)), "the API refused 6 of 600 users")
	require.Len(t, m.alerts, 1, "a half-written audience is live")
	require.Equal(t, segment.RunFailed, m.state().Last.State)
}

func TestRounds(t *testing.T) {
	m := newTeam(t)
	m.api.Rounds = 1000
	m.policy.AllowPossible = true
	require.NoError(t, m.upload("monday", users(0, 5300)))
	m.waits("nobody is there")
	m.now = m.now.Add(8 * time.Hour)
	m.passes("5,000 to 5,999")
	require.Nil(t, m.state().Live, "what is live is not known as a number")
	require.Empty(t, m.state().Sizes)
	require.NoError(t, m.upload("tuesday", users(0, 6100)))
	m.now = m.now.Add(8 * time.Hour)
	m.passes("6,000 to 6,999")
	m.api.Do(func(s *audiencetest.Server) { s.Loses = func(user string) bool { return user > "user-004999" } })
	require.NoError(t, m.upload("wednesday", users(0, 6100)))
	m.now = m.now.Add(8 * time.Hour)
	m.tells(validate.Short)
	require.Empty(t, slices.DeleteFunc(m.alerts, func(a segment.Alert) bool { return a.RunID == "wednesday" }))
}

func TestWithholds(t *testing.T) {
	m := newTeam(t)
	m.api.Withhold = 1000
	require.NoError(t, m.upload("monday", users(0, 400)))
	m.now = m.now.Add(8*time.Hour - time.Second)
	m.waits("0 to 999")
	m.now = m.now.Add(time.Second)
	m.tells(validate.Unverified)

	m = newTeam(t)
	m.api.Withhold, m.policy.AllowPossible = 1000, true
	require.NoError(t, m.upload("monday", users(0, 400)))
	m.now = m.now.Add(6 * time.Hour)
	m.waits("0 to 999 may be nobody still")
	m.now = m.now.Add(2 * time.Hour)
	m.passes("which is allowed")
	require.NoError(t, m.upload("tuesday", users(0, 5300)))
	m.now = m.now.Add(8 * time.Hour)
	m.api.Do(func(s *audiencetest.Server) { s.Withhold = 6000 })
	m.passes("5,300 may be among 0 to 5,999")
}

func TestDies(t *testing.T) {
	for name, die := range map[string]func(*audiencetest.Server){
		"503":   func(s *audiencetest.Server) { s.Dead = true },
		"hangs": func(s *audiencetest.Server) { s.Hangs = true },
	} {
		t.Run(name, func(t *testing.T) {
			m := newTeam(t)
			require.NoError(t, m.upload("monday", users(0, 5300)))
			m.api.Do(die)
			m.now = m.now.Add(6 * time.Hour)
			settled, err := m.settle()
			require.Error(t, err)
			require.Equal(t, segment.Settlement{Waiting: 1}, settled)
			require.Empty(t, m.alerts)
			m.now = m.now.Add(2 * time.Hour)
			m.tells(validate.Unverified)

			m.api.Do(func(s *audiencetest.Server) { s.Dead, s.Hangs = false, false })
			require.NoError(t, m.upload("tuesday", users(0, 5400)))
			m.now = m.now.Add(8 * time.Hour) // as nobody knows what monday left, no number is a sign before
			settled, err = m.settle()
			require.NoError(t, err)
			require.Equal(t, segment.Settlement{Passed: 1}, settled)
			require.Nil(t, m.state().Alert.Open, "it is over")
		})
	}
}

// TestDiesAmidUpload: half of the batches are there, and live.
func TestDiesAmidUpload(t *testing.T) {
	m := newTeam(t)
	m.api.Invalid = func(user string) bool {
		if user == "user-001800" {
			m.api.Dead = true // under the server's lock, as all of it
		}
		return false
	}
	require.ErrorContains(t, m.upload("monday", users(0, 5300)), "503")
	require.Equal(t, segment.RunFailed, m.state().Last.State)
	require.Nil(t, m.state().Submitted)
	require.Len(t, m.alerts, 1)
	require.Equal(t, segment.Page, m.alerts[0].Urgency)
}

// TestLaterRun takes the place of the one before, whatever becomes of that.
func TestLaterRun(t *testing.T) {
	m := newTeam(t)
	m.api.Loses = func(user string) bool { return user == "user-000007" }
	require.NoError(t, m.upload("monday", users(0, 5300)))
	m.now = m.now.Add(4 * time.Hour)
	m.api.Do(func(s *audiencetest.Server) { s.Loses = nil })
	require.NoError(t, m.upload("repair", users(0, 5300)))
	m.now = m.now.Add(4 * time.Hour)
	m.waits("monday's time is over, and it is the repair's audience now")
	m.now = m.now.Add(4 * time.Hour)
	m.passes("the repair")
}

// TestTwoSettle: whoever comes second finds it done.
func TestTwoSettle(t *testing.T) {
	m := newTeam(t)
	require.NoError(t, m.upload("monday", users(0, 5300)))
	m.now = m.now.Add(8 * time.Hour)
	m.passes("the first")
	settled, err := m.settle()
	require.NoError(t, err)
	require.Zero(t, settled)
}

func TestChange(t *testing.T) {
	m := newTeam(t)
	require.NoError(t, m.upload("monday", users(0, 5300)))
	m.now = m.now.Add(8 * time.Hour) // as nobody knows what was there before
	m.passes("monday")

	add, remove := users(5300, 6100), users(0, 100)
	require.NoError(t, m.change("first", add, remove))
	settled, err := m.settleChange(add, remove)
	require.NoError(t, err)
	require.Equal(t, segment.Settlement{Waiting: 1}, settled)
	require.True(t, segment.Retryable(m.change("too early", add, remove)), "nobody knows yet what it would change")
	m.now = m.now.Add(5 * time.Hour)
	settled, err = m.settleChange(add, remove)
	require.NoError(t, err)
	require.Equal(t, segment.Settlement{Passed: 1}, settled)
	require.Equal(t, int64(6000), m.state().Live.Users)

	add, remove = users(6100, 6200), users(100, 200)
	m.api.Do(func(s *audiencetest.Server) { s.Loses = func(user string) bool { return user == "user-006123" } })
	require.NoError(t, m.change("second", add, remove))
	m.now = m.now.Add(8 * time.Hour)
	settled, err = m.settleChange(add, remove)
	require.ErrorIs(t, err, validate.Short)
	require.Equal(t, segment.Settlement{Failed: 1}, settled)
	require.Len(t, m.alerts, 1)
	require.Contains(t, m.alerts[0].Text, "stored 99 of 100 users")
}

// TestChangeWithheld: small changes can only be possible where sizes are withheld.
func TestChangeWithheld(t *testing.T) {
	m := newTeam(t)
	require.NoError(t, m.upload("monday", users(0, 5300)))
	m.now = m.now.Add(8 * time.Hour) // as nobody knows what was there before
	m.passes("monday")
	m.api.Do(func(s *audiencetest.Server) { s.Withhold = 1000 })
	m.policy.AllowPossible = true
	add, remove := users(5300, 5600), users(0, 100)
	require.NoError(t, m.change("first", add, remove))
	m.now = m.now.Add(8 * time.Hour)
	settled, err := m.settleChange(add, remove)
	require.NoError(t, err)
	require.Equal(t, segment.Settlement{Passed: 1}, settled)
	require.Equal(t, int64(5500), m.state().Live.Users, "the whole is a number")

	m.api.Do(func(s *audiencetest.Server) { s.Loses = func(string) bool { return true } })
	m.policy.AllowPossible = false
	require.NoError(t, m.change("second", users(5600, 5700), users(100, 200)))
	m.now = m.now.Add(8 * time.Hour)
	_, err = m.settleChange(users(5600, 5700), users(100, 200))
	require.ErrorIs(t, err, validate.Unverified)
	require.NotErrorIs(t, err, validate.Short)
}
