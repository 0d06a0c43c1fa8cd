package readme_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/segmenttest"
	"github.com/segmentguard/segmentguard/validate"
)

// What the README says is what the programs do: each test here holds a part of
// it against them. They are in the module that the README is in: results are
// cached, and what a test reads of another module does not make it run again.

const root = "../../.."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(text)
}

// section is what stands under a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, text, found := strings.Cut(read(t, "README.md"), "\n## "+heading+"\n")
	require.True(t, found, heading)
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// fenced are the blocks of a text.
func fenced(text string) (blocks []string) {
	for _, found := range regexp.MustCompile("(?s)```(?:go)?\n(.*?)```").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, found[1])
	}
	return blocks
}

// TestIncident runs the first of the two commands.
func TestIncident(t *testing.T) {
	if testing.Short() {
		t.Skip("plays the whole incident")
	}
	seen := fenced(section(t, "See it, test it"))
	commands := strings.Split(strings.TrimSpace(seen[0]), "\n")
	require.Len(t, commands, 2)
	command, _, _ := strings.Cut(commands[0], "#")
	words := strings.Fields(command)
	files, err := filepath.Glob(filepath.Join(root, "examples/incident/*.go"))
	require.NoError(t, err)
	for _, file := range files {
		_, err := os.ReadFile(file) // so that this runs again when they change
		require.NoError(t, err)
	}
	incident := exec.CommandContext(t.Context(), words[0], words[1:]...)
	incident.Dir = root
	out, err := incident.Output()
	require.NoError(t, err)
	require.Contains(t, string(out), seen[1], "it ends with")
	require.Contains(t, string(out), strings.TrimSpace(fenced(read(t, "README.md"))[0]), "the error that the README begins with")
}

// TestCode: the code to copy is that of an example, line by line, but for
// comments and what is left out.
func TestCode(t *testing.T) {
	blocks := fenced(section(t, "Adopt it"))
	require.Len(t, blocks, 4)
	requireCode(t, strings.Join(blocks[:2], ""), read(t, "examples/segmentcopy/main.go")+read(t, "examples/segmentcopy/setup.go"))
}

// TestShortCode: a copy with the ledger in its transaction takes no more than 12 lines,
// which an example that is executed has one after another.
func TestShortCode(t *testing.T) {
	words := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	example := words(read(t, "segment/internal/enginetest/pgxtest/example_test.go"))
	blocks := fenced(section(t, "Adopt it"))
	for i, driver := range []string{"pool.Begin(", "db.BeginTx("} {
		block := strings.TrimSpace(blocks[2+i])
		require.Contains(t, block, driver)
		require.Contains(t, example, words(block))
		require.LessOrEqual(t, strings.Count(block, "\n")+1, 12)
	}
}

// TestCodeOfTransactions: so is that of sqlsegment's documentation.
func TestCodeOfTransactions(t *testing.T) {
	_, doc, found := strings.Cut(read(t, "segment/sqlsegment/doc.go"), "// # Transactions\n")
	require.True(t, found)
	doc, _, _ = strings.Cut(doc, "\n// # ")
	var code strings.Builder
	for _, line := range regexp.MustCompile(`(?m)^//\t(.*\n)`).FindAllStringSubmatch(doc, -1) {
		code.WriteString(line[1])
	}
	require.Contains(t, code.String(), "ledger.Staging(tx)")
	requireCode(t, code.String(), read(t, "examples/segmentcopy/indatabase/main.go"))
}

func requireCode(t *testing.T, code, example string) {
	t.Helper()
	for line := range strings.Lines(code) {
		line, _, _ = strings.Cut(line, " // ")
		line, _, _ = strings.Cut(line, "…")
		line = strings.Replace(line, "users := ", "users = ", 1) // the example's is a variable of the package
		require.Contains(t, strings.Join(strings.Fields(example), " "), strings.Join(strings.Fields(line), " "))
	}
}

// TestReport has a page lost and another stored twice.
func TestReport(t *testing.T) {
	source := make([]string, 50_000)
	for i := range source {
		source[i] = fmt.Sprint("user-", i+1)
	}
	summary := func(users []string) validate.Summary {
		var d validate.Digest
		d.AddStrings(users)
		return d.Summary()
	}
	stored := slices.Concat(source[:7000], source[3000:4000], source[8000:])
	report, err := validate.Check(t.Context(), validate.Policy{}, validate.Output{
		Name: "site-b/cars", Expected: validate.Count(50_000), Read: summary(source), Stored: summary(stored),
	})
	require.Error(t, err)
	require.Contains(t, section(t, "What a failure looks like"), "\n"+report.String()+"\n")
}

func TestCounts(t *testing.T) {
	text := read(t, "README.md")
	require.Contains(t, text, fmt.Sprintf("a documented limit (%d of them", len(validate.KnownCaps())))
	for _, says := range regexp.MustCompile(`(\d+) (?:faults|ways)`).FindAllStringSubmatch(text, -1) {
		require.Equal(t, fmt.Sprint(len(segmenttest.Faults())), says[1], says[0])
	}
}

// TestKinds: the table has each kind that the package declares.
func TestKinds(t *testing.T) {
	table := section(t, "What a failure looks like")
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "validate/kind.go"), nil, 0)
	require.NoError(t, err)
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || spec.Type == nil || fmt.Sprint(spec.Type) != "Kind" {
			return true
		}
		n++
		text, ok := spec.Values[0].(*ast.BasicLit)
		require.True(t, ok)
		require.Regexp(t, "(?m)^\\| .*`"+strings.Trim(text.Value, `"`)+"`", table)
		return false
	})
	require.Equal(t, 14, n)
}

// TestGuarantees: whoever looks for the test of a guarantee finds it.
func TestGuarantees(t *testing.T) {
	rows := 0
	for line := range strings.Lines(section(t, "Guarantees")) {
		column := strings.Split(line, " | ")
		if len(column) != 2 || strings.HasPrefix(line, "| |") {
			continue
		}
		rows++
		named := 0
		for _, proof := range regexp.MustCompile("`([a-z/]+)`: ((?:`Test\\w+`(?:, )?)+)").FindAllStringSubmatch(column[1], -1) {
			files, err := filepath.Glob(filepath.Join(root, proof[1], "*_test.go"))
			require.NoError(t, err)
			var code strings.Builder
			for _, file := range files {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				code.Write(text)
			}
			for _, test := range regexp.MustCompile(`Test\w+`).FindAllString(proof[2], -1) {
				require.Contains(t, code.String(), "func "+test+"(t *testing.T)", proof[1])
				named++
			}
		}
		require.Equal(t, strings.Count(column[1], "`Test"), named)
		require.NotZero(t, named, "a guarantee that nothing proves: %s", column[0])
	}
	require.Greater(t, rows, 5)
}

// TestPointers: what it points to is there.
func TestPointers(t *testing.T) {
	text := read(t, "README.md")
	for _, link := range regexp.MustCompile(`(?m)(?:^|[ |])\[[^\]]+\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		_, err := os.Stat(filepath.Join(root, link[1]))
		require.NoError(t, err)
	}
	commands := regexp.MustCompile("`(go doc [^`]+)`").FindAllStringSubmatch(text, -1)
	require.Greater(t, len(commands), 5)
	for _, command := range commands {
		words := strings.Fields(command[1])
		doc := exec.CommandContext(t.Context(), words[0], words[1:]...)
		doc.Dir = root
		out, err := doc.CombinedOutput()
		require.NoError(t, err, "%s: %s", command[1], out)
	}
}

// TestRules runs the command that checks the rules for Prometheus.
func TestRules(t *testing.T) {
	found := regexp.MustCompile("`(promtool check rules [^`]+)` finds (\\d+) ").FindStringSubmatch(read(t, "README.md"))
	require.NotNil(t, found)
	words := strings.Fields(found[1])
	if _, err := exec.LookPath(words[0]); err != nil && os.Getenv("CI") == "" {
		t.Skip(words[0] + " is not installed: apt-get install prometheus")
	}
	require.Contains(t, read(t, words[3]), "groups:") // so that this runs again when it changes
	check := exec.CommandContext(t.Context(), words[0], words[1:]...)
	check.Dir = root
	out, err := check.CombinedOutput()
	require.NoError(t, err, "apt-get install prometheus: %s", out)
	require.Contains(t, string(out), "SUCCESS: "+found[2]+" rules found")
}

// TestContributing: the folders, files and commands that it names are there.
func TestContributing(t *testing.T) {
	text := read(t, ".github/CONTRIBUTING.md")
	_, rows, found := strings.Cut(text, "\n## Where things are\n")
	require.True(t, found)
	rows, _, _ = strings.Cut(rows, "\n## ")
	folders := regexp.MustCompile("(?m)^\\| `([a-z/]+)`").FindAllStringSubmatch(rows, -1)
	require.Greater(t, len(folders), 5)
	for _, folder := range folders {
		require.DirExists(t, filepath.Join(root, folder[1]))
	}
	commands := regexp.MustCompile(`bash (\.ci/\w+)`).FindAllStringSubmatch(text, -1)
	require.Greater(t, len(commands), 5)
	for _, command := range commands {
		require.FileExists(t, filepath.Join(root, command[1]))
	}
}
