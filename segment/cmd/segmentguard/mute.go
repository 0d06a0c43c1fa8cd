package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A muting is which alerts are muted, or no longer.
type muting struct {
	selection
	decision

	kind  string
	until time.Time
}

func (m *muting) add(a *app, cmd *cobra.Command) {
	m.selection.add(cmd.Flags())
	cmd.Flags().Lookup("store").Usage = "in this store; none: in any"
	m.decision.add(a, cmd.Flags())
	cmd.Flags().StringVar(&m.kind, "kind", "", "alerts of this kind, such as dropped")
}

func muteCommand(a *app) *cobra.Command {
	var m muting
	cmd := &cobra.Command{
		GroupID: decide,
		Use:     "mute [SEGMENT...] --until TIME",
		Short:   "Tell nobody of alerts until a time, unless they become worse",
		Long: `Mute holds the notifications of alerts until a time. They are judged and kept as always;
what becomes worse is told all the same, and at the end people are told of what is still
wrong, once. Name segments, a site group, a store, a kind, or several of these.`,
		Example: `  segmentguard mute --until +12h --why 'known, the vendor is on it' site-b/cars
  segmentguard mute --until 2024-03-19T08:00Z --why 'migration' --group site-b --kind dropped`,
	}
	m.add(a, cmd)
	momentFlag(a, cmd.Flags(), &m.until, "until", "up to this time, such as +12h or 2024-03-19T08:00Z")
	cmd.RunE = a.connected(func(ctx context.Context, args []string) error {
		if m.until.IsZero() {
			return errors.New("until when? say so by --until")
		}
		return a.changeMutes(ctx, &m, args, segment.MuteAlerts)
	})
	return cmd
}

func unmuteCommand(a *app) *cobra.Command {
	var m muting
	cmd := &cobra.Command{
		GroupID: decide,
		Use:     "unmute [SEGMENT...]",
		Short:   "Tell people of alerts again",
		Long: `Unmute ends the mute of just these segments, this site group, store and kind. The next
guard or sweep tells people of what is still wrong. Status lists the mutes.`,
		Example: `  segmentguard unmute --why 'the vendor is done' site-b/cars
  segmentguard unmute --why 'migrated' --group site-b --kind dropped`,
	}
	m.add(a, cmd)
	cmd.RunE = a.connected(func(ctx context.Context, args []string) error {
		return a.changeMutes(ctx, &m, args, unmute)
	})
	return cmd
}

// unmute ends a mute, if there is such a one: a misspelled name must not read as done.
func unmute(ctx context.Context, l segment.Ledger, m segment.Mute) error {
	mutes, err := l.Mutes(ctx)
	if err != nil {
		return err
	}
	var known []string
	for i := range mutes {
		o := &mutes[i]
		if o.Segment == m.Segment && o.SiteGroup == m.SiteGroup && o.Store == m.Store && o.Kind == m.Kind {
			m.Until = o.Until // which the log says
			return segment.UnmuteAlerts(ctx, l, m)
		}
		known = append(known, o.String())
	}
	if len(known) == 0 {
		return errors.New("nothing is muted")
	}
	return fmt.Errorf("no mute is just like that; there are: %s", strings.Join(known, "; "))
}

func (a *app) changeMutes(ctx context.Context, m *muting, args []string, change func(context.Context, segment.Ledger, segment.Mute) error) error {
	if m.kind != "" && !slices.Contains(validate.Kinds(), validate.Kind(m.kind)) {
		return fmt.Errorf("there is no kind %q; there are %s", m.kind, wordsOf(validate.Kinds()))
	}
	mutes := []segment.Mute{{SiteGroup: m.group, Store: m.store, Kind: validate.Kind(m.kind), Until: m.until}}
	if len(args) > 0 || m.file != "" {
		if m.group != "" {
			return errSelection
		}
		keys, err := m.named(a, args)
		if err != nil {
			return err
		}
		mutes = nil
		for _, key := range keys {
			mutes = append(mutes, segment.Mute{Segment: key.Segment, Store: m.store, Kind: validate.Kind(m.kind), Until: m.until})
		}
	}
	return a.decide(ctx, &m.decision, func(ctx context.Context, l segment.Ledger, made segment.Decision) (none []segment.Affected, err error) {
		for _, mute := range mutes {
			mute.Decision = made
			err = joined(err, change(ctx, l, mute))
			if ctx.Err() != nil {
				break
			}
		}
		return none, err
	})
}
