package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/validate"
)

func TestCopies(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), "", false, &out))
	require.Equal(t, "site-b/cars: 25000 users live\n", out.String())
}

func TestBroken(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), "", true, &out)
	require.ErrorIs(t, err, validate.Capped)
	require.ErrorContains(t, err, "site-b/cars: stored 10,000 of 25,000 users (60.0% short, 0 allowed): ")
	require.Equal(t, "site-b/cars: 0 users live\n", out.String(), "rolled back")
}
