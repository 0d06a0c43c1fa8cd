package text_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/text"
)

func TestVisible(t *testing.T) {
	for name, want := range map[string]string{
		"site-a/cars": "site-a/cars", "ü 日本": "ü 日本", "a\nb\x1b[31m": `a\nb\x1b[31m`, "\u202eevil": `\u202eevil`, "\xff": `\xff`, "\ufffd": "\ufffd",
	} {
		require.Equal(t, want, text.Visible(name))
	}
}

func TestShort(t *testing.T) {
	require.Equal(t, strings.Repeat("x", 73), text.Short(strings.Repeat("x", 73)))
	require.Equal(t, strings.Repeat("x", 48)+"…"+strings.Repeat("x", 24), text.Short(strings.Repeat("x", 1024)))
}

// TestShell gives words to shells, which must hand on just them.
func TestShell(t *testing.T) {
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
			out, err := exec.CommandContext(t.Context(), path, "-c", "printf %s: "+text.Shell(w)).Output()
			require.NoError(t, err, "%s: %q", shell, w)
			require.Equal(t, w+":", string(out), "%s: %s", shell, text.Shell(w))
		}
	}
	for _, w := range words {
		require.NotContains(t, text.Shell(w), "\n", "one line")
	}
}
