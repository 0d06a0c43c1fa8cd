package ledgertest_test

import (
	"os"
	"os/exec"
	"regexp"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireBroken runs a test over a bad implementation, in a process of its own,
// where a rule must be broken. It adds the rules that were to failed.
func requireBroken(t *testing.T, failed map[string]bool, test, env, broken, reason string) {
	t.Helper()
	output, err := runAlone(t, test, env)
	require.Error(t, err, reason)
	require.NotContains(t, output, "panic:")
	rules := rulesOf(output, "--- FAIL", test)
	require.Contains(t, rules, broken, reason)
	for _, rule := range rules {
		failed[rule] = true
	}
}

// requireAllBroken wants each rule that a good implementation keeps to be broken
// by a bad one: a rule that nothing breaks may be one that cannot fail.
func requireAllBroken(t *testing.T, failed map[string]bool, test string) {
	t.Helper()
	output, err := runAlone(t, test)
	require.NoError(t, err)
	rules := rulesOf(output, "--- PASS", test)
	require.NotEmpty(t, rules)
	for _, rule := range rules {
		require.True(t, failed[rule], "no bad implementation breaks the rule %q", rule)
	}
}

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

// A meeting holds the first caller until the second one is there: what both do
// next, they do on what both found before.
type meeting struct {
	callers atomic.Int64
	met     chan struct{}
}

func newMeeting() *meeting { return &meeting{met: make(chan struct{})} }

func (m *meeting) attend() {
	switch m.callers.Add(1) {
	case 1:
		<-m.met
	case 2:
		close(m.met)
	}
}
