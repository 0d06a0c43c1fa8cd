package fleet

import (
	"strings"

	"github.com/segmentguard/segmentguard/segment"
)

// A Tone is how a thing is shown; its word says the same.
type Tone string

// The tones.
const (
	Bad     Tone = "bad"     // customers are hit
	Warned  Tone = "warned"  // somebody must look
	Guarded Tone = "guarded" // wrong, and kept away from customers
	Fine    Tone = "fine"
	Unknown Tone = "unknown"
)

// A Badge is a word with a tone.
type Badge struct {
	Text string
	Tone Tone
}

// Worst returns by which urgency, kind and level people were told of an open alert,
// which only rise as long as it is open: as in the ledger's own numbers.
func Worst(s *segment.AlertState) segment.Mark {
	if n := len(s.Marks); n > 0 {
		return s.Marks[n-1]
	}
	return segment.Mark{Urgency: s.Open.Urgency, Kind: s.Open.Kind, Level: s.Open.Level}
}

// BadgeOfAlert says whether customers are hit by an open alert.
func BadgeOfAlert(s *segment.AlertState) Badge {
	switch a, m := s.Open, Worst(s); {
	case m.Level == segment.LevelProtected:
		return Badge{"protected", Guarded}
	case a.State == segment.RunUnknown:
		return Badge{"live or not", Bad}
	case a.Missing:
		return Badge{"gone", Bad}
	case m.Level == segment.LevelLost100:
		return Badge{"live, empty", Bad}
	case m.Level.Compare(segment.LevelLive) > 0:
		return Badge{"live, −" + strings.TrimPrefix(string(m.Level), "lost ") + " or more", Bad}
	case m.Urgency == segment.Ticket:
		return Badge{"live", Warned}
	}
	return Badge{"live", Bad}
}

// BadgeOfRun says what became of a run.
func BadgeOfRun(s segment.RunState, live bool) Badge {
	word := string(s)
	if live {
		word += ", and live"
	}
	switch s {
	case segment.RunCommitted, segment.RunPassed:
		return Badge{word, Fine}
	case segment.RunStarted, segment.RunOvertaken, segment.RunSubmitted:
		return Badge{word, Unknown}
	case segment.RunObserved:
		return Badge{word, Warned}
	case segment.RunRejected, segment.RunFailed:
		if live {
			return Badge{word, Bad}
		}
		return Badge{word, Guarded}
	case segment.RunUnknown:
	}
	return Badge{word, Bad}
}

// BadgeOf says how a segment is.
func BadgeOf(s *segment.SegmentState) Badge {
	switch {
	case s.Alert.Open != nil:
		return BadgeOfAlert(&s.Alert)
	case s.Damaged != nil:
		return Badge{"cannot be read", Bad}
	case s.Last.State == segment.RunUnknown:
		return Badge{"live or not", Bad}
	case s.Last.State == segment.RunSubmitted:
		return Badge{"submitted, not answered", Unknown}
	case s.IsZero():
		return Badge{"nothing known", Unknown}
	}
	return Badge{"no alert", Fine}
}
