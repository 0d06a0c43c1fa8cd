package sdktest

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

// TestPlanSpan: one span a run of a plan, with numbers and no names; one a step inside
// it; and what the steps do inside these.
func TestPlanSpan(t *testing.T) {
	id := func(name string) segment.ID { return segment.ID{SiteGroup: "site-b", Name: name} }
	jobs := []segment.Job{segment.Copy(id("cars"), id("all")), segment.Copy(id("vans"), id("cars")), segment.Lookalike(id("like"), id("all"))}
	failing := errors.New("connection refused")
	for _, c := range []struct {
		name                        string
		cancelled                   bool
		affected                    string
		err                         error
		done, failed, blocked, left int64
		noWriter                    int64
		errorType                   any
	}{
		{name: "all done", affected: "cars", done: 2},
		{name: "failed", affected: "cars", err: failing, failed: 1, blocked: 1, errorType: "failed"},
		{name: "cancelled", cancelled: true, affected: "cars", left: 2, errorType: "cancelled"},
		{name: "by hand", affected: "all", done: 3, noWriter: 1, errorType: "incomplete"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			plan, err := rerun.New(jobs, []segment.Affected{{Segment: id(c.affected)}})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.cancelled {
				cancel()
			}
			_, err = plan.Run(ctx, rerun.RunOptions{TracerProvider: b.traces}, func(ctx context.Context, _ segment.Job) error {
				_, inner := b.traces.Tracer("job").Start(ctx, "job")
				inner.End()
				return c.err
			})
			spans := b.spans.Ended()
			outer := spans[len(spans)-1]
			require.Equal(t, "run rerun plan", outer.Name())
			require.Equal(t, "github.com/segmentguard/segmentguard/segment/rerun", outer.InstrumentationScope().Name)
			require.Len(t, spans, 2*int(c.done+c.failed)+1)
			for i := 0; i < len(spans)-1; i += 2 {
				job, step := spans[i], spans[i+1]
				require.Equal(t, "run rerun step", step.Name())
				require.Equal(t, outer.SpanContext().SpanID(), step.Parent().SpanID())
				require.Equal(t, step.SpanContext().SpanID(), job.Parent().SpanID())
				requireStep(t, plan, step, i/2, c.err)
			}
			want := map[string]any{
				"segmentguard.plan.steps": int64(len(plan.Steps)), "segmentguard.plan.conflicts": int64(0), "segmentguard.plan.no_writer": c.noWriter,
				"segmentguard.plan.done": c.done, "segmentguard.plan.failed": c.failed, "segmentguard.plan.blocked": c.blocked, "segmentguard.plan.never_started": c.left,
			}
			if c.errorType == nil {
				require.NoError(t, err)
				require.Equal(t, codes.Unset, outer.Status().Code)
			} else {
				want["error.type"] = c.errorType
				require.Equal(t, trace.Status{Code: codes.Error, Description: err.Error()}, outer.Status())
			}
			require.Equal(t, want, attributes(outer))
		})
	}
}

// requireStep wants the attributes of the span of a step.
func requireStep(t *testing.T, p rerun.Plan, span trace.ReadOnlySpan, i int, err error) {
	t.Helper()
	j := p.Steps[i].Job
	want := map[string]any{
		"segmentguard.step.number": int64(i + 1), "segmentguard.segment": j.To.String(), "segmentguard.site_group": j.To.SiteGroup,
		"segmentguard.job.kind": string(j.Kind), "segmentguard.job.id": j.ID,
	}
	if err != nil {
		want["error.type"] = "unverified"
	}
	require.Equal(t, want, attributes(span))
	require.Equal(t, err != nil, span.Status().Code == codes.Error)
}
