package dashboard

import (
	"cmp"
	"time"
)

// A Config says what pages show beside the ledger. The zero Config works.
type Config struct {
	// Now returns the time by which ages are told. nil: time.Now.
	Now func() time.Time
	// Command is what the commands to copy begin with. Empty: segmentguard.
	Command string
	// Timeout bounds the making of a page. 0: 10 seconds.
	Timeout time.Duration
}

func (c *Config) now() time.Time {
	if c.Now == nil {
		return time.Now().UTC()
	}
	return c.Now().UTC()
}

func (c *Config) timeout() time.Duration { return cmp.Or(c.Timeout, 10*time.Second) }
