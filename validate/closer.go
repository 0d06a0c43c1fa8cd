package validate

import (
	"context"
	"fmt"
)

// lookCloser measures again, in more detail, what can be, and judges that. It
// decides what could not be verified before; but what was proven stands if it is
// not found any more, as then the sides have moved in between.
func lookCloser(ctx context.Context, p *Policy, out *Output, report *Report) {
	closer := *out
	if err := closer.measureAgain(ctx); err != nil {
		report.Findings = append(report.Findings, Finding{Kind: Unverified, Severity: Warn, Detail: fmt.Sprintf("why the users differ could not be looked at: %v", err), Cause: err})
		return
	}
	var again Report
	judgeStored(p, &closer, &again)
	if again.proven() || !report.proven() {
		*report = again
	}
}

func (out *Output) measureAgain(ctx context.Context) error {
	for _, side := range []*Summary{&out.Expected, &out.Read, &out.Written, &out.Stored} {
		if side.closer == nil {
			continue
		}
		s, err := side.closer.look(ctx)
		if err != nil {
			return err
		}
		if !s.usable() || s.lower != side.lower || s.upper != side.upper {
			return fmt.Errorf("%s were measured, and then %s", side, s)
		}
		s.asOf = side.asOf
		*side = s
	}
	return nil
}
