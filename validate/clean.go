package validate

// Clean reports whether Check would pass out and find nothing at all, not even
// something to warn of. It makes no report and tells nobody, in a third of the
// time: for going over a million outputs to check the few that are not clean. It
// takes no closer look ([Summary.OnDifference]), after which Check may pass more.
func NoFindings(p *Policy, out *Output) bool {
	var r Report
	j := judge{policy: p, out: out, report: &r, brief: true}
	j.stored()
	return len(r.Findings) == 0
}
