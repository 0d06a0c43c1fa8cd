package main

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/cmd/segmentguard/internal/table"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
)

// TestPlain: a file is no terminal, and there are no colours where nobody wants them.
func TestPlain(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	p := newPrinter(file, func(string) string { return "" })
	require.False(t, p.terminal)
	require.False(t, p.colour)
	require.NoError(t, file.Close())
	row := &table.Table{Head: []string{"A", "", "C"}}
	row.Add("x\x1b", "", "ü")
	row.Tone(0, fleet.Bad)
	row.Add("", "", "d")
	require.Equal(t, "A      C\nx\\x1b  ü\n       d\n", row.String(false))
	require.Equal(t, "\x1b[1mA\x1b[0m      \x1b[1mC\x1b[0m\n\x1b[1;31mx\\x1b\x1b[0m  ü\n       d\n", row.String(true))
}

// TestEscaped: what programs read prints, and means the same.
func TestEscaped(t *testing.T) {
	var out bytes.Buffer
	p := newPrinter(&out, func(string) string { return "" })
	name := "a\u202eb\x1b\n\U000e0001ü"
	require.NoError(t, p.json([]string{name}))
	requirePrintable(t, out.String())
	var read []string
	require.NoError(t, unmarshal(out.String(), &read))
	require.Equal(t, []string{name}, read)
}

// TestProgress: on a terminal it is said after a second how far something is, and what
// was said is gone in the end.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out terminal
		a := &app{err: &printer{w: &out, terminal: true}}
		stop := a.progress("Reading", func() int64 { return 1234 })
		time.Sleep(900 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, out.String(), "within a second nothing is said")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Contains(t, out.String(), "Reading: 1,234 …")
		stop()
		require.Contains(t, out.String(), "…\r\x1b[K", "and gone")
		said := out.String()
		a.err.terminal = false
		stop = a.progress("Reading", func() int64 { return 1 })
		time.Sleep(3 * time.Second)
		stop()
		require.Equal(t, said, out.String(), "no terminal")
	})
}

// A terminal is written to while somebody reads it.
type terminal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (t *terminal) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(b)
}

func (t *terminal) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}
