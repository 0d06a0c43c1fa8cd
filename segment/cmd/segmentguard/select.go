package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/fleet"
	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// A selection is what a command is about, as people say it.
type selection struct {
	store, group, file string
	anyStore           bool // stores are nothing to the command
	flags              *pflag.FlagSet
}

func (s *selection) add(flags *pflag.FlagSet) {
	s.flags = flags
	s.addStore(flags, "in this store; none: the one that nobody named, and of a group any")
	flags.StringVar(&s.group, "group", "", "all of this site group that the ledger knows")
	flags.StringVar(&s.file, "file", "", "those in this file, one a line; -: standard input")
}

func (s *selection) addStore(flags *pflag.FlagSet, usage string) {
	s.flags = flags
	flags.StringVar(&s.store, "store", "", usage)
}

// stores returns the store that was named; nil: any.
func (s *selection) stores() *string {
	if s.flags.Changed("store") {
		return &s.store
	}
	return nil
}

// ways returns in how many ways segments were selected.
func (s *selection) ways(args []string) (n int) {
	for _, is := range []bool{len(args) > 0, s.group != "", s.file != ""} {
		if is {
			n++
		}
	}
	return n
}

var errSelection = errors.New("which segments? name them, or one of --group and --file")

// choose returns what was selected. Of a group in one store it is those that a filter
// takes.
func (s *selection) choose(ctx context.Context, a *app, args []string, f segment.SegmentFilter) (segment.Selection, error) {
	if s.ways(args) != 1 {
		return segment.Selection{}, errSelection
	}
	if s.group != "" && s.stores() == nil {
		return segment.Selection{SiteGroup: s.group}, nil
	}
	if s.group != "" {
		keys, err := s.ofGroup(ctx, a.ledger, f)
		return segment.Selection{Keys: keys}, err
	}
	keys, err := s.named(a, args)
	if err == nil && !s.anyStore {
		err = s.elsewhere(ctx, a.ledger, keys)
	}
	return segment.Selection{Keys: keys}, err
}

// mostLookedFor is of how many segments it is asked whether they are in another store.
const mostLookedFor = 100

// elsewhere returns an error where nobody named a store, and what is known of a segment
// is of another one than that which nobody named.
func (s *selection) elsewhere(ctx context.Context, l segment.Ledger, keys []segment.Key) error {
	if s.stores() != nil || len(keys) > mostLookedFor {
		return nil
	}
	for _, key := range keys {
		state, known, err := fleet.State(ctx, l, key)
		if err != nil {
			return err
		}
		if known && state.Store != key.Store {
			return fmt.Errorf("%s is known in the store %s: name it by --store %s", key, state.Store, text.Shell(state.Store))
		}
	}
	return nil
}

// keys returns the segments themselves. Of a group they are those that a filter takes.
func (s *selection) keys(ctx context.Context, a *app, args []string, f segment.SegmentFilter) ([]segment.Key, error) {
	which, err := s.choose(ctx, a, args, f)
	if err == nil && which.SiteGroup != "" {
		which.Keys, err = s.ofGroup(ctx, a.ledger, f)
	}
	return which.Keys, err
}

func (s *selection) ofGroup(ctx context.Context, l segment.Ledger, f segment.SegmentFilter) (keys []segment.Key, err error) {
	f.SiteGroup, f.Store = s.group, s.stores()
	for state, err := range l.Segments(ctx, f) {
		if err != nil {
			return nil, fmt.Errorf("reading the segments of %s: %w", s.group, err)
		}
		if !state.Segment.IsZero() && (!f.Affected || state.Alert.Open != nil) {
			keys = append(keys, state.Key())
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no such segment is known of site group %s", s.group)
	}
	return keys, nil
}

// named returns the segments of the arguments, or of the file.
func (s *selection) named(a *app, args []string) (keys []segment.Key, err error) {
	if s.file == "" {
		for _, arg := range args {
			id, err := parseID(arg)
			if err != nil {
				return nil, err
			}
			keys = append(keys, id.In(s.store))
		}
		return keys, nil
	}
	err = a.lines(s.file, func(line string) error {
		id, err := parseID(line)
		keys = append(keys, id.In(s.store))
		return err
	})
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("%s names no segment", s.file)
	}
	return keys, err
}

// lines calls each with the lines of a file, but empty ones.
func (a *app) lines(name string, each func(line string) error) (err error) {
	file, err := a.open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			continue
		}
		if err := each(line); err != nil {
			return fmt.Errorf("%s: line %d: %w", name, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// open opens a file; -: standard input.
func (a *app) open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(a.in), nil
	}
	return os.Open(name) //nolint:gosec // whoever calls may read it
}

func parseID(s string) (segment.ID, error) {
	id, err := segment.ParseID(s)
	if err != nil {
		return id, err
	}
	if id.IsZero() {
		return id, errors.New("a segment's name is empty")
	}
	return id, nil
}
