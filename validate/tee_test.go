package validate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

// TestTeeOnce: every user passes, in order and as often as it comes; the digest is
// that of each user once, whatever the hash, over all its streams.
func TestTeeOnce(t *testing.T) {
	source := users(20_000, 1)
	repeated := slices.Concat(source[:15_000], source[:9000], source[5000:], source[19_999:])
	for _, hash := range []validate.Hash{validate.XXH3, validate.MD5} {
		want, d := validate.NewDigest(hash), validate.NewDigest(hash)
		want.AddStrings(source)
		var passed []string
		for _, part := range [][]string{repeated[:11_111], repeated[11_111:]} {
			for user, err := range validate.TeeOnce(d, stream(part), 20_000) {
				require.NoError(t, err)
				passed = append(passed, user)
			}
		}
		require.Equal(t, repeated, passed)
		require.Equal(t, int64(20_000), d.Users())
		require.Equal(t, want.Summary().Fingerprint(), d.Summary().Fingerprint())
		diff, err := validate.Diff(want.Summary(), d.Summary())
		require.NoError(t, err)
		require.True(t, diff.Exact())
	}
}

// TestTeeOnceOverItsLimit: the stream goes on, and nothing is judged by the digest.
func TestTeeOnceOverItsLimit(t *testing.T) {
	source := users(100, 1)
	for _, c := range []struct {
		reason string
		limit  int64
		says   string // empty: it is complete
	}{
		{"as many as there are", 100, ""},
		{"one too few", 99, "more different users came than TeeOnce may know again, 99"},
		{"none at all", 0, "TeeOnce with a limit of 0, want 1 or more"},
	} {
		var d validate.Digest
		var passed []string
		for user := range validate.TeeOnce(&d, stream(slices.Concat(source, source)), c.limit) {
			passed = append(passed, user)
		}
		require.Equal(t, slices.Concat(source, source), passed, c.reason)
		if c.says == "" {
			require.Equal(t, "100 users", d.Summary().String(), c.reason)
			continue
		}
		require.Contains(t, d.Summary().String(), c.says, c.reason)
		_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: validate.Count(d.Users()), Stored: d.Summary()})
		require.ErrorIs(t, err, unverified, c.reason)
	}
}

// TestTeeOnceOfStreamsThatDidNotEnd: as with Tee, they leave the digest incomplete.
func TestTeeOnceOfStreamsThatDidNotEnd(t *testing.T) {
	broken := func(yield func(string, error) bool) {
		for _, user := range []string{"a", "a", "b"} {
			if !yield(user, map[string]error{"b": errBroken}[user]) {
				return
			}
		}
	}
	var d validate.Digest
	drain(validate.TeeOnce(&d, broken, 10))
	require.Contains(t, d.Summary().String(), "its stream failed: connection reset")
	var left validate.Digest
	validate.TeeOnce(&left, stream(users(3, 1)), 10)
	require.Contains(t, left.Summary().String(), "its stream was not read to the end")
}

// TestStoreThatKeepsAUserOnce: what TeeOnce digested is what such a store holds,
// and a user that it lost is named.
func TestStoreThatKeepsAUserOnce(t *testing.T) {
	source := users(30_000, 1)
	var written validate.Digest
	store := map[string]bool{}
	for user := range validate.TeeOnce(&written, stream(slices.Concat(source, source[:20_000])), 1e6) {
		store[user] = true
	}
	delete(store, source[7])
	var stored validate.Digest
	for user := range store {
		stored.AddString(strings.Clone(user))
	}
	_, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: written.Summary(), Stored: stored.Summary()})
	require.NotErrorIs(t, err, unverified)
	require.Error(t, err)
	diff, err := validate.Diff(written.Summary(), stored.Summary())
	require.NoError(t, err)
	times, known := diff.Of(source[7])
	require.True(t, known)
	require.Equal(t, int64(1), times)
}
