// Mutation holds the reports of gremlins against the list of mutants that are
// known to survive, each with the reason. It prints the score of each package,
// and fails on a survivor that is not in the list and on a line of the list
// whose mutant was killed or no longer exists.
//
//	mutation survivors reports
//
// A line of the list is file, function, mutated line and reason, with tabs
// between them; no line number, which any edit would shift. Reports are one a
// package, each named for its directory with + in place of /.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: mutation survivors reports")
		os.Exit(2)
	}
	if err := hold(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A mutant is known by what it makes of which line.
type mutant struct{ file, function, line string }

func (m mutant) String() string { return m.file + "\t" + m.function + "\t" + m.line }

// A report is what gremlins writes of a package.
type report struct {
	Files []struct {
		Name      string `json:"file_name"`
		Mutations []mutation
	}
}

type mutation struct {
	Type, Status string
	Line, Column int
}

// fates are the mutants of the files that were looked at, each with its statuses:
// several, where the same line stands in a function more than once.
type fates struct {
	files   map[string]bool
	mutants map[mutant][]string
}

func hold(list, reports string) error {
	explained, err := survivors(list)
	if err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(reports, "*"))
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("no report in %s", reports)
	}
	seen := fates{files: map[string]bool{}, mutants: map[mutant][]string{}}
	for _, path := range paths {
		if err := seen.add(path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return seen.against(explained)
}

// survivors reads the list: each mutant, and how often it is in it.
func survivors(path string) (map[mutant]int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list := map[mutant]int{}
	for i, line := range strings.Split(string(data), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 4 || slices.Contains(fields, "") {
			return nil, fmt.Errorf("%s:%d: want file, function, mutated line and reason, with a tab between each", path, i+1)
		}
		list[mutant{fields[0], fields[1], fields[2]}]++
	}
	return list, nil
}

// add takes in the report of a package, and prints its score.
func (f *fates) add(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		return err
	}
	statuses := map[string]int{}
	pkg := strings.ReplaceAll(filepath.Base(path), "+", "/")
	for _, file := range r.Files {
		name := filepath.Join(pkg, file.Name)
		f.files[name] = true
		s, err := parse(name)
		if err != nil {
			return err
		}
		for _, m := range unique(file.Mutations) {
			statuses[m.Status]++
			key, err := s.mutant(m)
			if err != nil {
				return err
			}
			f.mutants[key] = append(f.mutants[key], m.Status)
		}
	}
	fmt.Println(score(pkg, statuses))
	if len(statuses) == 1 && statuses["NOT VIABLE"] > 0 {
		return errors.New("no mutant compiles: do the tests?")
	}
	return nil
}

// unique leaves out what gremlins tries twice under two names: - made +.
func unique(all []mutation) []mutation {
	minus := func(m mutation) bool { return m.Type == "INVERT_NEGATIVES" }
	return slices.DeleteFunc(slices.Clone(all), func(m mutation) bool {
		return minus(m) && slices.ContainsFunc(all, func(o mutation) bool {
			return o.Line == m.Line && o.Column == m.Column && o.Type == "ARITHMETIC_BASE"
		})
	})
}

// score counts as tried what compiles; a mutant on which the tests do not end is
// as good as killed.
func score(name string, statuses map[string]int) string {
	killed := statuses["KILLED"] + statuses["TIMED OUT"]
	tried := killed + statuses["LIVED"] + statuses["NOT COVERED"]
	if tried == 0 {
		return fmt.Sprintf("%s: no mutant tried, %d exist", name, statuses["RUNNABLE"])
	}
	return fmt.Sprintf("%s: %d of %d mutants killed (%.1f%%), %d of them by a timeout; %d do not compile",
		name, killed, tried, 100*float64(killed)/float64(tried), statuses["TIMED OUT"], statuses["NOT VIABLE"])
}

// against holds what survived against the list, in both directions.
func (f *fates) against(explained map[mutant]int) error {
	var faults []error
	for _, m := range slices.SortedFunc(maps.Keys(f.mutants), compare) {
		if n := count(f.mutants[m], "LIVED", "NOT COVERED"); n > explained[m] {
			faults = append(faults, fmt.Errorf("survives unexplained: %s", m))
		}
	}
	for _, m := range slices.SortedFunc(maps.Keys(explained), compare) {
		if _, err := os.Stat(m.file); err == nil && !f.files[m.file] {
			continue // not looked at this time
		}
		statuses := f.mutants[m]
		switch n := count(statuses, "LIVED", "NOT COVERED", "RUNNABLE"); {
		case len(statuses) < explained[m]:
			faults = append(faults, fmt.Errorf("listed and does not exist: %s", m))
		case n < explained[m]:
			faults = append(faults, fmt.Errorf("listed and was killed: %s", m))
		}
	}
	return errors.Join(faults...)
}

func count(statuses []string, which ...string) (n int) {
	for _, s := range statuses {
		if slices.Contains(which, s) {
			n++
		}
	}
	return n
}

func compare(a, b mutant) int {
	return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.function, b.function), cmp.Compare(a.line, b.line))
}

// A source is a file in which mutants are looked up.
type source struct {
	name  string
	lines []string
	set   *token.FileSet
	file  *ast.File
}

func parse(name string) (*source, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	s := &source{name: name, lines: strings.Split(string(data), "\n"), set: token.NewFileSet()}
	s.file, err = parser.ParseFile(s.set, name, data, 0)
	return s, err
}

// mutant is what a mutation does to the text.
func (s *source) mutant(m mutation) (mutant, error) {
	before, after := s.lines[m.Line-1][:m.Column-1], s.lines[m.Line-1][m.Column-1:]
	for length := min(len("continue"), len(after)); length > 0; length-- {
		if to, ok := mutations[m.Type][after[:length]]; ok {
			return mutant{s.name, s.function(m.Line), strings.TrimSpace(before + to + after[length:])}, nil
		}
	}
	return mutant{}, fmt.Errorf("%s:%d:%d: no %s of %q is known", s.name, m.Line, m.Column, m.Type, after)
}

// function is the name of what a line belongs to, "-" outside all functions.
func (s *source) function(line int) string {
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || line < s.set.Position(f.Pos()).Line || line > s.set.Position(f.End()).Line {
			continue
		}
		if f.Recv == nil {
			return f.Name.Name
		}
		from, to := s.set.Position(f.Recv.List[0].Type.Pos()), s.set.Position(f.Recv.List[0].Type.End())
		return strings.Trim(s.lines[from.Line-1][from.Column-1:to.Column-1], "*") + "." + f.Name.Name
	}
	return "-"
}

// mutations are what gremlins makes of which operator.
var mutations = map[string]map[string]string{
	"ARITHMETIC_BASE":       {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*"},
	"CONDITIONALS_BOUNDARY": {">=": ">", ">": ">=", "<=": "<", "<": "<="},
	"CONDITIONALS_NEGATION": {"==": "!=", "!=": "==", ">=": "<", "<": ">=", "<=": ">", ">": "<="},
	"INCREMENT_DECREMENT":   {"++": "--", "--": "++"},
	"INVERT_ASSIGNMENTS":    {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "%=": "%="},
	"INVERT_BITWISE":        {"&": "|", "|": "&", "^": "&", "&^": "&", "<<": ">>", ">>": "<<"},
	"INVERT_BWASSIGN":       {"&=": "|=", "|=": "&=", "^=": "&=", "&^=": "&=", "<<=": ">>=", ">>=": "<<="},
	"INVERT_LOGICAL":        {"&&": "||", "||": "&&"},
	"INVERT_LOOPCTRL":       {"break": "continue", "continue": "break"},
	"INVERT_NEGATIVES":      {"-": "+"},
	"REMOVE_SELF_ASSIGNMENTS": {
		"+=": "=", "-=": "=", "*=": "=", "/=": "=", "%=": "=", "&=": "=", "|=": "=", "^=": "=", "&^=": "=", "<<=": "=", ">>=": "=",
	},
}
