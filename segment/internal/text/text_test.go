package text_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/text"
)

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -999: "-999", 1234567: "1,234,567"} {
		require.Equal(t, want, text.Thousands(n))
	}
}

func TestCount(t *testing.T) {
	require.Equal(t, "1 step", text.Count(1, "step"))
	require.Equal(t, "0 steps", text.Count(0, "step"))
	require.Equal(t, "1,200 steps", text.Count(int64(1200), "step"))
}

func TestPrintable(t *testing.T) {
	require.Equal(t, "site-a/cars", text.Printable("site-a/cars"))
	require.Equal(t, `"a\nb"`, text.Printable("a\nb"))
}
