package digestbench

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const users = 10_000_000

// BenchmarkAgainstSort counts and digests 10,000,000 lines of 36 bytes, against
// sort -u | wc -l, both as processes of their own, in turns.
func BenchmarkAgainstSort(b *testing.B) {
	dir := b.TempDir()
	file, program := filepath.Join(dir, "ids"), filepath.Join(dir, "digestlines")
	require.NoError(b, writeIDs(file))
	out, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, "./digestlines").CombinedOutput()
	require.NoError(b, err, "%s", out)
	var ratios, ours, theirs []float64
	for b.Loop() {
		digest, printed, _ := run(b, file, program)
		kilobytes, err := strconv.ParseFloat(strings.Fields(printed)[len(strings.Fields(printed))-1], 64)
		require.NoError(b, err)
		digestMemory := kilobytes / 1024
		sort, _, sortMemory := run(b, file, "sh", "-c", "LC_ALL=C sort -u | wc -l")
		ratios = append(ratios, digest.Seconds()/sort.Seconds())
		ours, theirs = append(ours, digestMemory), append(theirs, sortMemory)
	}
	b.ReportMetric(0, "ns/op") // of both together, which tells nothing
	b.ReportMetric(median(ratios), "×sort")
	b.ReportMetric(median(ours), "MiB")
	b.ReportMetric(median(theirs), "MiB/sort")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// run returns how long a command took on a file, what it printed, and its
// largest resident set in MiB.
func run(b *testing.B, file string, command ...string) (time.Duration, string, float64) {
	b.Helper()
	in, err := os.Open(file)
	require.NoError(b, err)
	defer in.Close()
	c := exec.CommandContext(b.Context(), command[0], command[1:]...)
	c.Stdin = in
	start := time.Now()
	out, err := c.CombinedOutput()
	took := time.Since(start)
	require.NoError(b, err, "%s", out)
	require.Contains(b, string(out), "10000000")
	usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
	require.True(b, ok)
	return took, string(out), float64(usage.Maxrss) / 1024
}

// writeIDs writes random ids that look like UUIDs, a line each.
func writeIDs(name string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for range users {
		a, b := random.Uint64(), random.Uint64()
		if _, err := fmt.Fprintf(w, "%08x-%04x-%04x-%04x-%012x\n", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&0xffffffffffff); err != nil {
			return err
		}
	}
	return w.Flush()
}
