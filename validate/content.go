package validate

// content compares which users the sides of a step hold. Mapped ids differ by
// design, and a side that was only counted has none to compare.
func (j *judge) content(s *step) {
	before, after := s.before.fingerprint, s.after.fingerprint
	switch {
	case s.stage == mapping || before == Fingerprint{} || after == Fingerprint{}:
		return
	case before.Hash != after.Hash || before.Hash == "":
		j.unverified(s.stage, "fingerprints of different hashes (%q and %q) tell nothing about the users: take the same for both", before.Hash, after.Hash)
	case before != after:
		j.differs(s)
	case s.before.lower != s.after.lower:
		j.unverified(s.stage, "equal fingerprints of %s and %s cannot be: one side was measured wrongly", s.before.amount(), s.after.amount())
	case s.stage == storing:
		j.report.SameUsers = true
	}
}

// differs judges two sides that hold other users.
func (j *judge) differs(s *step) {
	if j.found(Short) || j.found(Surplus) {
		return
	}
	if s.tolerance.exact(s.before.lower) {
		j.add(Finding{Kind: Different, Step: s.stage.String(), Detail: done[s.stage] + " as many users as expected, but not the same ones"})
		return
	}
	j.unverified(s.stage, "the users differ, and fingerprints alone cannot tell whether by more than the tolerance allows: a Digest on both sides can")
}

// sharesMeasurement reports that two sides are one and the same digest.
func sharesMeasurement(a, b *Summary) bool {
	return a.digest != nil && b.digest != nil && a.digest.origin == b.digest.origin
}
