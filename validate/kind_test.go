package validate

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// constants returns the names of this package's constants of a type in the order
// in which they are declared, and the values of those that are strings.
func constants(t *testing.T, of string) (names, values []string) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			repeated := "" // the type of a constant that only counts on
			for _, spec := range group.Specs {
				value, ok := spec.(*ast.ValueSpec)
				require.True(t, ok)
				if name, ok := value.Type.(*ast.Ident); ok {
					repeated = name.Name
				} else if len(value.Values) > 0 {
					repeated = ""
				}
				if repeated != of {
					continue
				}
				for i, name := range value.Names {
					names = append(names, name.Name)
					if i < len(value.Values) {
						if literal, ok := value.Values[i].(*ast.BasicLit); ok {
							text, err := strconv.Unquote(literal.Value)
							require.NoError(t, err)
							values = append(values, text)
						}
					}
				}
			}
		}
	}
	require.NotEmpty(t, names, "no constants of type %s", of)
	return names, values
}

// TestKindsInOrder: a kind that is declared and not ranked would rank before all
// others, and one that is ranked elsewhere than it is declared would surprise.
func TestKindsInOrder(t *testing.T) {
	_, declared := constants(t, "Kind")
	ranked := make([]string, len(byGravity))
	for i, kind := range byGravity {
		ranked[i] = string(kind)
	}
	require.Equal(t, declared, ranked)
	require.True(t, slices.IsSortedFunc(byGravity, Kind.Compare))
	require.Negative(t, Kind("of a later version").Compare(Empty), "what cannot be ranked is not hidden")
}

// TestClosedSets: each constant of a closed set is known wherever its set is.
func TestClosedSets(t *testing.T) {
	_, severities := constants(t, "Severity")
	for _, severity := range severities {
		f := Finding{Severity: Severity(severity)}
		require.Equal(t, severity != string(Warn), f.fails(), "severity %q", severity)
	}
	require.Len(t, severities, 2, "what does a further severity do to a check, its text, its urgency?")

	names, policies := constants(t, "OffHistory")
	require.Len(t, policies, len(names))
	for _, off := range policies {
		require.Nil(t, (&Policy{OffHistory: OffHistory(off)}).problem(), "off_history %q", off)
	}
	require.NotNil(t, (&Policy{OffHistory: "of a later version"}).problem())

	_, named := constants(t, "Hash")
	for _, hash := range named {
		d := NewDigest(Hash(hash))
		d.AddString("a")
		s := d.Summary()
		require.True(t, s.usable(), "hash %q", hash)
		require.Equal(t, Hash(hash), s.Fingerprint().Hash)
	}

	steps, _ := constants(t, "stage")
	require.Len(t, stages, len(steps), "each step has its words")
	for i := range stages {
		require.Equal(t, i, stageNamed(stage(i).String()), "and a name of its own")
	}
	require.Equal(t, -1, stageNamed("of a later version"))

	forms, _ := constants(t, "form")
	texts := map[string]bool{}
	for i := range forms {
		texts[Summary{form: form(i)}.String()] = true
	}
	require.Len(t, texts, len(forms), "each form reads differently")
}

// TestVerdict: a report is passed, failed or unverified, and names its gravest kind.
func TestVerdict(t *testing.T) {
	fail := func(k Kind) Finding { return Finding{Kind: k, Severity: Fail} }
	warn := func(k Kind) Finding { return Finding{Kind: k, Severity: Warn} }
	seen := map[string]bool{}
	for _, c := range []struct {
		reason   string
		outcome  outcome
		findings []Finding
		want     Verdict
		gravest  Kind
		proven   bool
	}{
		{"nothing found", passed, nil, VerdictPassed, Unverified, false},
		{"only a warning", passed, []Finding{warn(Capped)}, VerdictPassed, Capped, false},
		{"the gravest that fails", failed, []Finding{warn(Capped), fail(Short), fail(Unverified)}, VerdictFailed, Short, true},
		{"a finding without a severity fails", failed, []Finding{{Kind: Dropped}}, VerdictFailed, Dropped, true},
		{"nothing proven", failed, []Finding{warn(Dropped), fail(Unverified)}, VerdictUnverified, Unverified, false},
		{"nobody finished it", unfinished, nil, VerdictUnverified, Unverified, false},
		{"nobody finished it, and it warns", unfinished, []Finding{warn(Capped)}, VerdictUnverified, Capped, false},
		{"found later", passed, []Finding{fail(Short)}, VerdictFailed, Short, true},
	} {
		r := Report{outcome: c.outcome, Findings: c.findings}
		require.Equal(t, c.want, r.Verdict(), c.reason)
		require.Equal(t, c.gravest, r.Gravest(), c.reason)
		require.Equal(t, c.proven, r.Proven(), c.reason)
		require.Equal(t, c.want == VerdictPassed, r.Passed(), c.reason)
		seen[string(c.want)] = true
	}
	_, verdicts := constants(t, "Verdict")
	require.Len(t, seen, len(verdicts), "each is reached")
}
