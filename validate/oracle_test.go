package validate_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// The oracle knows the users of every side as they are, draws what a job measured of
// them, and holds each report against them: nothing that is wrong by more than is
// allowed passes, nothing that is right is said to be wrong, what could not be
// verified has a reason, and every sentence is true. It is written from the package's
// docs: sides are multisets, and every number is counted on these.

// A truth is one side as it is, and as it was measured.
type truth struct {
	name  string
	users []string
	times map[string]int
	how   string
	side  validate.Summary
	after *truth // what the source had become when it was measured again; nil: it is the same
}

func newTruth(name string, users []string) *truth {
	t := &truth{name: name, users: users, times: map[string]int{}}
	for _, u := range users {
		t.times[u]++
	}
	return t
}

func (t *truth) measured() bool   { return !t.side.IsZero() && !t.side.IsUnknown() }
func (t *truth) digested() bool   { return strings.HasPrefix(t.how, "digest") }
func (t *truth) identified() bool { return t.digested() || strings.HasPrefix(t.how, "print") }
func (t *truth) exact() bool      { return t.after == nil && (t.identified() || t.how == "count") }

// hash is the one by which the users can be compared: of a source that moved, only
// where it was digested.
func (t *truth) hash() string {
	switch {
	case !t.identified() || t.after != nil && !t.digested():
		return ""
	case strings.HasSuffix(t.how, "md5"):
		return "md5"
	}
	return "xxh3"
}

// tells reports whether the side says how many users there are. One that was only
// counted is taken to have counted distinct users, where these are compared.
func (t *truth) tells(distinct bool) bool { return t.exact() && (!distinct || t.digested()) }

// held is how often the side holds a user all the time, and at either time.
func (t *truth) held(user string, distinct bool) (always, ever int64) {
	always = int64(t.times[user])
	ever = always
	if t.after != nil {
		then := int64(t.after.times[user])
		always, ever = min(always, then), max(ever, then)
	}
	if distinct {
		always, ever = min(always, 1), min(ever, 1)
	}
	return always, ever
}

// lacks counts what a later side has fewer of than this one held all the time.
func (t *truth) lacks(later *truth, distinct bool) (n int64) {
	for u := range t.times {
		always, _ := t.held(u, distinct)
		there, _ := later.held(u, distinct)
		n += max(0, always-there)
	}
	return n
}

// foreign counts what a later side has more of than this one ever held.
func (t *truth) foreign(later *truth, distinct bool) (n int64) {
	for u := range later.times {
		_, ever := t.held(u, distinct)
		there, _ := later.held(u, distinct)
		n += max(0, there-ever)
	}
	return n
}

// size counts rows, or distinct users.
func (t *truth) size(distinct bool) int64 {
	if distinct {
		return int64(len(t.times))
	}
	return int64(len(t.users))
}

// A world is one output with all its sides.
type world struct {
	seed   uint64
	random *rand.Rand
	policy validate.Policy
	sides  [4]*truth // expected, read, written, stored
	output validate.Output
	report validate.Report
}

func (w *world) mapped() bool { return w.policy.Mapping != (validate.Ratio{}) }

func (w *world) oneIn(n int) bool { return w.random.IntN(n) == 0 }

func (w *world) drawMargin() validate.Margin {
	switch w.random.IntN(4) {
	case 0:
		return validate.Margin{Users: w.random.Int64N(20)}
	case 1:
		return validate.Margin{Share: float64(w.random.IntN(20)) / 100}
	case 2:
		return validate.Margin{Share: float64(w.random.IntN(3)) / 10, Users: w.random.Int64N(50)}
	}
	return validate.Margin{}
}

func (w *world) drawPolicy() {
	w.policy = validate.Policy{
		Tolerance: validate.Tolerance{Short: w.drawMargin(), Surplus: w.drawMargin()},
		Reading:   validate.Tolerance{Short: w.drawMargin(), Surplus: w.drawMargin()},
		Distinct:  w.oneIn(4), AllowEmpty: w.oneIn(2), AllowPossible: w.oneIn(2),
		OffHistory: []validate.OffHistory{validate.OffHistoryUnvouched, validate.OffHistoryFails, validate.OffHistoryWarns}[w.random.IntN(3)],
	}
	if w.oneIn(3) {
		w.policy.Tolerance, w.policy.Reading = validate.Tolerance{}, validate.Tolerance{}
	}
	if w.oneIn(4) {
		low := []float64{0, 0.3, 0.5, 0.7, 0.95, 1, 1.5, 2}[w.random.IntN(8)]
		w.policy.Mapping = validate.Ratio{Min: low, Max: max(0.05, low) * (1 + float64(w.random.IntN(6))/10)}
	}
}

// draw makes the users of all sides. A source may move while it is read: users of it
// leave, others join, and the read has those who stayed and some of the others.
func (w *world) draw(users int) {
	source := make([]string, 0, users)
	for i := range users {
		source = append(source, "u"+strconv.Itoa(i))
		if w.oneIn(40) {
			source = append(source, source[w.random.IntN(len(source))])
		}
	}
	w.drawPolicy()
	expected := newTruth("expected", source)
	if w.oneIn(4) {
		source = w.move(expected)
	}
	read := w.fault(source, "read")
	written := read
	switch {
	case w.mapped():
		written = w.counterparts(read)
	case w.oneIn(3):
		written = w.fault(read, "map")
	}
	stored := w.fault(written, "store")
	if w.policy.Distinct {
		stored = slices.Clone(stored)
		seen := map[string]bool{}
		stored = slices.DeleteFunc(stored, func(u string) bool {
			again := seen[u]
			seen[u] = true
			return again
		})
	}
	w.sides = [4]*truth{expected, newTruth("read", read), newTruth("written", written), newTruth("stored", stored)}
	for _, side := range w.sides {
		w.measure(side)
	}
	w.output = validate.Output{
		Expected: w.sides[0].side, Read: w.sides[1].side, Written: w.sides[2].side, Stored: w.sides[3].side,
		SelfReported: w.oneIn(3), At: noon,
	}
	if w.oneIn(3) {
		w.drawSizes()
	}
}

// move lets some users leave the source, and others join it, and returns what a
// reader sees of it.
func (w *world) move(source *truth) (seen []string) {
	var after []string
	leaving, from := w.random.IntN(1+len(source.users)/8), w.random.IntN(len(source.users))
	for i, u := range source.users {
		leaves := i >= from && i < from+leaving
		if !leaves {
			after = append(after, u)
		}
		if !leaves || w.oneIn(2) {
			seen = append(seen, u)
		}
	}
	for i := range w.random.IntN(1 + len(source.users)/8) {
		u := "joined" + strconv.Itoa(i)
		after = append(after, u)
		if w.oneIn(2) {
			seen = append(seen, u)
		}
	}
	source.after = newTruth("expected", after)
	return seen
}

// counterparts maps ids at a rate that is within the policy's, most of the time.
func (w *world) counterparts(read []string) (ids []string) {
	ratio := w.policy.Mapping
	rate := ratio.Min + w.random.Float64()*(ratio.Max-ratio.Min)
	if w.oneIn(3) {
		rate *= 0.8 + 0.4*w.random.Float64()
	}
	for _, u := range read {
		times := int(rate)
		if w.random.Float64() < rate-math.Floor(rate) {
			times++
		}
		for i := range times {
			ids = append(ids, "m"+strconv.Itoa(i)+u)
		}
	}
	return ids
}

// drawSizes gives the segment a history around what is stored, or far from it.
func (w *world) drawSizes() {
	stored := float64(len(w.sides[3].users))
	level := (stored + 1) * []float64{1, 1, 1, 0.9, 1.2, 0.4, 3}[w.random.IntN(7)]
	rate := []float64{1, 0.6, 0.9, 2}[w.random.IntN(4)]
	if read := float64(len(w.sides[1].users)); read > 0 && w.oneIn(2) {
		rate = stored / read
	}
	if w.oneIn(4) {
		w.output.Counter = "ids"
	}
	n := w.random.IntN(36)
	for i := range n {
		size := validate.Size{Users: int64(level * (1 + 0.02*w.random.NormFloat64())), At: noon.AddDate(0, 0, i-n), Counter: w.output.Counter}
		if rate > 0 && w.oneIn(2) {
			size.Read = int64(float64(size.Users) / rate)
		}
		if w.oneIn(20) {
			size.Counter = "another"
		}
		if w.oneIn(40) {
			size.Users, size.Read = 0, 0
		}
		w.output.Sizes = append(w.output.Sizes, size)
	}
}

// fault is what a step does to users.
func (w *world) fault(users []string, step string) []string {
	r, n := w.random, len(users)
	if n == 0 || r.IntN(2) == 0 {
		return users
	}
	some := 1 + r.IntN(1+min(n, 1+n*r.IntN(12)/100))
	users = slices.Clone(users)
	from := r.IntN(n)
	to := min(n, from+some)
	switch r.IntN(9) {
	case 0: // at random
		for range min(some, n) {
			i := r.IntN(len(users))
			users = slices.Delete(users, i, i+1)
		}
	case 1:
		users = users[:n-some%n]
	case 2:
		users = slices.Delete(users, from, to)
	case 3:
		users = append(users, users[from:to]...)
	case 4: // a run in place of another
		copy(users[r.IntN(n):], users[from:to])
	case 5:
		for i := range some {
			users[(from+i*7)%n] = fmt.Sprintf("%s-%d", step, i)
		}
	case 6:
		for i := range some {
			users[(from+i)%n] = ""
		}
	case 7:
		for i := range some {
			users = append(users, fmt.Sprintf("%s+%d", step, i))
		}
	case 8:
		if r.IntN(4) == 0 {
			for i := range users {
				users[i] = " " + users[i]
			}
		}
	}
	return users
}

var hows = []string{"digest", "digest", "digest", "count", "count", "print", "digest md5", "print md5", "estimate", "bounded", "none", "unknown", "digest, print"}

func (w *world) measure(t *truth) {
	t.how = hows[w.random.IntN(len(hows))]
	if t.how == "none" && (t.name == "expected" || t.name == "stored") || t.how == "unknown" && t.name == "stored" {
		t.how = "count"
	}
	t.side = w.summary(t)
	if t.after == nil {
		return
	}
	switch t.how {
	case "unknown", "digest, print":
		t.after = nil // what the read then holds differs from a source that stood still
	default:
		t.after.how = t.how
		t.side = validate.Moving(t.side, w.summary(t.after))
		same := t.lacks(t.after, false)+t.after.lacks(t, false) == 0 // of a source that moved these are both times
		if same && len(t.users) == len(t.after.users) {
			t.after = nil
		}
	}
	if t.after != nil && t.how == "count" && len(t.users) == len(t.after.users) {
		t.after = nil // counts do not see it
		t.how = "count of what moved"
	}
}

// summary is the side as it was measured at one time.
func (w *world) summary(t *truth) validate.Summary {
	n := int64(len(t.users))
	switch t.how {
	case "count":
		return validate.Count(n)
	case "estimate":
		off := float64(w.random.Int64N(200)-100) / 100 * 0.02 // one standard error at most
		return validate.Estimate(max(0, int64(math.Round(float64(n)*(1+off)))), 0.02)
	case "bounded":
		return validate.Bounded(max(0, n-w.random.Int64N(10)), n+w.random.Int64N(10))
	case "unknown":
		return validate.Unknown()
	case "none":
		return validate.Summary{}
	}
	return w.digest(t)
}

func (w *world) digest(t *truth) validate.Summary {
	hash := validate.XXH3
	if strings.HasSuffix(t.how, "md5") {
		hash = validate.MD5
	}
	users := t.users
	if t.name == "stored" {
		users = shuffled(users)
	}
	whole := w.shards(hash, users)
	if !strings.Contains(t.how, "print") || len(users) == 0 {
		return whole
	}
	side := validate.Fingerprinted(int64(len(users)), whole.Fingerprint())
	if t.how != "digest, print" {
		return side
	}
	return side.WithRemeasure(func(ctx context.Context) (validate.Summary, error) { // a look tells all, and answers for some
		if ask := validate.InQuestion(ctx); ask != nil {
			return only(users, ask), nil
		}
		return whole, nil
	})
}

// shards digests users as one, or as two shards of which one comes over the wire.
func (w *world) shards(hash validate.Hash, users []string) validate.Summary {
	first, second := validate.NewDigest(hash), validate.NewDigest(hash)
	if w.oneIn(10) {
		first.Resolve(30_000)
	}
	if !w.oneIn(4) {
		first.AddStrings(users)
		return first.Summary()
	}
	at := w.random.IntN(len(users) + 1)
	first.AddStrings(users[:at])
	second.AddStrings(users[at:])
	wire, err := second.MarshalBinary()
	var read validate.Digest
	if err = errors.Join(err, read.UnmarshalBinary(wire), first.Merge(&read)); err != nil {
		return validate.Unmeasured(err)
	}
	return first.Summary()
}

// only is a side of those of the users who are in question.
func only(users []string, ask *validate.Difference) validate.Summary {
	var d validate.Digest
	for _, u := range users {
		if times, _ := ask.Of(u); times != 0 {
			d.AddString(u)
		}
	}
	return d.Summary()
}

// before is the side that one is judged against, and known the nearest whose users
// can be compared with its own: none beyond a Mapping, and Written only after one.
func (w *world) before(at int) (nearest, known *truth) {
	for i := at - 1; i >= 0; i-- {
		side := w.sides[i]
		if at == 1 && i != 0 || w.mapped() && at == 3 && i != 2 || !side.measured() {
			continue
		}
		if nearest == nil {
			nearest = side
		}
		if known == nil && (!w.mapped() || at != 2) && side.hash() != "" && side.hash() == w.sides[at].hash() {
			known = side
		}
	}
	return nearest, known
}

// looks reports whether a side can be looked at again.
func (w *world) looks() bool {
	return slices.ContainsFunc(w.sides[:], func(s *truth) bool { return s.how == "digest, print" })
}

func (w *world) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %+v, self-reported %t, counter %q\n", w.seed, w.policy, w.output.SelfReported, w.output.Counter)
	for _, s := range w.sides {
		fmt.Fprintf(&b, "%s: %d rows, %d distinct, by %s\n", s.name, len(s.users), len(s.times), s.how)
		if s.after != nil {
			fmt.Fprintf(&b, "  then: %d rows, %d distinct\n", len(s.after.users), len(s.after.times))
		}
	}
	for _, s := range w.output.Sizes {
		fmt.Fprintf(&b, "%s: %d of %d, %s\n", s.At.Format(time.DateOnly), s.Users, s.Read, s.Counter)
	}
	return b.String() + w.report.String()
}

// TestOracle draws worlds: thousands, or as many as ORACLE says.
func TestOracle(t *testing.T) {
	worlds := 20_000
	if testing.Short() || underRace {
		worlds = 2000
	}
	if n, err := strconv.Atoi(os.Getenv("ORACLE")); err == nil {
		worlds = n
	}
	from, _ := strconv.Atoi(os.Getenv("ORACLE_FROM"))
	quiet, passes, found := validate.Validator{}, 0, map[string]int{}
	for n := range worlds {
		w := &world{seed: uint64(from + n)}
		w.random = rand.New(rand.NewPCG(w.seed, 77))
		users := 1 + w.random.IntN(1<<w.random.IntN(9))
		switch {
		case w.seed%2000 == 999:
			users = 30_000 + w.random.IntN(170_000)
		case w.seed%100 == 77:
			users = 5000 + w.random.IntN(20_000)
		case w.seed%50 == 7:
			users = 900 + w.random.IntN(2000)
		}
		w.draw(users)
		var err error
		w.report, err = quiet.Check(t.Context(), w.policy, w.output)
		if err == nil {
			passes++
		}
		for _, f := range w.report.Findings {
			found[string(f.Kind)]++
		}
		w.judge(t, err)
		quietly := validate.NoFindings(&w.policy, &w.output) // which takes no second look
		require.False(t, quietly && len(w.report.Findings) > 0, "found nothing\n%s", w)
		require.True(t, quietly || len(w.report.Findings) > 0 || w.looks(), "found something\n%s", w)
		if w.seed%20 == 0 {
			requireRoundTrip(t, w.report, err)
		}
	}
	t.Log(worlds, "worlds,", passes, "passed;", found)
	require.Greater(t, passes, worlds/10)
	require.Less(t, passes, worlds*9/10)
}
