package segment

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// TestAgree: two readings agree only where nothing between them moved.
func TestAgree(t *testing.T) {
	print1, print2 := validate.Fingerprint{Hash: validate.MD5, Sum: [4]uint64{1}}, validate.Fingerprint{Hash: validate.MD5, Sum: [4]uint64{2}}
	five := validate.Count(5)
	for _, c := range []struct {
		reason string
		a, b   validate.Summary
		want   bool
	}{
		{"the same count", five, validate.Count(5), true},
		{"another count", five, validate.Count(6), false},
		{"moved upwards", five, validate.Moving(five, validate.Count(6)), false},
		{"moved downwards", five, validate.Moving(validate.Count(4), five), false},
		{"the same users", validate.Fingerprinted(5, print1), validate.Fingerprinted(5, print1), true},
		{"other users", validate.Fingerprinted(5, print1), validate.Fingerprinted(5, print2), false},
		{"another count of the same users", validate.Fingerprinted(5, print1), validate.Fingerprinted(6, print1), false},
	} {
		require.Equal(t, c.want, agree(&c.a, &c.b), c.reason)
		require.Equal(t, c.want, agree(&c.b, &c.a), c.reason)
	}
}
