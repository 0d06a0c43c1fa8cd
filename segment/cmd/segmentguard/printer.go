package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf16"

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
	if err != nil {
		return err
	}
	_, err = io.WriteString(p, escaped(string(b))+"\n")
	return err
}

// escaped writes what does not print, such as what turns the direction of text, the
// other way that JSON knows. All of it is within strings.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
