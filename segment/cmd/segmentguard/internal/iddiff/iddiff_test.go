package iddiff_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/segmentguard/segmentguard/segment/cmd/segmentguard/internal/iddiff"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

func write(t *testing.T, text string) *iddiff.Side {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ids")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return iddiff.File(path, nil)
}

func compressed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.String()
}

func unheard(int64) {}

// differing compares two sides and returns the lines of those that differ, in order.
func differing(t *testing.T, expected, stored *iddiff.Side) ([]string, iddiff.Result) {
	t.Helper()
	r, err := iddiff.Compare(t.Context(), expected, stored, 0, unheard)
	require.NoError(t, err)
	var b bytes.Buffer
	missing, foreign, err := iddiff.Write(t.Context(), &b, expected, stored, r.Difference)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if b.Len() == 0 {
		lines = nil
	}
	require.Len(t, lines, int(missing+foreign))
	slices.Sort(lines)
	return lines, r
}

func TestFiles(t *testing.T) {
	for _, c := range []struct {
		what, expected, stored string
		want                   []string
		verdict                validate.Verdict
	}{
		{"the same, in another order", "a\nb\nc\n", "c\na\nb\n", nil, validate.VerdictPassed},
		{"no line break at the end", "a\nb", "a\nb\n", nil, validate.VerdictPassed},
		{"lines of Windows, and its mark", "\xef\xbb\xbfa\r\nb\r\n", "a\nb\n", nil, validate.VerdictPassed},
		{"nobody on either side", "", "", nil, validate.VerdictPassed},
		{"one is missing, one foreign", "a\nb\nc\n", "a\nb\nd\n", []string{"+d", "-c"}, validate.VerdictFailed},
		{"missing and stored more often", "a\na\na\nb\n", "a\nb\nb\nb\n", []string{"+b", "+b", "-a", "-a"}, validate.VerdictFailed},
		{"nothing is stored", "a\nb\n", "", []string{"-a", "-b"}, validate.VerdictFailed},
		{"spaces are part of an id", "a \n", "a\n", []string{"+a", "-a "}, validate.VerdictFailed},
	} {
		got, r := differing(t, write(t, c.expected), write(t, c.stored))
		require.Equal(t, c.want, got, c.what)
		require.Equal(t, c.verdict, r.Report.Verdict(), c.what)
		got, _ = differing(t, write(t, compressed(t, c.expected)), write(t, c.stored))
		require.Equal(t, c.want, got, "%s, compressed", c.what)
	}
}

func TestBadFiles(t *testing.T) {
	good := write(t, "a\n")
	long := strings.Repeat("x", 1<<16+1)
	for _, c := range []struct{ what, text, want string }{
		{"an empty line", "a\n\nb\n", "line 2: it is empty"},
		{"an empty line at the end", "a\n\n", "line 2: it is empty"},
		{"a line that is too long", "a\n" + long + "\n", "line 2 is longer than 65536 bytes"},
		{"cut short", compressed(t, strings.Repeat("abcdefgh\n", 5000))[:50], "unexpected EOF"},
		{"no gzip after all", "\x1f\x8bnothing of it", "gzip"},
	} {
		bad := write(t, c.text)
		for _, sides := range [][2]*iddiff.Side{{bad, good}, {good, bad}} {
			_, err := iddiff.Compare(t.Context(), sides[0], sides[1], 0, unheard)
			require.ErrorContains(t, err, c.want, c.what)
			require.ErrorContains(t, err, bad.Name, c.what)
		}
	}
	_, err := iddiff.Compare(t.Context(), good, iddiff.File(filepath.Join(t.TempDir(), "none"), nil), 0, unheard)
	require.ErrorIs(t, err, os.ErrNotExist)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = iddiff.Compare(ctx, write(t, strings.Repeat("a\n", 10_000)), good, 0, unheard)
	require.ErrorIs(t, err, context.Canceled)
}

// Many differ, at random places and any number of times: the oracle is a map.
func TestManyDiffer(t *testing.T) {
	for seed, differ := range []int{1, 100, 15_000, 60_000} {
		random := rand.New(rand.NewPCG(uint64(seed), 7))
		var expected, stored strings.Builder
		var want []string
		for i := range 200_000 {
			id := "user-" + strconv.Itoa(i)
			a, b := 1, 1
			if i < differ {
				a, b = random.IntN(4), random.IntN(4)
			}
			expected.WriteString(strings.Repeat(id+"\n", a))
			stored.WriteString(strings.Repeat(id+"\n", b))
			want = append(want, slices.Repeat([]string{"-" + id}, max(0, a-b))...)
			want = append(want, slices.Repeat([]string{"+" + id}, max(0, b-a))...)
		}
		slices.Sort(want)
		got, r := differing(t, write(t, expected.String()), write(t, stored.String()))
		require.True(t, r.Difference.Exact(), "%d", differ)
		require.Equal(t, want, got, "%d", differ)
	}
}

// What can be read only once is compared, and told by bounds where many differ.
func TestOnce(t *testing.T) {
	var all, half strings.Builder
	for i := range 100_003 {
		fmt.Fprintln(&all, i)
		if i%2 == 0 {
			fmt.Fprintln(&half, i)
		}
	}
	r, err := iddiff.Compare(t.Context(), iddiff.File("-", strings.NewReader(all.String())), write(t, half.String()), 0, unheard)
	require.NoError(t, err)
	require.False(t, r.Difference.Exact())
	least, most := r.Difference.Missing()
	require.LessOrEqual(t, least, int64(50_001))
	require.GreaterOrEqual(t, most, int64(50_001))
	require.Equal(t, validate.Short, r.Report.Gravest())
}

func TestQueries(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "users.db"))
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "CREATE TABLE cars AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 5000) SELECT id FROM n")
	require.NoError(t, err)
	query := func(q string) *iddiff.Side {
		return iddiff.Query(q, db, sqlsegment.Users{Dialect: sqlsegment.SQLite, Query: q})
	}
	got, r := differing(t, query("SELECT id FROM cars"), query("SELECT id FROM cars WHERE id NOT IN (77, 4999)"))
	require.Equal(t, []string{"-4999", "-77"}, got)
	require.Equal(t, validate.Short, r.Report.Gravest())
	var b strings.Builder
	for i := range 5001 {
		fmt.Fprintln(&b, i)
	}
	got, _ = differing(t, query("SELECT id FROM cars"), write(t, b.String()))
	require.Equal(t, []string{"+0"}, got)
	_, err = iddiff.Compare(t.Context(), query("SELECT id FROM nowhere"), write(t, "a\n"), 0, unheard)
	require.ErrorContains(t, err, "nowhere")
	lines := query("SELECT 'a' || char(10) || 'b' AS id")
	r, err = iddiff.Compare(t.Context(), lines, write(t, "a\n"), 0, unheard)
	require.NoError(t, err)
	_, _, err = iddiff.Write(t.Context(), &bytes.Buffer{}, lines, write(t, "a\n"), r.Difference)
	require.ErrorContains(t, err, "line break")
}

// A side that changes between two looks makes no file that looks right.
func TestChangedMeanwhile(t *testing.T) {
	expected := write(t, "a\nb\nc\n")
	path := filepath.Join(t.TempDir(), "stored")
	require.NoError(t, os.WriteFile(path, []byte("a\n"), 0o600))
	stored := iddiff.File(path, nil)
	r, err := iddiff.Compare(t.Context(), expected, stored, 0, unheard)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(strings.TrimSpace(expected.Name), []byte("a\nb\n"), 0o600))
	_, _, err = iddiff.Write(t.Context(), &bytes.Buffer{}, expected, stored, r.Difference)
	require.ErrorContains(t, err, "changed while it was read: 2 ids were missing")
}

// BenchmarkCompare prints how long two files of a million ids take, against digesting
// the same ids from memory, one side after the other.
func BenchmarkCompare(b *testing.B) {
	const ids = 1_000_000
	var text strings.Builder
	pages := [][][]byte{}
	for i := range ids {
		if i%1024 == 0 {
			pages = append(pages, nil)
		}
		id := fmt.Sprintf("%08x-0000-4000-8000-%012x", i*2654435761%(1<<32), i)
		pages[len(pages)-1] = append(pages[len(pages)-1], []byte(id))
		text.WriteString(id + "\n")
	}
	path := filepath.Join(b.TempDir(), "ids")
	require.NoError(b, os.WriteFile(path, []byte(text.String()), 0o600))
	var ratios []float64
	for b.Loop() {
		begun := time.Now()
		for range 2 {
			var d validate.Digest
			for _, p := range pages {
				d.AddAll(p)
			}
		}
		digested := time.Since(begun)
		begun = time.Now()
		_, err := iddiff.Compare(b.Context(), iddiff.File(path, nil), iddiff.File(path, nil), 0, unheard)
		require.NoError(b, err)
		ratios = append(ratios, float64(time.Since(begun))/float64(digested))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x-digest")
}
