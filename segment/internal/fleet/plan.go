package fleet

import (
	"fmt"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// A Plan is how far a plan of reruns is.
type Plan struct {
	Steps     int
	States    map[segment.StepState]int // of so many steps
	NoWriter  int                       // affected segments that no job writes
	Conflicts int                       // that somebody is to solve
}

// Complete reports whether everything affected was made again.
func (p *Plan) Complete() bool {
	return p.States[segment.StepDone] == p.Steps && p.NoWriter+p.Conflicts == 0
}

// Lead returns how far the plan is in a sentence.
func (p *Plan) Lead() (string, Tone) {
	parts := []string{fmt.Sprintf("%s of %s done", text.Thousands(int64(p.States[segment.StepDone])), text.Count(p.Steps, "step"))}
	for _, s := range []struct {
		state segment.StepState
		words string
	}{
		{segment.StepRunning, "running"},
		{segment.StepFailed, "failed"},
		{segment.StepUnverified, "could not be verified"},
		{segment.StepCancelled, "cancelled, as they wait for one that failed"},
		{segment.StepWaiting, "waiting"},
	} {
		if n := p.States[s.state]; n > 0 {
			parts = append(parts, text.Thousands(int64(n))+" "+s.words)
		}
	}
	if p.NoWriter > 0 {
		parts = append(parts, "no job writes "+text.Count(p.NoWriter, "affected segment"))
	}
	if p.Conflicts > 0 {
		parts = append(parts, text.Count(p.Conflicts, "conflict")+" to solve")
	}
	switch lead := strings.Join(parts, ", "); {
	case p.Complete():
		return lead + ": everything affected was made again.", Fine
	case p.States[segment.StepFailed]+p.NoWriter+p.Conflicts > 0:
		return lead + ".", Bad
	default:
		return lead + ".", Warned
	}
}
