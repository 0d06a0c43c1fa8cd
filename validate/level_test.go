package validate_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

var sevenDays = validate.Policy{Relearn: 7}

// rejected is candidates of so many days before noon's, one each.
func rejected(sizes ...int64) []validate.Size {
	candidates := daily(sizes...)
	for i := range candidates {
		candidates[i].Level = validate.LevelOff
	}
	return candidates
}

// ago moves sizes into the past.
func ago(days int, sizes []validate.Size) []validate.Size {
	for i := range sizes {
		sizes[i].At = sizes[i].At.AddDate(0, 0, -days)
	}
	return sizes
}

func times(n int, users int64) []int64 {
	sizes := make([]int64, n)
	for i := range sizes {
		sizes[i] = users
	}
	return sizes
}

// TestRelearn: a level becomes normal by itself only where nothing else is wrong with
// it, and not before so many other days.
func TestRelearn(t *testing.T) {
	good := func() []validate.Size { return ago(10, flat(20, 10_150)) }
	with := func(candidates []validate.Size, edit func(validate.Size) validate.Size) []validate.Size {
		last := len(candidates) - 1
		candidates[last] = edit(candidates[last])
		return candidates
	}
	none := validate.Policy{}
	for _, c := range []struct {
		name, reason string
		policy       validate.Policy
		stored       int64
		candidates   []validate.Size
		learned      bool
	}{
		{"seven days", "on the eighth it is normal", sevenDays, 7000, rejected(times(7, 7000)...), true},
		{"a rise", "as well", sevenDays, 40_300, rejected(times(7, 40_300)...), true},
		{"six days", "one too few", sevenDays, 7000, rejected(times(6, 7000)...), false},
		{"eight days asked", "one too few", validate.Policy{Relearn: 8}, 7000, rejected(times(7, 7000)...), false},
		{"never asked", "zero is never", none, 7000, rejected(times(9, 7000)...), false},
		{"another size today", "they are no level with it", sevenDays, 39_000, rejected(times(7, 7000)...), false},
		{"two levels", "the last one has stood for four days", sevenDays, 39_000, rejected(7000, 7000, 7000, 39_000, 39_000, 39_000, 39_000), false},
		{"two levels, the last for seven days", "it counts", sevenDays, 39_000, rejected(7000, 39_000, 39_000, 39_000, 39_000, 39_000, 39_000, 39_000), true},
		{"0.6 of the last good size", "just not too deep", sevenDays, 6100, rejected(times(7, 6100)...), true},
		{"below 0.6", "somebody has to say so", sevenDays, 6080, rejected(times(7, 6080)...), false},
		{"one of them below 0.6", "a segment that grows is not whole for that", sevenDays, 6300, rejected(6080, 6300, 6300, 6300, 6300, 6300, 6300, 6300), false},
		{"on a limit", "a cut", sevenDays, 5000, rejected(times(7, 6200)...), false},
		{"just below a limit", "a cut of what lacks a few", sevenDays, 40_300, with(rejected(times(7, 40_300)...), func(s validate.Size) validate.Size { s.Users = 49_500; return s }), false},
		{"read just below a limit", "mapped ids hide it", sevenDays, 7000, with(rejected(times(7, 7000)...), func(s validate.Size) validate.Size { s.Read = 9_810; return s }), false},
		{"read more than 2% below a limit", "far enough", sevenDays, 7000, with(rejected(times(7, 7000)...), func(s validate.Size) validate.Size { s.Read = 9_790; return s }), true},
		{"proven wrong in between", "no steady level", sevenDays, 7000, with(rejected(times(7, 7000)...), func(s validate.Size) validate.Size { s.Level = ""; return s }), false},
		{"by another counter", "another number", sevenDays, 7000, with(rejected(times(7, 7000)...), func(s validate.Size) validate.Size { s.Counter = "b"; return s }), false},
		{"one of today", "its day is not over", sevenDays, 7000, with(rejected(times(7, 7000)...), func(s validate.Size) validate.Size { s.At = noon.Add(-time.Minute); return s }), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := validate.Output{Expected: count(c.stored), SelfReported: true, Stored: count(c.stored), Sizes: good(), Candidates: c.candidates, At: noon}
			report, err := validate.Check(t.Context(), c.policy, out)
			require.Equal(t, c.learned, err == nil, "%s\n%s", c.reason, report)
			require.Equal(t, c.learned, report.Level == validate.LevelNew, c.reason)
			require.Equal(t, c.learned, len(report.NewLevel) > 0)
			require.NotEmpty(t, report.Findings, "it is told either way")
		})
	}
	hourly := rejected(times(100, 7000)...)
	for i := range hourly {
		hourly[i].At = noon.Add(time.Duration(i-100) * time.Hour)
	}
	_, err := validate.Check(t.Context(), sevenDays, validate.Output{Expected: validate.Unknown(), Stored: count(7000), Sizes: good(), Candidates: hourly, At: noon})
	require.Error(t, err, "a hundred runs in five days are five days")
	_, err = validate.Check(t.Context(), sevenDays, validate.Output{Expected: validate.Unknown(), Stored: count(7000), Sizes: flat(20, 10_150), Candidates: rejected(times(9, 7000)...), At: noon})
	require.Error(t, err, "a good size ended them")
	report, err := validate.Check(t.Context(), sevenDays, validate.Output{Expected: count(8000), Stored: count(7000), Sizes: good(), Candidates: rejected(times(9, 7000)...), At: noon})
	require.ErrorIs(t, err, validate.Short, "what is proven stays so")
	require.Equal(t, validate.LevelUsual, report.Level)
	for _, days := range []int{-1, 1, 6, 29} {
		_, err = validate.Check(t.Context(), validate.Policy{Relearn: days}, validate.Output{Expected: count(1), Stored: count(1)})
		require.ErrorContains(t, err, "Policy.Relearn is", "%d days", days)
	}
}

// TestApart: where something else explains it, nothing is learned, however long it
// stands and whoever vouches for it; and what was so on those days begins no level.
func TestApart(t *testing.T) {
	out := validate.Output{Expected: validate.Unknown(), Stored: count(7000), Sizes: ago(10, flat(20, 10_150)), Candidates: rejected(times(9, 7000)...), At: noon, Apart: true}
	report, err := validate.Check(t.Context(), sevenDays, out)
	require.ErrorIs(t, err, validate.Dropped)
	require.Equal(t, validate.LevelApart, report.Level)
	out.Expected = count(7000)
	report, err = validate.Check(t.Context(), sevenDays, out)
	require.NoError(t, err, "an independent Expected lets it pass, as ever")
	require.Equal(t, validate.LevelApart, report.Level, "and it is no new level")
	var b validate.Baseline
	b.Take(&report, validate.Size{Users: 7000, At: noon})
	require.Empty(t, b.Sizes)
	require.Equal(t, validate.LevelApart, b.Candidates[0].Level)

	out.Expected, out.Apart = validate.Unknown(), false
	_, err = validate.Check(t.Context(), sevenDays, out)
	require.NoError(t, err, "once nothing explains it, it is learned")
	out.Candidates[5].Level = validate.LevelApart
	_, err = validate.Check(t.Context(), sevenDays, out)
	require.ErrorIs(t, err, validate.Dropped, "but not from days of before")

	out = validate.Output{Expected: validate.Unknown(), Stored: count(7300), Sizes: ago(5, flat(13, 10_150)), Candidates: rejected(times(4, 7300)...), At: noon, Apart: true}
	_, err = validate.Check(t.Context(), sevenDays, out)
	require.ErrorIs(t, err, validate.Dropped, "nor does the band widen")
	out.Apart = false
	for i := range out.Candidates {
		out.Candidates[i].Level = validate.LevelApart
	}
	_, err = validate.Check(t.Context(), sevenDays, out)
	require.ErrorIs(t, err, validate.Dropped, "nor by days that were apart")
}

// TestStandingFaultsDoNotWiden: the band widens by the days of which nothing is known,
// and not by nights that were rejected.
func TestStandingFaultsDoNotWiden(t *testing.T) {
	out := validate.Output{Expected: validate.Unknown(), Stored: count(7300), Sizes: ago(5, flat(13, 10_150)), At: noon}
	_, err := validate.Check(t.Context(), validate.Policy{}, out)
	require.NoError(t, err, "six days without a run")
	out.Candidates = rejected(times(4, 7300)...)
	_, err = validate.Check(t.Context(), validate.Policy{}, out)
	require.ErrorIs(t, err, validate.Dropped, "that it was so for four nights does not make it right")
	_, err = validate.Check(t.Context(), sevenDays, out)
	require.NoError(t, err, "but who lets levels be learned lets small ones be so sooner")
	out.Candidates = rejected(times(4, 9900)...)
	out.Stored = count(9900)
	out.Sizes = ago(5, flat(13, 14_000))
	_, err = validate.Check(t.Context(), sevenDays, out)
	require.ErrorIs(t, err, validate.Dropped, "never those below a limit")
}

// TestFaultWithinItsOwnRhythm: of a list that moves by a third from one week to the next,
// a fault of as much is within the band of some day of the week. That is so with Relearn
// as without: nothing is learned.
func TestFaultWithinItsOwnRhythm(t *testing.T) {
	history := func() []validate.Size {
		sizes := daily(times(29, 14_000)...)
		for _, day := range []int{29 - 6, 29 - 13} { // the days before that of the second night
			sizes[day].Users = 11_000
		}
		return sizes
	}
	for _, relearn := range []int{0, 7} {
		for night, want := range []validate.Level{validate.LevelOff, validate.LevelUsual} {
			out := validate.Output{
				Name: "x", Expected: validate.Count(9970), SelfReported: true, Stored: validate.Count(9970),
				Sizes: ago(night, history()), At: noon,
			}
			if night == 1 {
				out.Candidates = rejected(9960)
			}
			report, err := validate.Check(t.Context(), validate.Policy{Relearn: relearn}, out)
			require.Equal(t, want, report.Level, "night %d: %s", night+1, report.Band)
			require.Equal(t, want == validate.LevelUsual, err == nil)
			require.Empty(t, report.NewLevel)
		}
	}
}

// TestVouched: a size off its history that the source vouches for passes with a
// warning, and is normal once that was so on seven days.
func TestVouched(t *testing.T) {
	b := validate.Baseline{Sizes: ago(1, flat(20, 10_000))}
	for night := range 9 {
		at := noon.AddDate(0, 0, night)
		report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
			Expected: count(2200), Stored: count(2200), Sizes: b.Sizes, Candidates: b.Candidates, At: at,
		})
		require.NoError(t, err)
		b.Take(&report, validate.Size{Users: 2200, At: at})
		want := map[bool]validate.Level{true: validate.LevelOff}[night < 6]
		if night == 6 {
			want = validate.LevelNew
			require.Equal(t, validate.Dropped, report.Findings[0].Kind)
			require.Contains(t, report.Findings[0].Hint, "as on 6 days since 2024-03-18")
			require.True(t, report.Findings[0].Explains, "the source says so: nobody need look")
			require.Len(t, b.Sizes, 27)
			require.Empty(t, b.Candidates)
		}
		require.Equal(t, want, report.Level, "night %d", night+1)
		require.Equal(t, night < 7, len(report.Findings) > 0, "night %d", night+1)
	}
}

// TestFormerLevel: the level before one that was accepted passes for 30 days.
func TestFormerLevel(t *testing.T) {
	for _, days := range []int{1, 10, 20, 29, 30, 31} {
		b := validate.Baseline{Sizes: ago(days+1, flat(30, 10_000))}
		b.Accept(validate.Size{Users: 3000, At: noon.AddDate(0, 0, -days)})
		for night := days - 1; night > 0; night-- {
			b.Add(validate.Size{Users: 3000, At: noon.AddDate(0, 0, -night)})
		}
		for stored, was := range map[int64]bool{10_000: true, 9100: true, 8300: false, 11_000: true, 12_600: false} {
			if days < 14 { // the references of two weeks are still wide
				continue
			}
			report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
				Expected: validate.Unknown(), Stored: count(stored), Sizes: b.Sizes, At: noon,
			})
			passes := was && days <= 30
			require.Equal(t, passes, err == nil, "%d after %d days: %s", stored, days, report)
			if passes {
				require.Equal(t, validate.LevelFormer, report.Level)
				require.True(t, report.Findings[0].Explains)
			}
		}
	}
}

// TestAcceptedSpike: it takes nothing out of what is known.
func TestAcceptedSpike(t *testing.T) {
	b := validate.Baseline{Sizes: ago(1, flat(60, 10_000))}
	b.Accept(validate.Size{Users: 90_000, At: noon.AddDate(0, 0, -1)})
	for night := range 90 {
		at := noon.AddDate(0, 0, night)
		report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: validate.Unknown(), Stored: count(10_000), Sizes: b.Sizes, At: at})
		require.NoError(t, err, "night %d", night)
		b.Take(&report, validate.Size{Users: 10_000, At: at})
	}
	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
		Expected: validate.Unknown(), Stored: count(5000), Sizes: ago(1, flat(30, 10_000)), At: noon,
	})
	require.Error(t, err)
}

// TestNoUsableHistory: after four weeks without a size that passed an independent
// Expected alone judges; where there is none, nobody does.
func TestNoUsableHistory(t *testing.T) {
	type out = validate.Output
	for _, c := range []verdictCase{
		{name: "28 days", reason: "it is still a measure", output: out{Expected: validate.Unknown(), Stored: count(10_000), Sizes: ago(27, flat(30, 10_000))}},
		{name: "29 days, unknown", reason: "nothing vouches for it", output: out{Expected: validate.Unknown(), Stored: count(10_000), Sizes: ago(28, flat(30, 10_000))}, want: []string{"unverified@size"}},
		{name: "29 days, the job's own word", reason: "nothing vouches for it", output: out{Expected: count(10_000), SelfReported: true, Stored: count(10_000), Sizes: ago(28, flat(30, 10_000))}, want: []string{"unverified@size"}},
		{name: "29 days, vouched for", reason: "whatever the size", output: out{Expected: count(70_500), Stored: count(70_500), Sizes: ago(28, flat(30, 10_000))}},
		{name: "29 days, vouched for and short", reason: "the sides are judged as ever", output: out{Expected: count(70_500), Stored: count(70_000), Sizes: ago(28, flat(30, 10_000))}, want: []string{"short@store"}},
		{name: "29 days, and rejected since", reason: "a repair brings back what was there", output: out{Expected: validate.Unknown(), Stored: count(10_000), Sizes: ago(28, flat(30, 10_000)), Candidates: rejected(times(9, 3000)...)}, want: []string{"unverified@size?"}},
		{name: "29 days, and still rejected", reason: "it is not repaired", output: out{Expected: validate.Unknown(), Stored: count(3000), Sizes: ago(28, flat(30, 10_000)), Candidates: rejected(times(9, 3000)...)}, want: []string{"unverified@size"}},
	} {
		c.output.At = noon
		t.Run(c.name, c.run)
	}
	report, _ := validate.Check(t.Context(), validate.Policy{}, out{Expected: validate.Unknown(), Stored: count(10_000), Sizes: ago(28, flat(30, 10_000)), At: noon})
	require.Contains(t, report.String(), "there is no usable history: the last size that passed (10,000) is of 2024-02-18, 29 days before")
}

// TestExcuses: an excuse excuses sizes off their history, and nothing else.
func TestExcuses(t *testing.T) {
	type out = validate.Output
	planned := validate.Excuse{LowShare: 0.45, HighShare: 0.55, From: noon.Add(-time.Hour), Until: noon.Add(time.Hour)}
	users := validate.Excuse{Low: 4000, High: 6000, From: noon, Until: noon.AddDate(0, 0, 31)}
	empty := validate.Excuse{Empty: true, From: noon, Until: noon.Add(1)}
	with := func(o out, excuses ...validate.Excuse) out {
		o.Excuses, o.At = excuses, noon
		if o.Sizes == nil {
			o.Sizes = flat(30, 10_150)
		}
		return o
	}
	unknown := func(stored int64) out { return out{Expected: validate.Unknown(), Stored: count(stored)} }
	past, early := planned, users
	past.Until, early.From = noon, noon.Add(1)
	own := validate.Policy{Caps: []validate.Cap{{Users: 5100, Origin: "ours"}}}
	for _, c := range []verdictCase{
		{name: "half of the last size", reason: "as planned", output: with(unknown(5100), planned), want: []string{"dropped@size?"}},
		{name: "a rise", reason: "as well", output: with(unknown(5100), validate.Excuse{High: 60_000, From: noon, Until: noon.Add(1)}, users), want: []string{"dropped@size?"}},
		{name: "within users", reason: "as planned", output: with(unknown(5100), users), want: []string{"dropped@size?"}},
		{name: "below the range", reason: "a fault in the window", output: with(unknown(4500), planned), want: []string{"dropped@size"}},
		{name: "above the range", reason: "a fault in the window", output: with(unknown(5700), planned), want: []string{"dropped@size"}},
		{name: "over", reason: "its end is no part of it", output: with(unknown(5100), past), want: []string{"dropped@size"}},
		{name: "not yet", reason: "its beginning is", output: with(unknown(5100), early), want: []string{"dropped@size"}},
		{name: "usual", reason: "it needs no excuse", output: with(unknown(10_150), planned)},
		{name: "on a limit", reason: "no plan cuts at that", policy: own, output: with(unknown(5100), planned), want: []string{"capped@size", "dropped@size"}},
		{name: "short", reason: "no excuse", output: with(out{Expected: count(5200), Stored: count(5100)}, planned), want: []string{"short@store", "dropped@size?"}},
		{name: "unverified", reason: "no excuse", output: with(out{Expected: validate.Unmeasured(errors.New("connection refused")), SelfReported: true, Stored: count(5100)}, planned), want: []string{"dropped@size?", "unverified@"}},
		{name: "empty", reason: "no range names it", policy: emptiable, output: with(unknown(0), users), want: []string{"empty@store", "dropped@size"}},
		{name: "empty, and named", reason: "as planned", output: with(unknown(0), empty), want: []string{"empty@store?", "dropped@size?"}},
		{name: "not empty, but that is named", reason: "one zero is no range", output: with(unknown(5100), empty), want: []string{"dropped@size"}},
		{name: "empty, and users expected", reason: "none is there of those", output: with(out{Expected: count(5100), Stored: count(0)}, empty), want: []string{"empty@store", "short@store", "dropped@size?"}},
		{name: "shares of no size", reason: "there is none before it", output: with(out{Expected: validate.Unknown(), Stored: count(5100), Sizes: daily(10_150)}, validate.Excuse{HighShare: 1, From: noon.AddDate(0, 0, -2), Until: noon.Add(1)}), want: []string{"dropped@size"}},
	} {
		t.Run(c.name, c.run)
	}
	planned.ForGood = true
	report, err := validate.Check(t.Context(), validate.Policy{}, with(unknown(5100), planned))
	require.NoError(t, err)
	require.Equal(t, validate.LevelNew, report.Level)
	require.Equal(t, planned, *report.Excuse, "it is said which was used")
	for field, bad := range map[string]validate.Excuse{
		"Excuse.Until":     {High: 5, From: noon},
		"Excuse.From":      {High: 5, From: time.Unix(1<<60, 0), Until: noon},
		"Excuse.High":      {From: noon, Until: noon.Add(1)},
		"Excuse.HighShare": {HighShare: 0.5, High: 5, From: noon, Until: noon.Add(1)},
	} {
		var input *validate.InputError
		require.ErrorAs(t, bad.Validate(), &input)
		require.Equal(t, field, input.Field)
		_, err := validate.Check(t.Context(), validate.Policy{}, with(unknown(10_150), bad))
		require.ErrorContains(t, err, "Output.Excuses[0].")
	}
	for _, c := range []struct {
		excuse      validate.Excuse
		users, last int64
		covers      bool
	}{
		{planned, 45, 100, true}, {planned, 55, 100, true}, {planned, 44, 100, false}, {planned, 56, 100, false}, {planned, 0, 0, false},
		{users, 4000, 0, true}, {users, 6000, 1, true}, {users, 6001, 1, false}, {users, 0, 1, false},
		{empty, 0, 100, true}, {empty, 1, 100, false},
	} {
		require.Equal(t, c.covers, c.excuse.Covers(c.users, c.last), "%d of %d by %+v", c.users, c.last, c.excuse)
	}
	long := validate.Excuse{High: 5, From: noon, Until: noon.AddDate(0, 0, 31).Add(1)}
	require.ErrorContains(t, long.Validate(), "31 days at most")
	require.NoError(t, users.Validate())
}
