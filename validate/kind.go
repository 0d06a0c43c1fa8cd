package validate

import (
	"cmp"
	"slices"
)

// A Kind of failure is an error, so that errors.Is(err, validate.Capped) holds
// for the error of a check that found it. Kinds are stable strings: a job
// system that keeps only an error's text keeps them.
type Kind string

// The kinds, gravest first. Their order here is the order of gravity: byGravity
// repeats it, and a test of this package fails where the two differ.
const (
	Empty      Kind = "empty"      // nothing stored
	Truncated  Kind = "truncated"  // the first N users and no others: a lost end
	Capped     Kind = "capped"     // a side stops exactly at a known limit
	Gap        Kind = "gap"        // a run of consecutive users missing elsewhere (lost pages)
	Repeated   Kind = "repeated"   // users stored more than once (the same page again and again)
	Different  Kind = "different"  // the count passes, the users are not the right ones
	Short      Kind = "short"      // fewer users than allowed; beside each cause that is known
	Surplus    Kind = "surplus"    // more users than allowed
	Dropped    Kind = "dropped"    // far below the segment's history
	Risen      Kind = "risen"      // far above it
	Stale      Kind = "stale"      // no good run for too long
	Leaking    Kind = "leaking"    // fewer week by week, each day within its history
	Frozen     Kind = "frozen"     // the very same size where it used to change
	Unverified Kind = "unverified" // could not be checked; never a pass
)

var byGravity = []Kind{Empty, Truncated, Capped, Gap, Repeated, Different, Short, Surplus, Dropped, Risen, Stale, Leaking, Frozen, Unverified}

// Kinds returns all kinds, the gravest first.
func Kinds() []Kind { return slices.Clone(byGravity) }

// Error makes a Kind a target for errors.Is.
func (k Kind) Error() string { return string(k) }

// gravity returns a rank, 0 the gravest. A kind that this version does not know
// comes before all: what cannot be ranked must not hide behind something harmless.
func (k Kind) gravity() int { return slices.Index(byGravity, k) }

// Compare orders kinds by gravity, the gravest first.
func (k Kind) Compare(other Kind) int { return cmp.Compare(k.gravity(), other.gravity()) }
