package dashboard

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommands(t *testing.T) {
	require.Equal(t, "segmentguard accept --why 'it'\\''s fine' -- -x/cars", commands("").of("", "-x/cars", "accept", "--why", "it's fine").Line)
	require.Equal(t, "sg status", commands("sg").of("", "", "status").Line)
	require.Equal(t, 1, strings.Count(commands("").of("", "a/b", "show").Line, "a/b"))
}
