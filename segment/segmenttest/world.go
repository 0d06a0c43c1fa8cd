package segmenttest

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/segmentguard/segmentguard/segment"
)

// A world is the source, the destination and all that is broken about them. The
// attempts of a run share it.
type world struct {
	flaws
	source []string // the users of the source
	ledger *segment.Memory
	ago    time.Time // before the job began
	night  int       // of a fault that stands, from 1 on; 0: there is one run

	mu          sync.Mutex
	generations map[string]*generation // what the destination holds, by stamp
	live        []string               // the stamps that are live
	maps        bool                   // the job maps ids
	models      bool                   // the job asks a model
	changes     bool                   // the job changes the segment that is live
	uploaded    string                 // the stamp of what an Audience is yet to show; empty: nothing
	uploadedAt  time.Time
}

// flaws are what faults set. Without any, the world is healthy.
type flaws struct {
	users     int                            // of the source; 0: sourceUsers
	misread   []func([]string) []string      // what reading makes of the source's users
	readFails bool                           // in the middle
	miswrite  []func([]string, int) []string // what is stored of a write whose first user is the n-th
	once      bool                           // the source has some users twice, the destination keeps each once
	unlike    func([]string) []string        // what becomes of what the model finds; nil: nothing
	stale     bool                           // the destination begins with users that are gone from the source
	behind    time.Duration                  // how far counts are behind writes
	frozen    bool                           // counts never show what this job wrote
	yesterday bool                           // counts show yesterday's segment in place of today's
	deaf      bool                           // reading back fails
	lostReply bool                           // publishing works, and says that it failed
	removes   removal                        // nil: those whom it is asked to remove
}

// A generation is what was written under one stamp.
type generation struct {
	rows         []row
	acknowledged int // users, stored or not
	seen         map[string]bool
}

// A row is one user in the destination.
type row struct {
	user string
	at   time.Time // when the write was acknowledged
}

const (
	sourceUsers = 12_310 // no limit of anything, no whole number of pages
	pageUsers   = 1000
	twiceEvery  = 20                       // users, where some are there twice
	gonePercent = 2                        // of yesterday's users are gone today, and as many are new
	yesterdays  = "segmenttest: yesterday" // the stamp of what is live before the job runs
)

func newWorld(f Fault) *world {
	w := &world{ledger: segment.NewMemory(), ago: time.Now().Add(-time.Hour), generations: map[string]*generation{}}
	f.inject(&w.flaws)
	w.source = numbered("User", cmp.Or(w.users, sourceUsers))
	if w.once {
		for i := 0; i < len(w.source); i += twiceEvery {
			w.source[min(i+1, len(w.source)-1)] = w.source[i]
		}
	}
	w.generations[yesterdays] = &generation{rows: rowsOf(w.old(), w.ago)}
	w.live = []string{yesterdays}
	return w
}

// store returns what an attempt works with.
func (w *world) store(attempt int) *Store {
	return &Store{world: w, attempt: attempt, source: w.source, writing: func() {}}
}

// numbered users are sorted.
func numbered(name string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = name + "-" + strconv.Itoa(100_000+i)
	}
	return all
}

// gone returns users that the segment had yesterday and the source has no more.
func (w *world) gone() []string { return numbered("gone", len(w.source)*gonePercent/100) }

// old returns the segment as it was yesterday: as large as today, so that an old
// count looks like the new one.
func (w *world) old() []string {
	gone := w.gone()
	return append(gone, w.right()[len(gone):]...)
}

// right returns the segment as it should be today, sorted, with the ids that the job
// gives its users.
func (w *world) right() []string {
	all := slices.Clone(w.source)
	switch {
	case w.changes:
		return slices.Sorted(slices.Values(slices.Concat(w.source, staying())))
	case w.models:
		all = similar(w.source)
	case w.maps:
		all = all[:0]
		for _, user := range w.source {
			if mapped, ok := counterpart(user); ok {
				all = append(all, mapped)
			}
		}
	}
	if w.once {
		all = slices.Compact(all)
	}
	return all
}

// similar returns the users that a model finds for a seed, sorted where that is: it, and
// as many again.
func similar(seed []string) (found []string) {
	for _, user := range seed {
		found = append(found, user, user+"-like")
	}
	return found
}

// counterpart returns a user's id in the other site group, where one in five has
// none.
func counterpart(user string) (mapped string, ok bool) { return "b-" + user, hash(user)%5 != 0 }

func hash(user string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(user))
	return h.Sum32()
}

// look returns, sorted, what the segment's readers see and what they should see
// once a job has passed.
func (w *world) look() (live, right []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process()
	for _, stamp := range w.live {
		live = append(live, usersOf(w.generations[stamp].rows)...)
	}
	slices.Sort(live)
	return live, w.right()
}

// generation returns the one with this stamp. Where a store keeps stale rows, it is
// never quite new.
func (w *world) generation(stamp string) *generation {
	g, ok := w.generations[stamp]
	if !ok {
		g = &generation{}
		switch {
		case w.changes:
			g.rows = slices.Clone(w.generations[yesterdays].rows)
		case w.stale:
			g.rows = rowsOf(w.gone(), w.ago)
		}
		w.generations[stamp] = g
	}
	return g
}

func rowsOf(users []string, at time.Time) []row {
	rows := make([]row, len(users))
	for i, user := range users {
		rows[i] = row{user, at}
	}
	return rows
}

func usersOf(rows []row) []string {
	all := make([]string, len(rows))
	for i, r := range rows {
		all[i] = r.user
	}
	return all
}
