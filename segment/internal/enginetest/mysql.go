package enginetest

import (
	"errors"
	"path/filepath"
	"testing"

	_ "github.com/go-sql-driver/mysql" // the driver "mysql"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest/servertest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// MariaDB speaks MySQL's dialect. Its default character set is latin1, and its
// collation does not tell case: what must be UTF-8 and exact has to say so.
var MariaDB = Engine{"mariadb", sqlsegment.MySQL, createMariaDB}

var sharedMariaDB = shared(startMariaDB)

func createMariaDB(t testing.TB) (driver, dsn string) {
	t.Helper()
	h, err := sharedMariaDB()
	servertest.Require(t, err)
	return h.driver, h.dsn(h.database(t, ""))
}

func startMariaDB() (*host, error) {
	install, errInstall := servertest.Find("mariadb-install-db", "mariadb-server")
	server, errServer := servertest.Find("mariadbd", "mariadb-server")
	if err := errors.Join(errInstall, errServer); err != nil {
		return nil, err
	}
	s, err := servertest.New("mariadb", "mysql")
	if err != nil {
		return nil, err
	}
	data, socket := filepath.Join(s.Folder, "data"), filepath.Join(s.Folder, "s")
	if err := s.Run(install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db"); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	h := &host{Server: s, driver: "mysql", dsn: func(database string) string { return "root@unix(" + socket + ")/" + database }}
	// In a folder of temporary tables that servers share, each that starts deletes those of all.
	return h, s.Start(h.answers, server, "--no-defaults", "--datadir="+data, "--tmpdir="+s.Folder, "--socket="+socket, "--skip-networking",
		"--character-set-server=latin1", "--collation-server=latin1_swedish_ci", "--innodb-flush-log-at-trx-commit=0")
}
