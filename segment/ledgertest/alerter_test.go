package ledgertest_test

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/ledgertest"
)

func TestLogAlerter(t *testing.T) {
	ledgertest.TestAlerter(t, func(t *testing.T) segment.Alerter {
		return segment.LogAlerter(slog.New(slog.NewTextHandler(t.Output(), nil)))
	})
}

func TestRecorder(t *testing.T) {
	ledgertest.TestAlerter(t, func(*testing.T) segment.Alerter { return newRecorder() })
}

// A recorder is an Alerter that keeps to the rules.
type recorder struct {
	mu   sync.Mutex
	open map[segment.ID]segment.Alert
}

func newRecorder() *recorder { return &recorder{open: map[segment.ID]segment.Alert{}} }

func (r *recorder) Fire(ctx context.Context, a segment.Alert) error {
	return r.Tell(ctx, []segment.Alert{a}, nil)
}

func (r *recorder) Resolve(ctx context.Context, id segment.ID) error {
	return r.Tell(ctx, nil, []segment.Alert{{Segment: id}})
}

func (r *recorder) Tell(ctx context.Context, firing, resolved []segment.Alert) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, a := range resolved {
		delete(r.open, a.Segment)
	}
	for _, a := range firing {
		r.open[a.Segment] = a
	}
	return nil
}

func (r *recorder) Firing(context.Context) ([]segment.ID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.open)), nil
}

// A bad alerter breaks one rule.
type bad struct {
	*recorder
	fire    func(*recorder, context.Context, segment.Alert) error
	resolve func(*recorder, context.Context, segment.ID) error
	tell    func(r *recorder, ctx context.Context, firing, resolved []segment.Alert) error
	firing  func(*recorder) []segment.ID
}

func (b *bad) Fire(ctx context.Context, a segment.Alert) error {
	if b.fire != nil {
		return b.fire(b.recorder, ctx, a)
	}
	return b.recorder.Fire(ctx, a)
}

func (b *bad) Resolve(ctx context.Context, id segment.ID) error {
	if b.resolve != nil {
		return b.resolve(b.recorder, ctx, id)
	}
	return b.recorder.Resolve(ctx, id)
}

func (b *bad) Tell(ctx context.Context, firing, resolved []segment.Alert) error {
	if b.tell != nil {
		return b.tell(b.recorder, ctx, firing, resolved)
	}
	return b.recorder.Tell(ctx, firing, resolved)
}

func (b *bad) Firing(ctx context.Context) ([]segment.ID, error) {
	if b.firing != nil {
		return b.firing(b.recorder), nil
	}
	return b.recorder.Firing(ctx)
}

// keyed is an Alerter that takes alerts for different ones by their keys.
func keyed(key func(segment.Alert) string) *bad {
	var mu sync.Mutex
	open := map[string]segment.Alert{}
	return &bad{
		recorder: newRecorder(),
		fire: func(_ *recorder, ctx context.Context, a segment.Alert) error {
			mu.Lock()
			defer mu.Unlock()
			open[key(a)] = a
			return ctx.Err()
		},
		resolve: func(_ *recorder, ctx context.Context, id segment.ID) error {
			mu.Lock()
			defer mu.Unlock()
			maps.DeleteFunc(open, func(_ string, a segment.Alert) bool { return a.Segment == id })
			return ctx.Err()
		},
		firing: func(r *recorder) []segment.ID {
			mu.Lock()
			defer mu.Unlock()
			ids := slices.Collect(maps.Keys(r.open)) // what it was told
			for _, a := range open {
				ids = append(ids, a.Segment)
			}
			return ids
		},
	}
}

// renamed is an Alerter that gives segments a name of its own.
func renamed(rename func(segment.ID) segment.ID) *bad {
	return &bad{
		recorder: newRecorder(),
		fire: func(r *recorder, ctx context.Context, a segment.Alert) error {
			a.Segment = rename(a.Segment)
			return r.Fire(ctx, a)
		},
		resolve: func(r *recorder, ctx context.Context, id segment.ID) error { return r.Resolve(ctx, rename(id)) },
	}
}

var badAlerters = []struct {
	name, reason string
	open         func() segment.Alerter
	broken       string // a rule that must fail
}{
	{"forgets", "an alert is dropped without an error", func() segment.Alerter {
		return &bad{recorder: newRecorder(), fire: func(*recorder, context.Context, segment.Alert) error { return nil }}
	}, "fires"},
	{"never replaces", "each run's alert is one of its own", func() segment.Alerter {
		return keyed(func(a segment.Alert) string { return a.Segment.String() + a.RunID })
	}, "fires_again"},
	{"tells faults apart", "each fault of a segment is an alert of its own", func() segment.Alerter {
		return keyed(func(a segment.Alert) string { return a.Segment.String() + string(a.Kind) })
	}, "fires_another_fault"},
	{"tells what was fired apart", "what is fired and told is two alerts", func() segment.Alerter {
		return keyed(func(a segment.Alert) string { return a.Segment.String() })
	}, "is_told_and_fired"},
	{"tells no incidents", "an incident is dropped", func() segment.Alerter {
		return &bad{recorder: newRecorder(), tell: func(r *recorder, ctx context.Context, firing, resolved []segment.Alert) error {
			segments := slices.DeleteFunc(slices.Clone(firing), func(a segment.Alert) bool { return a.Incident != nil })
			return r.Tell(ctx, segments, resolved)
		}}
	}, "is_told_of_an_incident"},
	{"never resolves", "resolving does nothing", func() segment.Alerter {
		return &bad{recorder: newRecorder(), resolve: func(*recorder, context.Context, segment.ID) error { return nil }}
	}, "resolves"},
	{"resolves all", "resolving one resolves the whole site group", func() segment.Alerter {
		return &bad{recorder: newRecorder(), resolve: func(r *recorder, _ context.Context, id segment.ID) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			maps.DeleteFunc(r.open, func(open segment.ID, _ segment.Alert) bool { return open.SiteGroup == id.SiteGroup })
			return nil
		}}
	}, "resolves"},
	{"resolves only what is open", "resolving what is not open is an error", func() segment.Alerter {
		return &bad{recorder: newRecorder(), resolve: func(r *recorder, ctx context.Context, id segment.ID) error {
			if open, _ := r.Firing(ctx); !slices.Contains(open, id) {
				return os.ErrNotExist
			}
			return r.Resolve(ctx, id)
		}}
	}, "resolves_what_is_not_open"},
	{"alerts once", "what was resolved is not fired again", func() segment.Alerter {
		var seen sync.Map
		return &bad{recorder: newRecorder(), fire: func(r *recorder, ctx context.Context, a segment.Alert) error {
			if _, again := seen.LoadOrStore(a.Segment, true); again {
				return ctx.Err()
			}
			return r.Fire(ctx, a)
		}}
	}, "fires_what_was_resolved"},
	{"knows no case", "ids are folded", func() segment.Alerter {
		return renamed(func(id segment.ID) segment.ID {
			return segment.ID{SiteGroup: id.SiteGroup, Name: strings.ToLower(id.Name)}
		})
	}, "fires_on_any_id"},
	{"joins paths", "a slash of a name and one of a site group are the same", func() segment.Alerter {
		return renamed(func(id segment.ID) segment.ID {
			group, name := path.Split(path.Join(id.SiteGroup, id.Name))
			return segment.ID{SiteGroup: strings.TrimSuffix(group, "/"), Name: name}
		})
	}, "fires_on_any_id"},
	{"trims", "spaces around a name are lost", func() segment.Alerter {
		return renamed(func(id segment.ID) segment.ID {
			return segment.ID{SiteGroup: id.SiteGroup, Name: strings.TrimSpace(id.Name)}
		})
	}, "fires_on_any_id"},
	{"knows no incidents", "an incident is dropped", func() segment.Alerter {
		return &bad{recorder: newRecorder(), fire: func(r *recorder, ctx context.Context, a segment.Alert) error {
			if a.Incident != nil {
				return nil
			}
			return r.Fire(ctx, a)
		}}
	}, "fires_an_incident"},
	{"swallows the context's error", "an alert that was not told is no error", func() segment.Alerter {
		return &bad{recorder: newRecorder(), fire: func(r *recorder, ctx context.Context, a segment.Alert) error {
			_ = r.Fire(ctx, a)
			return nil
		}}
	}, "is_cancelled"},
	{"ends other faults", "of two faults that are fired at once each ends the other", func() segment.Alerter {
		return &bad{recorder: newRecorder(), fire: func(r *recorder, ctx context.Context, a segment.Alert) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if other, open := r.open[a.Segment]; open && other.Kind != a.Kind {
				delete(r.open, a.Segment)
				return nil
			}
			r.open[a.Segment] = a
			return ctx.Err()
		}}
	}, "is_used_concurrently_on_one_segment"},
	{"tells one batch", "what does not fit into a batch is lost", func() segment.Alerter {
		return &bad{recorder: newRecorder(), tell: func(r *recorder, ctx context.Context, firing, resolved []segment.Alert) error {
			return r.Tell(ctx, firing[:min(len(firing), 500)], resolved)
		}}
	}, "is_told_of_many"},
	{"tells only of what fires", "resolved alerts are left out", func() segment.Alerter {
		return &bad{recorder: newRecorder(), tell: func(r *recorder, ctx context.Context, firing, _ []segment.Alert) error {
			return r.Tell(ctx, firing, nil)
		}}
	}, "is_told_of_some_and_others"},
	{"resolves last", "a fault that took another's place is resolved with it", func() segment.Alerter {
		return &bad{recorder: newRecorder(), tell: func(r *recorder, ctx context.Context, firing, resolved []segment.Alert) error {
			if err := r.Tell(ctx, firing, nil); err != nil {
				return err
			}
			return r.Tell(ctx, nil, resolved)
		}}
	}, "is_told_of_another_fault"},
	{"starts anew", "what is told is all that is open", func() segment.Alerter {
		return &bad{recorder: newRecorder(), tell: func(r *recorder, ctx context.Context, firing, _ []segment.Alert) error {
			r.mu.Lock()
			clear(r.open)
			r.mu.Unlock()
			return r.Tell(ctx, firing, nil)
		}}
	}, "is_told_nothing"},
	{"tells what it can", "what was not told because the context was over is no error", func() segment.Alerter {
		return &bad{recorder: newRecorder(), tell: func(r *recorder, ctx context.Context, firing, resolved []segment.Alert) error {
			_ = r.Tell(ctx, firing, resolved)
			return nil
		}}
	}, "is_told_and_cancelled"},
}

const badVariable = "SEGMENTGUARD_TEST_BAD_ALERTER"

// TestBadAlerter runs the suite over a bad alerter, in a process of its own: a
// suite that fails, fails the test it is in.
func TestBadAlerter(t *testing.T) {
	t.Parallel()
	if name := os.Getenv(badVariable); name != "" {
		for _, b := range badAlerters {
			if b.name == name {
				ledgertest.TestAlerter(t, func(*testing.T) segment.Alerter { return b.open() })
			}
		}
		return
	}
	binary, err := os.Executable()
	require.NoError(t, err)
	for _, b := range badAlerters {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := exec.CommandContext(t.Context(), binary, "-test.run=^TestBadAlerter$")
			c.Env = append(os.Environ(), badVariable+"="+b.name, "GORACE=atexit_sleep_ms=0")
			output, err := c.CombinedOutput()
			require.Error(t, err, b.reason)
			require.Contains(t, string(output), "--- FAIL: TestBadAlerter/"+b.broken+" ", b.reason)
			require.NotContains(t, string(output), "panic:")
		})
	}
}
