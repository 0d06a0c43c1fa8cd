package ledgertest_test

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// runAlone runs a test of this package in a process of its own.
func runAlone(t *testing.T, test string, env ...string) (output string, err error) {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), binary, "-test.v", "-test.run=^"+test+"$")
	c.Env = append(append(os.Environ(), "GORACE=atexit_sleep_ms=0"), env...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// rulesOf returns the subtests of a test that ended so.
func rulesOf(output, end, test string) (rules []string) {
	for _, found := range regexp.MustCompile(`(?m)^ *`+end+`: `+test+`/(\S+) `).FindAllStringSubmatch(output, -1) {
		rules = append(rules, found[1])
	}
	return rules
}
