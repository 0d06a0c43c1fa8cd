package validate_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// Losses that a tight tolerance allows are no users in place of others, however
// many of the sampled ones they hit; one user in place of many is.
func TestLossesWithinATightTolerance(t *testing.T) {
	const users = 100_000
	for seed := range uint64(12) {
		chance := rand.New(rand.NewPCG(seed, 1))
		var read, stored, blanked validate.Digest
		for i := range users {
			id := fmt.Sprintf("user-%d-%d", seed, i)
			read.AddString(id)
			switch dice := chance.Float64(); {
			case dice < 0.002:
			case dice < 0.012:
				stored.AddString(id)
				blanked.AddString("")
			default:
				stored.AddString(id)
				blanked.AddString(id)
			}
		}
		check := func(d *validate.Digest) error {
			_, err := validate.Check(t.Context(), validate.Policy{Tolerance: validate.Within(0.003)}, validate.Output{
				Expected: validate.Count(users), Read: read.Summary(), Stored: d.Summary(),
			})
			return err
		}
		require.NoError(t, check(&stored), "seed %d", seed)
		require.Error(t, check(&blanked), "seed %d", seed)
	}
}
