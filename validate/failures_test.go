package validate_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// A failure is an output that must not pass, and what the engineer who is on call must
// conclude from its text alone.
type failure struct {
	conclude string
	policy   validate.Policy
	output   validate.Output
	admit    bool
}

func failures() []failure {
	type out = validate.Output
	type policy = validate.Policy
	users := joined(9, 60_000)
	of := func(lists ...[]string) validate.Summary { return digest(slices.Concat(lists...)).Summary() }
	bare := func(s validate.Summary) validate.Summary { return printed(s.Users(), s.Fingerprint()) }
	outage := validate.Unmeasured(errors.New("dial tcp 10.0.0.7:5432: connection refused"))
	short := func(n int64) validate.Tolerance { return validate.Tolerance{Short: validate.Margin{Users: n}} }
	renamed := make([]string, 2000)
	for i := range renamed {
		renamed[i] = " " + users[i]
	}
	blank := slices.Concat(users[:2000:2000], slices.Repeat([]string{""}, 300), users[2300:10_000])
	return []failure{
		{"The read stopped at 10,000, a page limit of the search engine: page through it.", policy{}, out{Expected: count(812_345), Read: count(10_000), Stored: count(10_000)}, false},
		{"Nothing was stored of what the model put out.", policy{}, out{Expected: count(52_113), SelfReported: true, Stored: count(0)}, false},
		{"All was read, and one user was lost while storing.", policy{}, out{Expected: count(1200), Read: count(1200), Stored: count(1199)}, false},
		{"Users were lost twice; of 1,100 that were read 700 are stored.", policy{}, out{Expected: count(1200), Read: count(1100), Stored: count(700)}, false},
		{"Storing wrote 50 more than were read, and the reading lost 50: the number is right by luck.", policy{}, out{Expected: count(1000), Read: count(950), Stored: count(1000)}, false},
		{"The mapping found too few counterparts; what was mapped is stored.", mapped, out{Expected: count(1200), Read: count(1200), Written: count(701), Stored: count(701)}, false},
		{"Ids are mapped, and nobody measured how many came of it.", mapped, out{Expected: count(1000), Read: count(1000), Stored: count(800)}, false},
		{"Half again as many are stored as the source holds.", onePct, out{Expected: count(1000), Stored: count(1500)}, false},
		{"Every page was cut: 41 pages of 1,000.", policy{}, out{Expected: count(812_345), Stored: count(41_000)}, false},
		{"The source could not be asked.", policy{}, out{Expected: outage, Stored: count(500)}, false},
		{"The store could not be read back.", policy{}, out{Expected: count(500), Stored: outage}, false},
		{"The store answers from before the write: read it back later.", policy{}, out{Expected: count(500), Stored: count(500).AsOf(noon), WrittenAt: noon.Add(time.Minute)}, false},
		{"The source's answer is two hours older than allowed.", policy{MaxSourceLag: time.Hour}, out{Expected: count(500).AsOf(noon.Add(-3 * time.Hour)), Stored: count(500), At: noon}, false},
		{"The counter is too coarse to tell: count exactly.", policy{}, out{Expected: count(100_000), Stored: validate.Estimate(99_700, 0.004)}, false},
		{"The API rounds, and 450 may be within it or not.", policy{}, out{Expected: count(450), Stored: validate.Bounded(400, 499)}, false},
		{"More than the API could mean.", policy{}, out{Expected: validate.Bounded(0, 999), Stored: count(1200)}, false},
		{"Nobody vouches for the size: give a history or an expected number.", policy{}, out{Expected: validate.Unknown(), Stored: count(500)}, false},
		{"Far below the segment's history.", policy{}, out{Expected: validate.Unknown(), Stored: count(2950), Sizes: flat(30, 5000), At: noon}, false},
		{"Three times its history.", policy{}, out{Expected: validate.Unknown(), Stored: count(15_000), Sizes: flat(30, 5000), At: noon}, false},
		{"Empty, where there were 5,000.", emptiable, out{Expected: validate.Unknown(), Stored: count(0), Sizes: flat(30, 5000), At: noon}, false},
		{"Before the write: what was read is cut at 10,000.", policy{}, out{Expected: count(812_345), Read: count(10_000)}, true},
		{"The store holds exactly the first 20,000: the end was lost.", policy{}, out{Expected: of(users), Stored: of(users[:20_000])}, false},
		{"Pages 11 to 13 are missing.", policy{}, out{Expected: of(users), Stored: of(users[:10_000], users[13_000:])}, false},
		{"Page 4 was stored in place of page 8; run the job again.", policy{}, out{Expected: of(users), Stored: of(users[:7000], users[3000:4000], users[8000:])}, false},
		{"The first page was stored again and again.", policy{}, out{Expected: of(users[:40_000]), Stored: of(slices.Repeat(users[:1000], 40))}, false},
		{"All users are stored twice.", policy{}, out{Expected: of(users), Stored: of(users, users)}, false},
		{"Five users are missing, and more strangers are there than that.", policy{Tolerance: validate.Tolerance{Short: validate.Margin{Users: 4}, Surplus: validate.Margin{Users: 200}}}, out{Expected: of(users), Stored: of(users[5:], joined(8, 100))}, false},
		{"500 are missing, as is allowed, and 100 are strangers, as is not.", policy{Tolerance: short(600)}, out{Expected: of(users), Stored: of(users[500:], joined(8, 100))}, false},
		{"300 ids became the empty one: look for a field that was not there.", policy{}, out{Expected: of(users[:10_000]), Stored: of(blank)}, false},
		{"Ids are written in another way, such as with a space before them.", policy{}, out{Expected: of(users[:2000]), Stored: of(renamed)}, false},
		{"Another source's users are stored.", policy{Tolerance: validate.Within(0.1)}, out{Expected: of(users), Stored: of(joined(7, 60_000))}, false},
		{"Too many differ to be told one by one: Digest.Resolve.", policy{Tolerance: validate.Within(0.5)}, out{Expected: of(users), Stored: of(users[:30_000], joined(7, 30_000))}, false},
		{"Fingerprints differ; digests would tell by how many.", onePct, out{Expected: bare(of(users)), Stored: bare(of(users[1:], []string{"x"}))}, false},
		{"Fingerprints differ where not one user may.", policy{}, out{Expected: bare(of(users)), Stored: bare(of(users[1:], []string{"x"}))}, false},
		{"Two hashes that cannot be compared: take one.", policy{}, out{Expected: bare(of(users)), Stored: native(60_000, 7)}, false},
		{"40 distinct users are lost, besides the repeats.", policy{Distinct: true}, out{Expected: of(users[:3000], users[:100]), Stored: of(users[40:3000])}, false},
		{"The store keeps a user once: say so in the policy.", policy{}, out{Expected: of(users[:3000], users[:100]), Stored: of(users[:3000])}, false},
		{"Nobody knows if some came twice or are lost: ask the store for them.", policy{Distinct: true}, out{Expected: of(users, users[:100]), Stored: of(users)}, false},
		{"A page was read twice in place of another, whose users the store lacks.", policy{Distinct: true}, out{Expected: count(20_000), Read: of(users[1000:2000], users[1000:20_000]), Stored: of(users[1000:20_000])}, false},
		{"2,987 left while it was read, and 2,991 who stayed were skipped.", policy{}, out{Expected: validate.Moving(of(users), of(users[2987:])), Read: of(users[5978:]), Stored: of(users[5978:])}, false},
		{"The source moved, and counts cannot show who was skipped.", policy{}, out{Expected: validate.Moving(count(60_000), count(57_000)), Read: count(57_000), Stored: count(57_000)}, false},
		{"One digest was given for two sides: it proves nothing.", policy{}, func() out { s := of(users[:100]); return out{Expected: s, Stored: s} }(), false},
		{"A stream broke off: the digest is incomplete.", policy{}, out{Expected: count(100), Stored: func() validate.Summary {
			var d validate.Digest
			for range validate.Tee(&d, func(yield func(string, error) bool) { yield("a", errors.New("EOF")) }) {
				break
			}
			return d.Summary()
		}()}, false},
		{"The match rate fell from 62% to 41%, which the growth of the source hides from the size.", policy{Mapping: validate.Ratio{Min: 0.2, Max: 0.95}}, out{Expected: count(15_001), SelfReported: true, Read: count(15_001), Written: count(6150), Stored: count(6150), Sizes: reads(6200, 10_000), At: noon}, false},
		{"The store changed while it was counted: count it at rest.", policy{}, out{Expected: count(60_000), Stored: validate.Moving(count(59_000), count(61_000))}, false},
		{"More repeats than can be told one by one: digest each user once.", policy{Distinct: true}, out{Expected: of(users, users[:25_000]), Stored: of(users)}, false},
		{"Fewer are stored than rows were fingerprinted, and some rows may be repeats: digest them.", policy{Distinct: true}, out{Expected: bare(of(users, users[:100])), Stored: count(60_000)}, false},
		{"Nothing is stored, and the API says no more than that there were below 8.", policy{AllowEmpty: true, Tolerance: validate.Within(1)}, out{Expected: validate.Bounded(0, 7), Stored: count(0)}, false},
		{"Most of the source was exchanged while it was read: nobody can tell who was skipped.", policy{}, out{Expected: validate.Moving(of(users), of(users[30_000:], joined(8, 30_000))), Read: of(users[29_000:], joined(8, 30_000)), Stored: of(users[29_000:], joined(8, 30_000))}, false},
		{"A replica does not say how old its answer is, and the policy asks.", policy{MaxSourceLag: time.Hour}, out{Expected: count(500).LagUnknown(), Stored: count(500), At: noon}, false},
		{"A handful was lost at the end: too few for a cause.", policy{}, out{Expected: of(users), Stored: of(users[:59_996])}, false},
		{"Ids of another kind are beyond the mapping, and one of them was lost on the way to the store.", mapped, out{Expected: of(users[:1000]), Read: of(users[:1000]), Written: of(joined(6, 800)), Stored: of(joined(6, 800)[1:])}, false},
		{"The policy is wrong, not the output.", policy{Tolerance: short(-1)}, out{Expected: count(5), Stored: count(5)}, false},
	}
}

// TestFailures holds the text of each failure against testdata/failures.txt, which a
// person can read. UPDATE=1 writes it anew.
func TestFailures(t *testing.T) {
	var b strings.Builder
	all := failures()
	require.GreaterOrEqual(t, len(all), 40)
	for i, f := range all {
		check := validate.Check
		if f.admit {
			check = validate.Admit
		}
		f.output.Name = "site-b/cars"
		report, err := check(t.Context(), f.policy, f.output)
		require.Error(t, err, f.conclude)
		fmt.Fprintf(&b, "%d. %s\n\n%v\n\n%v\n\n\n", i+1, f.conclude, err, report)
	}
	const golden = "testdata/failures.txt"
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}
