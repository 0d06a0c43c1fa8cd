package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// A moment is a time as people write it; one without a zone is in UTC.
type moment struct {
	*time.Time

	now func() time.Time
}

func momentFlag(a *app, flags *pflag.FlagSet, to *time.Time, name, usage string) {
	flags.Var(&moment{to, a.now}, name, usage)
}

// timeForms are how people write times.
var timeForms = []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"}

// Set reads a time, or how long before or after now it is.
func (m *moment) Set(s string) error {
	for _, form := range timeForms {
		if t, err := time.Parse(form, s); err == nil {
			*m.Time = t.UTC()
			return nil
		}
	}
	d, err := parseSpan(s)
	if err != nil {
		return errors.New("want a time such as 2024-03-18T03:00Z, or one from now such as -24h, +12h or -7d")
	}
	*m.Time = m.now().UTC().Add(d)
	return nil
}

// parseSpan reads a duration, also in days.
func parseSpan(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n float64
		if _, err := fmt.Sscanf(days, "%g", &n); err != nil {
			return 0, err
		}
		return time.Duration(n * 24 * float64(time.Hour)), nil
	}
	return time.ParseDuration(s)
}

// String implements pflag.Value.
func (m *moment) String() string {
	if m.Time == nil || m.IsZero() {
		return ""
	}
	return stamp(*m.Time)
}

// Type implements pflag.Value.
func (m *moment) Type() string { return "time" }

// stamp returns a time as tables have it, in UTC.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04")
}
