package dashboard

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestQuoted gives words to shells, which must hand on just them.
func TestQuoted(t *testing.T) {
	words := []string{
		"site-a/cars", "", "a b", "it's", `back\slash`, "$HOME", "`id`", "$(id)", "!x", "~", "=ls", "*", "a;b", "#x", "-rf", "--",
		"line\nbreak", "\x1b[31mred\x1b[0m", "\u202eevil", "tab\there", "'\n'", "\\\n", "ü", "日本", "\xff\xfe", "\x01123", "%s", "a&&b|c>d<e", `"q"`,
	}
	for _, shell := range []string{"bash", "zsh", "ksh"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		for _, w := range words {
			out, err := exec.CommandContext(t.Context(), path, "-c", "printf %s: "+quoted(w)).Output()
			require.NoError(t, err, "%s: %q", shell, w)
			require.Equal(t, w+":", string(out), "%s: %s", shell, quoted(w))
		}
	}
	for _, w := range words {
		require.NotContains(t, quoted(w), "\n", "one line")
	}
}

func TestCommands(t *testing.T) {
	require.Equal(t, "segmentguard accept --why 'it'\\''s fine' -- -x/cars", commands("").of("", "-x/cars", "accept", "--why", "it's fine").Line)
	require.Equal(t, "sg status", commands("sg").of("", "", "status").Line)
	require.Equal(t, 1, strings.Count(commands("").of("", "a/b", "show").Line, "a/b"))
}
