package validate_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// allowed is the docs' formula of a Margin.
func allowed(m validate.Margin, users int64) int64 {
	return max(m.Users, int64(math.Floor(m.Share*float64(users)+0.5e-9)))
}

// margins returns what may be missing and what may be too much of the users of two
// sides. Shares are of the side before; of one that moved, of the smaller number.
func (w *world) margins(before *truth, at int, distinct bool) (short, surplus int64) {
	users := before.size(distinct)
	if before.after != nil {
		users = min(users, before.after.size(distinct))
	}
	add := func(t validate.Tolerance) {
		short += allowed(t.Short, users)
		surplus += allowed(t.Surplus, users+surplus)
	}
	if at == 1 || before.name == "expected" && w.sides[1].measured() {
		add(w.policy.Reading)
	}
	if at == 3 {
		add(w.policy.Tolerance)
	}
	return short, surplus
}

// counts returns the same for the numbers of two neighbours, of which the step
// between them alone has a say.
func (w *world) counts(before *truth, at int) (short, surplus int64) {
	users := before.size(false)
	if before.after != nil {
		users = min(users, before.after.size(false))
	}
	tolerance := [...]validate.Tolerance{1: w.policy.Reading, 3: w.policy.Tolerance}[at]
	return allowed(tolerance.Short, users), allowed(tolerance.Surplus, users)
}

// judge holds the report against the world.
func (w *world) judge(t *testing.T, err error) {
	for at := 1; at < 4; at++ {
		if w.sides[at].measured() && err == nil {
			w.passed(t, at)
		}
	}
	if err == nil {
		w.passedWhole(t)
	}
	for i := range w.report.Findings {
		w.finding(t, &w.report.Findings[i])
	}
	w.mapping(t)
	w.history(t, err)
	if w.report.SameUsers {
		expected, stored := w.sides[0], w.sides[3]
		require.Nil(t, expected.after, "a source that moved holds no one set of users\n%s", w)
		require.Zero(t, expected.lacks(stored, w.policy.Distinct)+expected.foreign(stored, w.policy.Distinct), "same users\n%s", w)
	}
}

// passed holds a step that passed: by its users, where they are known, and by counts.
func (w *world) passed(t *testing.T, at int) {
	side := w.sides[at]
	nearest, known := w.before(at)
	distinct := w.policy.Distinct && at == 3
	if known != nil {
		short, surplus := w.margins(known, at, distinct)
		require.LessOrEqual(t, known.lacks(side, distinct), short, "%s: missing, and passed\n%s", side.name, w)
		require.LessOrEqual(t, known.foreign(side, distinct), surplus, "%s: foreign, and passed\n%s", side.name, w)
	}
	if distinct && known == nil && nearest != nil && nearest.how == "count" && nearest.after == nil && side.exact() {
		net := nearest.size(false) - side.size(true) // a side that was counted is taken to have counted distinct users
		short, surplus := w.counts(nearest, at)
		require.True(t, net <= short && -net <= surplus, "%s: %d fewer distinct users passed\n%s", side.name, net, w)
	}
	if nearest == nil || distinct || at == 2 && w.mapped() {
		return
	}
	net := nearest.size(false) - side.size(false)
	switch short, surplus := w.counts(nearest, at); {
	case nearest.after != nil:
		w.passedMoving(t, at, nearest)
	case nearest.exact() && side.exact(), !w.policy.AllowPossible || nearest.how != "bounded" && side.how != "bounded":
		require.True(t, net <= short && -net <= surplus, "%s: %d fewer passed\n%s", side.name, net, w)
	}
}

// passedMoving: of a source of b users before and a after, a read of r may lack up to
// max(b, a) − r, and hold up to r − min(b, a) too often, unless users decide.
func (w *world) passedMoving(t *testing.T, at int, source *truth) {
	side, stored := w.sides[at], w.sides[3]
	byUsers := source.hash() != "" && (side.hash() == source.hash() && side.digested() || stored.hash() == source.hash() && stored.digested() && !w.mapped())
	if source.how != "count" && source.how != "print" && source.how != "print md5" || !side.exact() || byUsers {
		return
	}
	most, least := max(source.size(false), source.after.size(false)), min(source.size(false), source.after.size(false))
	tolerance := [...]validate.Tolerance{1: w.policy.Reading, 3: w.policy.Tolerance}[at]
	require.LessOrEqual(t, most-side.size(false), allowed(tolerance.Short, most), "%s\n%s", side.name, w)
	require.LessOrEqual(t, side.size(false)-least, allowed(tolerance.Surplus, least), "%s\n%s", side.name, w)
}

// passedWhole: nothing stored passes only where it is allowed and nothing was
// expected, and ids that are mapped only where it was measured how many were.
func (w *world) passedWhole(t *testing.T) {
	expected, stored := w.sides[0], w.sides[3]
	if len(stored.users) == 0 && stored.exact() {
		require.True(t, w.policy.AllowEmpty, "nothing passed\n%s", w)
		require.False(t, expected.exact() && len(expected.users) > 0, "nothing of something passed\n%s", w)
	}
	if w.mapped() {
		require.True(t, w.sides[2].measured(), "mapped, and nobody knows how many\n%s", w)
	}
}

var steps = map[string]int{"read": 1, "map": 2, "store": 3}

// finding holds one finding against the world: one that fails must be right, and its
// sentence true.
func (w *world) finding(t *testing.T, f *validate.Finding) {
	at := steps[f.Step]
	w.sentence(t, f, at)
	if at == 0 {
		return
	}
	side := w.sides[at]
	nearest, known := w.before(at)
	distinct := w.policy.Distinct && at == 3
	switch f.Kind { //nolint:exhaustive // the others are told by their sentences
	case validate.Different:
		require.NotNil(t, known, "%s", w)
		short, surplus := w.margins(known, at, distinct)
		require.True(t, known.lacks(side, distinct) > short || known.foreign(side, distinct) > surplus, "the users are right: %s\n%s", f.Detail, w)
	case validate.Short, validate.Surplus:
		if f.Severity == validate.Fail && len(side.users) > 0 && (at != 2 || !w.mapped()) {
			w.outside(t, f, at, nearest, known)
		}
	case validate.Empty:
		require.Empty(t, side.users, "%s", w)
	case validate.Unverified:
		w.reason(t, f, at, nearest, known)
	}
}

// outside: a number that fails is outside what is allowed, of the rows of two
// neighbours or of the users that a source held all the time or ever.
func (w *world) outside(t *testing.T, f *validate.Finding, at int, nearest, known *truth) {
	side := w.sides[at]
	if strings.HasPrefix(f.Hint, "users that came again") {
		require.False(t, nearest.identified(), "it is known that there are repeats, or not: %s\n%s", f.Detail, w)
		if nearest.size(true) < nearest.size(false) {
			return // the source's own number must count distinct users, and here it did not
		}
	}
	if nearest.after != nil || known != nil && known.after != nil {
		source := nearest
		if source.after == nil {
			source = known
		}
		short, surplus := w.margins(source, at, w.policy.Distinct && at == 3)
		if nearest == source {
			short, surplus = w.counts(source, at)
		}
		distinct := w.policy.Distinct && at == 3
		require.True(t, f.Kind == validate.Short && source.lacks(side, distinct) > short || f.Kind == validate.Surplus && source.foreign(side, distinct) > surplus ||
			nearest.after == nil && w.off(f.Kind, at, nearest) || nearest.after != nil && nearest.hash() == "" && w.offBoth(f, at, nearest), "as was in the source: %s\n%s", f.Detail, w)
		return
	}
	if !w.policy.Distinct || w.policy.Distinct && at != 3 && side.how == "count" {
		require.True(t, w.off(f.Kind, at, nearest), "as many as allowed: %s\n%s", f.Detail, w)
	}
	if w.policy.Distinct && at == 3 && nearest.digested() && side.identified() && known == nearest {
		net := nearest.size(true) - side.size(true)
		short, surplus := w.margins(nearest, at, true)
		require.True(t, f.Kind == validate.Short && net > short || f.Kind == validate.Surplus && -net > surplus, "as many distinct users as allowed: %s\n%s", f.Detail, w)
	}
}

// off reports whether rows are off by more than the step allows, as the finding says.
func (w *world) off(kind validate.Kind, at int, before *truth) bool {
	net := before.size(false) - w.sides[at].size(false)
	short, surplus := w.counts(before, at)
	if w.policy.Distinct && at == 3 && before.digested() {
		net = before.size(true) - w.sides[at].size(true)
		short, surplus = allowed(w.policy.Tolerance.Short, before.size(true)), allowed(w.policy.Tolerance.Surplus, before.size(true))
	}
	return kind == validate.Short && net > short || kind == validate.Surplus && -net > surplus
}

// offBoth reports whether rows are fewer, or more, than at either time by more than
// the step allows: all that counts tell of a source that moved.
func (w *world) offBoth(f *validate.Finding, at int, source *truth) bool {
	once := at == 3 && w.policy.Distinct && w.sides[at].digested() || strings.HasPrefix(f.Hint, "users that came again")
	n, least, most := w.sides[at].size(once), source.size(false), source.after.size(false)
	least, most = min(least, most), max(least, most)
	tolerance := [...]validate.Tolerance{1: w.policy.Reading, 3: w.policy.Tolerance}[at]
	return f.Kind == validate.Short && least-n > allowed(tolerance.Short, least) || f.Kind == validate.Surplus && n-most > allowed(tolerance.Surplus, most)
}

// reason: what is unverified has something that nobody can know from the sides.
func (w *world) reason(t *testing.T, f *validate.Finding, at int, nearest, known *truth) {
	side := w.sides[at]
	switch {
	case nearest == nil, nearest.after != nil && known == nil, !nearest.exact() && nearest.after == nil, !side.exact():
		return // an estimate, bounds, counts of what moved, or nothing at all
	case w.mapped() && !w.sides[2].measured(), strings.HasPrefix(f.Detail, "nothing is stored where 0 to "):
		return
	case side.identified() && known == nil:
		return // other hashes
	case known == nil:
		require.True(t, w.policy.Distinct, "counts decide: %s\n%s", f.Detail, w)
	case !known.digested() || !side.digested():
		return
	case w.policy.Distinct && at == 3:
		require.Greater(t, len(known.users)+len(side.users), 8191, "the samples hold all: %s\n%s", f.Detail, w)
	default:
		differing := known.lacks(side, false) + known.foreign(side, false)
		if known.after != nil {
			differing = int64(len(known.users) + len(known.after.users))
		}
		require.Greater(t, differing, int64(8191), "the table tells all: %s\n%s", f.Detail, w)
	}
}

// mapping holds how many ids are mapped against the Ratio's docs: outside the band
// fails, but up to 1,000 read it warns where chance at the nearer bound explains it.
func (w *world) mapping(t *testing.T) {
	nearest, _ := w.before(2)
	side := w.sides[2]
	if !w.mapped() || !side.exact() || nearest == nil || !nearest.exact() {
		return
	}
	n, m, ratio := nearest.size(false), side.size(false), w.policy.Mapping
	low, high := math.Ceil(ratio.Min*float64(n)-1e-9), math.Floor(ratio.Max*float64(n)+1e-9)
	kind, chance := validate.Kind(""), 0.0
	switch {
	case float64(m) < low:
		kind, chance = validate.Short, tail(n, ratio.Min, 0, m)
	case float64(m) > high:
		kind, chance = validate.Surplus, 1-tail(n, ratio.Max, 0, m-1)
	}
	if n > 1000 || m == 0 && n >= 5 && ratio.Min >= 0.5 {
		chance = 0
	}
	if math.Abs(chance-1e-3) < 1e-9 {
		return // too close to tell
	}
	found := ""
	for _, f := range w.report.Findings {
		if f.Step == "map" && (f.Kind == validate.Short || f.Kind == validate.Surplus) {
			found = string(f.Kind) + " " + string(f.Severity)
		}
	}
	want := ""
	if kind != "" {
		want = string(kind) + " " + string(validate.Fail)
		if chance >= 1e-3 {
			want = string(kind) + " " + string(validate.Warn)
		}
	}
	require.Equal(t, want, found, "%d of %d, %v, %v by chance\n%s", m, n, ratio, chance, w)
}

// tail is the chance of from to to successes: binomial, above 1 Poisson's.
func tail(n int64, p float64, from, to int64) (sum float64) {
	ln := func(k int64) float64 { l, _ := math.Lgamma(float64(k + 1)); return l }
	for k := from; k <= to; k++ {
		switch mean := float64(n) * p; {
		case p > 1:
			sum += math.Exp(float64(k)*math.Log(mean) - mean - ln(k))
		case k <= n && p == 0:
			sum += map[bool]float64{k == 0: 1}[true]
		case k <= n && p == 1:
			sum += map[bool]float64{k == n: 1}[true]
		case k <= n:
			sum += math.Exp(ln(n) - ln(k) - ln(n-k) + float64(k)*math.Log(p) + float64(n-k)*math.Log(1-p))
		}
	}
	return sum
}

// points are the sizes, in users, of which a history by the output's counter consists.
func (w *world) points() (users []int64) {
	for _, size := range w.output.Sizes[max(0, len(w.output.Sizes)-30):] {
		if size.Users > 0 && size.Counter == w.output.Counter {
			users = append(users, size.Users)
		}
	}
	return users
}

// history holds the verdict against the segment's earlier sizes: what is off them
// passes only by the word of an independent source, or as the policy says; a halving
// and a doubling are found; nothing stored after users were is.
func (w *world) history(t *testing.T, err error) {
	expected, stored := w.sides[0], w.sides[3]
	n, points := stored.size(false), w.points()
	if !stored.exact() {
		return
	}
	vouched := expected.measured() && !w.output.SelfReported
	lenient := !expected.side.IsUnknown() && (w.policy.OffHistory == validate.OffHistoryWarns || vouched && w.policy.OffHistory != validate.OffHistoryFails)
	earlier := slices.ContainsFunc(w.output.Sizes, func(s validate.Size) bool { return s.Users > 0 })
	switch {
	case n == 0 && earlier && err == nil:
		require.True(t, w.policy.AllowEmpty && vouched && expected.side.Users() == 0, "nothing, where users were, passed\n%s", w)
	case n == 0 || len(points) == 0:
		require.False(t, n > 0 && err == nil && expected.side.IsUnknown(), "nothing vouched for the size, and it passed\n%s", w)
	case n < w.report.Band.Low || n > w.report.Band.High:
		require.True(t, lenient || err != nil, "off its history, and passed\n%s", w)
	}
	if n == 0 || len(points) == 0 || slices.Min(points) < 100 || slices.ContainsFunc(points, isLimit) {
		return // sizes that a limit may have cut are no measure
	}
	require.True(t, 2*n >= slices.Min(points) || w.says(validate.Dropped, "size"), "a halving\n%s", w)
	require.True(t, n <= 2*slices.Max(points) || w.says(validate.Risen, "size"), "a doubling\n%s", w)
}

func isLimit(n int64) bool {
	return slices.ContainsFunc(validate.KnownCaps(), func(c validate.Cap) bool { return c.Users == n })
}

func (w *world) says(kind validate.Kind, step string) bool {
	return slices.ContainsFunc(w.report.Findings, func(f validate.Finding) bool { return f.Kind == kind && f.Step == step })
}
