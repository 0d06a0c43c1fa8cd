package dashboard

import (
	"cmp"
	"context"
	"time"

	"github.com/segmentguard/segmentguard/segment/rerun"
)

// A Config says what pages show beside the ledger. The zero Config works.
type Config struct {
	// Now returns the time by which ages are told. nil: time.Now.
	Now func() time.Time
	// Command is what the commands to copy begin with. Empty: segmentguard.
	Command string
	// Timeout bounds the making of a page. 0: 10 seconds.
	Timeout time.Duration
	// Plans returns the plans of reruns, the latest first. nil: there are none.
	Plans func(context.Context) ([]Plan, error)
}

// A Plan is a plan of reruns and how far it is.
type Plan struct {
	Name    string
	Made    time.Time
	Plan    rerun.Plan
	Outcome rerun.Outcome
	Running []string // IDs of the jobs that run now
}

func (c *Config) now() time.Time {
	if c.Now == nil {
		return time.Now().UTC()
	}
	return c.Now().UTC()
}

func (c *Config) timeout() time.Duration { return cmp.Or(c.Timeout, 10*time.Second) }
