package main

import (
	"html"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/dashboard"
	"github.com/segmentguard/segmentguard/segment/internal/fleettest"
)

// words has bash read a line, and returns the words of each of its commands.
func words(t *testing.T, line string) (commands [][]string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "bash", "-c", `segmentguard() { printf '%s\0' "$@" end; }; jq() { cat; }; psql() { :; }; sed() { :; }; `+line).Output()
	require.NoError(t, err, line)
	var command []string
	for word := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if word == "end" {
			commands = append(commands, command)
			command = nil
			continue
		}
		command = append(command, word)
	}
	return commands
}

// TestCommandsOfPages: what the dashboard shows to copy does what it says, with whatever
// name.
func TestCommandsOfPages(t *testing.T) {
	d := newDesk(t)
	store := "a store; rm -rf 'x'"
	require.NoError(t, segment.Import(t.Context(), d.ledger, []segment.SizeImport{{Segment: segment.ID{SiteGroup: "-s", Name: "x\ny"}, Store: store, Sizes: sizesUpTo(d.now, 3)}}))
	pages := dashboard.Handler(d.ledger, dashboard.Config{Now: d.clock})
	addresses := []string{"/", "/log", "/log?segment=site-b/cars", "/plan", "/incident?id=" + url.QueryEscape("copy jobs of build 2024.11.3 since 2024-03-18T00:10:17Z"), "/segment?id=site-d%2Fwine", "/segment?id=" + url.QueryEscape("-s/x\ny") + "&store=" + url.QueryEscape(store)}
	for _, id := range fleettest.Hostile {
		addresses = append(addresses, "/segment?id="+url.QueryEscape(id.String()))
	}
	seen := map[string]bool{}
	for _, address := range addresses {
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", address, nil))
		require.Equal(t, 200, w.Code, address)
		for _, found := range regexp.MustCompile(`value="(segmentguard .*?)"`).FindAllStringSubmatch(w.Body.String(), -1) {
			line := html.UnescapeString(found[1])
			args := words(t, line)[0]
			seen[args[0]] = true
			at := slices.Index(args, "RUN")
			if at >= 0 {
				args[at] = "2024-03-17"
			}
			if slices.Contains(args, "--why") {
				args = append([]string{"--dry-run"}, args...)
				args[0], args[1] = args[1], args[0]
			}
			code, out, errs := d.run(args...)
			require.True(t, code != unsure || strings.Contains(errs, "nothing to change") || strings.Contains(errs, "no record of run"), "%s: %s", line, errs)
			requirePrintable(t, out+errs)
		}
	}
	for _, command := range []string{"status", "builds", "show", "log", "accept", "false-alarm", "mute", "unmute", "suspect", "forget"} {
		require.True(t, seen[command], command)
	}
}

// TestExamples: each command has a help with examples, whose flags there are.
func TestExamples(t *testing.T) {
	a := &app{env: func(string) string { return "" }, now: func() time.Time { return fleettest.Now }}
	root := a.command()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		require.NotEmpty(t, cmd.Short, cmd.Name())
		require.NotEmpty(t, cmd.Long, cmd.Name())
		require.Contains(t, cmd.Example, "segmentguard "+cmd.Name(), cmd.Name())
		for line := range strings.SplitSeq(cmd.Example, "\n") {
			for _, args := range words(t, line) {
				parsed(t, a.command(), args)
			}
		}
	}
}

// parsed has a command read its arguments.
func parsed(t *testing.T, root *cobra.Command, args []string) {
	t.Helper()
	cmd, rest, err := root.Find(args)
	require.NoError(t, err, args)
	require.NoError(t, cmd.ParseFlags(rest), args)
	require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), args)
}

// TestHelp: help goes to standard output, and is no fault.
func TestHelp(t *testing.T) {
	d := emptyDesk(t)
	d.dsn = ""
	out := d.says(well)
	require.Equal(t, out, d.says(well, "--help"))
	for _, want := range []string{"SEGMENTGUARD_DSN", "status", "Ask:", "Decide:", "Keep:"} {
		require.Contains(t, out, want)
	}
	require.Contains(t, d.says(well, "accept", "-h"), "--for-good")
	require.Regexp(t, `^segmentguard \S+\n$`, d.says(well, "--version"))
}
