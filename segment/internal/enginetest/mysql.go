package enginetest

import (
	"fmt"
	"path/filepath"
	"testing"

	_ "github.com/go-sql-driver/mysql" // the driver "mysql"
)

var (
	errNoMariaDB = fmt.Errorf("%w: apt-get install mariadb-server", errNotInstalled)
	mariaDB      = shared(startMariaDB)
)

// createMySQL makes a database in a MariaDB. Its default character set is
// latin1, and its collation does not tell case: what must be UTF-8 and exact has
// to say so.
func createMySQL(t testing.TB) (driver, dsn string) {
	t.Helper()
	s, err := mariaDB()
	requireInstalled(t, err)
	return s.driver, s.socket() + s.database(t)
}

func startMariaDB() (*daemon, error) {
	install, errInstall := lookPath("mariadb-install-db")
	server, errServer := lookPath("mariadbd")
	if errInstall != nil || errServer != nil {
		return nil, errNoMariaDB
	}
	d, err := newDaemon("mariadb", "mysql")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(d.folder, "data")
	if err := d.command(install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db"); err != nil {
		return nil, err
	}
	d.driver, d.dsn = "mysql", d.socket()
	// In a folder of temporary tables that servers share, each that starts deletes those of all.
	return d, d.run(server, "--no-defaults", "--datadir="+data, "--tmpdir="+d.folder, "--socket="+filepath.Join(d.folder, "s"), "--skip-networking",
		"--character-set-server=latin1", "--collation-server=latin1_swedish_ci", "--innodb-flush-log-at-trx-commit=0")
}

func (d *daemon) socket() string { return "root@unix(" + filepath.Join(d.folder, "s") + ")/" }
