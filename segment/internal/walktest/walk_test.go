// Package walktest measures how far a reader of one call has to follow it: how
// many functions, in how many files, the call enters.
package walktest

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	_ "github.com/segmentguard/segmentguard/segment" // so that a change of it makes this run again
)

const module = "github.com/segmentguard/segmentguard"

// A line of covdata: file, line, function, and how much of it was run.
var function = regexp.MustCompile(`^(\S+):(\d+):\s+(\S+)\s+([\d.]+)%$`)

// TestWalks: a passing Commit, a failing one, and a sweep of one segment stay
// within what can be read in one go. Code that is not the library's does not
// count, nor do function literals by themselves.
func TestWalks(t *testing.T) {
	walk := filepath.Join(t.TempDir(), "walk")
	build := exec.CommandContext(t.Context(), "go", "build", "-cover", "-covermode=atomic",
		"-coverpkg="+module+"/validate/...,"+module+"/segment,"+module+"/segment/internal/walktest/walk", "-o", walk, "./walk")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, c := range []struct {
		call             string
		functions, files int
	}{
		// Without what keeps runs apart that overlap, a number, the commit row and a
		// lease, it was 79 functions in 16 files, and 131 in 21. Without a baseline that
		// learns, and the runs that a segment's age is judged by, 118 in 22.
		{"commit", 138, 26},
		// Without an alert's life, what it has in common with others, and who tells
		// people of it, it was 155 in 23.
		{"reject", 270, 37},
		// Of it, 3 functions in 2 files keep the sweep's numbers for people's tools.
		{"sweep", 139, 28},
	} {
		t.Run(c.call, func(t *testing.T) {
			folder := t.TempDir()
			out, err := exec.CommandContext(t.Context(), walk, c.call, folder).CombinedOutput()
			require.NoError(t, err, "%s", out)
			out, err = exec.CommandContext(t.Context(), "go", "tool", "covdata", "func", "-i", folder).CombinedOutput()
			require.NoError(t, err, "%s", out)
			entered, files := parse(out)
			t.Logf("%s: %d functions in %d files", c.call, len(entered), len(files))
			if os.Getenv("WALK") != "" {
				for _, name := range entered {
					t.Log(name)
				}
			}
			require.NotEmpty(t, entered)
			require.LessOrEqual(t, len(entered), c.functions, "functions: set WALK=1 to see them")
			require.LessOrEqual(t, len(files), c.files, "files: %v", files)
		})
	}
}

// parse returns the functions that were entered, and their files.
func parse(out []byte) (functions, files []string) {
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		if m := function.FindStringSubmatch(lines.Text()); m != nil && m[4] != "0.0" && !strings.Contains(m[1], "walktest") {
			functions = append(functions, m[1]+" "+m[3])
			files = append(files, m[1])
		}
	}
	slices.Sort(files)
	return functions, slices.Compact(files)
}
