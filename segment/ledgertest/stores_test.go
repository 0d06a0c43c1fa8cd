package ledgertest_test

import (
	"iter"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
)

// badStores take segments of different stores for the same, one way each.
var badStores = []badLedgerOf{
	{"has one baseline for all stores", "a small store is judged by a large one", &badLedger{state: func(m *memory, key segment.Key) (found segment.SegmentState, err error) {
		found.Segment, found.Store = key.Segment, key.Store
		for _, s := range all(m, segment.SegmentFilter{Segment: key.Segment}) {
			found.Add(s.Sizes...)
		}
		return found, nil
	}}, "stores"},
	{"has one commit row for all stores", "runs into different stores hold each other back", &badLedger{lock: func(m *memory, key segment.Key, change locking) error {
		return m.Lock(background, key.Segment.In(""), change)
	}}, "commit_row_of_a_store"},
	{"sorts by ids first", "a monitor's page is of other stores", &badLedger{segments: func(m *memory, f segment.SegmentFilter) iter.Seq[segment.SegmentState] {
		return slices.Values(slices.SortedStableFunc(slices.Values(all(m, f)), func(a, b segment.SegmentState) int { return a.Segment.Compare(b.Segment) }))
	}}, "segments_of_stores"},
	{"reads the segments of all stores", "a monitor ends what it does not see", filtering(func(f *segment.SegmentFilter) { f.Store = nil }), "segments_of_stores"},
	{"takes no name for any name", "the monitor without a store judges all", filtering(func(f *segment.SegmentFilter) {
		if f.Store != nil && *f.Store == "" {
			f.Store = nil
		}
	}), "segments_of_stores"},
	{"does not say which store was written", "nobody knows which job to run again", listing(func(m *memory, f segment.LogFilter) []segment.LogEntry {
		found := entries(m, f)
		for i := range found {
			found[i].Store = ""
		}
		return found
	}), "log_of_stores"},
	{"reads the log of all stores", "what is usual in one store is not in another", logging(func(f *segment.LogFilter) { f.Store = nil }), "log_of_stores"},
	{"shows the alert of another store", "people look at the wrong store", showing(func(s *segment.SegmentState) {
		if s.Alert.Open != nil {
			s.Alert.Open.Text = "in "
		}
	}), "change_of_stores"},
	{"lists the incidents of all stores", "a monitor ends those of another", &badLedger{incidents: func(m *memory, f segment.IncidentFilter) iter.Seq[segment.Incident] {
		f.Store = nil
		return func(yield func(segment.Incident) bool) {
			for i := range m.Incidents(background, f) {
				if !yield(i) {
					return
				}
			}
		}
	}}, "incidents_of_stores"},
}
