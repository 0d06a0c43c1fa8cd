package sqlsegment

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every Dialect that is declared has its SQL, and nothing else has.
func TestEveryDialectIsListed(t *testing.T) {
	declared := declaredDialects(t)
	require.Contains(t, declared, PostgreSQL)
	var listed []Dialect
	for _, d := range dialects {
		require.NotNil(t, d.users, d.name)
		listed = append(listed, d.name)
	}
	require.ElementsMatch(t, declared, listed)
}

// declaredDialects reads the constants of type Dialect.
func declaredDialects(t *testing.T) (found []Dialect) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "dialect.go", nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Dialect" {
			return true
		}
		for _, value := range spec.Values {
			literal, ok := value.(*ast.BasicLit)
			require.True(t, ok)
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			found = append(found, Dialect(text))
		}
		return true
	})
	return found
}

func TestUnknownDialects(t *testing.T) {
	_, err := Dialect("oracle").users("Users.Dialect")
	require.ErrorContains(t, err, `Users.Dialect is oracle, want "postgresql", "mysql", `)
	for _, d := range []Dialect{"", "oracle", ClickHouse} {
		_, err = d.ledger("dialect")
		require.ErrorContains(t, err, `want "postgresql", "mysql" or "sqlite"`, "of %q there is no ledger", d)
	}
}

// The last migration makes the schema that this program needs, and none is left
// out or made twice.
func TestMigrationsAreInOrder(t *testing.T) {
	for _, d := range dialects {
		if d.ledger == nil {
			continue
		}
		var versions []int
		for _, m := range d.ledger.migrations() {
			versions = append(versions, m.version)
		}
		require.Equal(t, []int{3, 4, 5, 6, 7, 8, 9, 10, version}, versions, d.name)
	}
}

type stateError string

func (e stateError) Error() string    { return "no text that tells" }
func (e stateError) SQLState() string { return string(e) }

func TestConflicts(t *testing.T) {
	for _, c := range []struct {
		dialect ledgerDialect
		err     error
		want    bool
	}{
		{postgreSQL{}, stateError("40001"), true},
		{postgreSQL{}, stateError("40P01"), true},
		{postgreSQL{}, stateError("23505"), false},
		{postgreSQL{}, errors.New("Error 1213 (40001): deadlock"), false},
		{mySQL{}, errors.New("Error 1213 (40001): Deadlock found"), true},
		{mySQL{}, errors.New("Error 1205 (HY000): Lock wait timeout exceeded"), true},
		{mySQL{}, errors.New("Error 1062 (23000): Duplicate entry"), false},
		{sqLite{}, errors.New("database is locked"), false},
	} {
		require.Equal(t, c.want, c.dialect.conflict(c.err), "%T: %v", c.dialect, c.err)
	}
}
