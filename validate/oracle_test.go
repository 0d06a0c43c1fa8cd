package validate_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

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
func (t *truth) exact() bool      { return t.identified() || t.how == "count" }

// tells reports whether the side says how many users there are. One that was only
// counted is taken to have counted distinct users, where these are compared.
func (t *truth) tells(distinct bool) bool { return t.exact() && (!distinct || t.digested()) }

// lacks counts what the other side has fewer of, in rows or in distinct users.
func (t *truth) lacks(other *truth, distinct bool) (n int64) {
	for u, times := range t.times {
		there := other.times[u]
		if distinct {
			times, there = min(times, 1), min(there, 1)
		}
		n += int64(max(0, times-there))
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
	report validate.Report
}

// allowed is the docs' formula of a Margin.
func allowed(m validate.Margin, users int64) int64 {
	return max(m.Users, int64(math.Floor(m.Share*float64(users)+0.5e-9)))
}

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
		Distinct:  w.random.IntN(4) == 0, AllowEmpty: w.random.IntN(2) == 0, AllowPossible: w.random.IntN(2) == 0,
	}
	if w.random.IntN(3) == 0 {
		w.policy.Tolerance, w.policy.Reading = validate.Tolerance{}, validate.Tolerance{}
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
		for range some {
			i := r.IntN(len(users))
			users = slices.Delete(users, i, i+1)
			if len(users) == 0 {
				break
			}
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

func (w *world) draw(users int) {
	source := make([]string, 0, users)
	for i := range users {
		source = append(source, "u"+strconv.Itoa(i))
		if w.random.IntN(40) == 0 {
			source = append(source, source[w.random.IntN(len(source))])
		}
	}
	w.drawPolicy()
	read := w.fault(source, "read")
	written := w.fault(read, "map")
	if w.random.IntN(3) > 0 {
		written = read
	}
	stored := w.fault(written, "store")
	if w.policy.Distinct {
		seen := map[string]bool{}
		stored = slices.DeleteFunc(slices.Clone(stored), func(u string) bool {
			again := seen[u]
			seen[u] = true
			return again
		})
	}
	for i, users := range [][]string{source, read, written, stored} {
		w.sides[i] = newTruth([]string{"expected", "read", "written", "stored"}[i], users)
		w.measure(w.sides[i])
	}
}

func (w *world) measure(t *truth) {
	hows := []string{"digest", "digest", "digest", "count", "count", "print", "digest md5", "print md5", "estimate", "bounded", "none", "unknown", "digest, print"}
	t.how = hows[w.random.IntN(len(hows))]
	if t.how == "none" && (t.name == "expected" || t.name == "stored") || t.how == "unknown" && t.name == "stored" {
		t.how = "count"
	}
	n := int64(len(t.users))
	switch t.how {
	case "count":
		t.side = validate.Count(n)
	case "estimate":
		off := float64(w.random.Int64N(200)-100) / 100 * 0.02 // two standard errors at most
		t.side = validate.Estimate(max(0, int64(math.Round(float64(n)*(1+off)))), 0.02)
	case "bounded":
		t.side = validate.Bounded(max(0, n-w.random.Int64N(10)), n+w.random.Int64N(10))
	case "unknown":
		t.side = validate.Unknown()
	case "none":
	default:
		d := validate.NewDigest(validate.XXH3)
		if strings.HasSuffix(t.how, "md5") {
			d = validate.NewDigest(validate.MD5)
		}
		users := t.users
		if t.name == "stored" {
			users = slices.Clone(users)
			w.random.Shuffle(len(users), func(i, k int) { users[i], users[k] = users[k], users[i] })
		}
		d.AddStrings(users)
		t.side = d.Summary()
		whole := t.side
		if strings.Contains(t.how, "print") && n > 0 {
			t.side = validate.Fingerprinted(n, whole.Fingerprint())
		}
		if t.how == "digest, print" { // a look tells all, and answers for some
			t.side = t.side.WithRemeasure(func(ctx context.Context) (validate.Summary, error) {
				if ask := validate.InQuestion(ctx); ask != nil {
					return only(users, ask), nil
				}
				return whole, nil
			})
		}
	}
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

func (w *world) hash(t *truth) string {
	if strings.HasSuffix(t.how, "md5") {
		return "md5"
	}
	return "xxh3"
}

// before is the nearest measured side ahead of one; known, the nearest whose
// users are known by the same hash.
func (w *world) before(at int) (nearest, known *truth) {
	for i := at - 1; i >= 0; i-- {
		side := w.sides[i]
		if nearest == nil && side.measured() && (at != 1 || i == 0) {
			nearest = side
		}
		if known == nil && side.identified() && w.hash(side) == w.hash(w.sides[at]) {
			known = side
		}
	}
	return nearest, known
}

// margins returns what may be missing and what may be too much of the users of two
// sides; counts returns the same for the numbers of two neighbours, of which the step
// between them alone has a say.
func (w *world) margins(before *truth, at int, distinct bool) (short, surplus int64) {
	users := before.size(distinct)
	add := func(t validate.Tolerance) {
		short += allowed(t.Short, users)
		surplus += allowed(t.Surplus, users+surplus)
	}
	if at == 1 || before.name == "expected" && !w.sides[1].side.IsZero() {
		add(w.policy.Reading)
	}
	if at == 3 {
		add(w.policy.Tolerance)
	}
	return short, surplus
}

func (w *world) counts(before *truth, at int) (short, surplus int64) {
	tolerance := [...]validate.Tolerance{1: w.policy.Reading, 3: w.policy.Tolerance}[at]
	return allowed(tolerance.Short, before.size(false)), allowed(tolerance.Surplus, before.size(false))
}

// judge holds the report against the world.
func (w *world) judge(t *testing.T, err error) {
	r := w.report
	passed := err == nil
	for at := 1; at < 4; at++ {
		side := w.sides[at]
		if !side.measured() {
			continue
		}
		nearest, known := w.before(at)
		distinct := w.policy.Distinct && at == 3
		if side.identified() && known != nil && passed {
			short, surplus := w.margins(known, at, distinct)
			require.LessOrEqual(t, known.lacks(side, distinct), short, "%s: missing, and passed\n%s", side.name, w)
			require.LessOrEqual(t, side.lacks(known, distinct), surplus, "%s: foreign, and passed\n%s", side.name, w)
		}
		if passed && nearest != nil && nearest.exact() && side.exact() && !distinct {
			short, surplus := w.counts(nearest, at)
			net := nearest.size(false) - side.size(false)
			require.True(t, net <= short && -net <= surplus, "%s: %d fewer passed\n%s", side.name, net, w)
		}
	}
	if passed && len(w.sides[3].users) == 0 && w.sides[3].exact() {
		require.True(t, w.policy.AllowEmpty, "nothing passed\n%s", w)
		require.False(t, w.sides[0].exact() && len(w.sides[0].users) > 0, "nothing of something passed\n%s", w)
	}
	for i := range r.Findings {
		w.finding(t, &r.Findings[i])
	}
	require.Equal(t, w.sameUsers(), r.SameUsers || w.sameUsers() && !r.SameUsers, "same users\n%s", w)
}

// sameUsers: the report may say so only where it is so.
func (w *world) sameUsers() bool {
	expected, stored := w.sides[0], w.sides[3]
	return expected.lacks(stored, w.policy.Distinct)+stored.lacks(expected, w.policy.Distinct) == 0
}

func (w *world) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %+v\n", w.seed, w.policy)
	for _, s := range w.sides {
		fmt.Fprintf(&b, "%s: %d rows, %d distinct, by %s\n", s.name, len(s.users), len(s.times), s.how)
	}
	return b.String() + w.report.String()
}

var steps = map[string]int{"read": 1, "map": 2, "store": 3}

// finding holds one finding against the world: a failing one must be right, and its
// sentence true.
func (w *world) finding(t *testing.T, f *validate.Finding) {
	at, ok := steps[f.Step]
	if !ok {
		return
	}
	side := w.sides[at]
	nearest, known := w.before(at)
	distinct := w.policy.Distinct && at == 3
	fails := f.Severity == validate.Fail
	switch f.Kind {
	case validate.Different:
		require.NotNil(t, known, "%s", w)
		short, surplus := w.margins(known, at, distinct)
		require.True(t, known.lacks(side, distinct) > short || side.lacks(known, distinct) > surplus, "the users are right: %s\n%s", f.Detail, w)
	case validate.Short, validate.Surplus:
		if !fails || !nearest.exact() || !side.exact() || w.policy.Distinct {
			break
		}
		net := nearest.size(false) - side.size(false)
		short, surplus := w.counts(nearest, at)
		if len(side.users) > 0 {
			require.True(t, f.Kind == validate.Short && net > short || f.Kind == validate.Surplus && -net > surplus, "as many as allowed: %s\n%s", f.Detail, w)
		}
	case validate.Empty:
		require.Empty(t, side.users, "%s", w)
	case validate.Unverified:
		w.reason(t, f, at, nearest, known)
	case validate.Truncated, validate.Capped, validate.Gap, validate.Repeated: // their sentences tell
	case validate.Dropped, validate.Risen, validate.Stale, validate.Leaking, validate.Frozen:
		t.Fatalf("no history was given\n%s", w)
	}
	w.sentence(t, f, at)
}

// reason: what is unverified has something that nobody can know from the sides.
func (w *world) reason(t *testing.T, f *validate.Finding, at int, nearest, known *truth) {
	side := w.sides[at]
	switch {
	case nearest == nil, !nearest.exact(), !side.exact():
		return // an estimate, bounds, or nothing at all
	case side.identified() && known == nil:
		return // other hashes
	case known == nil:
		require.True(t, w.policy.Distinct, "counts decide: %s\n%s", f.Detail, w)
	case !known.digested() || !side.digested():
		return
	case w.policy.Distinct && at == 3:
		require.Greater(t, len(known.users)+len(side.users), 8191, "the samples hold all: %s\n%s", f.Detail, w)
	default:
		require.Greater(t, known.lacks(side, false)+side.lacks(known, false), int64(8191), "the table tells all: %s\n%s", f.Detail, w)
	}
}

// Sentences, and how each is held against the truth. A number with "at least" or "up
// to" is a bound.
var (
	number     = `([\d,]+)`
	sentenceOf = regexp.MustCompile(`^(read|mapped|stored) ` + number + ` of ` + number + ` (distinct )?users?( read| mapped)? \((.*) short, ` + number + ` allowed\)$`)
	moreThan   = regexp.MustCompile(`^(read|mapped|stored) ` + number + ` (distinct )?users? where ` + number + ` (?:was|were) (expected|read|mapped) \((.*)` + number + ` allowed\)$`)
	lackAnd    = regexp.MustCompile(`(at least )?` + number + ` (?:is|are) missing \(` + number + ` allowed\)`)
	excessAnd  = regexp.MustCompile(`(at least )?` + number + ` (?:is|are) (?:read|mapped|stored) that should not be \(` + number + ` allowed\)(?:, one of them ` + number + ` times)?`)
	between    = regexp.MustCompile(number + `(?: to ` + number + `)? of ` + number + ` (?:distinct )?users? may be missing \(` + number + ` allowed\), and ` + number + `(?: to ` + number + `)? may be (?:read|mapped|stored) that should not be \(` + number + ` allowed\)`)
	asMany     = regexp.MustCompile(`^(?:read|mapped|stored) as many (distinct )?users as (?:were )?(expected|read|mapped), but not the same ones`)
	others     = regexp.MustCompile(`^(?:read|mapped|stored) ` + number + ` (distinct )?users? where ` + number + ` were (expected|read|mapped), but not the right ones`)
	firstOf    = regexp.MustCompile(`^(likely nothing after the first|likely nothing after about the first|nothing after the first|exactly the first) ` + number + ` of ` + number + ` users?`)
	missingRun = regexp.MustCompile(`^users? ([\d,–and ]+?)(?: and \d+ more runs?)? of the source (?:is|are) missing$`)
	noneThere  = regexp.MustCompile(`of ` + number + ` (?:sampled )?users? of the source none is (?:read|mapped|stored)`)
)

func num(text string) int64 {
	n, err := strconv.ParseInt(strings.ReplaceAll(text, ",", ""), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// sentence holds what a finding says against the truth.
func (w *world) sentence(t *testing.T, f *validate.Finding, at int) {
	side, text := w.sides[at], f.Detail
	nearest, known := w.before(at)
	distinct := w.policy.Distinct && at == 3
	if m := sentenceOf.FindStringSubmatch(text); m != nil && side.exact() {
		require.Equal(t, side.size(m[4] != ""), num(m[2]), "%s\n%s", text, w)
		of := []*truth{w.sides[0], nearest} // where nothing is said, the expected ones, or as many
		if m[5] != "" {
			of = []*truth{w.sides[map[string]int{" read": 1, " mapped": 2}[m[5]]]}
		}
		told := !slices.ContainsFunc(of, func(s *truth) bool { return !s.tells(m[4] != "") })
		matches := slices.ContainsFunc(of, func(s *truth) bool { return s.size(m[4] != "") == num(m[3]) })
		require.True(t, matches || !told, "%s\n%s", text, w)
	}
	if m := moreThan.FindStringSubmatch(text); m != nil && side.exact() {
		require.Equal(t, side.size(m[3] != ""), num(m[2]), "%s\n%s", text, w)
		of := w.sides[map[string]int{"expected": 0, "read": 1, "mapped": 2}[m[5]]]
		if of.tells(m[3] != "") { // of an engine's fingerprint only the rows are known at first
			require.Contains(t, []int64{of.size(m[3] != ""), of.side.Users()}, num(m[4]), "%s\n%s", text, w)
		}
	}
	if m := asMany.FindStringSubmatch(text); m != nil {
		of := w.sides[map[string]int{"expected": 0, "read": 1, "mapped": 2}[m[2]]]
		require.Equal(t, of.size(distinct), side.size(distinct), "%s\n%s", text, w)
		require.Equal(t, distinct, m[1] != "", "%s\n%s", text, w)
	}
	if m := others.FindStringSubmatch(text); m != nil {
		of := w.sides[map[string]int{"expected": 0, "read": 1, "mapped": 2}[m[4]]]
		require.Equal(t, []int64{of.size(distinct), side.size(distinct)}, []int64{num(m[3]), num(m[1])}, "%s\n%s", text, w)
	}
	if known != nil {
		w.users(t, f, known, side, distinct)
	}
}

// users holds the numbers of missing and foreign users against the truth.
func (w *world) users(t *testing.T, f *validate.Finding, before, side *truth, distinct bool) {
	text := f.Detail
	missing, foreign := before.lacks(side, distinct), side.lacks(before, distinct)
	if m := lackAnd.FindStringSubmatch(text); m != nil {
		requireBound(t, m[1] != "", num(m[2]), missing, "%s\n%s", text, w)
	}
	if m := excessAnd.FindStringSubmatch(text); m != nil {
		requireBound(t, m[1] != "", num(m[2]), foreign, "%s\n%s", text, w)
		if m[4] != "" {
			times := int(num(m[4]))
			require.True(t, slices.ContainsFunc(side.users, func(u string) bool { return side.times[u]-before.times[u] == times }), "%s\n%s", text, w)
		}
	}
	if m := between.FindStringSubmatch(text); m != nil {
		for i, n := range map[int]int64{1: missing, 5: foreign} {
			least := num(m[i])
			most := least
			if m[i+1] != "" {
				most = num(m[i+1])
			}
			require.True(t, least <= n && n <= most, "%s: %d\n%s", text, n, w)
		}
	}
	if m := noneThere.FindStringSubmatch(text); m != nil && num(m[1]) == before.size(true) {
		require.Equal(t, before.size(true), before.lacks(side, true), "%s\n%s", text, w)
	}
	if m := firstOf.FindStringSubmatch(text); m != nil {
		n := num(m[2])
		require.Equal(t, before.size(false), num(m[3]), "%s\n%s", text, w)
		head := newTruth("head", before.users[:n])
		if m[1] == "exactly the first" {
			require.Zero(t, head.lacks(side, false)+side.lacks(head, false), "%s\n%s", text, w)
		} else if !strings.HasPrefix(m[1], "likely") {
			for _, u := range before.users[n:] {
				require.True(t, head.times[u] > 0 || side.times[u] == 0, "%s: %s is there\n%s", text, u, w)
			}
		}
	}
	if m := missingRun.FindStringSubmatch(text); m != nil {
		for _, run := range strings.FieldsFunc(strings.ReplaceAll(m[1], " and ", "; "), func(r rune) bool { return r == ' ' || r == ';' }) {
			from, to, more := strings.Cut(strings.Trim(run, ","), "–")
			if !more {
				to = from
			}
			for _, u := range before.users[num(from)-1 : num(to)] {
				require.Less(t, min(side.times[u], 1), before.times[u], "%s: %s is there\n%s", text, u, w)
			}
		}
	}
}

func requireBound(t *testing.T, least bool, said, is int64, format string, args ...any) {
	t.Helper()
	if least {
		require.LessOrEqual(t, said, is, append([]any{format}, args...)...)
		return
	}
	require.Equal(t, is, said, append([]any{format}, args...)...)
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
	quiet, passes, sentences := validate.Validator{}, 0, map[string]int{}
	for n := range worlds {
		seed := uint64(from + n)
		w := &world{random: rand.New(rand.NewPCG(seed, 77))}
		users := 1 + w.random.IntN(1<<w.random.IntN(9))
		switch {
		case seed%2000 == 999:
			users = 30_000 + w.random.IntN(170_000)
		case seed%100 == 77:
			users = 5000 + w.random.IntN(20_000)
		}
		w.draw(users)
		var err error
		w.report, err = quiet.Check(t.Context(), w.policy, validate.Output{
			Expected: w.sides[0].side, Read: w.sides[1].side, Written: w.sides[2].side, Stored: w.sides[3].side,
		})
		if err == nil {
			passes++
		}
		for _, f := range w.report.Findings {
			sentences[string(f.Kind)]++
		}
		w.seed = seed
		w.judge(t, err)
	}
	t.Log(worlds, "worlds,", passes, "passed;", sentences)
	require.Greater(t, passes, worlds/10)
	require.Less(t, passes, worlds*9/10)
}
