package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/mattn/go-isatty"

	"github.com/segmentguard/segmentguard/segment/cmd/segmentguard/internal/table"
)

// A printer writes for people, or for programs. Where nobody reads any more it writes
// on into nothing: that is no error.
type printer struct {
	w        io.Writer
	terminal bool
	colour   bool
	gone     bool
	err      error // the first, of a disk that is full
}

// newPrinter returns a printer that is plain unless it writes to a terminal, and nobody
// set NO_COLOR.
func newPrinter(w io.Writer, env func(string) string) *printer {
	p := &printer{w: w}
	if f, ok := w.(*os.File); ok {
		p.terminal = isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd())
	}
	p.colour = p.terminal && env("NO_COLOR") == "" && env("TERM") != "dumb"
	return p
}

// Write implements io.Writer.
func (p *printer) Write(b []byte) (int, error) {
	if p.done() {
		return len(b), nil
	}
	switch _, err := p.w.Write(b); {
	case errors.Is(err, syscall.EPIPE):
		p.gone = true
	case err != nil:
		p.err = fmt.Errorf("writing the output: %w", err)
	}
	return len(b), nil
}

// done reports whether there is no use in writing.
func (p *printer) done() bool { return p.gone || p.err != nil }

func (p *printer) printf(format string, args ...any) { _, _ = fmt.Fprintf(p, format, args...) }

// table prints a table.
func (p *printer) table(t *table.Table) { _, _ = io.WriteString(p, t.String(p.colour)) }

// json prints one object.
func (p *printer) json(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = p.Write(append(b, '\n'))
	}
	return err
}
