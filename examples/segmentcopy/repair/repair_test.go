package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

func TestRepairs(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), false, &out))
	require.Equal(t, "site-b/cars: 3 uploaded, 1 removed, 25,000 users live\n", out.String())
}

func TestBroken(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), true, &out)
	require.ErrorIs(t, err, validate.Short)
	require.ErrorContains(t, err, "site-b/cars: stored 24,998 of 25,000 users")
	require.Equal(t, "site-b/cars: 1 uploaded, 1 removed, 24,998 users live\n", out.String(), "rolled back: one missing was uploaded, the foreign one still there")
}
