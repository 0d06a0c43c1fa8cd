package validate

import "slices"

// Verdict returns "passed", "failed" or "unverified".
func (r Report) Verdict() string {
	switch {
	case r.Passed():
		return "passed"
	case r.Gravest() == Unverified:
		return "unverified"
	}
	return "failed"
}

// Gravest returns the kind of the gravest finding: one that fails, if there is any.
func (r Report) Gravest() Kind {
	for _, f := range r.Findings {
		if f.Severity != Warn {
			return f.Kind
		}
	}
	if len(r.Findings) > 0 {
		return r.Findings[0].Kind
	}
	return Unverified
}

// Proven reports whether anything was found beyond not being able to check.
func (r Report) Proven() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool {
		return f.Severity != Warn && f.Kind != Unverified
	})
}
