package segment

import (
	"fmt"
	"time"
)

// succeed keeps a run that is submitted, and drops the one that was, where the record
// is that run's verdict or another run took its place. changes says that the segment may
// hold something else after the record's run.
func (s *SegmentState) succeed(r *Record, changes bool) {
	was := s.Submitted
	its := was.is(r.RunID, r.Attempt)
	switch {
	case its:
		s.Submitted = nil
	case was != nil && changes && (r.Number == 0 || r.Number >= was.Number):
		s.supersede(r.At, fmt.Sprintf("run %s took its place before the store answered", r.RunID))
	}
	if r.State != RunSubmitted || r.Submitted == nil {
		return
	}
	s.Submitted = new(*r.Submitted)
	s.Submitted.First = s.Last.State == "" && !r.Overlapped
	switch {
	case r.Overlapped && !its: // a run that died may have left something, which is to be seen later
	case its:
		s.Submitted.First, s.Submitted.Before = was.First, was.Before
	case s.Live != nil:
		s.Submitted.Before = new(*s.Live)
	}
}

// is reports whether an attempt is the one that waits for its store.
func (s *Submitted) is(run string, attempt int) bool {
	return s != nil && s.RunID == run && s.Attempt == attempt
}

// supersede drops the run that waits for its store, and says so in the log.
func (s *SegmentState) supersede(at time.Time, why string) {
	was := s.Submitted
	s.Submitted = nil
	s.Log = append(s.Log, LogEntry{
		Segment: s.Segment, Store: s.Store, At: at, Action: ActionRecorded, RunID: was.RunID, Why: why,
		Record: &Record{
			Segment: s.Segment, Store: s.Store, RunID: was.RunID, Attempt: was.Attempt, Number: was.Number, State: RunOvertaken, At: at,
			JobID: was.Job.ID, JobKind: was.Job.Kind, Build: was.Build, Counter: was.Counter, Live: true,
		},
	})
}

// elsewhere returns the run as one of a segment under another name, whose commit row
// knows nothing of it.
func (s *Submitted) elsewhere() *Submitted {
	if s == nil {
		return nil
	}
	moved := *s
	moved.Generation = -1
	return &moved
}
