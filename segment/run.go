package segment

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/segmentguard/segmentguard/validate"
)

// A Run is one attempt at a job, after its last write and before its output is
// live.
//
// Expected must come from another path than the users that the job reads: the
// source's own count, a model's output. An Expected taken from what the job
// read lets a limit on the reading through.
type Run struct {
	ID      string // one run of the job, the same for all its attempts
	Attempt int    // records are kept per attempt; an older attempt is superseded
	Build   string // the version of the job's code
	Job     Job

	Expected, Read, Written validate.Summary // as in validate.Output; Read and Written may stay zero
	WrittenAt               time.Time        // the last acknowledged write; needed where the rule has a Lag

	Stored  func(context.Context) (validate.Summary, error) // reads back what is stored, never what the writer believes
	Counter string                                          // what counts Stored, where sizes are counted in several ways that differ

	// Delta says that the run changes the segment that is live; nil: what it writes is
	// all of it. Set it before Begin.
	Delta *Delta

	Staging Staging // how the output goes live
	Live    bool    // in place of Staging: the store has none, and the output is live already

	turn // of Guard.Begin
}

// Staging says how output that is not live yet goes live, or is dropped.
type Staging struct {
	Commit  func(context.Context) error // makes it live
	Discard func(context.Context) error // drops it; nil: nothing to drop
	// Tx is of the guard's ledger, in the job's own transaction, where there is
	// one: then the size is recorded with the data or not at all. nil: the guard's
	// ledger records. One with a method Exclusive() bool that returns true keeps
	// others from writing into the ledger as long as the transaction lasts: then
	// Discard is called before a failure is recorded, and not after. So it is where
	// recording takes longer than a second, as those who wait for the transaction may
	// have all connections.
	Tx Recorder
}

// check returns what keeps the run from being judged; stored says that its output
// must be there.
func (r *Run) check(stored bool) error { //nolint:cyclop // one condition after the other
	if err := r.Job.To.check(); err != nil {
		return err
	}
	if err := r.checkTexts(); err != nil {
		return err
	}
	switch staged := r.Staging.Commit != nil || r.Staging.Discard != nil; {
	case r.ID == "":
		return badInput("Run.ID", "empty", "a name for this run of the job, the same for all its attempts")
	case r.Attempt < 0:
		return badInput("Run.Attempt", r.Attempt, "0 or more")
	case r.Job.To.Name == "":
		return badInput("Run.Job.To", r.Job.To, "the segment that the job writes, with a name")
	case r.Live && staged:
		return badInput("Run.Live", true, "no Staging with it: what is live can be neither committed nor discarded")
	case r.Live && r.Staging.Tx != nil:
		return badInput("Run.Live", true, "no Staging.Tx with it: what is live has left the transaction")
	case r.Staging.Tx != nil && r.Staging.Discard == nil:
		return badInput("Run.Staging.Discard", "nil", "with Tx a function that rolls the transaction back, or it keeps what it locked")
	case stored && r.Stored == nil:
		return badInput("Run.Stored", "nil", "a function that reads back what is stored")
	case stored && !r.Live && r.Staging.Commit == nil:
		return badInput("Run.Staging.Commit", "nil", "a function that makes the output live, or Live")
	case stored && r.Delta != nil:
		return r.Delta.check()
	}
	return nil
}

// nameless reports that there is nothing to file the run under: a record or an
// alert without the name of a segment or of a run would be taken for another's.
func (r *Run) nameless() bool {
	return r.ID == "" || !storable(r.ID) || r.Job.To.Name == "" || r.Job.To.check() != nil
}

// storable reports whether every database takes a text, and gives it back unchanged.
func storable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// checkTexts refuses texts that are not storable, and leaves the run with what can be
// recorded of it: that it was refused.
func (r *Run) checkTexts() error {
	var bad error
	for _, text := range []struct {
		field string
		value *string
	}{{"Run.ID", &r.ID}, {"Run.Job.Kind", (*string)(&r.Job.Kind)}, {"Run.Job.ID", &r.Job.ID}, {"Run.Build", &r.Build}, {"Run.Counter", &r.Counter}} {
		if !storable(*text.value) {
			bad = join(bad, badInput(text.field, strconv.QuoteToASCII(*text.value), "UTF-8 without NUL"))
		}
	}
	if bad != nil && storable(r.ID) {
		for _, text := range []*string{(*string)(&r.Job.Kind), &r.Job.ID, &r.Build, &r.Counter} {
			*text = strings.ReplaceAll(strings.ToValidUTF8(*text, "\uFFFD"), "\x00", "\uFFFD")
		}
	}
	return bad
}

// A Rule says what one job is judged by. The zero Rule enforces the strictest
// policy on a store with read-after-write consistency.
type Rule struct {
	Name string
	// Store names the store that the job writes to, where segments of one name are in
	// several: what is known of a segment is kept for each store by itself. A monitor
	// of that store has the same MonitorConfig.Store.
	Store   string
	Mode    Mode
	Policy  validate.Policy
	Lag     Lag
	Runbook string // where to read what to do about a failure; alerts carry it
	Link    string // where to look at the segment; alerts carry it
	// MaxAge is how old the last good run of the segment may be: a sweep then says that
	// it is stale. 0: twice the second-longest of the last ten gaps between its runs, and
	// a day; of a segment that never had a run, or fewer than five gaps, no age is judged.
	MaxAge time.Duration
	// PageFrom is how many users a segment should hold for a proven fault to be a
	// page; of smaller ones it is a ticket. 0: any.
	PageFrom int64

	// Drift is how far the live segment may move away from what the last run
	// stored, with no job running. A Monitor judges by it; zero: not at all. Sizes
	// that are estimates need their counter's error here.
	Drift validate.Tolerance
}

// A Mode says what a failed check does to the job.
type Mode string

// The modes.
const (
	Enforce Mode = ""        // the job fails, nothing goes live
	Observe Mode = "observe" // judged, recorded and alerted; the job passes
)

// A Lag describes a store whose counts lag behind its writes. The zero Lag is a
// store with read-after-write consistency: it is read once.
//
// Otherwise the store is first read Min after Run.WrittenAt, then every Every,
// until two readings in a row pass and agree, or Max after Run.WrittenAt is
// over. Each reading must say up to when it is complete (Summary.AsOf): a count
// that still shows yesterday's users looks like any other.
type Lag struct{ Min, Max, Every time.Duration }

// check returns what is wrong with the rule.
func (r *Rule) check() error {
	switch {
	case r.Mode != Enforce && r.Mode != Observe:
		return badInput("Rule.Mode", string(r.Mode), `"" or "observe"`)
	case checkStore("Rule.Store", r.Store) != nil:
		return checkStore("Rule.Store", r.Store)
	case r.MaxAge < 0:
		return badInput("Rule.MaxAge", r.MaxAge, "0 or more")
	case r.PageFrom < 0:
		return badInput("Rule.PageFrom", r.PageFrom, "0 or more")
	case r.Lag == (Lag{}):
		return nil
	case r.Lag.Min < 0:
		return badInput("Rule.Lag.Min", r.Lag.Min, "0 or more")
	case r.Lag.Every <= 0:
		return badInput("Rule.Lag.Every", r.Lag.Every, "above 0: a pass needs two readings")
	case r.Lag.Max < r.Lag.Min+r.Lag.Every:
		return badInput("Rule.Lag.Max", r.Lag.Max, "at least Min + Every: a pass needs two readings")
	}
	return nil
}
