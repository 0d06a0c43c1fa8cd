package iddiff

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

const (
	pageIDs   = 1024
	longestID = 1 << 16 // bytes
)

// File returns a side that is a file of one id a line, which may be compressed by gzip.
// A path of "-" is in.
func File(path string, in io.Reader) *Side {
	if path == "-" {
		return &Side{Name: "standard input", Once: true, All: func(ctx context.Context) iter.Seq2[[][]byte, error] { return lines(ctx, in) }}
	}
	s := &Side{Name: path, All: func(ctx context.Context) iter.Seq2[[][]byte, error] { return file(ctx, path) }}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		s.Once = true // such as a pipe
	}
	return s
}

func file(ctx context.Context, path string) iter.Seq2[[][]byte, error] {
	return func(yield func([][]byte, error) bool) {
		f, err := os.Open(path) //nolint:gosec // the file that was asked for
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close() //nolint:errcheck // it was only read
		for ids, err := range lines(ctx, f) {
			if !yield(ids, err) {
				return
			}
		}
	}
}

// lines yields the lines of r, in pages.
func lines(ctx context.Context, r io.Reader) iter.Seq2[[][]byte, error] {
	return func(yield func([][]byte, error) bool) {
		err := eachPage(ctx, r, func(ids [][]byte) bool { return yield(ids, nil) })
		if err != nil && !errors.Is(err, errLeft) {
			yield(nil, err)
		}
	}
}

// errLeft says that nobody wants more pages.
var errLeft = errors.New("left")

func eachPage(ctx context.Context, r io.Reader, yield func([][]byte) bool) error {
	text, err := plain(r)
	if err != nil {
		return err
	}
	p := page{ids: make([][]byte, 0, pageIDs)}
	for number := int64(1); ; number++ {
		line, err := text.ReadSlice('\n')
		last := errors.Is(err, io.EOF)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("line %d is longer than %d bytes; want one id a line", number, longestID)
		case err != nil && !last:
			return err
		case len(line) > 0:
			if err := p.add(line); err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
		}
		if len(p.ids) == pageIDs || last && len(p.ids) > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !yield(p.take()) {
				return errLeft
			}
		}
		if last {
			return nil
		}
	}
}

// byteOrderMark begins the files of some programs, and belongs to no id.
var byteOrderMark = []byte("\xef\xbb\xbf")

// plain returns what r holds, decompressed where it is compressed.
func plain(r io.Reader) (*bufio.Reader, error) {
	text := bufio.NewReaderSize(r, longestID)
	if magic, err := text.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(text)
		if err != nil {
			return nil, err
		}
		text = bufio.NewReaderSize(z, longestID)
	}
	if begin, _ := text.Peek(len(byteOrderMark)); bytes.Equal(begin, byteOrderMark) {
		_, _ = text.Discard(len(byteOrderMark))
	}
	return text, nil
}

// A page keeps copies of ids until it is taken.
type page struct {
	ids   [][]byte
	bytes []byte
}

var errEmpty = errors.New("it is empty; want one id a line")

// add adds the id of a line.
func (p *page) add(line []byte) error {
	if bytes.HasSuffix(line, []byte("\n")) {
		line = bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
	}
	if len(line) == 0 {
		return errEmpty
	}
	p.keep(line)
	return nil
}

// keep adds an id. Where the bytes move to a larger array, the ids before stay in the
// smaller one.
func (p *page) keep(id []byte) {
	from := len(p.bytes)
	p.bytes = append(p.bytes, id...)
	p.ids = append(p.ids, p.bytes[from:len(p.bytes):len(p.bytes)])
}

// take returns the ids, and lets the next ones overwrite them.
func (p *page) take() [][]byte {
	ids := p.ids
	p.ids, p.bytes = p.ids[:0], p.bytes[:0]
	return ids
}
