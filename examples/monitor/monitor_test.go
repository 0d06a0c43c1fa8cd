package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const data = "../../testdata/volumes"

// The example's claims: what is broken is found and told once, by one incident a
// fault; the same again is no news; the repair resolves it all.
func TestMonitor(t *testing.T) {
	var b strings.Builder
	require.NoError(t, run(t.Context(), &b, settings{data: data, segments: 3000}))
	out := b.String()
	t.Log(out)
	first, rest, found := strings.Cut(out, "The same again, an hour later")
	require.True(t, found)
	second, third, found := strings.Cut(rest, "After the repair")
	require.True(t, found)
	require.Contains(t, first, "2999 segments: ")
	require.Contains(t, first, "1 missing; told: ")
	require.Contains(t, first, "; lookalike jobs, since ")
	require.Contains(t, first, "stopped at 10,000 users, a known limit (Elasticsearch index.max_result_window, …); ")
	require.Contains(t, first, "made from site-", "a copy of an empty lookalike names it")
	require.Contains(t, first, "▇")
	require.Contains(t, second, "told: 0 segments affected, 0 incidents, 0 resolved")
	require.Contains(t, third, "3000 segments: ")
	require.Contains(t, third, " 0 missing; told: ")
	require.Contains(t, third, "told: 0 segments affected, 0 incidents, 0 resolved", "one sweep that finds nothing may be in error")
}

func TestMonitorSaysWhatIsMissing(t *testing.T) {
	var b strings.Builder
	require.ErrorContains(t, run(t.Context(), &b, settings{data: t.TempDir(), segments: 10}), "say where it is with -data")
	require.ErrorContains(t, run(t.Context(), &b, settings{data: data, alertmanager: "no address", segments: 10}), "Config.URL")
	require.ErrorContains(t, run(t.Context(), &b, settings{data: data, metrics: "no address", segments: 10}), "no address")
}

// TestShow: the report is of the broken fleet, and the dashboard answers until it is
// interrupted.
func TestShow(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	file := filepath.Join(t.TempDir(), "report.html")
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, writer, settings{data: data, segments: 300, report: file, serve: "127.0.0.1:0"})
		writer.CloseWithError(io.EOF)
		ended <- err
	}()
	address := ""
	for lines := bufio.NewScanner(reader); address == "" && lines.Scan(); {
		if _, after, found := strings.Cut(lines.Text(), "The dashboard is at "); found {
			address = strings.Fields(after)[0]
		}
	}
	require.NotEmpty(t, address, "where it is")
	report, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(report), "hold too few users")
	page, err := get(t, address)
	require.NoError(t, err)
	require.Contains(t, string(page), "The last complete sweep was just now: 300 segments, ")
	interrupt()
	require.NoError(t, <-ended)
}
