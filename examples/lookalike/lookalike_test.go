package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

func TestExtends(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), all, &out))
	require.Regexp(t, `^monday: (\d+) users live\ntuesday: (\d+) users live\nwednesday: (\d+) users live\n$`, out.String())
	require.NotContains(t, out.String(), ": 0 users")
}

func TestBroken(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), none, &out)
	require.ErrorIs(t, err, validate.Empty)
	require.ErrorContains(t, err, "site-a/cars-like: stored 0 of ")
	require.NotContains(t, out.String(), ": 0 users", "the live segment keeps its users")
}

// TestOthers: as many users as the model put out, but one of them is another one.
func TestOthers(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), func(users []string) []string {
		return append([]string{"stranger"}, users[1:]...)
	}, &out)
	require.ErrorIs(t, err, validate.Different)
	require.Contains(t, out.String(), "wednesday: ")
}
