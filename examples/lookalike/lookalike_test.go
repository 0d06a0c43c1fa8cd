package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

func TestExtends(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), false, &out))
	require.Regexp(t, `^monday: (\d+) users live\ntuesday: (\d+) users live\nwednesday: (\d+) users live\n$`, out.String())
	require.NotContains(t, out.String(), ": 0 users")
}

func TestBroken(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), true, &out)
	require.ErrorIs(t, err, validate.Empty)
	require.ErrorContains(t, err, "site-a/cars-like: stored 0 of ")
	require.NotContains(t, out.String(), ": 0 users", "the live segment keeps its users")
}
